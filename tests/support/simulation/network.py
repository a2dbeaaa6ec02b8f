"""A network without sockets between the client and the server's ASGI application, with everything that may happen."""

from __future__ import annotations

import asyncio
import contextvars
import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
from attrs import define, field

from chat_core import AmbiguousError, NotSentError, ProtocolError
from chat_gms.asked import CookieBox
from chat_transport_cometd._bayeux.messages import Message, decode, encode
from chat_transport_cometd._carriers.base import CarrierUnavailableError, Wire
from chat_transport_cometd._carriers.websocket import WebSocket

__all__ = ["Host", "Network", "SimulatedHttp", "SimulatedWebSocket"]


@define(eq=False)
class Host:
    """One client process, as the network sees it."""

    alive: bool = True


@define(eq=False)
class _Connection:
    """A request under way, or an open socket.

    Attributes:
        host: whose.
        broken: done when the connection has broken, as the client sees it.
        silent: nothing passes any more, and nobody says so.
    """

    host: Host
    broken: asyncio.Future[str]
    silent: bool = False
    tasks: set[asyncio.Task[None]] = field(factory=set)

    def tell(self, reason: str) -> None:
        if not self.broken.done():
            self.broken.set_result(reason)


class Network:
    """Brings what clients send to the server and back, late, twice, in another order or never.

    Args:
        app: returns the server's application at this moment; None: nobody listens.
        chance: decides.
    """

    def __init__(self, app: Callable[[], Any], chance: random.Random) -> None:
        self.app = app
        self.chance = chance
        self.latency = (0.001, 0.05)
        #: New connections are refused.
        self.refusing = False
        #: What is sent this way vanishes.
        self.upstream_lost = False
        self.downstream_lost = False
        #: So many of the next frames from the server come after the one behind them, or twice, or not at all.
        self.swap = 0
        self.repeat = 0
        self.drop = 0
        #: So many of the next answers and frames from the server break off, or end with what does not belong there.
        self.spoil = 0
        self.connections: set[_Connection] = set()
        self.requests = 0
        self.upgrades = 0
        self._server = contextvars.Context()
        self._tasks: set[asyncio.Task[None]] = set()

    def delay(self) -> float:
        return self.chance.uniform(*self.latency)

    def brought(self, text: str) -> str:
        """Return what is left of an answer or a frame."""
        if self.spoil <= 0 or not text:
            return text
        self.spoil -= 1
        if text.startswith("[") and len(messages := json.loads(text)) > 1 and self.chance.random() < 0.5:
            return json.dumps([*messages[:-1], 5])
        return text[: self.chance.randrange(len(text))]

    def connect(self, host: Host) -> _Connection:
        connection = _Connection(host, asyncio.get_running_loop().create_future())
        self.connections.add(connection)
        return connection

    def on_the_server(self, connection: _Connection, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run in no client's context: a client that dies takes nothing of the server along."""
        task = asyncio.get_running_loop().create_task(coroutine, name="simulated server", context=self._server.copy())
        for tasks in (self._tasks, connection.tasks):
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return task

    def abort(self, *, host: Host | None = None) -> None:
        """Break every connection, or those of a host. What is under way arrives, or not."""
        for connection in list(self.connections):
            if host is not None and connection.host is not host:
                continue
            connection.tell("the connection was aborted")
            if self.chance.random() < 0.5:
                connection.silent = True

    def vanish(self) -> None:
        """Let nothing pass over the connections there are; new ones work."""
        for connection in self.connections:
            connection.silent = True

    def calm(self) -> None:
        """Stop all that."""
        self.refusing = self.upstream_lost = self.downstream_lost = False
        self.swap = self.repeat = self.drop = self.spoil = 0
        self.latency = (0.001, 0.05)

    async def stop(self) -> None:
        """Stop what the server still does."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class SimulatedHttp(httpx.AsyncBaseTransport):
    """In the place of httpx's own transport."""

    def __init__(self, network: Network, host: Host) -> None:
        self._network = network
        self._host = host

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        network, host = self._network, self._host
        network.requests += 1
        timeouts = request.extensions["timeout"]
        await request.aread()
        if not host.alive:
            await asyncio.Event().wait()
        if network.refusing:
            await asyncio.sleep(network.delay())
            raise httpx.ConnectError("refused by the simulation", request=request)
        connection = network.connect(host)
        answer: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        network.on_the_server(connection, self._serve(request, connection, answer))
        try:
            async with asyncio.timeout(timeouts["read"]):
                await asyncio.wait({answer, connection.broken}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in the simulation", request=request) from None
        finally:
            network.connections.discard(connection)
        if not answer.done():
            raise httpx.ReadError(connection.broken.result(), request=request)
        return answer.result()

    async def _serve(
        self, request: httpx.Request, connection: _Connection, answer: asyncio.Future[httpx.Response]
    ) -> None:
        network = self._network
        await asyncio.sleep(network.delay())
        if connection.silent or network.upstream_lost or not connection.host.alive:
            return
        app = network.app()
        if app is None:
            connection.tell("nobody listens")
            return
        response = await httpx.ASGITransport(app, raise_app_exceptions=True).handle_async_request(request)
        await asyncio.sleep(network.delay())
        if connection.silent or network.downstream_lost or answer.done():
            return
        if network.spoil > 0 and response.status_code == httpx.codes.OK:
            text = network.brought((await response.aread()).decode())
            response = httpx.Response(httpx.codes.OK, headers={"content-type": "application/json"}, content=text)
        answer.set_result(response)


class SimulatedWebSocket:
    """In the place of the WebSocket carrier: frames in order, as TCP brings them, unless something befalls them."""

    name = "websocket"
    begin = WebSocket.begin
    drop_poll = WebSocket.drop_poll

    def __init__(self, network: Network, host: Host, path: str, *, cookies: CookieBox, wire: Wire) -> None:
        self._network = network
        self._host = host
        self._path = path
        self._cookies = cookies
        self._wire = wire
        self._connection: _Connection | None = None
        self._up: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._down: asyncio.Queue[str] = asyncio.Queue()
        self._accepted: asyncio.Future[bool] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        network = self._network
        network.upgrades += 1
        if not self._host.alive:
            await asyncio.Event().wait()
        await asyncio.sleep(network.delay())
        app = network.app()
        if network.refusing or app is None:
            raise CarrierUnavailableError("refused by the simulation")
        if network.upstream_lost or network.downstream_lost:
            await asyncio.sleep(10.0)
            raise CarrierUnavailableError("no answer in the simulation")
        loop = asyncio.get_running_loop()
        self._connection = connection = network.connect(self._host)
        self._accepted = loop.create_future()
        headers = [(b"cookie", self._cookies.header.encode())] if self._cookies else []
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "headers": headers,
            "scheme": "ws",
            "subprotocols": [],
            "server": ("simulation", 80),
            "client": ("simulation", 1),
        }
        self._up.put_nowait({"type": "websocket.connect"})
        self._serving = network.on_the_server(connection, app(scope, self._arrive, self._send))
        try:
            if not await self._accepted:
                raise CarrierUnavailableError("the upgrade was refused", status=403)
        except BaseException:
            network.connections.discard(connection)
            self._serving.cancel()
            raise
        self._watcher = loop.create_task(self._watch(connection), name="simulated websocket")
        network.on_the_server(connection, self._bring_down(connection))

    async def send(self, messages: list[Message], *, timeout: float, seldom: bool = False) -> None:
        connection = self._connection
        if connection is None or self._closed or connection.broken.done():
            raise NotSentError("the WebSocket is not open")
        await asyncio.sleep(0)
        if connection.broken.done():
            raise AmbiguousError("the WebSocket broke while a message was sent")
        self._up.put_nowait({"type": "websocket.receive", "text": encode(messages)})

    async def aclose(self) -> None:
        self._closed = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        if self._connection is not None:
            self._network.connections.discard(self._connection)
            self._connection.tell("the client closed the connection")

    # The server's ends

    async def _arrive(self) -> dict[str, Any]:
        """What the application receives: frames in order, each after its time on the way."""
        connection, network = self._connection, self._network
        assert connection is not None
        while True:
            message = await self._up.get()
            if message["type"] == "websocket.connect":
                return message
            await asyncio.sleep(network.delay())
            gone = message["type"] == "websocket.disconnect"
            if gone or not (connection.silent or network.upstream_lost or not connection.host.alive):
                return message

    async def _send(self, message: dict[str, Any]) -> None:
        """Take what the application sends."""
        assert self._accepted is not None
        assert self._connection is not None
        match message["type"]:
            case "websocket.accept":
                for name, value in message.get("headers", ()):
                    if name == b"set-cookie":
                        self._cookies.take(value.decode())
                if not self._accepted.done():
                    self._accepted.set_result(True)
            case "websocket.send":
                self._down.put_nowait(message["text"])
            case "websocket.close":
                if not self._accepted.done():
                    self._accepted.set_result(False)
                self._connection.tell("the server closed the connection")

    async def _bring_down(self, connection: _Connection) -> None:
        """Bring frames to the client, in order unless some are to be swapped."""
        network = self._network
        kept: str | None = None
        while (frame := await self._next(connection)) is not None:
            await asyncio.sleep(network.delay())
            if connection.silent or network.downstream_lost or not connection.host.alive:
                continue
            if network.drop > 0:
                network.drop -= 1
                continue
            if network.swap > 0 and kept is None:
                network.swap -= 1
                kept = frame
                continue
            frames = [frame] if kept is None else [frame, kept]
            kept = None
            if network.repeat > 0:
                network.repeat -= 1
                frames *= 2
            for one in frames:
                if not connection.broken.done():
                    self._bring(network.brought(one), connection)

    def _bring(self, frame: str, connection: _Connection) -> None:
        try:
            self._wire.messages(decode(frame))
        except ProtocolError as error:
            connection.tell(error.description)

    async def _next(self, connection: _Connection) -> str | None:
        """Return the next frame from the application; None, and the application is told, once the connection broke."""
        getting = asyncio.ensure_future(self._down.get())
        try:
            await asyncio.wait({getting, connection.broken}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
        finally:
            getting.cancel()
        self._up.put_nowait({"type": "websocket.disconnect", "code": 1006})
        return None

    async def _watch(self, connection: _Connection) -> None:
        """Tell the client that the connection broke."""
        reason = await asyncio.shield(connection.broken)
        self._network.connections.discard(connection)
        self._wire.lost(reason)
