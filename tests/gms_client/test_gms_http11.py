"""HTTP/1.1 over connections of our own, against a server that does what each test says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Self

import httpx
import pytest
import trustme

from chat_core import ConnectionOptions
from chat_gms import http11
from chat_gms.asked import CookieBox
from chat_gms.http import HttpLink
from chat_gms.http11 import Http11Transport

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#: Seconds in which anything here happens.
PATIENCE = 20.0

Play = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """Read a request; returns its body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
        return await self._reader.readexactly(length)

    async def head(self) -> None:
        """Read a request but for its body."""
        await self._reader.readuntil(b"\r\n\r\n")

    async def some(self) -> None:
        """Read what is there."""
        await self._reader.read(1)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        with contextlib.suppress(ConnectionError):
            await self._reader.read()


async def polite(peer: Peer) -> None:
    """Answer every request."""
    while True:
        await peer.request()
        peer.send(ANSWER)


class Server:
    """Plays one part for each connection, the last one again and again."""

    def __init__(self, *parts: Play) -> None:
        self._parts = parts
        self.connections = 0
        self.open = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        play = self._parts[min(self.connections, len(self._parts) - 1)]
        self.connections += 1
        self.open += 1
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await play(Peer(reader, writer))
        finally:
            self.open -= 1
            writer.close()


async def post(
    transport: Http11Transport,
    url: str,
    content: Any = b"x",
    *,
    read: float = PATIENCE,
    pool: float | None = PATIENCE,
    seldom: bool = False,
) -> bytes:
    """Send a request and read the answer."""
    timeout = {"connect": PATIENCE, "read": read, "write": PATIENCE, "pool": pool}
    extensions = {"timeout": timeout, **({http11.SELDOM: True} if seldom else {})}
    request = httpx.Request("POST", url, content=content, extensions=extensions)
    response = await transport.handle_async_request(request)
    try:
        return b"".join([piece async for piece in response.stream])  # type: ignore[union-attr]
    finally:
        await response.aclose()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await main()

    asyncio.run(bounded())


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[Http11Transport]:
    transport = Http11Transport(httpx, context=None)
    try:
        yield transport
    finally:
        await transport.aclose()


