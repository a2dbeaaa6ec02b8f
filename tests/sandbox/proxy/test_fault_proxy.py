"""The fault proxy on real sockets: what each action does over HTTP and over WebSocket."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trustme
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from chat_sandbox import (
    Answer,
    Close,
    Delay,
    Duplicate,
    FaultProxy,
    HalfOpen,
    Reorder,
    Rule,
    Sandbox,
    Suppress,
    Truncate,
)
from chat_sandbox.proxy import _upstream

BOTH = json.dumps([{"channel": "/meta/connect"}, {"channel": "/service/x", "data": {}}])


class WebServer:
    """Answers each request with its number and body, on connections that it keeps."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.hosts: list[str] = []
        self.arrived = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                self.hosts.append(lines["host"])
                body = (await reader.readexactly(int(lines.get("content-length", 0)))).decode()
                self.bodies.append(body)
                self.arrived.set()
                answer = body if body.startswith("[") else f"{len(self.bodies)}:{body}"
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def web(**options: Any) -> AsyncIterator[tuple[WebServer, FaultProxy, httpx.AsyncClient]]:
    server = WebServer()
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        async with (
            FaultProxy(f"http://127.0.0.1:{port}/base", **options) as proxy,
            httpx.AsyncClient(trust_env=False, timeout=5) as client,
        ):
            yield server, proxy, client


class SocketServer:
    """Sends each frame back."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.over = asyncio.Event()

    async def __call__(self, connection: ServerConnection) -> None:
        try:
            async for frame in connection:
                self.received.put_nowait(frame)
                await connection.send(frame)
        except ConnectionClosed:
            pass
        self.over.set()


@asynccontextmanager
async def socket() -> AsyncIterator[tuple[SocketServer, FaultProxy, ClientConnection]]:
    server = SocketServer()
    async with serve(server, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        async with (
            FaultProxy(f"http://127.0.0.1:{port}/ws") as proxy,
            connect(proxy.url.replace("http", "ws", 1), proxy=None, close_timeout=1) as client,
        ):
            yield server, proxy, client


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main()

    asyncio.run(bounded())


async def post(client: httpx.AsyncClient, proxy: FaultProxy, body: str = "a", **more: Any) -> str:
    return (await client.post(f"{proxy.url}/x?y=z", content=body, **more)).text


def test_http_passes_and_the_path_of_the_server_is_that_of_the_proxy():
    """Several requests on one connection; the Host stays what the client wrote for a server on this machine."""

    async def main() -> None:
        async with web() as (server, proxy, client):
            assert [await post(client, proxy, body) for body in ("a", "b")] == ["1:a", "2:b"]
            assert proxy.url.endswith("/base")
            assert proxy.connections == 1
            assert server.hosts == [proxy.url.removeprefix("http://").removesuffix("/base")] * 2

    run(main)


def test_websocket_passes_though_the_client_offers_compression():
    """Frames pass, rules see what is in them."""

    async def main() -> None:
        async with socket() as (_, proxy, client):
            rule = proxy.add(Rule(Suppress(), channel="/service/x", towards="server"))
            assert client.protocol.extensions == []
            await client.send(BOTH)
            assert json.loads(await client.recv()) == [{"channel": "/meta/connect"}]
            await client.send(BOTH)
            assert json.loads(await client.recv()) == json.loads(BOTH)
            assert (rule.seen, rule.hits, proxy.unreadable) == (2, 1, 0)
            proxy.drop_connections()
            with pytest.raises(ConnectionClosed):
                await client.recv()

    run(main)


@pytest.mark.parametrize(("towards", "reached"), [("server", ["b"]), ("client", ["a", "b"])])
def test_suppressed_over_http(towards: Any, reached: list[str]):
    """The client waits until its time is up; the server has heard of it or not."""

    async def main() -> None:
        async with web() as (server, proxy, client):
            rule = proxy.add(Rule(Suppress(), towards=towards))
            with pytest.raises(httpx.ReadTimeout):
                await post(client, proxy, "a", timeout=0.3)
            await proxy.wait_for(rule)
            assert (await post(client, proxy, "b")).endswith(":b")
            assert server.bodies == reached

    run(main)


@pytest.mark.parametrize(("towards", "reached"), [("server", ["b"]), ("client", ["a", "b"])])
def test_answered_in_place_of_the_server(towards: Any, reached: list[str]):
    """The client sees the status, on a connection that goes on."""

    async def main() -> None:
        async with web() as (server, proxy, client):
            proxy.add(Rule(Answer(503, retry_after=7, body=b"busy"), towards=towards))
            answer = await client.post(proxy.url, content="a")
            assert (answer.status_code, answer.headers["retry-after"], answer.text) == (503, "7", "busy")
            await post(client, proxy, "b")
            assert server.bodies == reached
            assert proxy.connections == 1

    run(main)


def test_a_request_reaches_the_server_twice_and_the_first_answer_is_dropped():
    """The client gets the second one, and the next request its own."""

    async def main() -> None:
        async with web() as (server, proxy, client):
            proxy.add(Rule(Duplicate(), towards="server"))
            assert await post(client, proxy, "a") == "2:a"
            assert await post(client, proxy, "b") == "3:b"
            assert server.bodies == ["a", "a", "b"]

    run(main)


def test_the_bayeux_messages_of_an_answer_stand_in_it_twice():
    """One of them, or each."""

    async def main() -> None:
        async with web() as (_, proxy, client):
            one, other = json.loads(BOTH)
            proxy.add(Rule(Duplicate(), towards="client", channel="/meta/*"))
            assert json.loads(await post(client, proxy, BOTH)) == [one, one, other]
            proxy.add(Rule(Duplicate(), towards="client"))
            assert json.loads(await post(client, proxy, BOTH)) == [one, one, other, other]

    run(main)


@pytest.mark.parametrize("carrier", ["http", "websocket"])
def test_delayed(carrier: str):
    """It arrives, not before its time."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        if carrier == "http":
            async with web() as (_, proxy, client):
                proxy.add(Rule(Delay(0.2)))
                began = loop.time()
                assert await post(client, proxy) == "1:a"
                assert loop.time() - began >= 0.2
            return
        async with socket() as (_, proxy, socket_client):
            proxy.add(Rule(Delay(0.2)))
            began = loop.time()
            await socket_client.send("a")
            assert await socket_client.recv() == "a"
            assert loop.time() - began >= 0.2

    run(main)


