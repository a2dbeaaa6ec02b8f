"""How often a start and a restore wait for the server, beside the connection itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_gms import http11
from chat_gms.http11 import Http11Transport
from chat_sandbox import Sandbox
from chat_transport_cometd import _link
from chat_transport_cometd._carriers.long_polling import LongPolling
from chat_transport_cometd._carriers.websocket import WebSocket

CHAT = "/service/chatV2/customer-support"


@pytest.mark.parametrize("carrier", [WebSocket, LongPolling], ids=["WebSocket", "long polling"])
def test_three_round_trips_open_a_chat_and_take_one_up(
    carrier: type[WebSocket | LongPolling], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A handshake goes alone, and the chat is asked for over a link over which a cancelled start can leave it.

    Over long polling the chat comes with a fourth, the poll; it goes over the one connection that there is.
    """
    polls = carrier is LongPolling
    sent: list[list[str]] = []
    connections: list[object] = []
    method = "begin" if polls else "send"
    send, connect = getattr(carrier, method), Http11Transport._connect

    def noted(self, messages, **details: Any):
        if (
            polls or messages[0].get("advice") or messages[0]["channel"] != "/meta/connect"
        ):  # one beside it delays nothing
            sent.append([message["channel"] for message in messages])
        return send(self, messages, **details)

    async def connected(self, *arguments: Any):
        connections.append(arguments)
        return await connect(self, *arguments)

    monkeypatch.setattr(carrier, method, noted)
    monkeypatch.setattr(Http11Transport, "_connect", connected)
    trips = [["/meta/handshake"], ["/meta/subscribe", "/meta/connect"], [CHAT], *([["/meta/connect"]] if polls else [])]

    async def main() -> None:
        async with Sandbox() as sandbox:
            options = {
                "disable_websockets": polls,
                "state_storage": "file",
                "storage_options": {"directory": str(tmp_path)},
            }
            session = await chat_core.start_session(server_url=sandbox.cometd_url, **options)
            assert sent[: len(trips)] == trips
            assert len(connections) == polls
            await session.detach()
            sent.clear()
            connections.clear()
            session = await chat_core.restore_session(**options)
            assert sent[: len(trips)] == trips
            assert len(connections) == polls
            await session.leave()

    asyncio.run(main())


def test_a_link_over_which_nothing_is_published_polls_all_the_same(monkeypatch: pytest.MonkeyPatch):
    """A server ends a session that does not poll. Here the chat is asked for late."""
    monkeypatch.setattr(_link, "FIRST_WORD", 0.1)
    polled = asyncio.Event()
    begin, publish = LongPolling.begin, _link.Link.publish

    def noted(self, messages, **details: Any):
        if messages[0]["channel"] == "/meta/connect":
            polled.set()
        return begin(self, messages, **details)

    async def late(self, *arguments: Any, **options: Any):
        await polled.wait()
        return await publish(self, *arguments, **options)

    monkeypatch.setattr(LongPolling, "begin", noted)
    monkeypatch.setattr(_link.Link, "publish", late)

    async def main() -> None:
        async with Sandbox() as sandbox, asyncio.timeout(20):
            session = await chat_core.start_session(
                server_url=sandbox.cometd_url, disable_websockets=True, state_storage="memory"
            )
            await session.leave()

    asyncio.run(main())


def test_an_idle_session_over_long_polling_keeps_one_connection(monkeypatch: pytest.MonkeyPatch):
    """A question about the transcript takes a second one for a moment: one is asked in each minute of silence."""
    monkeypatch.setattr(http11, "KEEP_ALIVE", 3600.0)
    pools: list[Http11Transport] = []
    made, connect = Http11Transport.__init__, Http11Transport._connect
    opened = 0

    def noted(self, *arguments: Any, **options: Any):
        pools.append(self)
        made(self, *arguments, **options)

    async def connected(self, *arguments: Any):
        nonlocal opened
        opened += 1
        return await connect(self, *arguments)

    monkeypatch.setattr(Http11Transport, "__init__", noted)
    monkeypatch.setattr(Http11Transport, "_connect", connected)

    async def main() -> None:
        async with (
            Sandbox(agent=None) as sandbox,
            asyncio.timeout(20),
            chat_core.start_session(
                server_url=sandbox.cometd_url, disable_websockets=True, state_storage="memory"
            ) as session,
        ):
            (pool,) = pools
            await session.get_transcript()
            while opened < 2 or [one._busy for one in pool._open] != [True]:  # the poll is held again, and alone
                await asyncio.sleep(0.01)
            assert opened == 2
            await session.send_message("a conversation keeps it")
            assert len(pool._open) == 2

    asyncio.run(main())
