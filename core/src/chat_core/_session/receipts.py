"""What became of a message (RP-4): one receipt each, with a state that is never a guess."""

from __future__ import annotations

import asyncio
import enum
from typing import Final

from chat_core._model.errors import (
    ChatError,
    SendExpiredError,
    SendRejectedError,
    SendUnknownError,
    SessionEndedError,
    UnsupportedCommandError,
)

__all__ = ["Receipt", "ReceiptState"]


class ReceiptState(enum.StrEnum):
    """How far a message has come."""

    QUEUED = "queued"  #: waiting for its turn; nothing has left
    IN_FLIGHT = "in flight"  #: on its way, or being looked for in the transcript
    ACCEPTED = "accepted"  #: the server took it
    ECHOED = "echoed"  #: the server's transcript shows it, at ``index``
    REJECTED = "rejected"  #: the server refused it
    EXPIRED = "expired"  #: it waited too long and never left
    UNKNOWN = "unknown"  #: nobody can tell, and it was not sent again


_FAILED: Final = frozenset({ReceiptState.REJECTED, ReceiptState.EXPIRED, ReceiptState.UNKNOWN})
_RANK: Final = {
    ReceiptState.QUEUED: 0,
    ReceiptState.IN_FLIGHT: 1,
    ReceiptState.ACCEPTED: 2,
    ReceiptState.ECHOED: 3,
    ReceiptState.REJECTED: 4,
    ReceiptState.EXPIRED: 4,
    ReceiptState.UNKNOWN: 4,
}


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

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text
        self.state: ReceiptState = ReceiptState.QUEUED
        self.index: int | None = None
        self.copies: tuple[int, ...] = ()
        self.attempts = 0
        self.error: ChatError | None = None
        #: Why it comes no further, where the session is over for its owner.
        self._over: str | None = None
        self._has_transcript = True
        self._out_of_sight = False
        #: Who waits, and for which state.
        self._waiting: list[tuple[ReceiptState, asyncio.Future[Receipt]]] = []

    def __repr__(self) -> str:
        place = f" at {self.index}" if self.index is not None else ""
        return f"<Receipt {self.number}: {self.state}{place}, {len(self.text)} characters>"

    @property
    def echoed(self) -> bool:
        """True when the transcript shows the message."""
        return self.state is ReceiptState.ECHOED

    @property
    def failed(self) -> bool:
        """True when the message was rejected, expired or its fate is unknown."""
        return self.state in _FAILED

    async def reached(self, state: ReceiptState | str) -> Receipt:
        """Wait until the message has come as far as ``state`` (``accepted`` or ``echoed``).

        Raises:
            SendRejectedError: the server refused it.
            SendExpiredError: it waited too long and never left.
            SendUnknownError: nobody can tell.
            SessionEndedError: the session was over before the message came that far.
            UnsupportedCommandError: the transport has no transcript, so nothing is ever echoed.
        """
        return await self.when(state)

    def when(self, state: ReceiptState | str) -> asyncio.Future[Receipt]:
        """Return a future with what ``reached`` returns or raises."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        wanted = ReceiptState(state)
        if not self._settle(wanted, future):
            # Without those of whoever waits no more.
            self._waiting = [one for one in self._waiting if not one[1].done()]
            self._waiting.append((wanted, future))
        return future

    def _settle(self, wanted: ReceiptState, future: asyncio.Future[Receipt]) -> bool:
        """Settle a future if it is known what it is to be told."""
        if future.done():
            return True
        if _RANK[self.state] >= _RANK[wanted]:
            if self.failed and self.state is not wanted:
                future.set_exception(self._failure())
            else:
                future.set_result(self)
        elif not self._has_transcript:
            future.set_exception(
                UnsupportedCommandError(
                    "the transport has no transcript that could show the message",
                    advice="accepted is as far as it is known to come",
                )
            )
        elif self._out_of_sight:
            future.set_exception(
                SendUnknownError(
                    "nobody can tell where the accepted message stands: the server began to count anew", receipt=self
                )
            )
        elif self._over is not None:
            words = f"the session was over while the message was {self.state}, not yet {wanted}"
            future.set_exception(SessionEndedError(words, advice=self._over))
        else:
            return False
        return True

    def move(self, state: ReceiptState, *, error: ChatError | None = None) -> None:
        """Note how far the message has come. A state is never taken back."""
        if _RANK[state] <= _RANK[self.state] or self.echoed:
            return  # what the transcript shows was neither refused nor lost
        self.state = state
        self.error = error
        self._wake()

    def close(self, advice: str = "") -> None:
        """Say that the message comes no further here: the session is over, or detached.

        Args:
            advice: what whoever waits for it is to know.
        """
        self._over = advice
        self._wake()

    def stop_at_accepted(self) -> None:
        """Say that the message comes no further: there is no transcript that could show it."""
        self._has_transcript = False
        self._wake()

    def lose_sight(self) -> None:
        """Say that no transcript will show the message: the server took it, and began to count anew."""
        self._out_of_sight = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting:
            self._waiting = [one for one in self._waiting if not self._settle(*one)]

    def show(self, index: int) -> None:
        """Note that the transcript shows the message, or another copy of it."""
        if index in self.copies:
            return
        self.copies += (index,)
        if self.index is None:
            self.index = index
        if not self.failed:
            self.move(ReceiptState.ECHOED)

    def _failure(self) -> ChatError:
        cause = self.error
        details = {"code": cause.code, "origin": cause.origin} if cause is not None else {}
        reason = f": {cause.description}" if cause is not None else ""
        match self.state:
            case ReceiptState.REJECTED:
                error: ChatError = SendRejectedError(f"the server refused the message{reason}", receipt=self, **details)
            case ReceiptState.EXPIRED:
                error = SendExpiredError(f"the message was never sent{reason}", receipt=self, **details)
            case _:
                error = SendUnknownError(
                    f"nobody can tell whether the message arrived{reason}",
                    receipt=self,
                    advice="look for it with get_transcript() before sending it again",
                    **details,
                )
        error.__cause__ = cause
        return error