def test_a_request_waits_for_one_of_another_connection():
    """And is let go when none comes."""

    async def main() -> None:
        async with web() as (server, proxy, client):
            rule = proxy.add(Rule(Reorder(within=10), towards="server"))
            first = asyncio.create_task(post(client, proxy, "first"))
            await proxy.wait_for(rule)
            assert await post(client, proxy, "second") == "1:second"
            assert await first == "2:first"
            alone = proxy.add(Rule(Reorder(within=0.1), towards="server"))
            assert await post(client, proxy, "third") == "3:third"
            assert alone.hits == 1
            assert server.bodies == ["second", "first", "third"]

    run(main)


def test_a_frame_waits_for_the_next_one():
    """And is let go when none comes."""

    async def main() -> None:
        async with socket() as (server, proxy, client):
            proxy.add(Rule(Reorder(within=10), towards="server"))
            await client.send("first")
            await client.send("second")
            assert [await server.received.get() for _ in range(2)] == ["second", "first"]
            proxy.add(Rule(Reorder(within=0.1), towards="server"))
            await client.send("third")
            assert await server.received.get() == "third"

    run(main)


def test_suppressed_and_doubled_over_websocket():
    """Frames without Bayeux messages as well."""

    async def main() -> None:
        async with socket() as (_, proxy, client):
            proxy.add(Rule(Suppress(), towards="client"))
            proxy.add(Rule(Duplicate(), towards="server", after=1))
            for text in ("a", "b", "c"):
                await client.send(text)
            assert [await client.recv() for _ in range(3)] == ["b", "b", "c"]

    run(main)


