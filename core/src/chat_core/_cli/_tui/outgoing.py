"""The visitor's messages that are under way: what the session's outbox holds, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

from chat_core._model.errors import SendError
from chat_core._model.events import ContinuityLost, Event, MessageReceived
from chat_core._session.receipts import Receipt, ReceiptState
from chat_core._session.session import Session

__all__ = ["Outgoing", "States", "states_of"]

#: The number, the state and the attempts of each of some receipts.
States: TypeAlias = tuple[tuple[int, ReceiptState, int], ...]

#: Seconds within which the event of a message that has come as far as it can is surely there.
_GRACE = 1.0


class Outgoing:
    """Follows the receipts of one session.

    A message is under way from the moment it is queued until its event is shown. Where that never comes (it failed, its
    place in the transcript was lost, the transport tells of no places) it is to be shown without.

    Args:
        session: whose outbox it is.
        moved: called with each receipt that may have come further.
    """

    def __init__(self, session: Session, moved: Callable[[Receipt], None] = lambda _: None) -> None:
        self._session = session
        self._moved = moved
        self._open: dict[int, Receipt] = {}
        #: Numbers of receipts that are shown for good.
        self._shown: set[int] = set()
        #: Indexes of the visitor's messages whose events were shown, under the present numbering.
        self._indexes: set[int] = set()
        self._since: dict[int, float] = {}
        #: Receipts that were shown as accepted for good: their events may still come, without an index.
        self._accepted: list[Receipt] = []

    @property
    def under_way(self) -> tuple[Receipt, ...]:
        """The receipts whose events have not been shown, in order."""
        return tuple(self._open[number] for number in sorted(self._open))

    async def send(self, text: str, type: Literal["text", "url"]) -> None:  # noqa: A002 - the session's own word
        """Send a message. That it failed is shown with its receipt, and raised only where there is none."""
        try:
            self._know(await self._session.send_message(text, type=type))
        except SendError as error:
            self._know(error.receipt)

    def look(self) -> list[Receipt]:
        """Look at the outbox; returns the receipts that are to be shown for good, without an event."""
        for receipt in self._session.outbox:
            self._know(receipt)
        now = asyncio.get_running_loop().time()
        final = []
        for receipt in self.under_way:
            self._moved(receipt)
            if receipt.index is not None and receipt.index in self._indexes:
                self._settle(receipt)
            elif receipt.failed or self._has_come_far(receipt):
                since = self._since.setdefault(receipt.number, now)
                if receipt.failed or now - since >= _GRACE:
                    self._settle(receipt)
                    final.append(receipt)
                    if receipt.state is ReceiptState.ACCEPTED:
                        self._accepted.append(receipt)
        return final

    def claim(self, event: Event) -> tuple[Receipt | None, bool]:
        """Return the receipt of an event that is to be shown, and whether it is shown already."""
        if isinstance(event, ContinuityLost) and event.counts_anew:
            self._indexes.clear()
        if not isinstance(event, MessageReceived) or not event.own:
            return None, False
        for receipt in self._session.outbox:
            self._know(receipt)
        if event.index is None:
            return self._claim_in_order(event)
        self._indexes.add(event.index)
        for receipt in self.under_way:
            if receipt.index == event.index:
                self._settle(receipt)
                return receipt, False
        return None, False

    def _claim_in_order(self, event: MessageReceived) -> tuple[Receipt | None, bool]:
        """Without places, the order has to do."""
        if self._accepted and self._accepted[0].text == event.text:
            return self._accepted.pop(0), True
        for receipt in self.under_way:
            if receipt.state in {ReceiptState.IN_FLIGHT, ReceiptState.ACCEPTED}:
                self._settle(receipt)
                return receipt, False
        return None, False

    def _has_come_far(self, receipt: Receipt) -> bool:
        return receipt.echoed or (
            receipt.state is ReceiptState.ACCEPTED and not self._session.guarantees.sends_are_settled
        )

    def _know(self, receipt: Receipt) -> None:
        if receipt.number not in self._shown:
            self._open.setdefault(receipt.number, receipt)
            self._moved(receipt)

    def _settle(self, receipt: Receipt) -> None:
        self._open.pop(receipt.number, None)
        self._since.pop(receipt.number, None)
        self._shown.add(receipt.number)
        self._moved(receipt)


def states_of(receipts: tuple[Receipt, ...]) -> States:
    """Return what changes when one of these receipts does, to be compared."""
    return tuple((receipt.number, receipt.state, receipt.attempts) for receipt in receipts)
