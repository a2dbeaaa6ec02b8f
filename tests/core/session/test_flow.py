"""What drives continuity, alone: the fetches, what waits, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chat_core._contracts.transport import Batch, Ended, Opened
from chat_core._model.errors import AmbiguousError, ErrorCode, RefusedError
from chat_core._model.events import (
    ContinuityLost,
    EndReason,
    ErrorInfo,
    ErrorReported,
    Event,
    MessageReceived,
    SessionEnded,
)
from chat_core._session.continuity import Continuity
from chat_core._session.flow import Flow
from chat_core._session.log import EventLog
from chat_core._session.readers import EventIterator
from support.clock import run_virtually
from support.sessions import MemoryLog


class Transport:
    """Silent, and fails to fetch as it is told."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.fetches = 0
        #: From where the transcript was asked for last, and its events.
        self.asked: int | None = None
        self.transcript: tuple[Event, ...] = ()
        #: Seconds until it comes.
        self.takes = 0.01

    async def fetch(self, position: int) -> Batch:
        self.fetches += 1
        self.asked = position
        await asyncio.sleep(self.takes)
        if self.failures:
            raise self.failures.pop(0)
        return Batch(events=self.transcript, next_position=position)

    async def incoming(self) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield Batch()


class Log(list[Event]):
    """What the flow asks of the event log."""

    closed = False


def rig() -> tuple[Flow, Transport, Log]:
    transport, log = Transport(), Log()
    machine = Continuity(positions=True, now=asyncio.get_running_loop().time())
    flow = Flow(
        transport=transport,  # type: ignore[arg-type]
        machine=machine,
        log=log,  # type: ignore[arg-type]
        logger=MemoryLog(),
        on_event=lambda _: None,
        on_batch=lambda _: None,
    )
    flow.begin(Opened(session_id="1", batch=Batch(events=(MessageReceived(index=1, text="x"),), next_position=2)))
    return flow, transport, log


async def lose_two_events(flow: Flow, transport: Transport, log: Log) -> None:
    """The fourth event comes, and the transcript is refused until the session gives the second and third up."""
    transport.failures = [RefusedError("no transcript")] * 1000
    flow.receive(Batch(events=(MessageReceived(index=4, text="x"),), next_position=5))
    while not any(isinstance(event, ContinuityLost) for event in log):
        await asyncio.sleep(1)
    transport.failures.clear()


def test_the_position_is_the_highest_settled_index():
    """An outbox remembers it before a message leaves."""

    async def main() -> None:
        flow, _, _ = rig()
        assert flow.position == 1
        await flow.stop()

    run_virtually(main())


def test_rp15_nothing_is_reported_behind_the_end():
    """Before it an event of the session's own has its place."""

    async def main() -> None:
        flow, _, log = rig()
        report = ErrorReported(error=ErrorInfo(code=ErrorCode.COMMAND_FAILED, description="no"))
        flow.report(report)
        assert log[-1] is report
        flow.end_now(EndReason.LEFT)
        count = len(log)
        flow.report(report)
        assert len(log) == count
        await flow.stop()

    run_virtually(main())


def test_rp09_who_waits_is_let_go_when_it_stops():
    """Also who waits for a link or a read-back, or asks afterwards, though the chat goes on; no task is left."""

    async def main() -> None:
        flow, transport, _ = rig()
        flow._machine.link_down(1000.0)
        waiting = [asyncio.create_task(flow.link()), asyncio.create_task(flow.read_back())]
        await asyncio.sleep(0)
        await flow.stop()
        assert await asyncio.gather(*waiting) == [False, False]
        assert not await flow.link()
        assert not await flow.read_back()
        await flow.changed()
        assert len(asyncio.all_tasks()) == 1
        assert transport.fetches == 0

    run_virtually(main())


def test_rp01_a_fetch_that_fails_in_any_way_ends_no_session():
    """Neither a refusal nor a defect of the plugin; a read-back comes back with what it could learn."""

    async def main() -> None:
        flow, transport, _ = rig()
        transport.failures = [RefusedError("not now")]
        assert not await flow.read_back()
        assert not flow.finished
        transport.failures = [KeyError("a defect")]
        assert await flow.read_back()
        assert transport.fetches == 3
        assert not flow.finished
        await flow.stop()

    run_virtually(main())


