"""Two sockets and what passes between them: does what the rules decide."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from attrs import define, evolve, field, frozen

from chat_sandbox._proxy.actions import Answer, Close, Delay, Duplicate, HalfOpen, Reorder, Suppress, Truncate
from chat_sandbox._proxy.http import AnswerReader, RequestReader, edited_message
from chat_sandbox._proxy.pieces import Bytes, Exchange, Piece, Whole
from chat_sandbox._proxy.rules import Book, Passing, Rule, Towards, Verdict
from chat_sandbox._proxy.websocket import FrameReader, edited_frames

__all__ = ["Relay", "Shared", "Upstream"]

#: Bytes read at a time.
_CHUNK: Final = 64 * 1024
#: Seconds for which the server's side stays open once its answer is for nobody, and for what is still to be written.
_LINGER: Final = 1.0
_CONNECT: Final = 10.0

_Reader: TypeAlias = RequestReader | AnswerReader | FrameReader


@frozen(kw_only=True)
class Upstream:
    """Where the server is.

    Attributes:
        host: name or address.
        port: of TCP.
        tls: None for plain HTTP.
        authority: what the ``Host`` header becomes; None to leave what the client wrote.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    authority: str | None = None


@define(eq=False)
class _Hold:
    """Something over HTTP that waits for the next of its kind on another connection."""

    rule: Rule
    owner: Relay
    released: asyncio.Event = field(factory=asyncio.Event)


@define(eq=False)
class Shared:
    """What the connections of one proxy share.

    Attributes:
        book: the rules.
        upstream: the server.
        limit: bytes of one thing that is read as a whole.
        hit: called after a rule has struck.
        unreadable: how many streams turned out to be neither HTTP nor WebSocket.
    """

    book: Book
    upstream: Upstream
    limit: int
    hit: Callable[[], None]
    unreadable: int = 0
    holds: list[_Hold] = field(factory=list)


class _OverError(Exception):
    """The relay ends."""

    def __init__(self, *, reset: tuple[Towards, ...] = (), linger: bool = False) -> None:
        super().__init__()
        #: Sides whose connection is aborted; the others are closed.
        self.reset = reset
        #: The server's side stays open until it answers.
        self.linger = linger


