"""Requests and replies over a carrier."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import httpx
import pytest

from chat_core import ConnectionOptions
from chat_core._loggers.adapter import make_log
from chat_gms.asked import CookieBox
from chat_transport_cometd._bayeux.engine import Engine
from chat_transport_cometd._carriers.long_polling import LongPolling
from chat_transport_cometd._exchange import Exchange


def test_a_held_connect_that_fails_while_its_owner_is_cancelled_is_reported_nowhere():
    """Nobody waits for its failure any more, and asyncio's complaint about that would reach a program's log."""
    reported: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        engine = Engine()
        engine.client_id = "c"
        exchange = Exchange(engine, network_delay=1.0, delivered=lambda *_: None, log=make_log(lambda *_: None))
        sending, fail = asyncio.Event(), asyncio.Event()

        async def answer(_: httpx.Request) -> httpx.Response:
            sending.set()
            await fail.wait()
            raise httpx.ConnectError("no connection")

        exchange.carrier = LongPolling(
            *("http://h/", ConnectionOptions()),
            cookies=CookieBox(),
            wire=exchange.wire,
            max_message_size=1000,
            http_transport=httpx.MockTransport(answer),
        )
        held = asyncio.create_task(exchange.request([engine.connect()], timeout=5.0, held=True))
        await sending.wait()
        fail.set()
        held.cancel()
        with pytest.raises(asyncio.CancelledError):
            await held
        await exchange.drop()

    asyncio.run(run())
    gc.collect()
    assert reported == []


def test_an_answer_without_an_id_shows_that_the_link_lives():
    """Some servers leave it out; the publication is answered all the same, and no timer counts the link as dead."""

    async def run() -> None:
        engine = Engine()
        engine.client_id = "c"
        exchange = Exchange(engine, network_delay=0.1, delivered=lambda *_: None, log=make_log(lambda *_: None))

        class Quick:
            name = "websocket"

            async def send(self, messages: list[Any], *, timeout: float, seldom: bool = False) -> None:
                del timeout
                exchange.wire.messages([{"channel": message["channel"], "successful": True} for message in messages])

            async def aclose(self) -> None:
                """There is nothing to close."""

        exchange.carrier = Quick()  # type: ignore[assignment]
        await exchange.publish(engine.publish("/service/x", {}))
        assert exchange._unanswered == {}
        await exchange.drop()

    asyncio.run(run())
