"""Each kind of event has its own method."""

from __future__ import annotations

import asyncio
import re

import chat_core
from chat_core import Batch, ContinuityLost, Event
from chat_core._session.callbacks import Callbacks
from support.backend import FakeTransport
from support.clock import run_virtually
from support.sessions import MemoryLog, open_session

#: What a session is given here of each kind; those without a method of their own are left out.
KINDS = {name: getattr(chat_core, name) for name in chat_core.__all__ if isinstance(getattr(chat_core, name), type)}
EVENTS = {name: kind for name, kind in KINDS.items() if issubclass(kind, Event)}


def method_of(name: str) -> str:
    return "on_" + re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def test_every_event_class_has_a_method():
    """And there is no method without a class."""
    assert {method_of(name) for name in EVENTS} == {name for name in dir(Callbacks) if name.startswith("on_")}


def test_every_method_hands_over_its_kind_and_no_other():
    """One event of each kind reaches exactly the methods of its class and its base classes."""

    async def main() -> None:
        transport = FakeTransport()
        # Without a transcript a reconnect is a ContinuityLost, so that this kind comes too.
        session = await open_session(transport, capabilities=frozenset())
        got: dict[str, list[Event]] = {name: [] for name in EVENTS}
        for name in EVENTS:
            getattr(session, method_of(name))(got[name].append)
        local = {"SessionEnded", "Interrupted", "Continued", "ContinuityLost"}
        for name, kind in EVENTS.items():
            if name not in local:
                transport.push(Batch(events=(kind(),)))
        transport.cut()
        transport.mend()
        await session.wait_for(ContinuityLost, timeout=5)
        await session.aclose()
        for name, events in got.items():
            assert events, name
            assert all(isinstance(event, EVENTS[name]) for event in events)

    run_virtually(main())


def test_a_callback_that_detaches_the_session_is_not_waited_for():
    """Nor cancelled: it goes on when the session is detached."""

    async def main() -> None:
        log = MemoryLog()
        session = await open_session(FakeTransport(), log=log)
        went_on = asyncio.Event()

        async def give_up(event: Event) -> None:
            await session.detach()
            went_on.set()

        began = asyncio.get_running_loop().time()
        session.on_event(give_up)
        async with asyncio.timeout(5):
            await went_on.wait()
        assert asyncio.get_running_loop().time() - began < 0.5
        assert log.at("warning") == []

    run_virtually(main())


def test_rp12_a_callback_that_is_cancelled_before_it_began_holds_no_position_back():
    """What the other readers have finished is saved."""

    async def main() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        session.on_event(lambda _: None).cancel()

        async def read() -> None:
            async for _ in session.events():
                pass

        reading = asyncio.ensure_future(read())
        for _ in range(5):
            transport.backend.agent_says("text")
        log = session._engine.log
        async with asyncio.timeout(20):
            while log.delivered < log.last_index or log.last_index < 6:
                await asyncio.sleep(0.01)
        reading.cancel()
        await session.detach()

    asyncio.run(main())
