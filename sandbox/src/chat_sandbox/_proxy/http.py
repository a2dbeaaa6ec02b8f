"""Reads a stream of HTTP/1.1 messages, byte by byte what it was, and knows no socket.

h11 tells where each message begins and ends; the bytes that pass are those that came. What h11 cannot read passes as it
is, from there to the end of the stream.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import h11

from chat_gms.rest import OPERATIONS
from chat_sandbox._proxy.bayeux import edit_messages, read_messages
from chat_sandbox._proxy.pieces import Bytes, Exchange, Piece, Whole
from chat_sandbox._proxy.rules import Carrier, Passing, Towards

__all__ = ["AnswerReader", "RequestReader", "edited_message"]

#: Bytes of one head, at most.
_MAX_HEAD: Final = 64 * 1024
_SWITCHING_PROTOCOLS: Final = 101
#: Asks whether a rule may be about something with that path.
Wanted = Callable[[Towards, Carrier, str], bool]


class _MessageReader:
    """What reading requests and reading answers share."""

    towards: Towards

    def __init__(self, wanted: Wanted, *, limit: int) -> None:
        self._wanted = wanted
        self._limit = limit
        #: One per message; h11 wants both sides of a cycle, and only one passes here.
        self._connection: h11.Connection | None = None
        #: Came, and is not attributed to a piece yet.
        self._waiting = bytearray()
        self._at_end = False
        #: What is being read, or was read last.
        self.exchange: Exchange | None = None
        #: The message so far, while it is wanted as a whole.
        self._head = b""
        self._raw = bytearray()
        self._body = bytearray()
        self._encoding = ""
        self._collecting = False
        #: Nothing is read while the other side decides about another protocol.
        self.paused = False
        #: From here on everything passes as it is.
        self.opaque = False

    def feed(self, data: bytes) -> None:
        """Take what came; ``b""`` is the end of the stream."""
        if self._at_end:
            return
        self._at_end = not data
        self._waiting += data
        if self._connection is not None:
            self._connection.receive_data(data)

    def rest(self) -> bytes:
        """Return what came and was not read."""
        rest = bytes(self._waiting)
        self._waiting.clear()
        return rest

    def pieces(self) -> Iterator[Piece]:
        """Yield what is there by now. What came last has to be dealt with before it is asked on."""
        while not self.paused:
            if self.opaque:
                if self._waiting:
                    yield Bytes(raw=self.rest())
                return
            if self._connection is None:
                if not self._waiting:
                    return
                self._connection = self._begin()
                if self._connection is None:
                    yield from self._give_up()
                    continue
                self._connection.receive_data(bytes(self._waiting))
                if self._at_end:
                    self._connection.receive_data(b"")
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError:
                yield from self._give_up()
                continue
            left = len(self._connection.trailing_data[0])
            raw = bytes(self._waiting[: len(self._waiting) - left])
            del self._waiting[: len(self._waiting) - left]
            yield from self._take(event, raw)
            if event is h11.NEED_DATA:
                return
            if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                yield from self._give_up()

    def _begin(self) -> h11.Connection | None:
        raise NotImplementedError

    def _head_came(self, event: object, raw: bytes) -> Iterator[Piece]:
        raise NotImplementedError

    def _finished(self) -> None:
        raise NotImplementedError

    def _take(self, event: object, raw: bytes) -> Iterator[Piece]:
        if isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
            yield from self._head_came(event, raw)
        elif self._collecting:
            self._raw += raw
            if isinstance(event, h11.Data):
                self._body += event.data
            if isinstance(event, h11.EndOfMessage):
                yield self._whole()
            elif len(self._raw) > self._limit:
                yield self._let_go()
        elif raw:
            yield Bytes(raw=raw, exchange=self.exchange)
        if isinstance(event, h11.EndOfMessage):
            self._connection = None
            self._finished()

    def _collect(self, head: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._collecting = True
        self._head = head
        self._raw = bytearray(head)
        self._body = bytearray()
        self._encoding = ",".join(value.decode("latin-1") for name, value in headers if name == b"content-encoding")

    def _let_go(self) -> Bytes:
        """Stop collecting: it becomes too large, or cannot be read."""
        self._collecting = False
        raw, self._raw = bytes(self._raw), bytearray()
        return Bytes(raw=raw, exchange=self.exchange, begins=self.towards == "server")

    def _whole(self, *, switching: bool = False) -> Whole:
        assert self.exchange is not None
        self._collecting = False
        body = _decoded(bytes(self._body), self._encoding, self._limit)
        passing = Passing(
            towards=self.towards,
            carrier="http",
            path=self.exchange.path,
            operation=OPERATIONS.get(self.exchange.path.rpartition("/")[2]),
            messages=read_messages(body),
            switching=switching or (self.towards == "server" and self.exchange.may_switch),
        )
        return Whole(passing=passing, raw=bytes(self._raw), head=self._head, body=body, exchange=self.exchange)

    def _give_up(self) -> Iterator[Piece]:
        self.opaque = True
        if self._collecting:
            yield self._let_go()


class RequestReader(_MessageReader):
    """Reads what the client sends.

    Args:
        wanted: asks whether a request is wanted as a whole.
        limit: bytes of a message that is; a larger one passes untouched.
        host: goes into the ``Host`` header in place of what the client wrote; None to leave it.
    """

    towards = "server"

    def __init__(self, wanted: Wanted, *, limit: int, host: str | None = None) -> None:
        super().__init__(wanted, limit=limit)
        self._host = host

    def resume(self, *, opaque: bool = False) -> None:
        """Go on after the server has answered a request for another protocol."""
        self.paused = False
        self.opaque = self.opaque or opaque

    def _begin(self) -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)

    def _head_came(self, event: object, raw: bytes) -> Iterator[Piece]:
        assert isinstance(event, h11.Request)
        headers = dict(event.headers)
        path = event.target.decode("latin-1").partition("?")[0]
        may_switch = b"upgrade" in headers or event.method == b"CONNECT"
        self.exchange = Exchange(event.method.decode("latin-1"), path, may_switch)
        if b"sec-websocket-extensions" in headers:
            # What is compressed cannot be read; without an offer nobody compresses.
            raw = edited_head(raw, without=("sec-websocket-extensions",))
        if self._host is not None:
            raw = edited_head(raw, without=("host",), more=(f"Host: {self._host}",))
        # Whoever expects a word of the server before the body comes would wait for ever.
        if self._wanted("server", "http", path) and b"expect" not in headers:
            self._collect(raw, event.headers)
        else:
            yield Bytes(raw=raw, exchange=self.exchange, begins=True)

    def _finished(self) -> None:
        assert self.exchange is not None
        self.paused = self.exchange.may_switch


class AnswerReader(_MessageReader):
    """Reads what the server sends.

    Args:
        wanted: asks whether an answer is wanted as a whole.
        limit: bytes of an answer that is; a larger one passes untouched.
        exchanges: the requests that reached the server and have no answer yet, oldest first.
    """

    towards = "client"

    def __init__(self, wanted: Wanted, *, limit: int, exchanges: deque[Exchange]) -> None:
        super().__init__(wanted, limit=limit)
        self._exchanges = exchanges

    def _begin(self) -> h11.Connection | None:
        if not self._exchanges:
            return None
        self.exchange = exchange = self._exchanges[0]
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        headers = [("Host", "x")]
        if exchange.may_switch and exchange.method != "CONNECT":
            headers += [("Connection", "upgrade"), ("Upgrade", "any")]
        connection.send(h11.Request(method=exchange.method, target="/", headers=headers))
        connection.send(h11.EndOfMessage())
        return connection

    def _head_came(self, event: object, raw: bytes) -> Iterator[Piece]:
        assert self.exchange is not None
        assert isinstance(event, h11.Response | h11.InformationalResponse)
        connect = self.exchange.method == "CONNECT" and isinstance(event, h11.Response) and event.status_code < 300  # noqa: PLR2004 - 2xx
        switched = event.status_code == _SWITCHING_PROTOCOLS or connect
        if isinstance(event, h11.InformationalResponse) and not switched:
            yield Bytes(raw=raw, exchange=self.exchange)
            return
        self.exchange.switched = switched
        wanted = not self.exchange.drop and self._wanted("client", "http", self.exchange.path)
        if wanted:
            self._collect(raw, event.headers)
        if switched:
            self._connection = None
            self._exchanges.popleft()
            self.paused = True
            yield self._whole(switching=True) if wanted else Bytes(raw=raw, exchange=self.exchange)
        elif not wanted:
            yield Bytes(raw=raw, exchange=self.exchange)

    def _finished(self) -> None:
        self._exchanges.popleft()


def edited_message(whole: Whole, *, without: Iterable[int] = (), twice: Iterable[int] = ()) -> bytes:
    """Return a request or answer without some of its Bayeux messages, and with some of them twice."""
    body = edit_messages(whole.body, without=frozenset(without), twice=frozenset(twice))
    framing = ("content-length", "transfer-encoding", "content-encoding")
    return edited_head(whole.head, without=framing, more=(f"Content-Length: {len(body)}",)) + body


def edited_head(head: bytes, *, without: tuple[str, ...], more: tuple[str, ...] = ()) -> bytes:
    """Return the head of a message without some of its headers, and with others."""
    first, *lines = head.splitlines(keepends=True)
    kept = [first]
    dropping = False
    for line in lines:
        if line.strip(b"\r\n") and line[:1] not in b" \t":
            dropping = line.partition(b":")[0].decode("latin-1").strip().lower() in without
        elif not line.strip(b"\r\n"):
            dropping = False
            kept += [f"{header}\r\n".encode("latin-1") for header in more]
        if not dropping:
            kept.append(line)
    return b"".join(kept)


def _decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body for reading; empty where its encoding is none of HTTP's own two."""
    encoding = encoding.strip().lower()
    if not encoding or encoding == "identity":
        return body
    if encoding not in {"gzip", "deflate"}:
        return b""
    try:
        unpacker = zlib.decompressobj(wbits=47)  # tells gzip and zlib by their heads
        unpacked = unpacker.decompress(body, limit)
    except zlib.error:
        return b""
    return unpacked if unpacker.eof else b""
