"""The outbox alone: what it does where something fails, or ends, at the same time."""

from __future__ import annotations

import asyncio

import pytest

from chat_core import AmbiguousError, LeaseLostError, NotSentError, RefusedError, SessionEndedError
from chat_core._model.events import ContinuityLost, Event, LossReason
from chat_core._session.receipts import ReceiptState
from chat_core._session.state import Stage
from core.session.test_outbox import Rig, saved, shown
from support.clock import run_virtually


def test_rp05_what_is_left_to_another_process_is_not_taken_back():
    async def main() -> None:
        rig = Rig(connected=False)
        first, second = rig.put("1"), rig.put("2")
        await asyncio.sleep(1)
        rig.outbox.freeze()
        assert not rig.outbox.withdraw(second)
        assert [message.text for message in rig.outbox.snapshot()] == ["1", "2"]
        assert not rig.outbox.withdraw(first)
        await rig.outbox.close()

    run_virtually(main())


@pytest.mark.parametrize("can_read_back", [True, False])
def test_rp05_what_an_earlier_process_left_is_kept_as_far_as_more_can_be_learnt(can_read_back: bool):
    """Of an accepted message only the transcript can say more; all others are sent, or looked for."""

    async def main() -> None:
        rig = Rig(connected=False)
        rig.outbox._can_read_back = can_read_back
        rig.outbox.adopt([saved(stage.value, stage) for stage in (Stage.ACCEPTED, Stage.SENT, Stage.QUEUED)])
        kept = [message.stage for message in rig.outbox.snapshot()]
        assert kept == [Stage.ACCEPTED, Stage.SENT, Stage.QUEUED][0 if can_read_back else 1 :]
        assert len(rig.outbox) == 2
        await rig.outbox.close()

    run_virtually(main())


def test_the_task_that_sends_ends_of_its_own_accord_when_nothing_waits():
    async def main() -> None:
        rig = Rig()
        rig.put("1")
        rig.put("2")
        task = rig.outbox._task
        assert task is not None
        await rig.outbox.drained()
        await task
        assert rig.outbox._task is None
        await rig.outbox.close()

    run_virtually(main())


def test_rp04_what_never_left_is_unknown_where_who_has_the_session_now_may_send_it():
    """It is saved, and another process owns the session."""

    async def main() -> None:
        rig = Rig(connected=False)

        async def save() -> None:
            """Whatever was to be saved is."""

        rig.outbox._save = save
        receipt = rig.put("1")
        await asyncio.sleep(1)
        lost = LeaseLostError("another process owns it")
        await rig.outbox.close(lost)
        assert (receipt.state, receipt.error) == (ReceiptState.UNKNOWN, lost)

    run_virtually(main())


@pytest.mark.parametrize("lost", [None, LeaseLostError("another process owns it")])
def test_rp04_what_never_left_is_expired_where_nobody_else_can_send_it(lost: LeaseLostError | None):
    """Without a storage that keeps the outbox, nobody can."""

    async def main() -> None:
        rig = Rig(connected=False)
        receipt = rig.put("1")
        await asyncio.sleep(1)
        await rig.outbox.close(lost)
        assert receipt.state is ReceiptState.EXPIRED
        assert isinstance(receipt.error, LeaseLostError if lost else SessionEndedError)

    run_virtually(main())


def test_rp04_a_transcript_that_is_refused_leaves_it_open_whether_a_message_arrived():
    """It is not taken for absent, and so not sent again."""

    async def main() -> None:
        rig = Rig()
        rig.faults = [AmbiguousError("no answer")]

        async def find_lost(above: int) -> tuple[Event, ...]:
            raise RefusedError(f"nothing above {above}")

        rig.flow.find_lost = find_lost  # type: ignore[method-assign]
        receipt = rig.put("1")
        await rig.outbox.drained()
        assert (rig.sent, receipt.state) == (["1"], ReceiptState.UNKNOWN)
        await rig.outbox.close()

    run_virtually(main())


def test_rp04_a_message_that_never_left_expires_in_its_time_and_not_with_the_next_try():
    async def main() -> None:
        rig = Rig(age=0.5, pause=10.0)
        rig.faults = [NotSentError("no connection")] * 3  # type: ignore[list-item]
        receipt = rig.put("1")
        began = asyncio.get_running_loop().time()
        await rig.outbox.drained()
        assert receipt.state is ReceiptState.EXPIRED
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.5, abs=0.02)

    run_virtually(main())


def test_rp15_nothing_leaves_after_a_recount_where_the_transcript_can_be_read_no_more():
    """Earlier messages might show themselves in it, and be taken for that one."""

    async def main() -> None:
        rig = Rig()

        async def read_back() -> bool:
            rig.flow.read_backs += 1
            rig.flow.over = rig.flow.read_backs == 2  # the first time for the first message's own sake
            return False

        rig.faults = [AmbiguousError("no answer")]
        first = rig.put("1")
        await asyncio.sleep(0.005)
        rig.outbox.saw(ContinuityLost(after=1, reason=LossReason.POSITION_RESET))
        rig.flow.epoch = 1
        rig.flow.read_back = read_back  # type: ignore[method-assign]
        second = rig.put("2")
        await asyncio.sleep(30)
        assert rig.sent == ["1"]
        await rig.outbox.close()
        assert (first.state, second.state) == (ReceiptState.UNKNOWN, ReceiptState.EXPIRED)

    run_virtually(main())


def test_rp04_after_a_recount_the_transcript_is_read_once_before_the_next_message_leaves():
    """What was on its way then has had its chance to show; the message after that need not wait for it again."""

    async def main() -> None:
        rig = Rig()
        rig.faults = [AmbiguousError("no answer")]
        first = rig.put("1")
        await asyncio.sleep(0.005)
        rig.outbox.saw(ContinuityLost(after=1, reason=LossReason.POSITION_RESET))
        rig.flow.epoch = 1
        await rig.outbox.drained()
        assert first.state is ReceiptState.UNKNOWN
        before = rig.flow.read_backs
        rig.put("2")
        rig.put("3")
        await rig.outbox.drained()
        assert rig.sent == ["1", "2", "3"]
        assert rig.flow.read_backs == before + 1
        await rig.outbox.close()

    run_virtually(main())


def test_rp04_what_shows_while_a_message_is_saved_stands_below_it():
    """A process that takes up what is saved then does not take an earlier message for that one."""

    async def main() -> None:
        rig = Rig()
        saving = asyncio.Event()

        async def save() -> None:
            await saving.wait()

        rig.outbox._save = save
        receipt = rig.put("1")
        await asyncio.sleep(0.1)
        rig.flow.position = 5
        rig.outbox.saw(shown(5))
        (message,) = rig.outbox.snapshot()
        assert (message.stage, message.before) == (Stage.SENT, 5)
        saving.set()
        await asyncio.sleep(0.1)
        assert receipt.state is ReceiptState.ACCEPTED
        await rig.outbox.close()

    run_virtually(main())