@pytest.mark.parametrize(
    ("action", "towards", "reached"),
    [
        (Close("before"), "server", False),
        (Close("after"), "server", True),
        (Close("before"), "client", True),
        (Truncate(10), "server", False),
        (Truncate(10), "client", True),
    ],
)
def test_closed_over_http(action: Any, towards: Any, reached: bool):
    """The client's connection breaks; the server has heard of it or not."""

    async def main() -> None:
        async with web() as (server, proxy, client):
            rule = proxy.add(Rule(action, towards=towards))
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await post(client, proxy, "a")
            await proxy.wait_for(rule)
            if reached:
                await server.arrived.wait()
            assert (await post(client, proxy, "b")).endswith(":b")
            assert server.bodies == (["a", "b"] if reached else ["b"])

    run(main)


@pytest.mark.parametrize(
    ("action", "towards", "reached"),
    [
        (Close("before"), "server", False),
        (Close("after"), "server", True),
        (Close("before"), "client", True),
        (Truncate(3), "server", False),
        (Truncate(3), "client", True),
    ],
)
def test_closed_over_websocket(action: Any, towards: Any, reached: bool):
    """Both sides see the connection end, and not by a closing handshake."""

    async def main() -> None:
        async with socket() as (server, proxy, client):
            proxy.add(Rule(action, towards=towards))
            await client.send("hello")
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
            assert caught.value.rcvd is None
            await server.over.wait()
            assert server.received.qsize() == reached

    run(main)


def test_closed_after_its_answer():
    """The client has the answer, and no connection any more."""

    async def main() -> None:
        async with web() as (_, proxy, _client):
            proxy.add(Rule(Close("after"), towards="client"))
            host, port = proxy.url.removeprefix("http://").removesuffix("/base").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /base HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.read()).endswith(b"\r\n\r\n1:")
            writer.close()
            await writer.wait_closed()

    run(main)


def test_half_open():
    """Nothing passes in either direction and nobody sees an end, until the client goes."""

    async def main() -> None:
        async with socket() as (server, proxy, client):
            rule = proxy.add(Rule(HalfOpen(), towards="server", after=1))
            await client.send("a")
            assert await client.recv() == "a"
            await server.received.get()
            await client.send("b")
            await proxy.wait_for(rule)
            await client.send("c")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.recv()
            assert server.received.empty()
            assert not server.over.is_set()
            client.transport.abort()
            await server.over.wait()

    run(main)


def test_the_upgrade_is_http():
    """It is refused, and the next one is granted."""

    async def main() -> None:
        async with socket() as (_, proxy, _client):
            proxy.add(Rule(Answer(502), towards="server"))
            url = proxy.url.replace("http", "ws", 1)
            with pytest.raises(InvalidStatus):
                await connect(url, proxy=None)
            async with connect(url, proxy=None) as again:
                await again.send("a")
                assert await again.recv() == "a"

    run(main)


def test_waiting_for_a_rule_that_does_not_strike_says_what_happened():
    """How often it did, and how often it was asked."""

    async def main() -> None:
        async with web() as (_, proxy, client):
            rule = proxy.add(Rule(Delay(1), after=5))
            await post(client, proxy)
            with pytest.raises(TimeoutError, match=r"struck 0 of 1 times; it was about 2 things"):
                await proxy.wait_for(rule, timeout=0.1)
            proxy.remove(rule)
            proxy.remove(rule)
            assert proxy.rules == ()

    run(main)


def test_a_server_that_is_not_there_is_a_connection_that_breaks():
    """Nothing else can be said about it."""

    async def main() -> None:
        listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        listening.close()
        await listening.wait_closed()
        async with FaultProxy(f"http://127.0.0.1:{port}") as proxy, httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(proxy.url)

    run(main)
    with pytest.raises(RuntimeError, match="enter it with 'async with' first"):
        FaultProxy("http://x").url  # noqa: B018 - the property raises


