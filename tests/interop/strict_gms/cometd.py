"""The CometD view: ``/genesys/cometd`` over WebSocket and long polling (3.1, 5.3)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMsgType, web

from interop.strict_gms.bayeux import Bayeux, Link, Turn
from interop.strict_gms.sessions import Hold, identifier
from interop.strict_gms.violations import ViolationError

if TYPE_CHECKING:
    from interop.strict_gms.server import StrictGms

__all__ = ["CometdView"]

COOKIE = "BAYEUX_BROWSER"


class _Socket:
    """A WebSocket with frames going out in order."""

    def __init__(self, server: StrictGms, response: web.WebSocketResponse) -> None:
        self._server = server
        self.response = response
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write())

    @property
    def open(self) -> bool:
        return not self.response.closed

    def put(self, frame: str) -> None:
        self._frames.put_nowait(frame)

    async def _write(self) -> None:
        while (frame := await self._frames.get()) is not None:
            self._server.sent.append(frame)
            with contextlib.suppress(ConnectionError):
                await self.response.send_str(frame)

    async def drain(self) -> None:
        """All frames are out."""
        self._frames.put_nowait(None)
        await asyncio.shield(self._writer)


class CometdView:
    """Both carriers on one address."""

    def __init__(self, server: StrictGms) -> None:
        self._server = server
        self.bayeux = Bayeux(server)
        self._sockets: set[_Socket] = set()

    def add_routes(self, app: web.Application) -> None:
        """3.1: clients append the type of a lone meta message over HTTP."""
        app.router.add_route("*", "/genesys/cometd", self.handle)
        app.router.add_route("*", "/genesys/cometd/", self.handle)
        app.router.add_route("*", "/genesys/cometd/{type:handshake|connect|disconnect}", self.handle)

    # For tests

    def forget_sessions(self, *, wake: bool = True) -> None:
        """Every client is unknown from now on (402); ``wake``: held connects end, as if nothing had happened."""
        for session in list(self.bayeux.sessions.values()):
            hold, session.hold = session.hold, None
            self.bayeux.drop(session)
            session.gone = False
            if hold is not None and wake:
                hold.wake()

    async def until_gone(self, timeout: float = 10) -> None:
        """Every client has gone."""
        await self.bayeux.changes.until(lambda: not self.bayeux.sessions, timeout, "a client is still there")

    async def drop_connections(self) -> None:
        """Every WebSocket is cut."""
        for socket in list(self._sockets):
            await socket.response.close(code=WSCloseCode.INTERNAL_ERROR)

    async def aclose(self) -> None:
        """The server goes."""
        for session in list(self.bayeux.sessions.values()):
            self.bayeux.drop(session)
        for socket in list(self._sockets):
            await socket.response.close(code=WSCloseCode.GOING_AWAY)

    # Carriers

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            if not self._server.websocket:
                return web.Response(status=400, text="Unknown Bayeux Transport")
            return await self._websocket(request)
        try:
            return await self._long_polling(request)
        except ViolationError as error:
            self._server.record(error)
            return web.Response(status=400, text=error.words)

    async def _long_polling(self, request: web.Request) -> web.StreamResponse:
        """5.3 point 14: only POST; 5.1: JSON."""
        if request.method != "POST":
            raise ViolationError("5.3", "Unknown Bayeux Transport: only POST is long polling")
        if request.content_type != "application/json":
            raise ViolationError("5.3", f"the body is JSON, not {request.headers.get('Content-Type')}")
        batch = _batch(await request.read())
        kind = request.match_info.get("type")
        if kind is not None and [message.get("channel") for message in batch] != [f"/meta/{kind}"]:
            raise ViolationError("3.1", f"/{kind} is appended for that message alone")
        link = Link("long-polling", request.cookies.get(COOKIE), alone=len(batch) == 1)
        try:
            return await self._answer(request, batch, link)
        finally:
            link.release()

    async def _answer(self, request: web.Request, batch: list[dict[str, Any]], link: Link) -> web.StreamResponse:
        events: list[str] = []
        replies: list[str] = []
        for message in batch:
            reply = self.bayeux.handle(message, link)
            if isinstance(reply, Turn):
                session = reply.session
                session.socket = None  # it came over HTTP
                if self.bayeux.browser_is_busy(session):  # 5.3 point 9
                    reply.seconds = 0
                    reply.advice = {"multiple-clients": True, "reconnect": "retry", "interval": 2000}
                link.release()
                alive = _alive(request)
                if await _held(reply, Hold(alive)):
                    return web.Response(status=500)  # 5.3 point 10
                events += session.take()
                reply = reply.reply()
                session.watch()
            replies.append(reply)
        if self._server.quirks.early_delivery:
            events += [event for session in link.sessions if not session.ack for event in session.take()]
        text = f"[{','.join([*events, *replies])}]"  # 5.3 point 5: events first, then replies
        self._server.sent.append(text)
        response = web.Response(body=text.encode(), content_type="application/json", charset="UTF-8")
        if link.new_cookie is not None:
            response.headers.add("Set-Cookie", self._cookie(link.new_cookie))
        await response.prepare(request)
        await response.write_eof()
        return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        """5.3 point 11: text frames, JSON arrays. 3.1: the cookie is needed here too; the first upgrade sets it."""
        response = web.WebSocketResponse()
        cookie = request.cookies.get(COOKIE)
        if "type" in request.match_info:
            self._server.record(ViolationError("3.1", "types are appended over HTTP only"))
        if cookie is None:
            cookie = identifier(27 if self._server.documented_cookie else 16)
            response.headers.add("Set-Cookie", self._cookie(cookie))
        await response.prepare(request)
        socket = _Socket(self._server, response)
        self._sockets.add(socket)
        turns: set[asyncio.Task[None]] = set()
        try:
            async for frame in response:
                if frame.type is not WSMsgType.TEXT:
                    raise ViolationError("5.3", f"frames are text, not {frame.type.name}")
                link = Link("websocket", cookie, socket=socket)
                if self._frame(_batch(frame.data.encode()), link, socket, turns):
                    await socket.drain()
                    await response.close(code=WSCloseCode.OK)  # 5.1: after a disconnect
        except ViolationError as error:
            self._server.record(error)
            await response.close(code=WSCloseCode.INTERNAL_ERROR)
        finally:
            self._sockets.discard(socket)
            for turn in turns:
                turn.cancel()
            await asyncio.gather(*turns, return_exceptions=True)
            await socket.drain()
        return response

    def _frame(self, batch: list[dict[str, Any]], link: Link, socket: _Socket, turns: set[asyncio.Task[None]]) -> bool:
        """Do the messages of one frame. Returns whether the client has disconnected."""
        link.alone = len(batch) == 1
        replies: list[str] = []
        for message in batch:
            reply = self.bayeux.handle(message, link)
            if isinstance(reply, Turn):
                hold = Hold(lambda: socket.open)
                task = asyncio.create_task(self._turn(reply, hold, socket))
                turns.add(task)
                task.add_done_callback(turns.discard)
            else:
                replies.append(reply)
        if self._server.quirks.early_delivery:
            link.release()
        if replies:
            socket.put(f"[{','.join(replies)}]")
        link.release()
        return any(message.get("channel") == "/meta/disconnect" for message in batch)

    async def _turn(self, turn: Turn, hold: Hold, socket: _Socket) -> None:
        """A connect over WebSocket; events do not end it unless acks are on (5.3 point 11)."""
        session = turn.session
        if await _held(turn, hold):
            return
        for event in session.take() if session.ack else ():
            socket.put(f"[{event}]")
        socket.put(f"[{turn.reply()}]")
        if not session.gone:
            session.watch()

    def _cookie(self, value: str) -> str:
        """5.3 point 8, as captured; or the documented form of 3.1."""
        if self._server.documented_cookie:
            return f"{COOKIE}={value}; SameSite=None; HttpOnly; Secure; Path=/; Partitioned;"
        return f"{COOKIE}={value}; Path=/; HttpOnly"


async def _held(turn: Turn, hold: Hold) -> bool:
    """Hold a connect. Returns whether another one took its place."""
    session = turn.session
    if turn.seconds <= 0:
        return False
    session.hold = hold
    try:
        return await hold.wait(turn.seconds)
    finally:
        if session.hold is hold:
            session.hold = None
            if not session.gone:
                session.watch()


def _alive(request: web.Request) -> Any:
    def alive() -> bool:
        return request.transport is not None and not request.transport.is_closing()

    return alive


def _batch(body: bytes) -> list[dict[str, Any]]:
    """5.1: an array, or a lone object; 5.3 point 14: empty or malformed is an error; a handshake is alone.

    Raises:
        ViolationError: it is something else.
    """
    try:
        batch = json.loads(body.decode("utf-8"))
    except ValueError:
        raise ViolationError("5.3", "the body is not JSON in UTF-8") from None
    if isinstance(batch, dict):
        batch = [batch]
    if not isinstance(batch, list) or not batch or not all(isinstance(message, dict) for message in batch):
        raise ViolationError("5.1", "messages travel in an array")
    if len(batch) > 1 and any(message.get("channel") == "/meta/handshake" for message in batch):
        raise ViolationError("5.1", "a handshake is alone in its batch")
    return batch
