"""RP-1, RP-2: what was evicted before a reader came to it is brought back, or said to be lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat_core import ContinuityLost, LossReason, MessageReceived, NotSentError
from chat_core._contracts.transport import Batch
from chat_core._model.events import Event
from chat_core._session.claims import Claims
from chat_core._session.continuity import Continuity
from chat_core._session.log import EventLog
from chat_core._session.readers import EventIterator
from chat_core._session.session import Session
from support.backend import Backend, FakeTransport
from support.clock import run_virtually
from support.sessions import MemoryLog, Place, open_session


class Transcript:
    """What a server would bring back, and what it was asked for."""

    def __init__(self, *, takes: float = 0.0) -> None:
        self.takes = takes
        self.asked: list[tuple[int, int]] = []

    async def __call__(self, above: int, below: int) -> tuple[Event, ...] | None:
        self.asked.append((above, below))
        await asyncio.sleep(self.takes)
        return tuple(MessageReceived(index=index, text=f"again {index}") for index in range(above + 1, below))


def said(log: EventLog, name: str, *indexes: int) -> None:
    for index in indexes:
        log.append(MessageReceived(index=index, text=f"{name} {index}"))


def count_anew(log: EventLog) -> None:
    log.append(ContinuityLost(after=log.last_index, reason=LossReason.POSITION_RESET))


async def rest(reader: Any) -> list[str]:
    seen = []
    while (event := await reader.next()) is not None:
        seen.append(event.text if isinstance(event, MessageReceived) else f"{event.reason} after {event.after}")
    return seen


def test_who_gives_up_waiting_while_events_are_brought_back_misses_none():
    """And who asks oftener than the server answers comes on all the same: it is asked once."""

    async def main() -> None:
        transcript = Transcript(takes=0.19)
        log = EventLog(refetch=transcript, max_events=10)
        said(log, "said", *range(1, 31))
        events = EventIterator(log, after=0, own=True)
        seen: list[int | None] = []
        given_up = 0
        while 30 not in seen:
            try:
                seen.append((await asyncio.wait_for(anext(events), 0.05)).index)
            except TimeoutError:
                given_up += 1
                assert log.delivered == 0
        assert given_up == 3
        assert seen == list(range(1, 31))
        assert transcript.asked == [(0, 21)]
        await events.aclose()

    run_virtually(main())


def test_rp09_a_reader_that_is_closed_meanwhile_leaves_nothing_and_ends():
    async def main() -> None:
        log = EventLog(refetch=Transcript(takes=1000.0), max_events=10)
        said(log, "said", *range(1, 31))
        events = EventIterator(log, after=0, own=True)
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(1)
        await events.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(main())


def test_a_transcript_that_fails_is_told_to_who_reads():
    async def main() -> None:
        async def refetch(above: int, below: int) -> tuple[Event, ...] | None:
            raise RuntimeError(f"{above} {below}")

        log = EventLog(refetch=refetch, max_events=10)
        said(log, "said", *range(1, 31))
        cursor = log.cursor()
        with pytest.raises(RuntimeError, match="0 21"):
            await cursor.next()
        with pytest.raises(RuntimeError, match="0 21"):
            await cursor.next()  # it is asked again, and nothing was passed by

    run_virtually(main())


def test_rp15_a_recount_among_what_was_evicted_is_told():
    """Behind it the new numbering is brought back from its beginning, and nothing of the old one is taken for it."""

    async def main() -> None:
        for read in (1, 3, 5):
            transcript = Transcript()
            log = EventLog(refetch=transcript, max_events=5)
            cursor = log.cursor()
            said(log, "old", *range(1, 6))
            for _ in range(read):
                await cursor.next()
            said(log, "old", 6)
            count_anew(log)
            said(log, "new", *range(1, 9))
            log.close()
            assert await rest(cursor) == [
                f"position reset after {read}",
                *(f"again {index}" for index in range(1, 4)),
                *(f"new {index}" for index in range(4, 9)),
            ]
            assert transcript.asked == [(0, 4)]
            cursor.finish()
            assert log.delivered == 8

    run_virtually(main())


def test_rp15_a_recount_at_the_edge_of_what_was_evicted_brings_nothing_twice():
    async def main() -> None:
        transcript = Transcript()
        log = EventLog(refetch=transcript, max_events=5)
        cursor = log.cursor()
        said(log, "old", *range(1, 7))
        count_anew(log)
        said(log, "new", *range(1, 6))
        log.close()
        assert await rest(cursor) == ["position reset after 0", *(f"new {index}" for index in range(1, 6))]
        assert transcript.asked == []

    run_virtually(main())


def test_rp15_what_was_evicted_before_a_recount_cannot_be_brought_back_and_is_said_to_be_lost():
    """The transcript has the new numbering only."""

    async def main() -> None:
        transcript = Transcript()
        log = EventLog(refetch=transcript, max_events=5)
        cursor = log.cursor()
        said(log, "old", *range(1, 7))
        count_anew(log)
        said(log, "new", *range(1, 3))
        log.close()
        assert await rest(cursor) == [
            "evicted after 0",
            "old 5",
            "old 6",
            "position reset after 6",
            "new 1",
            "new 2",
        ]
        assert transcript.asked == []

    run_virtually(main())


def test_a_reader_of_a_restored_session_is_told_of_what_was_evicted_after_a_recount():
    """Where it began belongs to the numbering before."""

    async def main() -> None:
        transcript = Transcript()
        log = EventLog(refetch=transcript, max_events=5)
        cursor = log.cursor(after=50)
        count_anew(log)
        said(log, "new", 1)
        while (event := await cursor.next()) is not None and not isinstance(event, MessageReceived):
            pass
        said(log, "new", *range(2, 21))
        log.close()
        seen = await rest(cursor)
        assert seen == [*(f"again {index}" for index in range(2, 16)), *(f"new {index}" for index in range(16, 21))]
        assert transcript.asked == [(1, 16)]

    run_virtually(main())


def test_rp15_a_recount_while_events_are_brought_back_makes_them_lost():
    """What the transcript shows then may belong to either numbering."""

    async def main() -> None:
        transcript = Transcript(takes=1.0)
        log = EventLog(refetch=transcript, max_events=10)
        said(log, "old", *range(1, 16))
        cursor = log.cursor()
        reading = asyncio.ensure_future(cursor.next())
        await asyncio.sleep(0.5)
        count_anew(log)
        event = await reading
        assert isinstance(event, ContinuityLost)
        assert (event.after, event.until, event.reason) == (0, 5, LossReason.EVICTED)

    run_virtually(main())


class Silent(FakeTransport):
    """Its transcript is as given: the seconds it takes, and a part of it."""

    takes = 0.0
    ends_at: int | None = None

    async def fetch(self, position: int) -> Batch:
        if self.closed:
            raise NotSentError("closed")
        self.fetches.append(position)
        await asyncio.sleep(self.takes)
        answer = self.backend.answer(position)
        return answer if self.ends_at is None else Batch(next_position=self.ends_at)


async def overtaken(transport: Silent) -> Session:
    """A session whose log has let go of the first of its events."""
    session = await open_session(transport)
    session._engine.log._max_events = 10
    for number in range(30):
        transport.backend.agent_says(str(number))
    await asyncio.sleep(1)
    return session


@pytest.mark.parametrize("how", ["leave", "detach"])
def test_rp09_the_end_of_a_session_does_not_wait_for_what_is_brought_back(how: str):
    """Whoever still reads is told at once: of the loss, or nothing where the session goes on elsewhere."""

    async def main() -> None:
        transport = Silent(Backend())
        session = await overtaken(transport)
        transport.takes = 1000.0
        given_up = session.events()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(given_up), 0.5)
        seen: list[Event] = []

        async def read() -> None:
            seen.extend([event async for event in session.events()])

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.5)
        began = asyncio.get_running_loop().time()
        await getattr(session, how)()
        await reading
        assert asyncio.get_running_loop().time() - began < 6
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if how == "detach":
            assert seen == []
        else:
            assert isinstance(seen[0], ContinuityLost)
            assert seen[0].reason is LossReason.EVICTED

    run_virtually(main())


def test_rp01_rp02_what_a_reader_missed_that_a_detach_cut_off_does_not_count_as_delivered():
    """Though another reader has it all: who takes the session up hands it over as new."""

    async def main() -> None:
        transport, place = Silent(Backend()), Place()
        session = await open_session(transport, place=place)
        session._engine.log._max_events = 10
        heard: list[int | None] = []
        session.on_event(lambda event: heard.append(event.index))
        slow: list[int | None] = []
        go_on = asyncio.Event()

        async def read() -> None:
            async for event in session.events():
                slow.append(event.index)
                if len(slow) == 2:
                    await go_on.wait()

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        for number in range(30):
            transport.backend.agent_says(str(number))
            await asyncio.sleep(0.01)
        transport.takes = 1000.0
        go_on.set()
        await asyncio.sleep(0.05)
        await session.detach()
        await reading
        assert (slow, heard[-1]) == ([1, 2], 31)
        assert place.last is not None
        assert place.last["delivered"] == 2

    run_virtually(main())


def test_rp15_a_transcript_that_ends_below_what_is_wanted_brings_nothing_back():
    """The server counts anew, and nobody has noticed yet: what it shows is something else."""

    async def main() -> None:
        transport = Silent(Backend())
        session = await overtaken(transport)
        transport.ends_at = 4
        event = await anext(session.events())
        assert isinstance(event, ContinuityLost)
        assert event.reason is LossReason.EVICTED
        await session.leave()

    run_virtually(main())


def test_rp15_the_log_and_who_counts_see_one_recount_where_early_arrivals_are_given_up_with_it():
    machine, log = Continuity(positions=True, now=0.0), EventLog()
    events = machine.begin(
        Batch(events=tuple(MessageReceived(index=index, text="") for index in range(1, 11)), next_position=11), 0.0
    )
    events += machine.receive(Batch(events=(MessageReceived(index=13, text=""),), next_position=14), 1.0)
    assert machine.fetch_due(2.0) is not None
    events += machine.fetched(Batch(next_position=4), 2.1)
    claims = Claims(log=MemoryLog(), touch=lambda: None)
    for event in events:
        log.append(event)
        claims.saw(event)
    lost = [event for event in events if isinstance(event, ContinuityLost)]
    assert [(event.after, event.until, event.counts_anew) for event in lost] == [(10, 12, False), (13, None, True)]
    assert machine.epoch == log.epoch == claims.epoch == 1
