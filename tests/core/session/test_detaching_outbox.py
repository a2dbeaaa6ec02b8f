"""RP-4, RP-5, RP-9: what becomes of messages whose fate is open when their session is detached."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from chat_core import (
    AmbiguousError,
    Receipt,
    SendExpiredError,
    SendUnknownError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_core._storages.runner import StorageRunner
from support.backend import FakeTransport
from support.clock import run_virtually
from support.lives import KEEPS, Life, Sending
from support.sessions import open_session

GONE = StorageUnavailableError("the disk is gone")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def outcomes(sends: list[Sending]) -> list[Any]:
    return await asyncio.gather(*sends, return_exceptions=True)


@pytest.mark.parametrize("arrived", [True, False])
def test_rp05_who_detaches_leaves_what_is_open_to_who_restores(arrived: bool):
    """One on its way is looked for, one that waited is sent; whoever waits here is told that they are saved."""
    life = Life()

    async def first() -> None:
        session, sends = await life.begin_undecided("one", "two", "three", arrived=arrived)
        receipts = session.outbox
        await session.detach()
        assert [receipt for receipt in receipts if receipt.failed] == []
        for result in await outcomes(sends):
            assert isinstance(result, Receipt) or "whoever restores the session sends it" in str(result), result
        assert ("two", "queued") in life.saved

    run_virtually(first())
    run_virtually(life.finish())
    assert life.backend.texts == ["one", "two", "three"]


def test_rp05_who_detaches_and_cannot_save_says_that_nobody_knows():
    """What an earlier save holds may be sent by who restores it; so nothing is called expired."""
    life = Life()

    async def main() -> None:
        session, sends = await life.begin_undecided("one", "two")
        life.place.fail = GONE
        sends.append(asyncio.ensure_future(session.send_message("three")))
        await asyncio.sleep(0)
        await session.detach()
        assert {type(result) for result in await outcomes(sends)} == {SendUnknownError}

    run_virtually(main())


def test_rp05_a_write_that_fails_at_the_detach_erases_nothing():
    """The messages stay in the state, also those of an earlier process; nobody here knows what becomes of them."""
    life = Life()

    async def first() -> None:
        session, sends = await life.begin_undecided("one")
        await session.detach()
        await outcomes(sends)

    async def second() -> None:
        session = await life.begin()
        (receipt,) = session.outbox
        life.fail_once(session, GONE)
        await session.detach()
        assert receipt.state == "unknown"
        assert [text for text, _ in life.saved] == ["one"]

    run_virtually(first())
    run_virtually(second())
    run_virtually(life.finish())
    assert life.backend.texts == ["one"]


def test_rp04_what_was_accepted_stays_accepted_when_nothing_can_be_saved():
    """A state is never taken back, and nobody is told that it is saved."""
    life = Life()

    async def main() -> None:
        session = await life.begin()
        session._engine.outbox.saw = lambda _: None  # its echo is late
        receipt = await session.send_message("one")
        waiting = asyncio.ensure_future(receipt.reached("echoed"))
        await asyncio.sleep(0)
        life.fail_once(session, GONE)
        await session.detach()
        assert receipt.state == "accepted"
        (error,) = await outcomes([waiting])
        assert "over while the message was accepted" in str(error)
        assert "saved" not in str(error)

    run_virtually(main())


def test_rp04_who_gives_up_during_the_last_save_has_taken_nothing_back():
    """What is being saved may be sent by who restores, so it is not told as withdrawn."""
    life = Life()

    async def main() -> None:
        session, sends = await life.begin_undecided("one", "two")
        two = session.outbox[-1]
        life.slow_down(session, 0.5)
        detaching = asyncio.ensure_future(session.detach())
        await asyncio.sleep(0.2)
        sends[1].cancel()
        await detaching
        await outcomes(sends)
        assert two.state == "queued"
        assert ("two", "queued") in life.saved

    run_virtually(main())


def test_rp05_what_was_being_saved_when_its_owner_detached_never_left():
    """So it is sent by who restores, also where it must not be sent again."""
    life = Life()

    async def first() -> None:
        session = await life.begin()
        life.slow_down(session, 0.5)
        sending = asyncio.ensure_future(session.send_message("one", resend="never"))
        await asyncio.sleep(0.1)
        await session.detach()
        await outcomes([sending])
        assert life.saved == [("one", "queued")]

    run_virtually(first())
    run_virtually(life.finish())
    assert life.backend.texts == ["one"]


def test_rp04_an_echo_that_comes_while_the_next_message_is_saved_is_not_taken_for_that_one():
    """The next one can only stand above it, also for who restores: it was lost on its way, and is sent again."""
    life = Life()

    async def first() -> None:
        session = await life.begin()
        life.slow_down(session, 0.02)
        life.transport.faults = [("never", None), ("before", AmbiguousError("no answer"))]  # type: ignore[list-item]
        sends = [asyncio.ensure_future(session.send_message(text)) for text in ("one", "two")]
        await asyncio.sleep(0.5)
        await session.detach()
        await outcomes(sends)
        assert life.saved == [("two", "sent")]

    run_virtually(first())
    run_virtually(life.finish())
    assert life.backend.texts == ["one", "two"]


@pytest.mark.parametrize("resend", ["if absent", "never"])
def test_rp04_what_the_storage_shows_as_waiting_does_not_leave_until_it_can_be_told(resend: Any):
    """Who takes the session up would send it without looking for it, and the transcript would show it twice."""
    life = Life()

    async def first() -> None:
        session = await life.begin()
        life.transport.cut()
        await asyncio.sleep(0.1)
        sending = asyncio.ensure_future(session.send_message("one", resend=resend))
        await asyncio.sleep(1.0)
        assert life.saved == [("one", "queued")]
        life.place.fail = GONE
        life.transport.mend()
        await asyncio.sleep(3.0)
        assert life.backend.texts == []
        assert "a message waits until the state can be saved" in " ".join(life.log.at("info"))
        await session.detach()
        assert {type(result) for result in await outcomes([sending])} == {SendUnknownError}
        life.place.fail = None

    run_virtually(first())
    run_virtually(life.finish())
    assert life.backend.texts == ["one"]


def test_rp04_a_message_that_waited_for_the_storage_leaves_once_it_can_be_saved():
    """In order, and once."""
    life = Life()

    async def main() -> None:
        session = await life.begin()
        life.transport.cut()
        await asyncio.sleep(0.1)
        sends = [asyncio.ensure_future(session.send_message(text)) for text in ("one", "two")]
        await asyncio.sleep(1.0)
        life.place.fail = GONE
        life.transport.mend()
        await asyncio.sleep(3.0)
        life.place.fail = None
        await asyncio.gather(*sends)
        assert life.backend.texts == ["one", "two"]

    run_virtually(main())


def test_a_storage_that_never_held_a_message_holds_none_up():
    """A disk that is full from the beginning stops no chat: nobody else can send what it never held."""
    life = Life()

    async def main() -> None:
        session = await life.begin()
        life.place.fail = GONE
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(session.send_message(text) for text in ("one", "two", "three")))
        assert asyncio.get_running_loop().time() - began < 1.0
        assert life.backend.texts == ["one", "two", "three"]

    run_virtually(main())


def test_rp04_a_write_that_timed_out_may_have_been_done_or_not():
    """So what an earlier write shows as waiting may still stand there."""
    life = Life()

    async def main() -> None:
        session = await life.begin()
        life.transport.cut()
        await asyncio.sleep(0.1)
        sending = asyncio.ensure_future(session.send_message("one"))
        await asyncio.sleep(1.0)
        life.place.fail = StorageTimeoutError("it did not answer")
        life.transport.mend()
        await asyncio.sleep(3.0)
        assert life.backend.texts == []
        life.place.fail = None
        await sending
        assert life.backend.texts == ["one"]

    run_virtually(main())


def test_rp05_a_write_that_was_cut_off_is_made_good_by_the_last_one():
    """The message was being saved as leaving when its owner detached: in the end the storage holds that it waits."""
    life = Life()

    async def first() -> None:
        session = await life.begin()
        life.transport.cut()
        sending = asyncio.ensure_future(session.send_message("one", resend="never"))
        await until(lambda: life.saved == [("one", "queued")])
        slow = Slow(life)
        session._engine.saver._write = StorageRunner(slow, name="slow", log=life.log).write
        life.transport.mend()
        await until(lambda: slow.begun == 1)  # it is being saved as leaving, and that is done whoever waits for it
        await session.detach()
        await outcomes([sending])
        await until(lambda: slow.done == slow.begun)
        assert life.saved == [("one", "queued")]

    asyncio.run(first())  # on the real clock: on another one the time at which a message was queued moves
    run_virtually(life.finish())
    assert life.backend.texts == ["one"]


class Slow:
    """A storage that takes a third of a second for a write."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self.begun = self.done = 0

    async def read(self) -> None:
        """There is nothing."""

    async def write(self, state: Mapping[str, Any] | None) -> None:
        self.begun += 1
        await asyncio.sleep(0.3)
        await self._life.place.write(state)
        self.done += 1


