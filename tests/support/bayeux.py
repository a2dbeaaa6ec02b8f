"""A Bayeux client in a few lines, which shares nothing with the product's."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

import httpx
from websockets.asyncio.client import connect


class RawClient:
    """Sends what a test says and returns what came back."""

    def __init__(self, url: str, carrier: str) -> None:
        self._url = url
        self._carrier = carrier
        self._number = 0
        self._http = httpx.AsyncClient(trust_env=False, timeout=10)
        self._socket: Any = None
        self.client_id = ""
        self.seen: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        if self._carrier == "websocket":
            self._socket = await connect(self._url.replace("http", "ws", 1), proxy=None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()
        if self._socket is not None:
            await self._socket.close()

    def forget_cookies(self) -> None:
        self._http.cookies.clear()

    async def post(self, data: Any) -> httpx.Response:
        return await self._http.post(self._url, content=data if isinstance(data, bytes) else json.dumps(data))

    async def ask(self, *messages: dict[str, Any]) -> list[dict[str, Any]]:
        """Send messages together and return what comes until each has its reply."""
        wanted = set()
        for message in messages:
            self._number += 1
            message.setdefault("id", str(self._number))
            wanted.add(message["id"])
            if message["channel"] != "/meta/handshake":
                message.setdefault("clientId", self.client_id)
        if self._carrier != "websocket":
            answer = await self.post(list(messages))
            assert answer.status_code == 200, answer.text
            received = answer.json()
        else:
            await self._socket.send(json.dumps(list(messages)))
            received = []
            while wanted - {one.get("id") for one in received if "successful" in one}:
                received += json.loads(await self._socket.recv())
        self.seen += received
        return received  # type: ignore[no-any-return]

    async def reply(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send one message and return its reply."""
        answer = await self.ask(message)
        return next(one for one in answer if one.get("id") == message["id"] and "successful" in one)

    async def handshake(self, **fields: Any) -> dict[str, Any]:
        answer = await self.reply(
            {
                "channel": "/meta/handshake",
                "version": "1.0",
                "supportedConnectionTypes": [self._carrier],
                **fields,
            }
        )
        self.client_id = answer.get("clientId", "")
        return answer

    async def connect(self, timeout: int | None = 0, **fields: Any) -> dict[str, Any]:
        message = {"channel": "/meta/connect", "connectionType": self._carrier, **fields}
        if timeout is not None:
            message["advice"] = {"timeout": timeout}
        return await self.reply(message)

    async def publish(self, channel: str, **data: Any) -> dict[str, Any]:
        return await self.reply({"channel": channel, "data": data})

    async def subscribe(self, channel: str) -> dict[str, Any]:
        return await self.reply({"channel": "/meta/subscribe", "subscription": channel})

    async def envelopes(self) -> list[dict[str, Any]]:
        """Return everything delivered so far, after one more connect."""
        await self.connect()
        return [one["data"] for one in self.seen if "data" in one and "successful" not in one]
