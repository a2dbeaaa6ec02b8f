"""HTTP/1.1 over connections of our own: what a session needs of httpx's transport (``benchmarks/http_request.py``).

A drop-in for ``httpx.AsyncHTTPTransport`` where there is no proxy. Connections are ``asyncio`` protocols, the wire is
h11's. A request goes out in one write; a connection whose request was cancelled is closed and never comes back, so no
place in the pool is lost (httpcore loses it). Errors are the library's own classes, as its users expect.
"""

from __future__ import annotations

import asyncio
import functools
import math
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import aiohappyeyeballs
import h11

from chat_gms.buffers import read_buffer

if TYPE_CHECKING:
    import httpx

__all__ = ["SELDOM", "Http11Transport"]

#: Connections to the server at a time: one is held by a poll, one sends; a third spares a wait after an abandoned one.
MAX_CONNECTIONS: Final = 4
#: Seconds that an idle connection is kept: longer than between two polls over REST, and shorter than servers keep one
#: (Jetty 30 s).
KEEP_ALIVE: Final = 15.0
#: Extension of a request that nothing of the kind is expected to follow soon: its connection is kept beside others only
#: as long as what it carried before would have kept it. Over long polling a session in which nothing happens asks for
#: its position once a minute while a poll is held, and TLS costs a quarter of a MiB for each connection.
SELDOM: Final = "chat_gms.seldom"
#: Bytes of an answer's head, at most (RP-11).
MAX_HEAD: Final = 100 * 1024
#: Bytes that may wait to be taken before reading is paused.
HIGH_WATER: Final = 256 * 1024
#: Seconds between two addresses of one name, when a connection is tried over several (RFC 8305).
NEXT_ADDRESS: Final = 0.25

#: What httpx says of an answer that is missing, or ends too early.
_NO_ANSWER: Final = "Server disconnected without sending a response."
_INCOMPLETE: Final = "peer closed connection without sending complete message body"


