"""The outbox alone: its limits, what it takes back, what it saves, what it claims, how it closes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from chat_core._contracts.transport import Batch, Reply, SendMessageCommand
from chat_core._model.errors import (
    AmbiguousError,
    ChatError,
    NotSentError,
    RefusedError,
    SendUnknownError,
    SessionEndedError,
)
from chat_core._model.events import AgentConnected, ContinuityLost, Event, LossReason, MessageReceived
from chat_core._session.limits import OutboxLimits
from chat_core._session.outbox import Outbox
from chat_core._session.receipts import ReceiptState
from chat_core._session.state import SavedMessage, Stage
from support.clock import run_virtually
from support.sessions import MemoryLog


class Flow:
    """What the outbox asks of the session's events."""

    def __init__(self) -> None:
        self.position = 1
        self.epoch = 0
        self.connected = asyncio.Event()
        self.over = False
        self.read_backs = 0

    @property
    def is_open(self) -> bool:
        return self.connected.is_set() and not self.over

    async def link(self) -> bool:
        await self.connected.wait()
        return not self.over

    async def read_back(self) -> bool:
        self.read_backs += 1
        return True

    async def find_lost(self, above: int) -> tuple[Event, ...]:
        return ()

    def receive(self, batch: Batch) -> None:
        """Nothing comes with an answer here."""


class Rig:
    """An outbox and what it talks to."""

    def __init__(self, *, connected: bool = True, **limits: Any) -> None:
        self.flow = Flow()
        if connected:
            self.flow.connected.set()
        self.sent: list[str] = []
        self.faults: list[ChatError] = []
        self.reported: list[ChatError] = []
        self.outbox = Outbox(
            send=self.send,
            flow=self.flow,  # type: ignore[arg-type]
            can_read_back=True,
            log=MemoryLog(),
            limits=OutboxLimits(**limits),
            report=self.reported.append,
        )

    async def send(self, command: SendMessageCommand) -> Reply:
        self.sent.append(command.text)
        await asyncio.sleep(0.01)
        if self.faults:
            raise self.faults.pop(0)
        return Reply()

    def put(self, text: str) -> Any:
        return self.outbox.put(SendMessageCommand(text=text))


def saved(text: str, stage: Stage) -> SavedMessage:
    return SavedMessage(text=text, type="text", resend="if absent", stage=stage, before=1, queued_at=time.time())


def shown(index: int | None, *, own: bool = True) -> MessageReceived:
    return MessageReceived(index=index, text="x", own=own)


def test_rp05_the_figures_are_the_documented_ones():
    """1,000 messages, 1 MiB, ten minutes; two seconds to settle, one between tries."""
    assert OutboxLimits() == OutboxLimits(count=1000, size=1048576, age=600.0, settle=2.0, pause=1.0)


def test_rp05_the_limits_are_exact():
    """Just as many and as much as allowed; the refusal may be tried again."""

    async def main() -> None:
        by_count = Rig(connected=False, count=2, size=100)
        by_count.put("1")
        by_count.put("2")
        with pytest.raises(ChatError, match="2 messages") as caught:
            by_count.put("3")
        assert caught.value.retryable
        await by_count.outbox.close()
        by_size = Rig(connected=False, count=10, size=10)
        by_size.put("123456")
        by_size.put("7890")
        with pytest.raises(ChatError, match="10 bytes"):
            by_size.put("x")
        await by_size.outbox.close()

    run_virtually(main())


def test_receipts_are_numbered_from_one():
    """Those that were adopted as well."""

    async def main() -> None:
        rig = Rig(connected=False)
        rig.outbox.adopt([saved("a", Stage.SENT), saved("b", Stage.QUEUED)])
        rig.put("c")
        assert [receipt.number for receipt in rig.outbox.receipts] == [1, 2, 3]
        assert [receipt.attempts for receipt in rig.outbox.receipts] == [1, 0, 0]
        await rig.outbox.close()

    run_virtually(main())


