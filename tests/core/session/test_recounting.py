"""RP-4, RP-15: messages on their way while the server begins to count anew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from chat_core import AmbiguousError, ContinuityLost, MessageReceived
from chat_core._contracts.transport import Batch
from chat_core._session.continuity import Continuity
from chat_core._session.session import Session
from support.backend import Backend, FakeTransport
from support.clock import run_virtually
from support.lives import Life
from support.sessions import open_session


async def begin_with_a_past(life: Life) -> Session:
    """Begin, in a chat in which sixty things were said."""
    session = await life.begin()
    for number in range(60):
        life.backend.agent_says(f"a{number}")
    await asyncio.sleep(1)
    return session


def count_anew(backend: Backend, kept: int) -> None:
    """Keep the last events of a transcript, and number them from 1."""
    backend.transcript = [evolve(event, index=place) for place, event in enumerate(backend.transcript[-kept:], 1)]


def test_rp04_a_message_that_left_before_the_recount_is_not_taken_for_the_next_one():
    """What it left in the new numbering is read before anything else leaves."""

    class Slow(FakeTransport):
        async def fetch(self, position: int) -> Batch:
            self.fetches.append(position)
            answer = self.backend.answer(position)
            await asyncio.sleep(0.1)
            return answer

    async def main() -> None:
        backend = Backend()
        transport = Slow(backend)
        session = await open_session(transport)
        for number in range(60):
            backend.agent_says(f"a{number}")
        await asyncio.sleep(1)
        count_anew(backend, 3)
        backend.agent_says("anew")  # it stands where another one stood: after 0.25 s the transcript is asked
        await asyncio.sleep(0.345)  # and its answer is on the way
        transport.faults = [("never", None), ("before", AmbiguousError("no answer"))]  # type: ignore[list-item]
        push = transport.push
        sends = [asyncio.ensure_future(session.send_message("m1"))]
        await asyncio.sleep(0.009)
        transport.push = lambda batch: asyncio.get_running_loop().call_later(0.06, push, batch)  # type: ignore[assignment,return-value]
        sends += [asyncio.ensure_future(session.send_message(text)) for text in ("m2", "m3")]
        await asyncio.gather(*sends)
        await asyncio.sleep(10)
        shown = {event.text: event.index for event in backend.transcript if getattr(event, "own", False)}
        assert list(shown) == ["m1", "m2", "m3"]
        for receipt in [sending.result() for sending in sends[1:]]:
            assert (receipt.state, receipt.index) == ("echoed", shown[receipt.text])

    run_virtually(main())


def test_rp04_a_recount_while_nobody_is_there_is_seen_though_nobody_had_read():
    """The saved outbox tells how far the numbering had come: a message that stands below is not absent."""
    life = Life()

    async def first() -> None:
        session = await begin_with_a_past(life)
        life.backend.links.clear()
        life.transport.faults = [("after", AmbiguousError("no answer"))]
        sending = asyncio.ensure_future(session.send_message("m1"))
        await asyncio.sleep(0.3)
        life.place.states.append(life.place.last)  # what a process that dies here leaves behind
        session._engine.saver.stop()
        sending.cancel()
        session._engine.outbox._task.cancel()

    async def second() -> None:
        session = await life.begin()
        await asyncio.sleep(10)
        assert [event async for event in read(session)][0] == ContinuityLost(after=0, reason="position reset")  # noqa: RUF015
        assert life.backend.texts.count("m1") == 1

    run_virtually(first())
    count_anew(life.backend, 4)
    run_virtually(second())


async def read(session: Any) -> Any:
    """Yield what is in the log now."""
    cursor = session._engine.log.cursor()
    while (event := cursor.take()) is not None:
        yield event


def test_rp04_what_left_under_an_earlier_numbering_is_saved_as_having_no_place():
    """Who restores it takes nothing for it, sees no recount where there is none, and says that nobody knows."""
    life = Life()

    async def first() -> None:
        session = await begin_with_a_past(life)
        life.transport.faults = [("before", AmbiguousError("no answer"))]
        sending = asyncio.ensure_future(session.send_message("m1"))
        await asyncio.sleep(0.1)
        count_anew(life.backend, 3)
        life.backend.agent_says("anew")
        await asyncio.sleep(1.0)
        await session.detach()
        await asyncio.gather(sending, return_exceptions=True)
        (saved,) = life.place.last["outbox"]
        assert (saved["before"], saved["stage"]) == (-1, "sent")

    async def second() -> None:
        session = await life.begin()
        (receipt,) = session.outbox
        life.backend.visitor_says("elsewhere")
        await asyncio.sleep(10)
        assert receipt.state == "unknown"
        assert not any(isinstance(event, ContinuityLost) for event in [event async for event in read(session)])
        assert life.backend.texts.count("m1") == 0

    run_virtually(first())
    run_virtually(second())


@pytest.mark.parametrize(("seen", "position", "anew"), [(5, 5, True), (5, 6, False), (0, 1, False), (5, None, False)])
def test_rp15_a_restored_session_counts_anew_where_the_server_is_not_beyond_what_was_seen(
    seen: int, position: int | None, anew: bool
):
    machine = Continuity(positions=True, now=0.0, restored_until=min(seen, 3), seen_until=seen)
    events = machine.begin(Batch(next_position=position), 0.0)
    assert [event.counts_anew for event in events if isinstance(event, ContinuityLost)] == [True] * anew
    assert machine.epoch == int(anew)


def test_rp15_a_recount_that_was_found_out_is_asked_about_no_more():
    machine = Continuity(positions=True, now=0.0)
    machine.receive(Batch(events=tuple(said(index) for index in range(1, 6)), next_position=6), 0.0)
    machine.receive(Batch(next_position=3), 1.0)
    assert machine.fetch_due(1.3) == 6
    (lost,) = machine.fetched(Batch(next_position=3), 1.4)
    assert isinstance(lost, ContinuityLost)
    machine.receive(Batch(events=(said(3),), next_position=4), 2.0)
    assert machine.fetch_due(5.0) is None


def said(index: int) -> MessageReceived:
    return MessageReceived(index=index, text="")
