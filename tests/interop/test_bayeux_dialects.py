"""The Bayeux link against Faye, whose dialect differs from CometD's in what a client must get right.

Faye refuses service channels, so it cannot hold a GMS chat; the link alone is driven here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chat_core import ConnectionOptions, LoginRefusedError, RefusedError
from chat_gms.asked import CookieBox
from chat_transport_cometd._carriers.base import Carrier, Wire
from chat_transport_cometd._carriers.long_polling import LongPolling
from chat_transport_cometd._carriers.websocket import WebSocket
from chat_transport_cometd._link import Link, LinkEvents
from support.counterparts import Faye, require
from support.sessions import MemoryLog


@pytest.fixture(autouse=True)
def node() -> None:
    require("node")


@pytest.fixture(params=["websocket", "long-polling"])
def carrier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Heard:
    """What the link told, and a way to wait for it."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.states: list[str] = []
        self._changed = asyncio.Event()

    def delivered(self, message: dict[str, Any]) -> None:
        self.messages.append(message["data"])
        self._changed.set()

    def state(self, name: str) -> None:
        self.states.append(name)
        self._changed.set()

    async def until(self, wanted: Any) -> None:
        async with asyncio.timeout(20):
            while wanted not in [*self.messages, *self.states]:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def linked(url: str, carrier: str, *, channel: str = "/chat/one") -> AsyncIterator[tuple[Link, Heard]]:
    heard = Heard()
    cookies = CookieBox()
    options = ConnectionOptions()

    def make(wire: Wire) -> Carrier:
        kind: Any = WebSocket if carrier == "websocket" else LongPolling
        made: Carrier = kind(url, options, cookies=cookies, wire=wire, max_message_size=1024 * 1024)
        return made

    link = Link(
        url=url,
        channel=channel,
        carriers={carrier: make},
        cookies=cookies,
        log=MemoryLog(),
        events=LinkEvents(
            delivered=heard.delivered,
            down=lambda reason: heard.state("down"),
            up=lambda: heard.state("up"),
            dead=lambda error: heard.state("dead"),
        ),
        ack=frozenset({"long-polling"}),
        timesync=True,
        network_delay=5.0,
    )
    try:
        await link.open()
        yield link, heard
    finally:
        await link.aclose()


def test_opening_takes_one_answer_not_the_servers_time(carrier: str):
    """Faye holds a first connect for its whole time unless it is asked with timeout 0."""

    async def main() -> float:
        with Faye() as server:
            began = asyncio.get_running_loop().time()
            async with linked(server.url, carrier):
                return asyncio.get_running_loop().time() - began

    assert asyncio.run(main()) < 5


def test_publishing_and_hearing_it(carrier: str):
    """Replies with a clientId, events with the publisher's id, events after the connect reply: all are matched."""

    async def main() -> None:
        with Faye() as server:
            async with linked(server.url, carrier) as (link, heard):
                for number in range(20):
                    await link.publish({"n": number})
                await heard.until({"n": 19})
                assert heard.messages == [{"n": number} for number in range(20)]

    asyncio.run(main())


def test_two_clients_do_not_take_each_others_ids(carrier: str):
    """Another client's event whose id is one of ours ends no request of ours."""

    async def main() -> None:
        with Faye() as server:
            async with linked(server.url, carrier) as (one, first), linked(server.url, carrier) as (two, second):
                for number in range(10):
                    await asyncio.gather(one.publish({"one": number}), two.publish({"two": number}))
                for heard in (first, second):
                    await heard.until({"one": 9})
                    await heard.until({"two": 9})
                    assert len(heard.messages) == 20
                    assert heard.states == []

    asyncio.run(main())


def test_a_restarted_server_is_found_again(carrier: str):
    """401 in place of 402, a new handshake and a new subscription, without advice."""

    async def main() -> None:
        server = Faye()
        with server:
            port = server.port
            context = linked(server.url, carrier)
            link, heard = await context.__aenter__()
            await link.publish({"n": 1})
            await heard.until({"n": 1})
        await heard.until("down")
        with Faye(port):
            await heard.until("up")
            await link.publish({"n": 2})
            await heard.until({"n": 2})
            await context.__aexit__(None, None, None)
        assert heard.states == ["down", "up"]

    asyncio.run(main())


def test_a_refused_handshake_is_not_looped(carrier: str):
    """Faye advises to shake hands again after it refused; a client that obeys loops for ever."""

    async def main() -> None:
        with Faye(0, "deny") as server, pytest.raises(LoginRefusedError, match="handshake_denied"):
            async with linked(server.url, carrier):
                pass

    asyncio.run(main())


def test_a_refused_subscription_is_an_error(carrier: str):
    """Faye refuses service channels."""

    async def main() -> None:
        with Faye() as server, pytest.raises(RefusedError, match="Forbidden channel"):
            async with linked(server.url, carrier, channel="/service/chat"):
                pass

    asyncio.run(main())