class _Side:
    """One direction: where it goes, and what is held back in it."""

    def __init__(self, towards: Towards, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        self.towards: Towards = towards
        self.source = source
        self.sink = sink
        #: A WebSocket's message that waits for the next one, with the rule that held it and the timer that frees it.
        self.held: tuple[Rule, bytes, asyncio.TimerHandle] | None = None

    async def write(self, data: bytes) -> None:
        self.sink.write(data)
        await self.sink.drain()

    def release(self) -> None:
        """Let go what is held."""
        if self.held is not None:
            (_, raw, timer), self.held = self.held, None
            timer.cancel()
            if not self.sink.is_closing():
                self.sink.write(raw)


class Relay:
    """One client's connection and its counterpart to the server."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._book = shared.book
        self._exchanges: deque[Exchange] = deque()
        #: Set when the server has answered, so that whoever waits for that looks again.
        self._answered = asyncio.Event()
        self._halved = asyncio.Event()
        #: The path of the WebSocket, once it is one.
        self._websocket: str | None = None
        self._to_server: _Side
        self._to_client: _Side

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on until one side ends it, or a rule does."""
        upstream = self._shared.upstream
        try:
            async with asyncio.timeout(_CONNECT):
                there, back = await asyncio.open_connection(upstream.host, upstream.port, ssl=upstream.tls)
        except (OSError, TimeoutError):
            _abort(writer)
            return
        self._to_server = _Side("server", reader, back)
        self._to_client = _Side("client", there, writer)
        over = _OverError()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(self._to_server))
                group.create_task(self._pump(self._to_client))
        except* _OverError as errors:
            over = next(error for error in errors.exceptions if isinstance(error, _OverError))
        finally:
            for side in (self._to_server, self._to_client):
                if side.held is not None:
                    side.held[2].cancel()
            await self._close(over)

    async def _close(self, over: _OverError) -> None:
        for side in (self._to_server, self._to_client):
            if side.towards in over.reset:
                _abort(side.sink)
        try:
            if over.linger:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_LINGER):
                        await self._to_client.source.read(1)
            for side in (self._to_server, self._to_client):
                side.sink.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_LINGER):
                    for side in (self._to_server, self._to_client):
                        await side.sink.wait_closed()
        finally:
            for side in (self._to_server, self._to_client):
                side.sink.transport.abort()

    async def _pump(self, side: _Side) -> None:
        reader = self._first_reader(side.towards)
        other: Towards = "client" if side.towards == "server" else "server"
        try:
            while True:
                data = await side.source.read(_CHUNK)
                if self._halved.is_set():
                    await self._swallow(side, at_end=not data)
                reader.feed(data)
                reader = await self._pass_all(side, reader)
                if not data:
                    break
            side.release()
            if side.towards == "client":
                self._answered.set()
            if side.sink.can_write_eof():
                side.sink.write_eof()
                return
        except OSError:
            if self._halved.is_set() and side.towards == "client":
                await self._swallow(side, at_end=True)
            # One side's connection broke: the other's breaks as well.
            raise _OverError(reset=(other, side.towards)) from None
        raise _OverError

    def _first_reader(self, towards: Towards) -> _Reader:
        shared = self._shared
        if towards == "server":
            return RequestReader(self._book.concerns, limit=shared.limit, host=shared.upstream.authority)
        return AnswerReader(self._book.concerns, limit=shared.limit, exchanges=self._exchanges)

    async def _swallow(self, side: _Side, *, at_end: bool) -> None:
        """Read and forget, so that the sender believes that it is heard."""
        while not at_end:
            at_end = not await side.source.read(_CHUNK)
        if side.towards == "server":
            raise _OverError
        # That the server has given up is not to be seen.
        await asyncio.get_running_loop().create_future()

    async def _pass_all(self, side: _Side, reader: _Reader) -> _Reader:
        """Deal with everything that has come; returns the reader of what comes next."""
        was_opaque = reader.opaque
        while True:
            for piece in reader.pieces():
                await self._pass(side, piece)
                if self._halved.is_set():
                    await self._swallow(side, at_end=False)
            if isinstance(reader, FrameReader) or not reader.paused:
                break
            following = await self._switched(reader)
            if following is not reader:
                if rest := reader.rest():
                    following.feed(rest)
                reader = following
        if reader.opaque and not was_opaque and not side.source.at_eof():
            self._shared.unreadable += 1
        if side.towards == "client":
            self._answered.set()
        return reader

    async def _switched(self, reader: RequestReader | AnswerReader) -> _Reader:
        """Return the reader of what follows a request for another protocol, once it is answered."""
        exchange = reader.exchange
        assert exchange is not None
        if isinstance(reader, RequestReader):
            while exchange.sent and exchange.switched is None and not self._to_client.source.at_eof():
                self._answered.clear()
                await self._answered.wait()
            if not exchange.switched or exchange.method == "CONNECT":
                reader.resume(opaque=bool(exchange.switched))
                return reader
        elif exchange.method == "CONNECT":
            reader.paused, reader.opaque = False, True
            return reader
        self._websocket = exchange.path
        return FrameReader(reader.towards, exchange.path, self._book.concerns, limit=self._shared.limit)

    # One thing that passes

    async def _pass(self, side: _Side, piece: Piece) -> None:
        if piece.exchange is not None and piece.exchange.drop:
            return
        if isinstance(piece, Bytes):
            if piece.begins and piece.exchange is not None:
                self._sends(piece.exchange)
            await side.write(piece.raw)
            return
        verdict = self._book.decide(piece.passing, holding=self._is_holding(side, piece.passing))
        if verdict is not None:
            self._shared.hit()
            await self._act(side, piece, verdict)
        else:
            await self._forward(side, piece)

    def _sends(self, exchange: Exchange) -> None:
        exchange.sent = True
        self._exchanges.append(exchange)

    async def _forward(self, side: _Side, whole: Whole, raw: bytes | None = None) -> None:
        if side.towards == "server" and whole.exchange is not None:
            self._sends(whole.exchange)
        await side.write(whole.raw if raw is None else raw)
        self._release(side, whole.passing)

    async def _act(self, side: _Side, whole: Whole, verdict: Verdict) -> None:
        match verdict.rule.action:
            case Suppress():
                await self._suppress(side, whole, verdict.picked)
            case Delay(seconds=seconds):
                await asyncio.sleep(seconds)
                await self._forward(side, whole)
            case Duplicate():
                await self._duplicate(side, whole, verdict.picked)
            case Reorder(within=within):
                await self._hold(side, whole, verdict.rule, within)
            case Truncate(size=size):
                if side.towards == "server" and whole.exchange is not None:
                    self._sends(whole.exchange)
                await side.write(whole.raw[:size])
                raise _OverError
            case Close(when=when):
                await self._end(side, whole, after=when == "after")
            case HalfOpen():
                self._halved.set()
            case Answer() as answer:
                await self._answer(side, whole, answer)

    async def _suppress(self, side: _Side, whole: Whole, picked: Iterable[int]) -> None:
        left = set(range(len(whole.passing.messages))) - set(picked)
        if left:
            await self._forward(side, whole, _edited(whole, without=picked))
        elif whole.controls:
            await side.write(whole.controls)

    async def _duplicate(self, side: _Side, whole: Whole, picked: tuple[int, ...]) -> None:
        everything = len(picked) == len(whole.passing.messages)
        if whole.exchange is None:
            await self._forward(side, whole, whole.raw * 2 if everything else _edited(whole, twice=picked))
        elif side.towards == "client":
            await self._forward(side, whole, _edited(whole, twice=picked))
        else:
            await self._forward(side, evolve(whole, exchange=evolve(whole.exchange, drop=True)))
            await self._forward(side, whole)

    async def _hold(self, side: _Side, whole: Whole, rule: Rule, within: float) -> None:
        if whole.exchange is None:
            timer = asyncio.get_running_loop().call_later(within, side.release)
            side.held = (rule, whole.raw, timer)
            return
        hold = _Hold(rule, self)
        self._shared.holds.append(hold)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await hold.released.wait()
        finally:
            self._shared.holds.remove(hold)
        await self._forward(side, whole)

    def _is_holding(self, side: _Side, passing: Passing) -> bool:
        if passing.carrier == "websocket":
            return side.held is not None
        return bool(self._waiting_for(passing))

    def _release(self, side: _Side, passing: Passing) -> None:
        """Let go what waited for this to pass."""
        if passing.carrier == "websocket":
            if side.held is not None and side.held[0].picks(passing) is not None:
                side.release()
            return
        for hold in self._waiting_for(passing):
            hold.released.set()

    def _waiting_for(self, passing: Passing) -> list[_Hold]:
        return [hold for hold in self._shared.holds if hold.owner is not self and hold.rule.picks(passing) is not None]

    async def _end(self, side: _Side, whole: Whole, *, after: bool) -> None:
        if not after:
            raise _OverError(reset=("server", "client"))
        await self._forward(side, whole)
        if side.towards == "server":
            raise _OverError(reset=("client",), linger=True)
        raise _OverError(reset=("server",))

    async def _answer(self, side: _Side, whole: Whole, answer: Answer) -> None:
        exchange = whole.exchange
        assert exchange is not None
        if side.towards == "server":
            # Answers keep the order of their requests.
            while self._exchanges and not self._to_client.source.at_eof():
                self._answered.clear()
                await self._answered.wait()
        await self._to_client.write(answer.serialize(exchange.method))
        if exchange.switched:
            raise _OverError


def _edited(whole: Whole, *, without: Iterable[int] = (), twice: Iterable[int] = ()) -> bytes:
    edit = edited_frames if whole.exchange is None else edited_message
    return edit(whole, without=without, twice=twice)


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, as a connection that breaks."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