def test_only_what_waits_is_taken_back():
    """The one that was meant, once."""

    async def main() -> None:
        rig = Rig(connected=False)
        _, second, third = rig.put("1"), rig.put("2"), rig.put("3")
        await asyncio.sleep(0)
        assert rig.outbox.withdraw(third)
        assert not rig.outbox.withdraw(third)
        assert (second.state, third.state) == (ReceiptState.QUEUED, ReceiptState.EXPIRED)
        rig.flow.connected.set()
        await rig.outbox.drained()
        assert rig.sent == ["1", "2"]

    run_virtually(main())


def test_rp05_what_is_saved_says_when_a_message_was_given():
    """In wall-clock time: another process's clock begins elsewhere."""

    async def main() -> None:
        rig = Rig(connected=False)
        rig.put("1")
        (message,) = rig.outbox.snapshot()
        assert abs(message.queued_at - time.time()) < 0.3
        await rig.outbox.close()

    run_virtually(main())


def test_rp04_only_an_own_message_with_an_index_claims():
    """Not what others said, not what else happened; and the oldest goes first, wherever a later one may stand."""

    async def main() -> None:
        rig = Rig()
        first = rig.put("1")
        await rig.outbox.drained()
        rig.flow.position = 5
        second = rig.put("2")
        await rig.outbox.drained()
        rig.outbox.saw(AgentConnected(index=2, own=True))
        rig.outbox.saw(shown(3, own=False))
        rig.outbox.saw(shown(None))
        assert not first.echoed
        rig.outbox.saw(shown(3))
        assert (first.index, second.index) == (3, None)
        rig.outbox.saw(shown(6))
        assert second.index == 6

    run_virtually(main())


def test_rp04_a_try_whose_fate_was_unknown_is_repeated_after_the_time_to_leave_is_over():
    """That time is for what never left."""

    async def main() -> None:
        rig = Rig(age=1.0)
        rig.faults = [AmbiguousError("no answer")]
        receipt = rig.put("1")
        await rig.outbox.drained()
        assert (rig.sent, receipt.attempts, receipt.state) == (["1", "1"], 2, ReceiptState.ACCEPTED)

    run_virtually(main())


def test_rp04_a_message_that_shows_while_its_repetition_waits_for_a_link_is_not_sent_again():
    """The second try never left, and by the time of the third the first one stands in the transcript."""

    async def main() -> None:
        rig = Rig()
        rig.faults = [AmbiguousError("no answer"), NotSentError("no connection")]
        receipt = rig.put("1")
        while len(rig.sent) < 2:
            await asyncio.sleep(0.1)
        rig.outbox.saw(shown(2))
        await rig.outbox.drained()
        assert (rig.sent, receipt.state) == (["1", "1"], ReceiptState.ECHOED)

    run_virtually(main())


def test_rp04_one_message_in_the_place_of_two_is_a_guess_and_no_reason_to_send_again():
    """Servers filter: the message that shows may be the first, or the second whose answer was lost."""

    async def main() -> None:
        rig = Rig()
        first = rig.put("filtered, or not")
        await rig.outbox.drained()
        rig.faults = [AmbiguousError("no answer")]
        second = rig.put("arrived, or not")
        while len(rig.sent) < 2:
            await asyncio.sleep(0.1)
        rig.outbox.saw(shown(2))
        await rig.outbox.drained()
        assert (first.state, second.state) == (ReceiptState.ECHOED, ReceiptState.UNKNOWN)
        assert len(rig.sent) == 2

    run_virtually(main())


def test_rp04_before_another_try_the_transcript_is_read_again():
    """What happened while there was no connection is not known before."""

    async def main() -> None:
        rig = Rig()
        rig.faults = [AmbiguousError("no answer"), NotSentError("no connection")]
        rig.put("1")
        await rig.outbox.drained()
        assert len(rig.sent) == 3
        # After the answer that was lost, before the third try, and after it for a second copy.
        assert rig.flow.read_backs == 3

    run_virtually(main())


