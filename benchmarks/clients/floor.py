"""The smallest loops there can be, over raw ``websockets`` and raw asyncio streams; arguments as ``ours.py``.

They decode the envelope with json and take the text out, and do nothing else: no order, no completeness, no receipts,
no reconnecting.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import websockets.asyncio.client
from measuring import CHANNEL, REQUEST, Trigger, finish, pick_loop, say, time_bursts, time_chats, time_echoes


class Floor:
    """A Bayeux session over one carrier: as little as it takes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client_id = ""
        self.number = 0

    def message(self, channel: str, **fields: Any) -> dict[str, Any]:
        self.number += 1
        return {"id": str(self.number), "channel": channel, "clientId": self.client_id, **fields}


class WebSocket(Floor):
    """One socket."""

    async def open(self) -> dict[str, Any]:
        self.socket = await websockets.asyncio.client.connect(
            self.url.replace("http", "ws", 1), compression=None, ping_interval=None, max_queue=None, proxy=None
        )
        await self.post(
            [{"id": "0", "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["websocket"]}]
        )
        self.client_id = json.loads(await self.socket.recv())[0]["clientId"]
        first = self.message("/meta/connect", connectionType="websocket", advice={"timeout": 0})
        await self.post([first, self.message(CHANNEL, data=REQUEST)])
        return await self.envelope()

    async def post(self, messages: list[dict[str, Any]]) -> None:
        await self.socket.send(json.dumps(messages))

    async def publish(self, data: dict[str, Any]) -> None:
        await self.post([self.message(CHANNEL, data=data)])

    async def envelope(self) -> dict[str, Any]:
        while True:
            for message in json.loads(await self.socket.recv()):
                if message["channel"] == CHANNEL and "successful" not in message:
                    return message["data"]  # type: ignore[no-any-return]
                if message["channel"] == "/meta/connect":
                    await self.post([self.message("/meta/connect", connectionType="websocket")])

    async def close(self) -> None:
        await self.socket.close()


class LongPolling(Floor):
    """Two connections: one polls, one publishes."""

    async def open(self) -> dict[str, Any]:
        parts = urlsplit(self.url)
        self.path = parts.path
        self.cookie = ""
        self.arrived: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sending = await asyncio.open_connection(parts.hostname, parts.port)
        self.polling = await asyncio.open_connection(parts.hostname, parts.port)
        (answer,) = await self.post(
            [{"id": "0", "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}]
        )
        self.client_id = answer["clientId"]
        await self.post([self.message("/meta/connect", connectionType="long-polling", advice={"timeout": 0})])
        self.poller = asyncio.ensure_future(self.poll())
        self.take(await self.post([self.message(CHANNEL, data=REQUEST)]))
        return await self.envelope()

    async def post(self, messages: list[dict[str, Any]], *, poll: bool = False) -> list[dict[str, Any]]:
        reader, writer = self.polling if poll else self.sending
        body = json.dumps(messages).encode()
        writer.write(
            f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Cookie: {self.cookie}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        length, chunked = 0, False
        for line in head:
            name, _, value = line.partition(": ")
            match name.lower():
                case "content-length":
                    length = int(value)
                case "transfer-encoding":
                    chunked = value == "chunked"
                case "set-cookie":
                    self.cookie = value.partition(";")[0]
        if not chunked:
            return json.loads(await reader.readexactly(length))  # type: ignore[no-any-return]
        pieces = b""
        while size := int(await reader.readline(), 16):
            pieces += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return json.loads(pieces)  # type: ignore[no-any-return]

    async def poll(self) -> None:
        while True:
            self.take(await self.post([self.message("/meta/connect", connectionType="long-polling")], poll=True))

    def take(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if message["channel"] == CHANNEL and "successful" not in message:
                self.arrived.put_nowait(message["data"])

    async def publish(self, data: dict[str, Any]) -> None:
        self.take(await self.post([self.message(CHANNEL, data=data)]))

    async def envelope(self) -> dict[str, Any]:
        return await self.arrived.get()

    async def close(self) -> None:
        self.poller.cancel()
        for _, writer in (self.sending, self.polling):
            writer.close()


KINDS: dict[str, type[Any]] = {"ws": WebSocket, "lp": LongPolling}


async def burst(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """Envelopes of one session, decoded with json."""
    client = KINDS[carrier](url)
    envelope = await client.open()
    await trigger(envelope["chatId"], "join")
    await client.envelope()
    result = await time_bursts(lambda: trigger(envelope["chatId"], "burst", n=n), _texts(client), n)
    await client.close()
    return result


async def _texts(client: Any) -> AsyncIterator[str]:
    while True:
        for event in (await client.envelope())["messages"]:
            yield event["text"]


async def echo(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """From sending a message to its own echo."""
    del trigger
    client = KINDS[carrier](url)
    key = (await client.open())["secureKey"]

    async def once(number: int) -> float:
        began = time.perf_counter()
        if carrier == "ws":
            await client.publish(say(number, key))
            await client.envelope()
            return time.perf_counter() - began
        sending = asyncio.ensure_future(client.publish(say(number, key)))
        await client.envelope()
        took = time.perf_counter() - began
        await sending
        return took

    result = await time_echoes(once, n)
    await client.close()
    return result


async def setup(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """From nothing to the chat's first envelope."""
    del trigger

    async def once() -> tuple[float, float]:
        began = time.perf_counter()
        client = KINDS[carrier](url)
        await client.open()
        started = time.perf_counter()
        await client.close()
        return started - began, time.perf_counter() - started

    return await time_chats(once, n)


if __name__ == "__main__":
    _, address, control, carrier_, test, count, *rest_ = sys.argv
    pick_loop(rest_)
    finish(asyncio.run(globals()[test](address, Trigger(control), carrier_, int(count))))
