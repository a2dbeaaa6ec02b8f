"""The ASGI application: CometD over WebSocket and long polling, and REST."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from chat_sandbox._bayeux.server import COOKIE, Exchange, Message
from chat_sandbox._http.answers import JsonAnswer, written
from chat_sandbox._http.cometd import CometdView
from chat_sandbox._http.files import FileView
from chat_sandbox._http.rest import RestView
from chat_sandbox.faults import Faults

__all__ = ["COMETD_PATH", "REST_PATH", "make_app"]

COMETD_PATH: Final = "/genesys/cometd"
REST_PATH: Final = "/genesys/2/chat"
NTF_PATH: Final = "/genesys/2/chat-ntf"
#: Bytes of one request, at most.
MAX_REQUEST: Final = 1024 * 1024


def make_app(view: CometdView, rest: RestView, files: FileView, faults: Faults, *, abort: Any) -> Starlette:
    """Return the application. ``abort(scope)`` breaks the connection of a request."""
    carriers = _Carriers(view, faults, abort)
    return Starlette(
        routes=[
            Route(COMETD_PATH, carriers.long_polling, methods=["POST"]),
            Route(COMETD_PATH + "/{rest:path}", carriers.long_polling, methods=["POST"]),
            WebSocketRoute(COMETD_PATH, carriers.websocket),
            Route(REST_PATH + "/{service}", rest.create, methods=["POST"]),
            Route(REST_PATH + "/{service}/", rest.create, methods=["POST"]),
            Route(NTF_PATH, files.beside_cometd, methods=["POST"]),
            Route(REST_PATH + "/{service}/{chat}/file", files.upload, methods=["POST"]),
            Route(REST_PATH + "/{service}/{chat}/file/limits", files.limits, methods=["POST"]),
            Route(REST_PATH + "/{service}/{chat}/file/{file}/download", files.download, methods=["POST"]),
            Route(REST_PATH + "/{service}/{chat}/file/{file}/delete", files.delete, methods=["POST"]),
            Route(REST_PATH + "/{service}/{chat}/{operation}", rest.operate, methods=["POST"]),
        ]
    )


class _Carriers:
    def __init__(self, view: CometdView, faults: Faults, abort: Any) -> None:
        self._view = view
        self._bayeux = view.bayeux
        self._faults = faults
        self._abort = abort

    async def long_polling(self, request: Request) -> Response:
        """Answer one POST, a held connect when its time has come."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST:
                return Response("too large", 413)
        await self._faults.pass_through()
        messages = _messages(body)
        if messages is None:
            return Response("no Bayeux messages", 400)
        cookie = request.cookies.get(COOKIE)
        exchange = self._bayeux.process(messages, cookie=cookie, carrier="long-polling")
        if exchange.broken is not None:
            return Response(exchange.broken, 500)
        session = exchange.session
        if session is not None and session in self._view.to_break:
            self._view.to_break.discard(session)
            self._abort(request.scope)
            return Response(status_code=500)
        if session is not None:
            session.push = None
        answer = exchange.replies
        if exchange.held is not None and session is not None:
            answer = await self._hold(exchange)
            if session.superseded:
                session.superseded = False
                return Response("another connect took over", 500)
        elif session is not None:
            answer = [*self._bayeux.drain(session), *answer]
        await self._faults.pass_through()
        response = JsonAnswer(answer)
        if exchange.cookie is not None:
            response.headers["set-cookie"] = f"{COOKIE}={exchange.cookie}; Path=/; HttpOnly"
        return response

    async def _hold(self, exchange: Exchange) -> list[Message]:
        session, held = exchange.session, exchange.held
        assert session is not None
        assert held is not None
        woken = asyncio.Event()
        session.wake = woken.set
        if session.queue:
            woken.set()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(exchange.hold):
                    await woken.wait()
        except asyncio.CancelledError:
            session.holding = None
            raise
        return self._bayeux.finish(session, held)

    async def websocket(self, socket: WebSocket) -> None:
        """Serve one WebSocket."""
        if self._faults.refuse_websocket:
            await socket.close()  # before it is accepted: the upgrade is answered with 403
            return
        cookie = socket.cookies.get(COOKIE)
        headers = []
        if cookie is None:
            import secrets  # noqa: PLC0415 - only here

            cookie = secrets.token_hex(8)
            headers.append((b"set-cookie", f"{COOKIE}={cookie}; Path=/; HttpOnly".encode("ascii")))
        await socket.accept(headers=headers)
        await _Socket(socket, self._view, self._faults, self._abort, cookie).serve()


def _messages(data: str | bytearray) -> list[Any] | None:
    """Read a JSON array of messages, or a lone one; None when it is neither."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) else None


class _Socket:
    """One open WebSocket: a reader, and a writer that keeps the order."""

    def __init__(self, socket: WebSocket, view: CometdView, faults: Faults, abort: Any, cookie: str) -> None:
        self._socket = socket
        self._view = view
        self._bayeux = view.bayeux
        self._faults = faults
        self._abort = abort
        self._cookie = cookie
        self._out: asyncio.Queue[list[Message] | None] = asyncio.Queue()
        self._holds: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        writer = asyncio.get_running_loop().create_task(self._write())
        try:
            await self._read()
        except WebSocketDisconnect:
            pass
        finally:
            # The session is not over with its socket: it expires, or another socket takes it over.
            for session in self._bayeux.sessions.values():
                if session.push is not None and session.push == self._push:
                    session.push = None
                    session.holding = None
            for task in (writer, *self._holds):
                task.cancel()
            await asyncio.gather(writer, *self._holds, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            frame = await self._socket.receive_text()
            await self._faults.pass_through()
            messages = _messages(frame)
            if messages is None:
                await self._socket.close(1011)
                return
            exchange = self._bayeux.process(messages, cookie=self._cookie, carrier="websocket")
            if exchange.broken is not None:
                await self._socket.close(1011)
                return
            session = exchange.session
            if session is not None and session in self._view.to_break:
                self._view.to_break.discard(session)
                self._abort(self._socket.scope)
                return
            if session is not None:
                session.push = self._push
            if exchange.replies:
                self._push(exchange.replies)
            if session is not None and not session.ack and session.queue:
                self._push(self._bayeux.drain(session))
            if exchange.held is not None:
                task = asyncio.get_running_loop().create_task(self._hold(exchange))
                self._holds.add(task)
                task.add_done_callback(self._holds.discard)

    def _push(self, messages: list[Message]) -> None:
        self._out.put_nowait(messages)

    async def _hold(self, exchange: Exchange) -> None:
        session, held = exchange.session, exchange.held
        assert session is not None
        assert held is not None
        woken = asyncio.Event()
        session.wake = woken.set
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(exchange.hold):
                await woken.wait()
        if not session.superseded:
            self._push(self._bayeux.finish(session, held))
        session.superseded = False

    async def _write(self) -> None:
        while (messages := await self._out.get()) is not None:
            await self._faults.pass_through()
            await self._socket.send_text(written(messages))
