"""A small Web Messaging service on loopback, strict about what the protocol says of requests."""

from __future__ import annotations

import asyncio
import http
import itertools
import json
import logging
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Request, Response, Server, ServerConnection, serve
from websockets.datastructures import Headers

HEALTH_ID = "SGVhbHRoQ2hlY2tNZXNzYWdlSWQ="
ORIGIN = "https://shop.example"


# The library logs every frame and every cut connection; a test looks for secrets in what the client logs.
_quiet = logging.Logger("a service of the tests", logging.CRITICAL)  # noqa: LOG001 - apart from all others


class Service:
    """Sessions by token, and what goes wrong with them."""

    def __init__(self) -> None:
        #: What each session's visitor said, by token.
        self.said: dict[str, list[dict[str, Any]]] = {}
        #: The tokens of all sessions there ever were, the newest last.
        self.opened: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.violations: list[str] = []
        #: Frames to be sent in place of the next answers: an object, text, or None for no answer at all.
        self.instead: list[Any] = []
        #: Do not accept connections but answer with this status.
        self.status: int | None = None
        #: The connection is cut after the next message was taken, before it is answered.
        self.cut_after_message = False
        self.silent = False
        self.extra: dict[str, Any] = {}
        self._connections: dict[ServerConnection, str] = {}
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0, process_request=self._admit, logger=_quiet)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        assert self.violations == []

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def connected(self) -> bool:
        return bool(self._connections)

    @property
    def texts(self) -> list[str]:
        """What the visitor of the newest session said."""
        return [message["text"] for message in self.said.get(self.opened[-1], ())]

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    # What the other side does

    async def say(self, text: str, **fields: Any) -> None:
        await self.push({"type": "Text", "text": text, "direction": "Outbound", **fields})

    async def push(self, body: dict[str, Any], class_: str = "StructuredMessage", code: int = 200) -> None:
        await self.raw(json.dumps({"type": "message", "class": class_, "code": code, "body": self._stamped(body)}))

    async def raw(self, data: str) -> None:
        """Send something to whoever is connected to the newest session."""
        for connection, token in list(self._connections.items()):
            if token == self.opened[-1]:
                await connection.send(data)

    async def end(self) -> None:
        self.said.pop(self.opened[-1], None)
        await self.push({"reason": "closed by the agent"}, "SessionClearedEvent")

    def cut(self) -> None:
        """Break every connection without a word."""
        for connection in list(self._connections):
            connection.transport.abort()

    def forget(self) -> None:
        self.said.clear()

    # The protocol

    def _admit(self, _: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        query = parse_qs(parts.query)
        if parts.path != "/v1" or not query.get("application"):
            self.violations.append(f"address: {request.path}")
        if self.status is not None:
            return _refusal(self.status)
        if request.headers.get("Origin") != ORIGIN or query.get("deploymentId") != ["d-1"]:
            return _refusal(403)
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        configured = False
        try:
            async for data in connection:
                request = json.loads(data)
                self.requests.append(request)
                self._changed.set()
                if not isinstance(request.get("token"), str) or not isinstance(request.get("tracingId"), str):
                    self.violations.append("a request without token or tracingId")
                if request["action"] == "configureSession":
                    configured = True
                    self._connections[connection] = request["token"]
                elif not configured:
                    self.violations.append(f"{request['action']} before configureSession")
                if self.silent:
                    continue
                if self.instead:
                    instead = self.instead.pop(0)
                    if isinstance(instead, dict):
                        instead = json.dumps({"type": "response", "tracingId": request["tracingId"], **instead})
                    if instead is not None:
                        await connection.send(instead)
                    continue
                await self._answer(connection, request)
        finally:
            self._connections.pop(connection, None)
            self._changed.set()

    async def _answer(self, connection: ServerConnection, request: dict[str, Any]) -> None:
        match request["action"]:
            case "configureSession":
                if request.get("deploymentId") != "d-1":
                    self.violations.append("configureSession without the deployment")
                new = request["token"] not in self.said
                if new:
                    self.said[request["token"]] = []
                    self.opened.append(request["token"])
                body = {"connected": True, "newSession": new, "readOnly": False, **self.extra}
                await _reply(connection, request, "SessionResponse", body)
            case "onMessage":
                await self._message(connection, request)
            case "echo":
                if request["tracingId"] != HEALTH_ID:
                    self.violations.append("echo with a tracing id of its own")
                body = {"type": "Text", "text": "ping", "direction": "Inbound"}
                await _reply(connection, request, "StructuredMessage", body, type_="message")
            case "closeSession":
                self.said.pop(request["token"], None)
                body = {"reason": "closed by the visitor"}
                await _reply(connection, request, "ConnectionClosedEvent", body, type_="message")
                await connection.close()
            case action:
                self.violations.append(f"unknown action {action}")

    async def _message(self, connection: ServerConnection, request: dict[str, Any]) -> None:
        message = request["message"]
        if message["type"] == "Event":
            return
        if request["token"] not in self.said:
            body = {"errorMessage": "session not found"}
            await _reply(connection, request, "string", body, code=4007)
            return
        self.said[request["token"]].append(message)
        self._changed.set()
        if self.cut_after_message:
            self.cut_after_message = False
            connection.transport.abort()
            return
        body = {key: message[key] for key in ("type", "text", "metadata") if key in message}
        body["direction"] = "Inbound"
        await _reply(connection, request, "StructuredMessage", self._stamped(body), type_="message")

    def _stamped(self, body: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        channel = {"time": f"2024-01-01T10:00:{number:02}.000Z", "messageId": f"x{number}"}
        return {"id": f"m{number}", "channel": channel, **body}


async def _reply(
    connection: ServerConnection,
    request: dict[str, Any],
    class_: str,
    body: dict[str, Any],
    *,
    type_: str = "response",
    code: int = 200,
) -> None:
    frame = {"type": type_, "class": class_, "code": code, "tracingId": request["tracingId"], "body": body}
    await connection.send(json.dumps(frame))


def _refusal(status: int) -> Response:
    return Response(
        status, http.HTTPStatus(status).phrase, Headers({"Content-Length": "0", "Connection": "close"}), b""
    )
