"""RP-5: messages on their way survive the process, in order, once, where the storage keeps the outbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chat_core import (
    AmbiguousError,
    Capability,
    ErrorReported,
    NotSentError,
    Receipt,
    RefusedError,
    StateCorruptError,
    StorageUnavailableError,
)
from chat_core._session.session import Session, save_first_state
from chat_core._session.state import SavedState
from support.backend import Backend, FakeTransport
from support.clock import run_virtually
from support.sessions import MemoryLog, Place, open_session

KEEPS = frozenset({Capability.PERSISTENT, Capability.OUTBOX})


class Life:
    """One process after another with one chat; each ends without a chance to tidy up."""

    def __init__(self) -> None:
        self.backend = Backend()
        self.place = Place()
        self.log = MemoryLog()

    async def begin(self) -> Session:
        self.backend.links.clear()
        transport = FakeTransport(self.backend)
        saved = self.place.states[-1] if self.place.states else None
        state = SavedState.from_mapping(json.loads(json.dumps(saved))) if saved is not None else None
        session = await open_session(
            transport,
            place=self.place,
            log=self.log,
            resume=state is not None,
            storage_capabilities=KEEPS,
            delivered=0 if state is None else state.delivered,
            outbox=() if state is None else state.outbox,
        )
        self.transport = transport
        await save_first_state(session)
        return session


def test_rp05_a_message_is_saved_before_the_wire():
    """The state that is written before the send holds it; the one after the echo does not."""
    life = Life()

    async def main() -> None:
        session = await life.begin()
        sending = asyncio.ensure_future(session.send_message("Hello"))
        while not life.backend.texts and not sending.done():
            await asyncio.sleep(0.001)
        (message,) = life.place.states[-1]["outbox"]
        assert (message["text"], message["stage"], message["before"]) == ("Hello", "sent", 1)
        await (await sending).reached("echoed")
        await asyncio.sleep(0.3)
        assert life.place.states[-1]["outbox"] == []
        assert session.guarantees.outbox_is_saved
        await session.leave()

    run_virtually(main())


def test_rp05_without_the_capability_no_text_is_saved():
    """The state holds no message where the storage does not declare that it may."""
    place = Place()

    async def main() -> None:
        session = await open_session(FakeTransport(), place=place)
        await session.send_message("canary", until="echoed")
        assert not session.guarantees.outbox_is_saved
        await session.detach()

    run_virtually(main())
    assert "canary" not in json.dumps(place.states)


@pytest.mark.parametrize("arrived", [True, False])
def test_rp05_a_restored_message_is_looked_for_before_it_is_sent_again(arrived: bool):
    """Found in the transcript it is not repeated; absent it is sent, before what waited behind it."""
    life = Life()

    async def first() -> None:
        session = await life.begin()
        life.transport.faults = [("after" if arrived else "before", AmbiguousError("no answer"))]
        for text in ("one", "two"):
            asyncio.ensure_future(session.send_message(text))  # noqa: RUF006 - it dies with the process
        await asyncio.sleep(0.3)  # into the settle time

    async def second() -> list[Receipt]:
        session = await life.begin()
        receipts = list(session.outbox)
        assert [receipt.text for receipt in receipts] == (["two"] if arrived else ["one", "two"])
        for receipt in receipts:
            await receipt.reached("echoed")
        assert session.outbox == ()
        await session.leave()
        return receipts

    run_virtually(first())
    receipts = run_virtually(second())
    assert life.backend.texts == ["one", "two"]
    assert [receipt.index for receipt in receipts] == ([3] if arrived else [2, 3])


def test_rp05_a_message_that_must_not_be_repeated_is_reported():
    """With resend="never" and no trace of it in the transcript the readers are told; nothing is sent."""
    life = Life()

    async def first() -> None:
        session = await life.begin()
        life.transport.faults = [("before", AmbiguousError("no answer"))]
        asyncio.ensure_future(session.send_message("once", resend="never"))  # noqa: RUF006
        await asyncio.sleep(0.3)

    async def second() -> ErrorReported:
        session = await life.begin()
        error = await session.wait_for(ErrorReported, timeout=10)
        assert session.outbox == ()
        await session.leave()
        return error

    run_virtually(first())
    assert "a message of an earlier process failed" in run_virtually(second()).error.description
    assert life.backend.texts == []


def test_rp05_a_message_that_waited_too_long_is_reported():
    """Its age counts across processes."""
    life = Life()

    async def first() -> None:
        session = await life.begin()
        life.transport.cut()
        asyncio.ensure_future(session.send_message("late"))  # noqa: RUF006
        await asyncio.sleep(0.5)

    run_virtually(first())
    state: dict[str, Any] = json.loads(json.dumps(life.place.states[-1]))
    assert [message["stage"] for message in state["outbox"]] == ["queued"]
    state["outbox"][0]["queued_at"] -= 3600
    life.place.states.append(state)

    async def second() -> str:
        session = await life.begin()
        error = await session.wait_for(ErrorReported, timeout=10)
        await session.leave()
        return error.error.description

    assert "waited" in run_virtually(second())
    assert life.backend.texts == []


def test_rp05_a_message_that_surely_did_not_leave_is_saved_as_waiting():
    """So that one which must not be repeated is still sent by the next process."""
    life = Life()

    async def first() -> None:
        session = await life.begin()
        life.transport.faults = [("before", NotSentError("no route", retry_after=60.0))]
        asyncio.ensure_future(session.send_message("once", resend="never"))  # noqa: RUF006
        await asyncio.sleep(0.5)
        assert life.place.states[-1]["outbox"][0]["stage"] == "queued"

    async def second() -> None:
        session = await life.begin()
        for receipt in session.outbox:
            await receipt.reached("echoed")
        await session.leave()

    run_virtually(first())
    run_virtually(second())
    assert life.backend.texts == ["once"]


def test_rp05_a_storage_that_fails_stops_no_message():
    """It is said once; the message leaves."""
    life = Life()

    async def main() -> None:
        session = await life.begin()
        life.place.fail = StorageUnavailableError("the disk is gone")
        await session.send_message("one", until="echoed")
        await session.send_message("two", until="echoed")
        life.place.fail = None
        await session.leave()

    run_virtually(main())
    assert life.backend.texts == ["one", "two"]
    assert len([line for line in life.log.at("warning") if "cannot be saved" in line]) == 1


@settings(max_examples=500, deadline=None)
@example(
    kills=[0.0, 1.0, 3.0, 1.0],
    faults=[("after", AmbiguousError("lost")), ("never", None), ("before", AmbiguousError("lost"))],
)
@given(
    kills=st.lists(st.floats(0.0, 4.0), max_size=4),
    faults=st.lists(
        st.sampled_from(
            [
                ("before", AmbiguousError("lost")),
                ("after", AmbiguousError("lost")),
                ("before", NotSentError("no link")),
                ("never", None),
            ]
        ),
        max_size=6,
    ),
)
def test_rp05_killed_at_any_moment_every_message_arrives_once_and_in_order(
    kills: list[float], faults: list[tuple[str, Any]]
):
    """The visitor counts on from what transcript and outbox hold; the server sees 1 to n."""
    life = Life()
    left = list(faults)
    wanted = 8

    async def live(until: float | None) -> None:
        session = await life.begin()
        life.transport.faults = left  # shared: what one process meets, the next one does not
        own = [event.text for event in await session.get_transcript() if event.own and hasattr(event, "text")]
        known = [int(text) for text in own] + [int(receipt.text) for receipt in session.outbox]

        async def talk() -> None:
            for number in range(max(known, default=0) + 1, wanted + 1):
                await session.send_message(str(number))
            for receipt in session.outbox:
                await receipt.reached("echoed")

        task = asyncio.ensure_future(talk())
        await asyncio.wait({task}, timeout=until)
        if until is None:
            await task
            await session.leave()

    for moment in kills:
        run_virtually(live(moment))
        if life.backend.over:
            break
    run_virtually(live(None))
    assert life.backend.texts == [str(number) for number in range(1, wanted + 1)]


@pytest.mark.parametrize(
    "change",
    [
        {"outbox": 5},
        {"outbox": [5]},
        {"outbox": [{"text": "x"}]},
        {"outbox": [{"text": "x", "type": "odd", "resend": "never", "stage": "sent", "before": 1, "queued_at": 1.0}]},
        {"outbox": [{"text": "x", "type": "text", "resend": "never", "stage": "odd", "before": 1, "queued_at": 1.0}]},
        {"outbox": [{"text": 1, "type": "text", "resend": "never", "stage": "sent", "before": 1, "queued_at": 1.0}]},
    ],
)
def test_a_damaged_outbox_is_said_to_be_damaged(change: Mapping[str, Any]):
    """It is never taken for an empty one."""
    state = {**SavedState(transport="fake").to_mapping(), **change}
    with pytest.raises(StateCorruptError, match="outbox"):
        SavedState.from_mapping(state)


def test_a_rejected_message_of_an_earlier_process_is_reported():
    """With the server's reason."""
    life = Life()

    async def first() -> None:
        session = await life.begin()
        life.transport.cut()
        asyncio.ensure_future(session.send_message("bad"))  # noqa: RUF006
        await asyncio.sleep(0.5)

    async def second() -> ErrorReported:
        session = await life.begin()
        life.transport.faults = [("before", RefusedError("too long", code=204))]
        error = await session.wait_for(ErrorReported, timeout=10)
        await session.leave()
        return error

    run_virtually(first())
    error = run_virtually(second()).error
    assert (error.code, "too long" in error.description) == (204, True)
