"""What the storage shows as waiting: who may send it, and what is said of it when."""

from __future__ import annotations

import pytest

from chat_core import ReceiptState, SessionEndedError, StorageError
from chat_core._contracts.transport import SendMessageCommand
from chat_core._session.claims import Entry
from chat_core._session.receipts import Receipt
from chat_core._session.shown import Kept, Shown

OVER = SessionEndedError("the session is over")


def entry(number: int = 1, *, leaving: bool = False, accepted: bool = False) -> Entry:
    receipt = Receipt(number, "Hello")
    if accepted:
        receipt.move(ReceiptState.ACCEPTED)
    command = SendMessageCommand(text="Hello")
    return Entry(receipt=receipt, command=command, resend="if absent", size=5, queued_at=0.0, leaving=leaving)


def test_rp04_what_an_earlier_process_left_waiting_is_shown_so_until_a_write_says_otherwise():
    """Whoever took the session up now would send it; what was on its way he would look for first."""
    shown, waiting, on_its_way = Shown(), entry(1), entry(2, leaving=True)
    shown.adopt(waiting)
    shown.adopt(on_its_way)
    assert waiting in shown
    assert on_its_way not in shown
    waiting.leaving = True
    shown.snapshot([waiting, on_its_way])
    assert waiting in shown, "the write is under way"
    shown.note_kept(Kept.LAST)
    assert waiting not in shown


@pytest.mark.parametrize(("kept", "is_shown"), [(Kept.LAST, False), (Kept.EARLIER, True), (Kept.PERHAPS, True)])
def test_rp04_a_write_that_failed_may_leave_what_was_there_before(kept: Kept, is_shown: bool):
    """Only a write that was done takes a message from what may be shown as waiting."""
    shown, message = Shown(), entry()
    shown.snapshot([message])
    shown.note_kept(Kept.LAST)
    message.leaving = True
    shown.snapshot([message])
    shown.note_kept(kept)
    assert (message in shown) is is_shown


@pytest.mark.parametrize("left", [{}, {"leaving": True}], ids=["waiting", "on its way"])
def test_rp04_what_was_taken_out_is_told_once_nobody_else_would_send_it(left: dict[str, bool]):
    """Until then its sender cannot be told that it never left: also what is shown as on its way is sent if absent."""
    shown, message = Shown(), entry(**left)
    shown.adopt(message)
    shown.withdraw(message, OVER)
    assert message.receipt.error is None
    shown.snapshot([])
    shown.note_kept(Kept.EARLIER)
    assert message.receipt.error is None
    shown.snapshot([])
    shown.note_kept(Kept.LAST)
    assert (message.receipt.state, message.receipt.error) == (ReceiptState.EXPIRED, OVER)
    assert not shown.withdrawn


def test_rp04_what_no_storage_has_shown_is_told_at_once():
    """And an accepted message is nothing that anybody would send again."""
    shown, message, accepted = Shown(), entry(1), entry(2, accepted=True)
    shown.snapshot([accepted])
    shown.withdraw(message, OVER)
    assert message.receipt.state is ReceiptState.EXPIRED
    shown.note_kept(Kept.LAST)
    shown.never_left(other := entry(3), OVER)
    assert other.receipt.state is ReceiptState.EXPIRED


@pytest.mark.parametrize("problem", [None, StorageError("the disk is full")], ids=["cleared", "not cleared"])
def test_rp04_at_the_end_a_message_has_expired_only_where_the_state_is_cleared(problem: StorageError | None):
    """Where it is not, who takes it up may send it. Either way the sender is told why."""
    shown, message = Shown(), entry()
    shown.snapshot([message])
    shown.never_left(message, OVER)
    assert not message.receipt.failed
    shown.cleared(OVER, problem)
    state = ReceiptState.EXPIRED if problem is None else ReceiptState.UNKNOWN
    assert (message.receipt.state, message.receipt.error) == (state, problem or OVER)
