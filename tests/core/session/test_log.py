"""The event log and its cursors."""

from __future__ import annotations

import asyncio
import gc

from attrs import evolve

from chat_core._model.events import (
    AgentTyping,
    ContinuityLost,
    Event,
    LossReason,
    MessageReceived,
    Notice,
    Party,
)
from chat_core._session.log import EventLog
from chat_core._session.readers import EventIterator


def message(index: int, text: str = "x") -> MessageReceived:
    return MessageReceived(index=index, text=text)


def typing(index: int, party: int = 2) -> AgentTyping:
    return AgentTyping(index=index, party=Party(id=party))


def everything(log: EventLog) -> list[int | None]:
    cursor = log.cursor()
    out = []
    while (event := cursor.take()) is not None:
        out.append(event.index)
    return out


def test_every_reader_sees_the_past_first():
    """A cursor opened late reads what was appended before it."""
    log = EventLog()
    for index in (1, 2, 3):
        log.append(message(index))
    assert everything(log) == [1, 2, 3]
    assert len(log) == 3
    assert log.last_index == 3


def test_after_leaves_out_what_the_reader_knows():
    """``after`` skips indexes up to and including it."""
    log = EventLog()
    for index in (1, 2, 3):
        log.append(message(index))
    cursor = log.cursor(after=2)
    event = cursor.take()
    assert event is not None
    assert event.index == 3


def test_next_waits_for_the_next_event_and_ends_when_nothing_follows():
    """A waiting reader wakes at an append, and gets None once the log is closed and read."""

    async def run() -> list[Event | None]:
        log = EventLog()
        cursor = log.cursor()
        reading = asyncio.create_task(cursor.next())
        await asyncio.sleep(0)
        log.append(message(1))
        first = await reading
        log.append(message(2))
        log.close()
        return [first, await cursor.next(), await cursor.next()]

    first, second, end = asyncio.run(run())
    assert first is not None
    assert second is not None
    assert (first.index, second.index, end) == (1, 2, None)


def test_delivered_is_what_every_open_reader_has_finished():
    """The slowest open reader decides, and a closed one does not."""
    log = EventLog()
    quick, slow = log.cursor(), log.cursor()
    log.append(message(1))
    log.append(message(2))
    quick.take()
    quick.take()
    quick.finish()
    assert log.delivered == 0
    slow.take()
    slow.finish()
    assert log.delivered == 1
    slow.take()
    slow.close()
    assert log.delivered == 2, "only the quick one is left"


def test_what_was_handed_over_last_is_not_finished_by_closing():
    """A reader that stops in the middle has not finished the event in its hands."""
    log = EventLog()
    cursor = log.cursor()
    log.append(message(1))
    cursor.take()
    cursor.close()
    assert log.delivered == 0


def test_a_forgotten_reader_holds_nothing_back():
    """A cursor that was dropped rather than closed stops counting."""
    log = EventLog()
    forgotten = log.cursor()
    reader = log.cursor()
    log.append(message(1))
    assert forgotten.take() is not None
    del forgotten
    gc.collect()
    reader.take()
    reader.finish()
    assert log.delivered == 1


def test_a_forgotten_reader_holds_several_others_back_no_longer():
    """The one that all waited for is gone; the others' next step counts."""
    log = EventLog()
    forgotten, *readers = (log.cursor() for _ in range(3))
    for index in (1, 2):
        log.append(message(index))
    for reader in readers:
        reader.take()
        reader.finish()
    assert log.delivered == 0
    del forgotten
    gc.collect()
    for reader in readers:
        reader.take()
        reader.finish()
    assert log.delivered == 2


def test_readers_that_begin_further_on_count_from_there():
    """None of them ever stood at what was delivered before."""
    log = EventLog()
    readers = [log.cursor(after=1) for _ in range(2)]
    for index in (1, 2):
        log.append(message(index))
    for reader in readers:
        reader.take()
        reader.finish()
    assert log.delivered == 2


def test_delivered_never_falls_when_a_reader_comes_late():
    """A new reader that starts at the beginning takes nothing back."""
    log = EventLog()
    first = log.cursor()
    log.append(message(1))
    first.take()
    first.finish()
    log.cursor()
    log.measure()
    assert log.delivered == 1


def test_progress_is_told_once_per_rise():
    """Whoever saves the position hears of each rise and of nothing else."""
    told: list[int] = []
    log = EventLog(progress=lambda: told.append(log.delivered))
    cursor = log.cursor()
    log.append(message(1))
    log.append(Notice(text="no index"))
    for _ in range(2):
        cursor.take()
        cursor.finish()
    assert told == [1]


def test_a_position_reset_begins_delivered_anew():
    """Indexes of the old numbering say nothing about the new one."""
    log = EventLog()
    cursor = log.cursor()
    log.append(message(7))
    log.append(ContinuityLost(after=7, reason=LossReason.POSITION_RESET))
    cursor.take()
    cursor.finish()
    assert log.delivered == 0, "7 was finished in the numbering that is over"
    log.append(message(3))
    cursor.take()
    cursor.take()
    cursor.finish()
    assert log.delivered == 3