def test_rp09_a_failure_that_comes_when_nobody_waits_for_it_any_more_is_no_ones_exception():
    """A storage that hangs and fails later does not fill the log of asyncio."""
    life = Life()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        found: list[str] = []
        loop.set_exception_handler(lambda _, context: found.append(context["message"]))
        session = await life.begin()

        async def fail(state: Mapping[str, Any] | None) -> None:
            await asyncio.sleep(20)
            raise GONE

        session._engine.saver._write = fail
        sending = asyncio.ensure_future(session.send_message("one"))
        await asyncio.sleep(0.5)
        await session.detach()
        await outcomes([sending])
        await asyncio.sleep(60)
        gc.collect()
        assert found == []

    run_virtually(main())


def test_rp14_a_loop_that_ends_with_the_detach_gives_the_ownership_up():
    """As it does where the session ends with the loop."""
    life, abandoned = Life(), []

    async def main() -> None:
        session = await open_session(
            FakeTransport(), place=life.place, storage_capabilities=KEEPS, abandon=lambda: abandoned.append("it")
        )
        life.slow_down(session, 0.3)
        session.send_message("one").done(lambda _: None)
        await asyncio.sleep(0.05)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await session.detach()

    asyncio.run(main())
    assert life.place.released or abandoned


@pytest.mark.parametrize("answer", ["an error", "nothing for long"])
def test_rp09_a_transport_that_swallows_a_cancellation_sends_nothing_after_the_detach(answer: str):
    """Nor does it hold the detach up for longer than it may take."""
    life = Life()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        session = await life.begin()
        send = life.transport.send

        async def stubborn(command: Any) -> Any:
            life.transport.send = send  # type: ignore[method-assign]
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                if answer == "an error":
                    raise AmbiguousError("closed") from None
                await asyncio.sleep(30)
                raise

        life.transport.send = stubborn  # type: ignore[method-assign]
        sends = [asyncio.ensure_future(session.send_message(text)) for text in ("one", "two", "three")]
        await asyncio.sleep(0.2)
        began = loop.time()
        await session.detach()
        assert loop.time() - began < 5.0
        await outcomes(sends)
        await asyncio.sleep(60)
        assert life.backend.texts == []

    run_virtually(main())