async def until(holds: Callable[[], object]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


def test_one_connection_serves_one_request_after_the_other():
    """It is not opened anew."""

    async def main() -> None:
        async with Server(polite) as server, client() as transport:
            assert [await post(transport, server.url) for _ in range(5)] == [b"ok"] * 5
            assert server.connections == 1

    run(main)


def test_a_request_that_has_left_takes_no_memory_while_its_answer_is_awaited(monkeypatch: pytest.MonkeyPatch):
    """A poll is held for long, in thousands of sessions."""
    requests: list[weakref.ref[httpx.Request]] = []
    make = HttpLink._request

    def note(self: HttpLink, *args: Any) -> httpx.Request:
        request: httpx.Request = make(self, *args)
        requests.append(weakref.ref(request))
        return request

    async def main() -> None:
        asked, answered = asyncio.Event(), asyncio.Event()

        async def hold(peer: Peer) -> None:
            await peer.request()
            asked.set()
            await answered.wait()
            peer.send(ANSWER)

        monkeypatch.setattr(HttpLink, "_request", note)
        async with Server(hold) as server:
            link = HttpLink(ConnectionOptions(), cookies=CookieBox(), secure=False)
            poll = asyncio.create_task(link.post(server.url, b"[]", content_type="text/plain", timeout=PATIENCE))
            await asked.wait()
            assert [request() for request in requests] == [None]
            answered.set()
            assert (await poll).body == b"ok"
            await link.aclose()

    run(main)


def test_a_cancelled_request_costs_no_place():
    """Its connection is closed, however often that happens; the pool of httpcore runs dry after some fifty times."""

    async def main() -> None:
        async def silent(peer: Peer) -> None:
            await peer.request()
            await peer.gone()

        async with Server(*[silent] * 240, polite) as server, client() as transport:
            for _ in range(60):
                polls = [asyncio.create_task(post(transport, server.url)) for _ in range(4)]
                await until(lambda: server.open == 4)
                for poll in polls:
                    poll.cancel()
                await asyncio.gather(*polls, return_exceptions=True)
                await until(lambda: server.open == 0)
            assert await post(transport, server.url) == b"ok"

    run(main)


def test_who_finds_every_connection_in_use_waits_for_a_place():
    """Or gives up in time, and then has sent nothing; a place that was given to who has left goes to the next."""

    async def main() -> None:
        go = asyncio.Event()

        async def held(peer: Peer) -> None:
            while True:
                await peer.request()
                await go.wait()
                peer.send(ANSWER)

        async with Server(held) as server, client() as transport:
            busy = [asyncio.create_task(post(transport, server.url)) for _ in range(http11.MAX_CONNECTIONS)]
            await until(lambda: server.open == http11.MAX_CONNECTIONS)
            with pytest.raises(httpx.PoolTimeout):
                await post(transport, server.url, pool=0.01)
            impatient, patient = (asyncio.create_task(post(transport, server.url, pool=None)) for _ in range(2))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            go.set()
            impatient.cancel()
            assert await asyncio.gather(*busy) == [b"ok"] * http11.MAX_CONNECTIONS
            assert await patient == b"ok"
            assert server.connections == http11.MAX_CONNECTIONS

    run(main)


def test_a_connection_that_the_server_closed_meanwhile_is_not_used():
    """A new one is opened, and nobody notices."""

    async def main() -> None:
        async def once(peer: Peer) -> None:
            await peer.request()
            peer.send(ANSWER)

        async with Server(once, polite) as server, client() as transport:
            await post(transport, server.url)
            await until(lambda: server.open == 0)
            await until(lambda: all(one.is_closed for one in transport._open))  # the end has arrived here as well
            assert await post(transport, server.url) == b"ok"
            assert server.connections == 2

    run(main)


def test_an_idle_connection_is_given_up_after_a_while(monkeypatch):
    """A load balancer may have forgotten it without a word."""
    monkeypatch.setattr(http11, "KEEP_ALIVE", 0.0)

    async def main() -> None:
        async with Server(polite) as server, client() as transport:
            await post(transport, server.url)
            await post(transport, server.url)
            assert server.connections == 2

    run(main)


def test_idle_connections_are_closed_though_nobody_asks_for_one(monkeypatch):
    """No timer is left either."""
    monkeypatch.setattr(http11, "KEEP_ALIVE", 0.2)

    async def main() -> None:
        async with Server(polite) as server, client() as transport:
            await asyncio.gather(post(transport, server.url), post(transport, server.url))
            assert server.connections == 2
            await until(lambda: server.open == 0)
            assert not transport._open
            assert transport._sweeper is None, "no timer where nothing is idle"
            assert await post(transport, server.url) == b"ok"

    run(main)


@contextlib.asynccontextmanager
async def held_poll(transport: Http11Transport) -> AsyncIterator[Server]:
    """A server that holds the first request; the answer comes at the end."""
    held, answered = asyncio.Event(), asyncio.Event()

    async def holding(peer: Peer) -> None:
        await peer.request()
        held.set()
        await answered.wait()
        peer.send(ANSWER)
        await polite(peer)

    async with Server(holding, polite) as server:
        poll = asyncio.ensure_future(post(transport, server.url))
        await held.wait()
        yield server
        answered.set()
        assert await poll == b"ok"


@pytest.fixture
def kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is kept is closed while a test runs."""
    monkeypatch.setattr(http11, "KEEP_ALIVE", 3600.0)


@pytest.mark.usefixtures("kept_for_ever")
def test_a_seldom_request_beside_a_held_poll_keeps_no_connection():
    """An idle session over long polling costs one connection, not two: with TLS each takes a quarter of a MiB."""

    async def main() -> None:
        async with client() as transport, held_poll(transport) as server:
            await post(transport, server.url, seldom=True)
            await until(lambda: server.open == 1)
            await post(transport, server.url, seldom=True)
            assert server.connections == 3
            await until(lambda: server.open == 1)

    run(main)


@pytest.mark.usefixtures("kept_for_ever")
def test_what_a_conversation_uses_is_kept_beside_a_held_poll():
    """The next message takes it, and so does a seldom request, which does not end it."""

    async def main() -> None:
        async with client() as transport, held_poll(transport) as server:
            for seldom in (False, False, True, False):
                await post(transport, server.url, seldom=seldom)
            assert server.connections == 2
            assert server.open == 2

    run(main)


def test_a_seldom_request_does_not_prolong_what_is_kept(monkeypatch):
    """The one that was used for a message before closes when it would have closed without it."""
    monkeypatch.setattr(http11, "KEEP_ALIVE", 0.5)

    async def main() -> None:
        async with client() as transport, held_poll(transport) as server:
            await post(transport, server.url)
            (used,) = next(iter(transport._idle.values()))
            used_at = used.used_at
            while not used.is_closed:
                await post(transport, server.url, seldom=True)
            assert used.idle_since > used_at, "it was taken"
            assert used.used_at == used_at

    run(main)


@pytest.mark.usefixtures("kept_for_ever")
def test_the_only_connection_is_kept_whatever_it_carried():
    """The poll that follows takes it. Once there is another one, to whatever server, it is closed."""

    async def main() -> None:
        async with client() as transport, Server(polite) as server:
            await post(transport, server.url, seldom=True)
            await post(transport, server.url, seldom=True)
            assert server.connections == 1
            async with held_poll(transport):
                await until(lambda: server.open == 0)

    run(main)


def test_a_connection_in_use_is_not_swept_and_one_used_again_stays(monkeypatch):
    """Only what is idle is closed, and only once it has been so for long since it was used last."""
    monkeypatch.setattr(http11, "KEEP_ALIVE", 0.2)
    asked = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.request()
        peer.send(ANSWER)
        await peer.request()
        asked.set()
        await asyncio.sleep(0.5)
        peer.send(ANSWER)
        await peer.gone()

    async def main() -> None:
        async with Server(slow) as server, client() as transport:
            await post(transport, server.url)
            second = asyncio.ensure_future(post(transport, server.url))
            await asked.wait()
            assert await second == b"ok"
            assert server.connections == 1

    run(main)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"", httpx.RemoteProtocolError, "without sending a response"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", httpx.RemoteProtocolError, "without sending a response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsecret", httpx.RemoteProtocolError, "complete message body"),
        (b"secret\r\n\r\n", httpx.RemoteProtocolError, "not HTTP"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: secret\r\n\r\n", httpx.RemoteProtocolError, "HTTP|protocols"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: " + b"secret" * 50_000, httpx.RemoteProtocolError, "not HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nsecret\r\n", httpx.RemoteProtocolError, "not HTTP"),
    ],
)
def test_an_answer_that_is_none_is_an_error_without_a_byte_of_it(answer: bytes, error: type[Exception], words: str):
    """The classes are httpx's; the connection is not used again."""

    async def main() -> None:
        async def broken(peer: Peer) -> None:
            await peer.request()
            peer.send(answer)
            if words == "not HTTP":
                await peer.gone()

        async with Server(broken, polite) as server, client() as transport:
            with pytest.raises(error, match=words) as caught:
                await post(transport, server.url)
            assert "secret" not in str(caught.value)
            assert await post(transport, server.url) == b"ok"
            assert server.connections == 2

    run(main)


def test_a_body_may_come_in_chunks_or_end_with_the_connection():
    """An interim answer before it is passed over."""

    async def main() -> None:
        async def chunked(peer: Peer) -> None:
            await peer.request()
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            peer.send(b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")
            await peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

        async with Server(chunked, polite) as server, client() as transport:
            assert await post(transport, server.url) == b"abcde"
            assert await post(transport, server.url) == b"until the end"
            assert await post(transport, server.url) == b"ok"
            assert server.connections == 2

    run(main)


def test_bytes_that_nobody_asked_for_are_no_answer_to_the_next_request():
    """The connection that brought them is closed."""

    async def main() -> None:
        async def double(peer: Peer) -> None:
            await peer.request()
            peer.send(ANSWER + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")
            await peer.gone()

        async with Server(double, polite) as server, client() as transport:
            assert await post(transport, server.url) == b"ok"
            assert await post(transport, server.url) == b"ok"
            assert server.connections == 2

    run(main)


def test_a_silent_server_is_a_read_timeout_and_a_closed_port_a_connect_error():
    """The first may have got the request, the second has not."""

    async def main() -> None:
        async def silent(peer: Peer) -> None:
            await peer.request()
            await peer.gone()

        async with Server(silent) as server, client() as transport:
            with pytest.raises(httpx.ReadTimeout):
                await post(transport, server.url, read=0.02)
            await until(lambda: server.open == 0)
        async with client() as transport:
            with pytest.raises(httpx.ConnectError):
                await post(transport, server.url)
            with pytest.raises(httpx.UnsupportedProtocol):
                await post(transport, "ftp://127.0.0.1/")

    run(main)


def test_a_reader_that_waits_makes_the_server_wait():
    """What is not taken stays with the server, not in memory."""
    size = 64 * 1024 * 1024

    async def main() -> None:
        sent = asyncio.Event()

        async def large(peer: Peer) -> None:
            await peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            for _ in range(size // 65536):
                peer.send(bytes(65536))
                await peer.writer.drain()
            sent.set()
            await peer.gone()

        async with Server(large) as server, client() as transport:
            request = httpx.Request("POST", server.url, content=b"")
            response = await transport.handle_async_request(request)
            pieces = response.stream.__aiter__()  # type: ignore[union-attr]
            taken = len(await anext(pieces))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await sent.wait()
            assert not sent.is_set(), "the server was let go on"
            async for piece in pieces:
                taken += len(piece)
            assert taken == size
            await response.aclose()

    run(main)


def test_a_request_may_come_in_pieces():
    """However large it is; what the pieces raise passes through, and closes the connection."""

    async def main() -> None:
        bodies: list[int] = []

        async def take(peer: Peer) -> None:
            bodies.append(len(await peer.request()))
            peer.send(ANSWER)

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(64):
                yield bytes(65536)

        async def broken() -> AsyncIterator[bytes]:
            yield bytes(300_000)
            raise KeyError("no more")

        async def give(content: AsyncIterator[bytes]) -> None:
            headers = {"content-length": str(64 * 65536)}
            response = await transport.handle_async_request(
                httpx.Request("POST", server.url, content=content, headers=headers)
            )
            await response.aread()

        async with Server(take) as server, client() as transport:
            await give(pieces())
            assert bodies == [64 * 65536]
            with pytest.raises(KeyError):
                await give(broken())
            await until(lambda: server.open == 0)

    run(main)


def test_another_server_gets_the_place_of_an_idle_connection():
    """Files may lie elsewhere."""

    async def main() -> None:
        async with Server(polite) as one, Server(polite) as other, client() as transport:
            await asyncio.gather(*(post(transport, one.url) for _ in range(http11.MAX_CONNECTIONS)))
            assert await post(transport, other.url) == b"ok"
            await until(lambda: one.open < http11.MAX_CONNECTIONS)

    run(main)


def test_after_closing_nothing_is_sent_and_nothing_is_left():
    """Who waits for a place is told."""

    async def main() -> None:
        async def silent(peer: Peer) -> None:
            await peer.request()
            await peer.gone()

        async with Server(silent) as server:
            transport = Http11Transport(httpx, context=None)
            tasks = [
                asyncio.create_task(post(transport, server.url, pool=None)) for _ in range(http11.MAX_CONNECTIONS + 1)
            ]
            await until(lambda: server.open == http11.MAX_CONNECTIONS)
            await transport.aclose()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(outcome, httpx.TransportError | RuntimeError) for outcome in outcomes)
            await until(lambda: server.open == 0)
            with pytest.raises(RuntimeError):
                await post(transport, server.url)

    run(main)


def test_a_place_given_to_who_is_cancelled_in_that_moment_goes_to_the_next():
    """Nobody waits for a place that is free."""

    async def main() -> None:
        async def silent(peer: Peer) -> None:
            await peer.request()
            await peer.gone()

        async with Server(*[silent] * http11.MAX_CONNECTIONS, polite) as server, client() as transport:
            busy = [asyncio.create_task(post(transport, server.url)) for _ in range(http11.MAX_CONNECTIONS)]
            await until(lambda: server.open == http11.MAX_CONNECTIONS)
            leaving, staying = (asyncio.create_task(post(transport, server.url, pool=None)) for _ in range(2))
            await asyncio.sleep(0)
            busy[0].cancel()
            asyncio.get_running_loop().call_soon(leaving.cancel)  # called when the place has just been given to it
            async with asyncio.timeout(PATIENCE / 4):
                assert await staying == b"ok"
            assert leaving.cancelled()
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)

    run(main)


def test_what_comes_over_an_idle_connection_is_no_answer_to_the_next_request():
    """A proxy that gives an idle connection up may say 408 first; the connection is closed, whatever it says."""

    async def main() -> None:
        unasked = asyncio.Event()

        async def impatient(peer: Peer) -> None:
            await peer.request()
            peer.send(ANSWER)
            await unasked.wait()
            peer.send(b"HTTP/1.1 408 Request Time-out\r\ncontent-length: 0\r\n\r\n")
            await peer.gone()

        async with Server(impatient, polite) as server, client() as transport:
            assert await post(transport, server.url) == b"ok"
            unasked.set()
            async with asyncio.timeout(PATIENCE / 4):
                await until(lambda: server.open == 0)
            assert await post(transport, server.url) == b"ok"
            assert server.connections == 2

    run(main)


@pytest.mark.parametrize("half", [True, False])
def test_an_answer_that_comes_before_the_request_was_sent_counts(half: bool):
    """A server refuses a large file as soon as it sees its size, and reads no more of it."""

    async def main() -> None:
        async def strict(peer: Peer) -> None:
            await peer.head()
            peer.send(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 9\r\n\r\ntoo large")
            if half:
                peer.writer.write_eof()
                await asyncio.sleep(PATIENCE)
            else:
                await peer.some()

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(1024):
                yield bytes(65536)

        async with Server(strict) as server, client() as transport:
            headers = {"content-length": str(1024 * 65536)}
            request = httpx.Request("POST", server.url, content=pieces(), headers=headers)
            async with asyncio.timeout(PATIENCE / 4):
                response = await transport.handle_async_request(request)
                assert response.status_code == 413
                assert await response.aread() == b"too large"
            await response.aclose()
            assert not transport._open

    run(main)


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server that would rather speak HTTP/2, and of its client."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    server.set_alpn_protocols(["h2", "http/1.1"])
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    return server, theirs


def test_over_tls_nothing_but_http_1_1_is_offered(contexts: tuple[ssl.SSLContext, ssl.SSLContext]):
    """A context of the caller's may offer HTTP/2, which a server would take at its word."""

    async def main() -> None:
        agreed: list[str | None] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            agreed.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
            await reader.readuntil(b"\r\n\r\nx")
            writer.write(ANSWER)
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()

        theirs, ours = contexts
        ours.set_alpn_protocols(["h2", "http/1.1"])
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=theirs)
        transport = Http11Transport(httpx, context=ours)
        try:
            port = server.sockets[0].getsockname()[1]
            assert await post(transport, f"https://127.0.0.1:{port}/") == b"ok"
            assert agreed == ["http/1.1"]
        finally:
            await transport.aclose()
            server.close()

    run(main)


def test_rp09_a_request_cancelled_at_the_end_of_a_tls_handshake_leaves_no_connection(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
):
    """Not even to a server that says no farewell: asyncio would wait for that for half a minute."""
    theirs, ours = contexts
    listener = socket.create_server(("127.0.0.1", 0))
    left: list[bool] = []

    def serve() -> None:
        plain, _ = listener.accept()
        with theirs.wrap_socket(plain, server_side=True) as secure:
            secure.settimeout(PATIENCE / 4)
            bare = socket.socket(fileno=secure.detach())
        with bare:
            bare.settimeout(PATIENCE / 4)
            try:
                while bare.recv(65536):
                    pass
                left.append(True)
            except ConnectionError:
                left.append(True)
            except TimeoutError:
                left.append(False)

    async def main() -> None:
        transport = Http11Transport(httpx, context=ours)
        task = asyncio.create_task(post(transport, f"https://127.0.0.1:{listener.getsockname()[1]}/"))
        made = http11._Connection.connection_made

        def connection_made(self: Any, made_transport: asyncio.BaseTransport) -> None:
            made(self, made_transport)
            task.cancel()

        monkeypatch.setattr(http11._Connection, "connection_made", connection_made)
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await until(lambda: left)
        assert left == [True]
        await transport.aclose()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        run(main)
    finally:
        thread.join()
        listener.close()


def test_what_comes_unasked_over_tls_closes_the_connection_too(contexts: tuple[ssl.SSLContext, ssl.SSLContext]):
    """However much it is."""

    async def main() -> None:
        gone = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\nx")
            writer.write(ANSWER)
            await writer.drain()
            await asked.wait()
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(bytes(65536))
                    await writer.drain()
            gone.set()
            writer.close()

        theirs, ours = contexts
        asked = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=theirs)
        transport = Http11Transport(httpx, context=ours)
        try:
            port = server.sockets[0].getsockname()[1]
            assert await post(transport, f"https://127.0.0.1:{port}/") == b"ok"
            asked.set()
            await gone.wait()
        finally:
            await transport.aclose()
            server.close()

    run(main)
