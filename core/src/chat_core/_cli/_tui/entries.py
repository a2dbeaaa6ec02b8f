"""What the conversation shows of each event, and of what is said beside the events: entries, without their looks."""

from __future__ import annotations

import enum

from attrs import frozen

from chat_core._cli._tui.clock import Clock
from chat_core._cli.lines import Lines
from chat_core._cli.terminal import visible
from chat_core._model.events import (
    Continued,
    ContinuityLost,
    ErrorReported,
    Event,
    IdleAlert,
    IdleClose,
    Interrupted,
    MessageReceived,
    SessionEnded,
)
from chat_core._session.receipts import Receipt, ReceiptState

__all__ = ["SIGNS", "Entry", "Kind", "entry_of", "mark_of"]


class Kind(enum.Enum):
    """What an entry is; it decides about the looks."""

    SAID = "said"
    HAPPENED = "happened"
    DOWN = "down"
    UP = "up"
    LOST = "lost"
    OVER = "over"
    WRONG = "wrong"
    NOTE = "note"


@frozen(kw_only=True)
class Entry:
    """One entry. Its texts are fit for a terminal.

    Attributes:
        kind: what it is.
        text: what it says.
        who: who said it.
        time: when, as ``14:02``.
        own: the visitor said it.
        earlier: an earlier process had shown it already.
        receipt: what becomes of a message of the visitor.
        index: its place in the transcript.
    """

    kind: Kind
    text: str
    who: str = ""
    time: str = ""
    own: bool = False
    earlier: bool = False
    receipt: Receipt | None = None
    index: int | None = None


_KINDS: tuple[tuple[type[Event], Kind], ...] = (
    (MessageReceived, Kind.SAID),
    (Interrupted, Kind.DOWN),
    (Continued, Kind.UP),
    (ContinuityLost, Kind.LOST),
    (SessionEnded, Kind.OVER),
    (ErrorReported, Kind.WRONG),
    (IdleAlert, Kind.WRONG),
    (IdleClose, Kind.WRONG),
)


#: Beside the word, so that neither colour nor sign has to tell alone.
SIGNS = {
    ReceiptState.QUEUED: "○",
    ReceiptState.IN_FLIGHT: "→",
    ReceiptState.ACCEPTED: "✓",
    ReceiptState.ECHOED: "✓✓",
    ReceiptState.REJECTED: "✗",
    ReceiptState.EXPIRED: "✗",
    ReceiptState.UNKNOWN: "?",
}


def entry_of(event: Event, lines: Lines, *, clock: Clock, receipt: Receipt | None = None) -> Entry:
    """Return the entry of an event."""
    kind = next((kind for type_, kind in _KINDS if isinstance(event, type_)), Kind.HAPPENED)
    said = isinstance(event, MessageReceived)
    return Entry(
        kind=kind,
        text=visible(event.text if isinstance(event, MessageReceived) else lines.shown(event)),
        who=_one_line(event.party.name) if said and event.party is not None else "",
        time=clock.minutes(event.timestamp),
        own=event.own,
        earlier=event.restored,
        receipt=receipt,
        index=event.index,
    )


def mark_of(entry: Entry) -> tuple[str, ReceiptState | None]:
    """Return the words about what became of a message of the visitor, and its state.

    A message that stands in the transcript is echoed, whoever sent it: this process or one before.
    """
    receipt = entry.receipt
    if receipt is not None and len(receipt.copies) > 1:
        return f"{SIGNS[ReceiptState.ECHOED]} {len(receipt.copies)} copies", ReceiptState.ECHOED
    state = ReceiptState.ECHOED if entry.index is not None else receipt.state if receipt is not None else None
    return ("", None) if state is None else (f"{SIGNS[state]} {state}", state)


def _one_line(text: str) -> str:
    return visible(text).replace("\n", " ")