def test_rp04_a_fetch_on_its_way_does_not_answer_a_question_that_came_later():
    """One more is made, and no more than that."""

    async def main() -> None:
        flow, transport, _ = rig()
        first = asyncio.create_task(flow.read_back())
        await asyncio.sleep(0.005)
        assert await flow.read_back()
        assert await first
        assert transport.fetches == 2
        await flow.stop()

    run_virtually(main())


def test_rp01_many_small_batches_let_the_readers_have_a_turn_too():
    """A transport that has thousands of them ready pushes none out of the log before it was read."""

    class Ready(Transport):
        async def incoming(self) -> AsyncIterator[Any]:
            for index in range(1, 2001):
                yield Batch(events=(MessageReceived(index=index, text="x"),))
            yield Ended(reason=EndReason.CLOSED)

    async def run() -> list[Event]:
        log = EventLog(max_events=1000)
        flow = Flow(
            transport=Ready(),  # type: ignore[arg-type]
            machine=Continuity(positions=True, now=asyncio.get_running_loop().time()),
            log=log,
            logger=MemoryLog(),
            on_event=lambda _: None,
            on_batch=lambda _: None,
        )
        reader = EventIterator(log, after=0, own=True)
        flow.begin(Opened(session_id="1", batch=Batch(next_position=1)))
        seen: list[Event] = []
        async for event in reader:
            seen.append(event)
            if isinstance(event, SessionEnded | ContinuityLost):
                break
        await flow.stop()
        return seen

    async def main() -> list[Event]:
        began = asyncio.get_running_loop().time()
        seen = await run()
        assert asyncio.get_running_loop().time() < began + 0.5, "a turn takes no time"
        return seen

    seen = run_virtually(main())
    assert [event.index for event in seen[:-1]] == list(range(1, 2001))


def test_something_can_be_sent_while_there_is_a_link_and_the_session_is_not_over():
    """Neither before nor after, whatever the other of the two is."""

    async def main() -> None:
        flow, _, _ = rig()
        assert flow.is_open
        flow._machine.link_down(1000.0)
        assert not flow.is_open
        flow._machine.link_up(1000.0)
        assert flow.is_open
        flow.end_now(EndReason.LEFT)
        assert flow.link_is_up
        assert not flow.is_open
        await flow.stop()

        flow, _, _ = rig()
        await flow.stop()
        assert flow.link_is_up
        assert not flow.is_open

    run_virtually(main())


def test_rp09_stopping_waits_until_the_fetch_has_been_given_up():
    """A transport that needs a moment for that is not used by anything any more when its owner closes it."""

    async def main() -> None:
        flow, transport, _ = rig()
        stages: list[str] = []

        async def fetch(position: int) -> Batch:
            stages.append("begun")
            try:
                return await Transport.fetch(transport, position)
            finally:
                await asyncio.sleep(0.5)
                stages.append("given up")

        transport.fetch = fetch  # type: ignore[method-assign]
        reading = asyncio.create_task(flow.read_back())
        await asyncio.sleep(0.001)
        assert stages == ["begun"]
        await flow.stop()
        assert stages == ["begun", "given up"]
        assert not await reading

    run_virtually(main())


def test_rp01_what_was_declared_lost_is_found_in_the_transcript_and_nothing_else():
    """Not what was seen, nor what has no place in the order."""

    async def main() -> None:
        flow, transport, log = rig()
        assert await flow.find_lost(0) == ()
        assert transport.fetches == 0
        await lose_two_events(flow, transport, log)
        transport.transcript = (
            *(MessageReceived(index=index, text="found") for index in (2, 3, 4)),
            MessageReceived(text="without a place"),
        )
        assert [event.index for event in await flow.find_lost(1)] == [2, 3]
        assert transport.asked == 2
        assert await flow.find_lost(3) == ()
        await flow.stop()

    run_virtually(main())


def test_rp04_a_transcript_that_does_not_come_says_nothing():
    """Whether a message stands in it stays open."""

    async def main() -> None:
        flow, transport, log = rig()
        await lose_two_events(flow, transport, log)
        transport.takes = 1000.0
        with pytest.raises(AmbiguousError, match="in time"):
            await flow.find_lost(1)
        await flow.stop()

    run_virtually(main())