def test_rp05_a_server_that_asks_for_patience_keeps_no_message_beyond_its_time():
    """Who sends is told after the time that a message may wait, not after that for which the server wants silence."""

    async def main() -> None:
        rig = Rig(age=10.0)
        rig.faults = [NotSentError("too many requests", retry_after=3600.0)]
        receipt = rig.put("1")
        async with asyncio.timeout(11):
            await rig.outbox.drained()
        assert (rig.sent, receipt.state) == (["1"], ReceiptState.EXPIRED)

    run_virtually(main())


def test_rp04_after_a_position_reset_a_message_of_before_takes_nobody_s_place():
    """It was accepted and never shown; the numbers that follow the reset are lower than its own."""

    async def main() -> None:
        rig = Rig()
        rig.flow.position = 10
        old = rig.put("1")
        await rig.outbox.drained()
        rig.outbox.saw(ContinuityLost(after=10, reason=LossReason.POSITION_RESET))
        rig.flow.position, rig.flow.epoch = 4, 1
        new = rig.put("2")
        await rig.outbox.drained()
        rig.outbox.saw(shown(5))
        assert (old.index, new.index) == (None, 5)
        assert rig.outbox.snapshot() == ()

    run_virtually(main())


def test_rp04_who_waits_for_the_place_of_a_message_is_told_when_the_server_counts_anew():
    """It was accepted, and no transcript of the new numbering tells where it stands."""

    async def main() -> None:
        rig = Rig()
        receipt = rig.put("1")
        await rig.outbox.drained()
        waiting = asyncio.ensure_future(receipt.reached("echoed"))
        await asyncio.sleep(0)
        rig.outbox.saw(ContinuityLost(after=10, reason=LossReason.POSITION_RESET))
        with pytest.raises(SendUnknownError, match="count anew"):
            await waiting
        with pytest.raises(SendUnknownError, match="count anew"):
            await receipt.reached("echoed")
        assert await receipt.reached("accepted") is receipt
        assert rig.outbox.receipts == ()

    run_virtually(main())


def test_rp04_a_message_that_is_accepted_after_the_server_began_to_count_anew_has_no_place_either():
    """It left before; the answer comes after the reset."""

    async def main() -> None:
        rig = Rig()
        receipt = rig.put("1")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert rig.sent == ["1"]
        rig.outbox.saw(ContinuityLost(after=10, reason=LossReason.POSITION_RESET))
        rig.flow.epoch = 1
        with pytest.raises(SendUnknownError, match="count anew"):
            await receipt.reached("echoed")

    run_virtually(main())


def test_rp04_a_message_on_its_way_during_a_position_reset_is_saved_as_not_to_be_repeated():
    """The next process cannot find out either whether it arrived."""

    async def main() -> None:
        rig = Rig()
        rig.faults = [AmbiguousError("no answer")]
        rig.put("1")
        await asyncio.sleep(0.5)
        rig.outbox.saw(ContinuityLost(after=10, reason=LossReason.POSITION_RESET))
        (saved,) = rig.outbox.snapshot()
        assert (saved.stage, saved.resend) == (Stage.SENT, "never")
        await rig.outbox.close()

    run_virtually(main())


def test_rp04_when_the_session_is_over_a_message_is_unknown_only_if_it_left():
    """What was never put on the wire is expired."""

    async def main() -> None:
        rig = Rig(connected=False)
        receipt = rig.put("1")
        await asyncio.sleep(0)
        rig.flow.over = True
        rig.flow.connected.set()
        await rig.outbox.drained()
        assert receipt.state is ReceiptState.EXPIRED
        other = Rig()
        other.faults = [AmbiguousError("no answer")]
        receipt = other.put("1")
        await asyncio.sleep(0.5)
        other.flow.over = True
        await other.outbox.drained()
        assert receipt.state is ReceiptState.UNKNOWN

    run_virtually(main())


