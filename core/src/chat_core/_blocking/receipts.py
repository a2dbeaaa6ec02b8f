"""What became of a message, for a thread to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from chat_core._model.errors import ChatError, SendError
from chat_core._session import receipts
from chat_core._session.receipts import ReceiptState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chat_core._blocking.portal import Portal

__all__ = ["Receipt", "sent"]


class Receipt:
    """What became of one message.

    Attributes:
        number: the message's place among those this session sent, from 1.
        text: what is said; not in ``repr``.
        state: how far it has come.
        index: its place in the transcript once it is echoed.
        copies: the indexes of every copy the transcript shows; more than one after an answer was lost and the server
            took the first try later than the settle time.
        attempts: how often it was put on the wire.
        error: why it failed, None unless it did.
    """

    def __init__(self, portal: Portal, receipt: receipts.Receipt) -> None:
        self._portal = portal
        self._receipt = receipt

    def __repr__(self) -> str:
        return repr(self._receipt)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Receipt) and self._receipt is other._receipt

    def __hash__(self) -> int:
        return hash(self._receipt)

    @property
    def number(self) -> int:
        """The message's place among those this session sent, from 1."""
        return self._receipt.number

    @property
    def text(self) -> str:
        """What is said."""
        return self._receipt.text

    @property
    def state(self) -> ReceiptState:
        """How far it has come."""
        return self._receipt.state

    @property
    def index(self) -> int | None:
        """Its place in the transcript once it is echoed."""
        return self._receipt.index

    @property
    def copies(self) -> tuple[int, ...]:
        """The indexes of every copy the transcript shows."""
        return self._receipt.copies

    @property
    def attempts(self) -> int:
        """How often it was put on the wire."""
        return self._receipt.attempts

    @property
    def error(self) -> ChatError | None:
        """Why it failed, None unless it did."""
        return self._receipt.error

    @property
    def echoed(self) -> bool:
        """True when the transcript shows the message."""
        return self._receipt.echoed

    @property
    def failed(self) -> bool:
        """True when the message was rejected, expired or its fate is unknown."""
        return self._receipt.failed

    def reached(self, state: ReceiptState | str) -> Receipt:
        """Wait until the message has come as far as ``state`` (``accepted`` or ``echoed``).

        Raises:
            SendRejectedError: the server refused it.
            SendExpiredError: it waited too long and never left.
            SendUnknownError: nobody can tell.
            SessionEndedError: the session was over before the message came that far.
            UnsupportedCommandError: the transport has no transcript, so nothing is ever echoed.
        """
        return sent(self._portal, lambda: self._receipt.reached(state))


def sent(portal: Portal, work: Callable[[], Awaitable[receipts.Receipt]]) -> Receipt:
    """Wait for a receipt; an error that carries one carries one of these."""
    try:
        return Receipt(portal, portal.call(work))
    except SendError as error:
        if isinstance(error.receipt, receipts.Receipt):
            error.receipt = cast(receipts.Receipt, Receipt(portal, error.receipt))
        raise
