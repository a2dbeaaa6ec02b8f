"""From WebSocket to long polling and back (RP-8), in the simulation: the pauses are minutes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import chat_core
from chat_core import Continued, ContinuityLost, Interrupted, MessageReceived, RefusedError, Session
from chat_transport_cometd._carriers.base import Carrier
from chat_transport_cometd._link import Link
from support.simulation.client import Client
from support.simulation.loop import run_seeded


def carrier(session: Session) -> str | None:
    link: Any = session._engine.parts.transport
    return link._link.carrier  # type: ignore[no-any-return]


async def until(condition: Any, *, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.1)


def test_rp08_websocket_is_taken_up_again_when_it_works_again():
    """A session that began on long polling changes within a minute, and no event is lost or doubled."""

    async def main() -> None:
        async with Client("cometd-websocket") as client:
            client.sandbox.faults.refuse_websocket = True
            session = await chat_core.start_session(**client.options())
            agent = await client.sandbox.next_chat()
            await agent.join()
            assert carrier(session) == "long-polling"
            client.sandbox.faults.refuse_websocket = False
            saying = asyncio.create_task(chatter(agent))
            await until(lambda: carrier(session) == "websocket", seconds=61)
            await session.send_message("over WebSocket", until="echoed")
            await saying
            await agent.end()
            events = [event async for event in session.events()]
            texts = [event.text for event in events if isinstance(event, MessageReceived) and not event.own]
            assert texts == [str(number) for number in range(40)]
            assert not [event for event in events if isinstance(event, ContinuityLost)]
            assert len([event for event in events if isinstance(event, Interrupted)]) == 1
            (back,) = [event for event in events if isinstance(event, Continued)]
            assert back.blind_time < 0.5
            await session.aclose()

    async def chatter(agent: Any) -> None:
        for number in range(40):
            await agent.say(str(number))
            await asyncio.sleep(2.0)

    run_seeded(main(), seed=1)


def test_rp08_a_websocket_that_stays_refused_is_tried_less_and_less():
    """Six attempts in the first hour, and the session notices nothing of them."""

    async def main() -> None:
        async with Client("cometd-websocket") as client:
            client.sandbox.faults.refuse_websocket = True
            session = await chat_core.start_session(**client.options())
            await asyncio.sleep(3600)
            assert 5 <= client.network.upgrades <= 9, client.network.upgrades
            assert carrier(session) == "long-polling"
            events = session.events()
            assert not isinstance(await anext(events), Interrupted)
            await session.leave()
            assert not [event async for event in events if isinstance(event, Interrupted)]

    run_seeded(main(), seed=1)


def test_rp08_a_websocket_that_breaks_falls_back_and_comes_back():
    """A proxy that begins to refuse WebSocket in mid chat costs nothing but the carrier, until it lets it through."""

    async def main() -> None:
        async with Client("cometd-websocket") as client:
            session = await chat_core.start_session(**client.options())
            agent = await client.sandbox.next_chat()
            await agent.join()
            assert carrier(session) == "websocket"
            client.sandbox.faults.refuse_websocket = True
            client.network.abort()
            await until(lambda: carrier(session) == "long-polling", seconds=5)
            await session.send_message("over long polling", until="echoed")
            client.sandbox.faults.refuse_websocket = False
            await until(lambda: carrier(session) == "websocket", seconds=125)
            await session.send_message("and back", until="echoed")
            assert agent.chat.texts == ["over long polling", "and back"]
            await session.leave()

    run_seeded(main(), seed=2)


def test_rp08_a_websocket_over_which_the_subscription_is_refused_costs_no_session(monkeypatch: pytest.MonkeyPatch):
    """The trial works and the change does not: long polling goes on, and is given up less and less."""
    begin_session = Link._begin_session

    async def refuse(link: Link, carrier: Carrier) -> None:
        if carrier.name == "websocket":
            raise RefusedError("the server refused /meta/subscribe: 403")
        await begin_session(link, carrier)

    monkeypatch.setattr(Link, "_begin_session", refuse)

    async def main() -> None:
        async with Client("cometd-websocket") as client:
            client.sandbox.faults.refuse_websocket = True
            session = await chat_core.start_session(**client.options())
            agent = await client.sandbox.next_chat()
            await agent.join()
            client.sandbox.faults.refuse_websocket = False
            await session.wait_for(Interrupted, timeout=61)
            await session.wait_for(Continued, timeout=5)
            assert carrier(session) == "long-polling"
            await session.send_message("over long polling", until="echoed")
            await asyncio.sleep(3600)
            await session.leave()
            assert len([event async for event in session.events() if isinstance(event, Interrupted)]) <= 9

    run_seeded(main(), seed=3)
