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
    ErrorReported,
    InvalidPluginError,
    NotSentError,
    Receipt,
    RefusedError,
    SendExpiredError,
    SendUnknownError,
    StateCorruptError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_core._session.state import SavedState
from support.backend import FakeTransport
from support.clock import run_virtually
from support.lives import Life
from support.sessions import Place, open_session


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


def test_who_stops_waiting_has_taken_its_message_back_by_then():
    """One that cannot leave is out of the outbox when its caller goes on; waits that were given up leave nothing."""

    async def main() -> None:
        session = await open_session(FakeTransport())
        session._engine.flow._machine.link_down(asyncio.get_running_loop().time())
        first = asyncio.ensure_future(session.send_message("first"))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await session.send_message("second")
        (receipt,) = session.outbox
        for _ in range(10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await receipt.reached("echoed")
        assert len(receipt._waiting) <= 2
        first.cancel()
        await session.detach()

    run_virtually(main())


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


@pytest.mark.parametrize("end", ["killed", "detached, and the storage fails", "detached"])
def test_rp04_a_withdrawn_message_is_told_as_expired_once_nobody_else_would_send_it(end: str):
    """The storage shows it as waiting: a process that dies before that is told otherwise leaves it to the next one."""
    life = Life()

    async def main() -> None:
        session, (one, two) = await life.begin_undecided("one", "two")
        receipt = session.outbox[1]
        if end == "detached, and the storage fails":
            life.place.fail = StorageUnavailableError("the disk is gone")
        two.cancel()
        await asyncio.sleep(0.05)
        assert receipt.state == "queued"
        if end == "killed":
            session._engine.outbox._task.cancel()
            session._engine.saver.stop()
            one.cancel()
        else:
            await session.detach()
            await asyncio.gather(one, return_exceptions=True)
        assert receipt.state == {"killed": "queued", "detached": "expired"}.get(end, "unknown")
        assert (("two", "queued") in life.saved) is (end != "detached")

    run_virtually(main())


def test_rp04_a_withdrawn_message_that_no_storage_shows_is_expired_at_once():
    """Nobody could send it."""

    async def main() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.cut()
        await asyncio.sleep(0)
        sending = asyncio.ensure_future(session.send_message("one"))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(session.send_message("two"))
        await asyncio.sleep(0.1)
        receipt = session.outbox[1]
        second.cancel()
        await asyncio.sleep(0.01)
        assert receipt.state == "expired"
        sending.cancel()
        await session.detach()

    run_virtually(main())


def test_rp05_a_transport_that_makes_an_error_of_a_cancellation_loses_no_message():
    """It says that the message never left, and so it is sent by who restores."""
    life = Life()

    async def first() -> None:
        session = await life.begin()

        async def send(command: Any) -> Any:
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                raise NotSentError("given up before it left", retry_after=0.1) from None

        life.transport.send = send  # type: ignore[method-assign]
        sending = asyncio.ensure_future(session.send_message("one"))
        await asyncio.sleep(1)
        await session.detach()
        (error,) = await asyncio.gather(sending, return_exceptions=True)
        assert "whoever restores the session sends it" in str(error)
        assert life.saved == [("one", "queued")]

    run_virtually(first())
    run_virtually(life.finish())
    assert life.backend.texts == ["one"]


def test_rp04_what_the_storage_shows_as_on_its_way_is_not_told_as_never_sent():
    """It was saved as leaving and did not leave; nobody could save that, nor clear the state, so others may send it."""
    life = Life()

    async def main() -> None:
        session = await life.begin()

        async def busy(command: Any) -> Any:
            await asyncio.sleep(0.5)
            raise NotSentError("busy", retry_after=3)

        life.transport.send = busy  # type: ignore[method-assign]
        sending = asyncio.ensure_future(session.send_message("one"))
        await asyncio.sleep(0.1)
        assert life.saved == [("one", "sent")]

        async def hang(state: Mapping[str, Any] | None) -> None:
            await asyncio.sleep(10)
            raise StorageTimeoutError("no answer")

        session._engine.saver._write = hang
        session._engine.saver.touch()
        await asyncio.sleep(1)
        life.transport.cut()
        leaving = asyncio.ensure_future(session.leave())
        with pytest.raises(SendUnknownError):
            await sending
        await leaving

    run_virtually(main())


def test_rp09_an_end_that_a_plugin_disturbs_tells_everybody_and_gives_the_ownership_up():
    """A storage that raises what it must not, where the state is to be cleared."""
    life = Life()

    async def main() -> None:
        session = await life.begin()
        life.transport.cut()
        await asyncio.sleep(0)
        sending = asyncio.ensure_future(session.send_message("one"))
        await asyncio.sleep(0.5)
        assert life.saved == [("one", "queued")]

        async def write(state: Mapping[str, Any] | None) -> None:
            raise InvalidPluginError("it is none")

        session._engine.saver._write = write
        await session.leave()
        with pytest.raises(SendUnknownError):
            await sending
        assert life.place.released == 1

    run_virtually(main())


def test_rp04_a_message_that_waited_too_long_is_told_once_the_storage_knows():
    """A process that dies before that leaves it to the next one, whose limits or whose clock may differ."""
    life = Life()

    async def main() -> None:
        session = await life.begin()
        life.transport.cut()
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        sending = asyncio.ensure_future(session.send_message("one"))
        await asyncio.sleep(1)
        life.place.fail = StorageUnavailableError("the disk is gone")
        await asyncio.sleep(620)
        assert not sending.done()
        life.place.fail = None
        with pytest.raises(SendExpiredError, match="waited 600 s"):
            await sending
        assert life.saved == []
        assert asyncio.get_running_loop().time() - began < 640
        await session.leave()

    run_virtually(main())