def test_a_server_behind_tls_is_reached_and_named_by_its_own_name():
    """The client needs no certificate; the Host is the server's."""

    async def main() -> None:
        authority = trustme.CA()
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(serving)
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        server = WebServer()
        listening = await asyncio.start_server(server, "127.0.0.1", 0, ssl=serving)
        port = listening.sockets[0].getsockname()[1]
        async with (
            listening,
            FaultProxy(f"https://localhost:{port}", ssl_context=trusting) as proxy,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            # No name of another machine leads to this one everywhere.
            proxy._shared.upstream = evolve(proxy._shared.upstream, authority="chat.example.com")
            assert await post(client, proxy) == "1:a"
            assert server.hosts == ["chat.example.com"]

    run(main)
    assert _upstream("https://chat.example.com:444/x", None)[1].authority == "chat.example.com:444"
    assert _upstream("http://localhost:444/x", None)[1].authority is None


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=4),
    st.lists(st.binary(min_size=1, max_size=300), max_size=4),
    st.booleans(),
)
def test_rp11_hostile_bytes_pass_and_the_proxy_lives_on(out: list[bytes], back: list[bytes], strict: bool):
    """Whatever either side sends arrives as it is, also with rules that read everything."""

    async def main() -> None:
        received = bytearray()
        done = asyncio.Event()

        async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.writelines(back)
            writer.write_eof()
            received.extend(await reader.read())
            writer.close()
            done.set()

        listening = await asyncio.start_server(hostile, "127.0.0.1", 0)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            async with FaultProxy(f"http://127.0.0.1:{port}") as proxy:
                if strict:
                    proxy.add(Rule(Close(), channel="/never"))
                host, at = proxy.url.removeprefix("http://").split(":")
                reader, writer = await asyncio.open_connection(host, int(at))
                writer.writelines(out)
                writer.write_eof()
                assert await reader.read() == b"".join(back)
                await done.wait()
                assert bytes(received) == b"".join(out)
                writer.close()
                await writer.wait_closed()

    run(main)


def test_fragments_and_large_frames_pass_with_rules_that_read_everything():
    """Raw frames of a client, cut in the middle, larger than what is kept."""

    async def main() -> None:
        async with socket() as (_server, proxy, client):
            proxy.add(Rule(Close(), channel="/never"))
            proxy._shared.limit = 1000
            async with connect(proxy.url.replace("http", "ws", 1), proxy=None, max_size=None) as other:
                await other.send(iter(["one ", "two ", "three"]))
                assert await other.recv() == "one two three"
                for size in (999, 70_000, 300_000):
                    await other.send(b"x" * size)
                    assert await other.recv() == b"x" * size
                await other.ping()
                wire = Frame(Opcode.TEXT, b"slowly").serialize(mask=True)
                for byte in wire:
                    other.transport.write(bytes([byte]))
                    await asyncio.sleep(0)
                assert await other.recv() == "slowly"
            await client.send("still there")
            assert await client.recv() == "still there"
            assert proxy.unreadable == 0

    run(main)


@pytest.mark.parametrize("view", ["rest", "cometd"])
def test_it_stands_before_the_sandbox(view: str):
    """The operation over REST, the channel over CometD."""

    async def main() -> None:
        async with (
            Sandbox() as sandbox,
            FaultProxy(sandbox.rest_url if view == "rest" else sandbox.cometd_url) as proxy,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            if view == "rest":
                refused = proxy.add(Rule(Answer(503), operation="sendMessage"))
                chat = (await client.post(proxy.url, data={"nickname": "Ada"})).json()
                keys = {name: chat[name] for name in ("secureKey", "userId", "alias")}
                url = f"{proxy.url}/{chat['chatId']}/send"
                statuses = [(await client.post(url, data={**keys, "message": "x"})).status_code for _ in range(2)]
                assert sandbox.chats[0].texts == ["x"]
            else:
                refused = proxy.add(Rule(Answer(503), channel="/meta/handshake"))
                hello = [{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}]
                statuses = [(await client.post(proxy.url, json=hello)).status_code for _ in range(2)]
            assert statuses == [503, 200]
            assert refused.hits == 1

    run(main)