class _Connection(asyncio.BufferedProtocol):
    """One connection, one request at a time."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._loop = asyncio.get_running_loop()
        self._wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._buffer = read_buffer()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._unread = 0
        self._paused = False
        #: Why it is of no use any more.
        self._lost: Exception | None = None
        self.is_closed = False
        #: Whether an answer is awaited, or its body not yet given up.
        self._busy = False
        self.idle_since = 0.0
        #: When it was last used for more than a seldom request.
        self.used_at = -math.inf
        self._seldom = False

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - there is one size
        """Say where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes, and wake who waits for them."""
        if not self._busy:
            self.close()  # nobody asked for them, and the next request must not take them for its answer
            return
        self._wire.receive_data(bytes(self._buffer[:nbytes]))
        self._unread += nbytes
        if self._waiter is not None:
            self._wake()
        elif self._unread > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note that nothing follows; an answer without a length ends here."""
        self._wire.receive_data(b"")
        self.is_closed = True
        self._wake()
        self.resume_writing()  # what the server does not read any more is not waited for
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self.is_closed = True
        self._lost = exc
        for waiter in (self._waiter, self._drained):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def pause_writing(self) -> None:
        """Let who writes wait."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let who writes go on."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # What the pool calls

    async def send(self, request: httpx.Request, timeout: float | None) -> None:
        """Send a request."""
        self._busy = True
        self._seldom = SELDOM in request.extensions
        try:
            await self._send(request, timeout)
        except self._library.WriteError:
            # A server may refuse a request without having read all of it; then its answer counts.
            if not self._unread:
                raise
        except h11.LocalProtocolError as error:
            raise self._library.LocalProtocolError("what was to be sent is not HTTP") from error

    async def head(self, timeout: float | None) -> h11.Response:
        """Return the head of the answer."""
        head = await self._next(timeout)
        while isinstance(head, h11.InformationalResponse):
            if head.status_code == 101:  # noqa: PLR2004 - Switching Protocols: nobody asked for that
                raise self._library.RemoteProtocolError("the server switched protocols unasked")
            head = await self._next(timeout)
        if not isinstance(head, h11.Response):
            raise self._library.RemoteProtocolError(_NO_ANSWER)
        return head

    async def body(self, timeout: float | None) -> AsyncIterator[bytes]:
        """Yield the answer's body."""
        while True:
            event = await self._next(timeout)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise self._library.RemoteProtocolError(_INCOMPLETE)

    def recycle(self) -> bool:
        """Make ready for the next request; False when there can be none."""
        if self.is_closed or self._wire.our_state is not h11.DONE or self._wire.their_state is not h11.DONE:
            return False
        if self._wire.trailing_data[0]:
            return False  # an answer that nobody asked for
        self._wire.start_next_cycle()
        self._resume()
        self._busy = False
        self.idle_since = self._loop.time()
        if not self._seldom:
            self.used_at = self.idle_since
        return True

    def close(self) -> None:
        """Drop the connection, without waiting for anything."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    # Inside

    async def _send(self, request: httpx.Request, timeout: float | None) -> None:
        if (trace := request.extensions.get("trace")) is not None:
            await trace("http11.send_request_headers.started", {"request": request})
        target, headers = request.url.raw_path, request.headers.raw
        out = self._wire.send(h11.Request(method=request.method.upper(), target=target, headers=headers)) or b""
        async for piece in request.stream:  # type: ignore[union-attr] # the caller's clients are asynchronous
            out += self._wire.send(h11.Data(data=piece)) or b""
            if len(out) > HIGH_WATER:
                await self._write(out, timeout)
                out = b""
        await self._write(out + (self._wire.send(h11.EndOfMessage()) or b""), timeout)

    async def _write(self, data: bytes, timeout: float | None) -> None:
        if self.is_closed or self._transport is None:
            raise self._library.WriteError("the connection is gone")
        self._transport.write(data)
        if self._drained is not None:
            await self._wait(self._drained, timeout, self._library.WriteTimeout)

    async def _next(self, timeout: float | None) -> Any:
        """Return the next of h11's events, None when the connection ended instead."""
        while True:
            begun = self._wire.their_state is not h11.SEND_RESPONSE
            try:
                event = self._wire.next_event()
            except h11.RemoteProtocolError as error:
                raise self._broken(begun=begun) from error
            if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return None
            if event is not h11.NEED_DATA:
                return event
            if self._lost is not None:
                raise self._library.ReadError(type(self._lost).__name__) from self._lost
            if self.is_closed:
                return None
            self._resume()
            self._waiter = self._loop.create_future()
            try:
                await self._wait(self._waiter, timeout, self._library.ReadTimeout)
            finally:
                self._waiter = None

    def _broken(self, *, begun: bool) -> Exception:
        """Return the error of an answer that is none, without a byte of it (RP-10)."""
        ended = _INCOMPLETE if begun else _NO_ANSWER
        error: Exception = self._library.RemoteProtocolError(ended if self.is_closed else "what came is not HTTP")
        return error

    def _resume(self) -> None:
        self._unread = 0
        if self._paused and self._transport is not None and not self.is_closed:
            self._paused = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, future: asyncio.Future[None], timeout: float | None, error: type[Exception]) -> None:
        if timeout is None:
            await future
            return

        def expire() -> None:
            if not future.done():
                future.set_exception(error(f"nothing for {timeout:g} s"))

        timer = self._loop.call_later(timeout, expire)
        try:
            await future
        finally:
            timer.cancel()