class Hanging:
    """A storage whose writes never return, once it is told so."""

    def __init__(self) -> None:
        self.hangs = False

    async def read(self) -> None:
        """There is nothing."""

    async def write(self, state: Mapping[str, Any] | None) -> None:
        if self.hangs:
            await asyncio.Event().wait()


def test_rp09_a_storage_that_hangs_does_not_hold_the_detach_up_for_long():
    """Whoever waits is told after two seconds, and no second write is begun behind the one that hangs."""
    life = Life()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        storage = Hanging()
        runner = StorageRunner(storage, name="hanging", log=life.log)
        session, sends = await life.begin_undecided("one")
        session._engine.saver._write = runner.write
        storage.hangs = True
        sends.append(asyncio.ensure_future(session.send_message("two")))
        await asyncio.sleep(0)
        began = loop.time()
        detaching = asyncio.ensure_future(session.detach())
        assert {type(result) for result in await outcomes(sends)} == {SendUnknownError}
        assert loop.time() - began <= 2.1
        await detaching
        storage.hangs = False
        await runner.read()  # in its turn, as the release of an ownership
        assert loop.time() - began <= 12.1

    run_virtually(main())


def test_rp05_who_detaches_where_nothing_is_saved_is_told_what_never_left():
    """It is expired: nobody will send it."""

    async def main() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", AmbiguousError("no answer"))]
        sends = [asyncio.ensure_future(session.send_message(text)) for text in ("one", "two")]
        await asyncio.sleep(0.3)
        await session.detach()
        assert [type(result) for result in await outcomes(sends)] == [SendUnknownError, SendExpiredError]

    run_virtually(main())