def test_rp04_an_adopted_message_is_not_sent_when_the_session_is_over():
    """Nobody can tell what became of it, and the readers are told."""

    async def main() -> None:
        rig = Rig()
        rig.flow.over = True
        rig.outbox.adopt([saved("a", Stage.SENT)])
        (receipt,) = rig.outbox.receipts
        rig.outbox.resume()
        await rig.outbox.drained()
        assert (rig.sent, receipt.state, len(rig.reported)) == ([], ReceiptState.UNKNOWN, 1)
        assert rig.flow.read_backs == 0

    run_virtually(main())


def test_a_failure_that_somebody_waits_for_is_not_reported_besides():
    """Its receipt says it."""

    async def main() -> None:
        rig = Rig()
        rig.faults = [RefusedError("no")]
        receipt = rig.put("1")
        await rig.outbox.drained()
        assert (receipt.state, rig.reported) == (ReceiptState.REJECTED, [])

    run_virtually(main())


def test_rp09_a_closed_outbox_leaves_nothing_running_or_waiting():
    """What waits is expired, what comes later is refused, and the task is gone."""

    async def main() -> None:
        rig = Rig(connected=False)
        receipts = [rig.put("1"), rig.put("2")]
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 2
        await rig.outbox.close()
        assert [receipt.state for receipt in receipts] == [ReceiptState.EXPIRED] * 2
        assert len(asyncio.all_tasks()) == 1
        with pytest.raises(SessionEndedError):
            rig.put("3")

    run_virtually(main())


def test_rp09_a_transport_that_swallows_the_cancellation_is_cancelled_once_more():
    """And no oftener than is needed."""

    async def main() -> None:
        for swallows, takes in ((0, 0.0), (1, 1.0)):
            rig = Rig()
            cancelled = 0

            async def send(command: SendMessageCommand, swallows: int = swallows) -> Reply:
                nonlocal cancelled
                del command
                while True:
                    try:
                        await asyncio.sleep(1000)
                    except asyncio.CancelledError:
                        cancelled += 1
                        if cancelled > swallows:
                            raise

            rig.outbox._send = send
            rig.put("1")
            await asyncio.sleep(1)
            began = asyncio.get_running_loop().time()
            await rig.outbox.close()
            assert asyncio.get_running_loop().time() - began == pytest.approx(takes)
            assert cancelled == swallows + 1
            assert len(asyncio.all_tasks()) == 1

    run_virtually(main())


def test_rp04_nothing_leaves_once_the_session_is_over():
    async def main() -> None:
        rig = Rig(connected=False)
        receipt = rig.put("1")
        await asyncio.sleep(1)
        rig.flow.over = True
        rig.flow.connected.set()
        await asyncio.sleep(1)
        assert (rig.sent, receipt.attempts) == ([], 0)
        await rig.outbox.close()
        assert receipt.state is ReceiptState.EXPIRED

    run_virtually(main())


@pytest.mark.parametrize("over", [False, True])
def test_rp04_what_was_lost_is_looked_for_until_there_is_an_answer_or_no_link_any_more(over: bool):
    async def main() -> None:
        rig = Rig()
        rig.faults = [AmbiguousError("no answer")]
        asked = 0

        async def find_lost(above: int) -> tuple[Event, ...]:
            nonlocal asked
            del above
            asked += 1
            if asked == 1:
                rig.flow.over = over
                raise AmbiguousError("not now")
            return ()

        rig.flow.find_lost = find_lost  # type: ignore[method-assign]
        receipt = rig.put("1")
        await rig.outbox.drained()
        if over:
            assert (rig.sent, asked, receipt.state) == (["1"], 1, ReceiptState.UNKNOWN)
        else:
            assert (rig.sent, asked, receipt.state) == (["1", "1"], 2, ReceiptState.ACCEPTED)
        await rig.outbox.close()

    run_virtually(main())