class Http11Transport:
    """A pool of connections to the servers of one session.

    Args:
        library: httpx, or what takes its place; its classes of errors and answers are used.
        context: of TLS; needed for ``https`` only.
    """

    def __init__(self, library: Any, *, context: ssl.SSLContext | None) -> None:
        self._library = library
        self._context = context
        if context is not None:
            context.set_alpn_protocols(["http/1.1"])  # as httpx does: the server takes at its word what is offered
        self._idle: dict[tuple[str, str, int], list[_Connection]] = {}
        self._open: set[_Connection] = set()
        self._opening = 0
        self._waiting: list[asyncio.Future[None]] = []
        #: Ends connections that have been idle for long, at this time or earlier; there while any is idle.
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweeps_at = math.inf
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer's body is read from its stream, and ``aclose`` of the answer gives the place back.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout: nothing was sent.
            httpx.TransportError: its other subclasses, as httpx's own transport.
        """
        timeouts = request.extensions.get("timeout", {})
        origin = self._origin(request.url)
        connection = await self._take(origin, timeouts)
        try:
            await connection.send(request, timeouts.get("write"))
            del request  # a poll is held for long, and its request takes as much memory as the connection
            head = await connection.head(timeouts.get("read"))
        except BaseException:
            self._drop(connection)
            raise
        body = _body_class(self._library)(self, origin, connection, timeouts.get("read"))
        response: httpx.Response = self._library.Response(
            head.status_code, headers=head.headers.raw_items(), stream=body
        )
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        for connection in list(self._open):
            connection.close()
        self._open.clear()
        self._idle.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
        while self._waiting:
            self._free()

    def _origin(self, url: httpx.URL) -> tuple[str, str, int]:
        if url.scheme not in {"http", "https"} or not url.host:
            raise self._library.UnsupportedProtocol("an address must begin with http:// or https://, and name a host")
        return url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)

    async def _take(self, origin: tuple[str, str, int], timeouts: Mapping[str, float | None]) -> _Connection:
        loop = asyncio.get_running_loop()
        while True:
            if self._closed:
                raise RuntimeError("the transport is closed")
            idle = self._idle.get(origin, [])
            while idle:
                connection = idle.pop()
                if self._kept_until(connection) > loop.time():
                    return connection
                self._drop(connection)
            if len(self._open) + self._opening < MAX_CONNECTIONS or self._drop_an_idle_one():
                return await self._connect(origin, timeouts.get("connect"))
            waiter = loop.create_future()
            self._waiting.append(waiter)
            try:
                async with asyncio.timeout(timeouts.get("pool")):
                    await waiter
            except BaseException as error:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                elif not waiter.cancelled():
                    self._free()  # the place was given to who leaves
                if isinstance(error, TimeoutError):
                    raise self._library.PoolTimeout("every connection is in use") from None
                raise

    async def _connect(self, origin: tuple[str, str, int], timeout: float | None) -> _Connection:
        scheme, host, port = origin
        loop = asyncio.get_running_loop()
        secure = scheme == "https"
        self._opening += 1
        connection, made = _Connection(self._library), False
        try:
            async with asyncio.timeout(timeout):
                addresses = await _addresses(host, port)
                # asyncio's own race over several addresses leaves a socket open when it is cancelled at its end.
                sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS)
                await loop.create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=self._context if secure else None,
                    server_hostname=host if secure else None,
                )
                made = True
        except TimeoutError as error:
            raise self._library.ConnectTimeout("no connection in time") from error
        except (OSError, ssl.SSLError, UnicodeError) as error:
            # Without the number, which each system counts in its own way.
            words = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise self._library.ConnectError(words) from error
        finally:
            self._opening -= 1
            if not made:
                connection.close()  # asyncio would say farewell first, and wait for the server's
                self._free()
        if self._closed:
            connection.close()
            raise RuntimeError("the transport is closed")
        self._open.add(connection)
        self._tidy()  # there are others now
        return connection

    def give_back(self, origin: tuple[str, str, int], connection: _Connection) -> None:
        """Take a connection back whose answer was read, or given up."""
        if connection.recycle() and not self._closed:
            self._idle.setdefault(origin, []).append(connection)
            self._tidy()
            self._free()
        else:
            self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        connection.close()
        self._open.discard(connection)
        self._free()

    def _tidy(self) -> None:
        """Close idle connections that are not kept any longer, and have it done again when the next one is due."""
        now = asyncio.get_running_loop().time()
        due = math.inf
        for idle in self._idle.values():
            for connection in tuple(idle):
                until = self._kept_until(connection)
                if until <= now:
                    idle.remove(connection)
                    self._drop(connection)
                else:
                    due = min(due, until)
        if due < self._sweeps_at:
            if self._sweeper is not None:
                self._sweeper.cancel()
            self._sweeps_at = due
            self._sweeper = asyncio.get_running_loop().call_at(due, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        self._sweeps_at = math.inf
        self._tidy()

    def _kept_until(self, connection: _Connection) -> float:
        if connection.is_closed:
            return -math.inf
        others = sum(not one.is_closed for one in self._open) - 1
        return (connection.used_at if others else connection.idle_since) + KEEP_ALIVE

    def _drop_an_idle_one(self) -> bool:
        """Make room: a connection to another server waits for nothing."""
        for idle in self._idle.values():
            if idle:
                self._drop(idle.pop(0))
                return True
        return False

    def _free(self) -> None:
        while self._waiting:
            waiter = self._waiting.pop(0)
            if not waiter.done():
                waiter.set_result(None)
                return


class _Body:
    """An answer's body; closing it gives the connection back."""

    def __init__(
        self,
        pool: Http11Transport,
        origin: tuple[str, str, int],
        connection: _Connection,
        timeout: float | None,
    ) -> None:
        self._pool = pool
        self._origin = origin
        self._connection: _Connection | None = connection
        self._timeout = timeout

    def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._connection is not None
        return self._connection.body(self._timeout)

    async def aclose(self) -> None:
        """Give the connection back; one whose answer was not read to its end is closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(self._origin, connection)


async def _addresses(host: str, port: int) -> list[Any]:
    """Return what a name stands for; an address is not looked up, which would take a thread."""
    kind = socket.SOCK_STREAM
    try:
        return socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=kind)


@functools.cache
def _body_class(library: Any) -> type[_Body]:
    """Return the class of bodies that a library's answers take."""
    return type("Body", (_Body, library.AsyncByteStream), {})
