"""aiocometd-noloop under measurement; arguments as ``ours.py``."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
import warnings
from collections.abc import AsyncIterator
from typing import Any

from measuring import CHANNEL, REQUEST, Trigger, finish, pick_loop, say, time_bursts, time_chats, time_echoes, weigh

warnings.simplefilter("ignore")

import aiocometd_noloop as aiocometd  # noqa: E402 - it warns when it is imported

KINDS = {"ws": aiocometd.ConnectionType.WEBSOCKET, "lp": aiocometd.ConnectionType.LONG_POLLING}


class AtOnce(aiocometd.Extension):  # type: ignore[misc]
    """Has the first connect answered at once, as the CometD project's clients do; else the start takes 30 s."""

    def __init__(self) -> None:
        self._first = True

    async def outgoing(self, payload: list[dict[str, Any]], headers: dict[str, str]) -> None:  # noqa: ARG002
        for message in payload:
            if message["channel"] == "/meta/connect" and self._first:
                self._first = False
                message["advice"] = {"timeout": 0}

    async def incoming(self, payload: list[dict[str, Any]], headers: dict[str, str] | None = None) -> None:
        """Take nothing from what arrives."""


async def chat(url: str, carrier: str) -> tuple[Any, dict[str, Any]]:
    """Open a chat; returns the client and the first envelope."""
    given = {"ssl": ssl.create_default_context(cafile=sys.argv[-1])} if url.startswith("https:") else {}
    # Its default of 100 pending messages blocks the replies of whoever does not read at once.
    client = aiocometd.Client(url, KINDS[carrier], extensions=[AtOnce()], max_pending_count=0, **given)
    await client.open()
    await client.subscribe(CHANNEL)
    await client.publish(CHANNEL, REQUEST)
    return client, (await client.receive())["data"]


async def burst(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """Events of one session, from their arrival to the subscriber."""
    client, envelope = await chat(url, carrier)
    await trigger(envelope["chatId"], "join")
    await client.receive()
    result = await time_bursts(lambda: trigger(envelope["chatId"], "burst", n=n), _texts(client), n)
    await client.close()
    return result


async def _texts(client: Any) -> AsyncIterator[str]:
    while True:
        for event in (await client.receive())["data"]["messages"]:
            yield event["text"]


async def echo(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """From sending a message to its own echo."""
    del trigger
    client, envelope = await chat(url, carrier)

    async def once(number: int) -> float:
        began = time.perf_counter()
        sending = asyncio.ensure_future(client.publish(CHANNEL, say(number, envelope["secureKey"])))
        await client.receive()
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
        client, _ = await chat(url, carrier)
        started = time.perf_counter()
        await client.close()
        return started - began, time.perf_counter() - started

    return await time_chats(once, n)


async def idle(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """Memory and processor of sessions in which nothing happens."""
    del trigger
    return await weigh(lambda _: chat(url, carrier), lambda opened: opened[0].close(), n, carrier=carrier)


if __name__ == "__main__":
    _, address, control, carrier_, test, count, *rest_ = sys.argv
    pick_loop(rest_)
    finish(asyncio.run(globals()[test](address, Trigger(control), carrier_, int(count))))