def test_of_typing_a_late_reader_sees_only_the_newest_of_each_party():
    """Superseded typing is kept for those who were there and for nobody else."""
    log = EventLog()
    there = log.cursor()
    log.append(typing(1))
    log.append(typing(2, party=3))
    log.append(typing(3))
    log.append(message(4))
    assert everything(log) == [2, 3, 4]
    seen = [event.index for event in iter(there.take, None) if event is not None]
    assert seen == [1, 2, 3, 4]


def test_superseded_typing_that_all_have_read_leaves_the_log():
    """A flood of typing does not push messages out of the log."""
    log = EventLog(max_events=3)
    reader = log.cursor()
    log.append(message(1))
    for index in range(2, 100):
        log.append(typing(index))
        while reader.take() is not None:
            pass
    assert len(log) == 2
    assert everything(log) == [1, 99]


def test_the_log_keeps_the_newest_events_by_count_and_by_size():
    """Older events are evicted beyond either limit, never the newest one."""
    by_count, by_size = EventLog(max_events=2), EventLog(max_bytes=3000)
    for index in range(1, 6):
        by_count.append(message(index))
        by_size.append(message(index, "x" * 1000))
    assert len(by_count) == 2
    assert len(by_size) == 2
    by_size.append(message(6, "x" * 10_000))
    assert len(by_size) == 1


def test_rp01_a_late_reader_gets_evicted_events_from_the_transcript():
    """What was evicted is fetched again, exactly the range that this reader lacks."""
    asked: list[tuple[int, int]] = []

    async def refetch(above: int, below: int) -> tuple[Event, ...]:
        asked.append((above, below))
        return tuple(message(index) for index in range(above + 1, below))

    async def run() -> list[int | None]:
        log = EventLog(refetch=refetch, max_events=2)
        for index in range(1, 7):
            log.append(message(index))
        log.close()
        cursor = log.cursor(after=1)
        out = []
        while (event := await cursor.next()) is not None:
            out.append(event.index)
        return out

    assert asyncio.run(run()) == [2, 3, 4, 5, 6]
    assert asked == [(1, 5)]


def test_rp01_evicted_events_that_cannot_be_fetched_are_said_to_be_lost():
    """A late reader is told the exact range that it will not see."""

    async def run() -> list[Event]:
        log = EventLog(max_events=1)
        for index in range(1, 4):
            log.append(message(index))
        log.close()
        cursor = log.cursor()
        return [event for event in [await cursor.next(), await cursor.next()] if event is not None]

    lost, third = asyncio.run(run())
    assert isinstance(lost, ContinuityLost)
    assert (lost.after, lost.until, lost.reason) == (0, 2, LossReason.EVICTED)
    assert third.index == 3


def test_rp01_a_slow_reader_is_overtaken_by_eviction_and_catches_up():
    """A reader whose place was evicted goes on without a gap."""

    async def refetch(above: int, below: int) -> tuple[Event, ...]:
        return tuple(message(index) for index in range(above + 1, below))

    async def run() -> list[int | None]:
        log = EventLog(refetch=refetch, max_events=2)
        cursor = log.cursor()
        log.append(message(1))
        first = await cursor.next()
        for index in range(2, 9):
            log.append(message(index))
        log.close()
        out = [first.index if first else None]
        while (event := await cursor.next()) is not None:
            out.append(event.index)
        return out

    assert asyncio.run(run()) == list(range(1, 9))


def test_nothing_is_refetched_when_no_index_was_evicted():
    """Evicted events without an index cannot be brought back and are no gap."""

    async def run() -> list[Event | None]:
        log = EventLog(max_events=1)
        log.append(Notice(text="one"))
        log.append(Notice(text="two"))
        log.close()
        cursor = log.cursor()
        return [await cursor.next(), await cursor.next()]

    event, end = asyncio.run(run())
    assert isinstance(event, Notice)
    assert event.text == "two"
    assert end is None


def test_begin_sets_what_an_earlier_owner_finished():
    """A restored session starts with the saved position."""
    log = EventLog()
    log.begin(5)
    assert log.delivered == 5


def test_rp06_a_reader_that_was_closed_while_it_waited_says_nothing_for_the_others():
    """It was the only one; the saved position is that of those who came after it."""

    async def main() -> None:
        log = EventLog()
        closed = EventIterator(log, after=0, own=False)
        log.append(message(1))
        await anext(closed)
        waiting = asyncio.ensure_future(anext(closed))
        await asyncio.sleep(0)
        await closed.aclose()
        others = [EventIterator(log, after=0, own=True) for _ in range(2)]
        for other in others:
            await anext(other)
        for number in range(2, 6):
            log.append(evolve(message(number), own=True))
        await asyncio.sleep(0.01)
        assert log.delivered == 1
        waiting.cancel()

    asyncio.run(main())
