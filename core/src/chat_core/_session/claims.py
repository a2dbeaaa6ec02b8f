"""Which own message in the transcript is which of those that were sent (RP-4, RP-5), without I/O.

The order decides, never the text: servers trim and filter. One index space per epoch, as in ``continuity``; where what
left under an earlier numbering stands in the one that is seen now, nobody can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from attrs import define

from chat_core._contracts.logger import Log
from chat_core._contracts.transport import SendMessageCommand
from chat_core._model.events import ContinuityLost, Event, MessageReceived
from chat_core._session.receipts import Receipt, ReceiptState
from chat_core._session.state import Stage

__all__ = ["Claims", "Entry", "Resend"]

#: What happens after an ambiguous send whose message the transcript does not show.
Resend: TypeAlias = Literal["if absent", "never"]


@define(kw_only=True, eq=False)
class Entry:
    """A message in the outbox."""

    receipt: Receipt
    command: SendMessageCommand
    resend: Resend
    size: int
    queued_at: float
    #: The highest index settled before the first attempt: the message can only stand above it.
    before: int = 0
    #: The numbering that this index belongs to.
    epoch: int = 0
    #: What shows above that index may be this message, or an earlier one that was accepted and not shown until then.
    doubtful: bool = False
    #: It is about to leave, or has left.
    leaving: bool = False
    #: An earlier process owned it; nobody waits for its receipt.
    adopted: bool = False

    @property
    def stage(self) -> Stage:
        """How far it has come, for who takes it up."""
        if self.receipt.state is ReceiptState.ACCEPTED:
            return Stage.ACCEPTED
        return Stage.SENT if self.leaving else Stage.QUEUED

    @property
    def is_open(self) -> bool:
        """True while its fate is open."""
        return not (self.receipt.echoed or self.receipt.failed)


class Claims:
    """Messages that were put on the wire and are not in the transcript yet, oldest first.

    Args:
        log: hears of second copies.
        touch: called when a message has got its place.
    """

    def __init__(self, *, log: Log, touch: Callable[[], None]) -> None:
        self._log = log
        self._touch = touch
        self.waiting: list[Entry] = []
        #: The numbering of the events that are seen now.
        self.epoch = 0
        #: What left under an earlier numbering may yet show in this one, and would be taken for what leaves next.
        self.unseen = False
        #: The last one that was sent more than once: an own message that nobody claims is its second copy.
        self._repeated: Receipt | None = None

    def add(self, entry: Entry) -> None:
        """Look out for a message."""
        self.waiting.append(entry)

    def forget(self, entry: Entry) -> None:
        """Look out for a message no more."""
        if entry in self.waiting:
            self.waiting.remove(entry)

    def fail(self, entry: Entry) -> None:
        """Look out no more for a message that may have arrived: where it shows itself, it is nobody's copy."""
        self.forget(entry)
        self._repeated = None

    def accept(self, entry: Entry) -> None:
        """Note that the server took a message; no transcript shows what left under an earlier numbering."""
        if self.is_stale(entry):
            self.forget(entry)
            entry.receipt.lose_sight()

    def repeat(self, receipt: Receipt) -> None:
        """Note that a message was sent more than once."""
        self._repeated = receipt

    def is_stale(self, entry: Entry) -> bool:
        """Say whether it left under an earlier numbering: no transcript that can be read tells what became of it."""
        return entry.leaving and entry.epoch != self.epoch

    def saw(self, event: Event) -> None:
        """Look whether an event is one of the messages."""
        if isinstance(event, ContinuityLost) and event.counts_anew:
            self.epoch += 1
            self.unseen = self.unseen or bool(self.waiting)
            for entry in [one for one in self.waiting if one.receipt.state is ReceiptState.ACCEPTED]:
                self.accept(entry)
        elif isinstance(event, MessageReceived) and event.own and event.index is not None:
            self._claim(event, event.index)

    def _claim(self, event: MessageReceived, index: int) -> None:
        # What left under an earlier numbering must not keep others from their places.
        candidates = [entry for entry in self.waiting if entry.epoch == self.epoch]
        if candidates and index > candidates[0].before:
            entry, *others = candidates
            self.waiting.remove(entry)
            for later in others:
                # The text is no key, but where it is the earlier message's own nothing was left out before it.
                filtered_perhaps = entry.receipt.state is ReceiptState.ACCEPTED and event.text != entry.command.text
                later.doubtful |= filtered_perhaps and index > later.before
                # Behind it in order is behind it in the transcript, also for whoever reads that from its beginning.
                later.before = max(later.before, index)
            entry.receipt.show(index)
            self._touch()
        elif self._repeated is not None:
            self._log.warning("a message sent twice stands in the transcript twice", self._repeated)
            self._repeated.show(index)
