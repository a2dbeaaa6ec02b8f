"""The application's colours. They can be told apart by the colour-blind, and none of them tells anything alone."""

from __future__ import annotations

from typing import Final

from rich.style import Style

from chat_core._cli._tui.entries import Kind
from chat_core._session.receipts import ReceiptState

__all__ = [
    "BAD",
    "DIM",
    "EARLIER",
    "FAINT",
    "GOOD",
    "GROUND",
    "LINE",
    "MARKS",
    "MINE",
    "RAISED",
    "TEXT",
    "THEIRS",
    "WARN",
    "look_of",
]

GROUND: Final = "#10141b"
RAISED: Final = "#1a202b"
LINE: Final = "#2c3544"
TEXT: Final = "#dde3ec"
EARLIER: Final = "#a3adbd"
DIM: Final = "#8793a6"
FAINT: Final = "#707c90"
# After Okabe and Ito, a little lighter upon the dark ground.
MINE: Final = "#f0a830"
THEIRS: Final = "#5fbdf0"
GOOD: Final = "#35c4a0"
WARN: Final = "#f3e45a"
BAD: Final = "#ff8552"

MARKS: Final = {
    ReceiptState.QUEUED: Style(color=WARN),
    ReceiptState.IN_FLIGHT: Style(color=THEIRS),
    ReceiptState.ACCEPTED: Style(color=DIM),
    ReceiptState.ECHOED: Style(color=GOOD),
    ReceiptState.REJECTED: Style(color=BAD, bold=True),
    ReceiptState.EXPIRED: Style(color=BAD, bold=True),
    ReceiptState.UNKNOWN: Style(color=WARN, bold=True),
}

_LOOKS: Final = {
    Kind.HAPPENED: ("·", Style(color=DIM)),
    Kind.DOWN: ("○", Style(color=WARN)),
    Kind.UP: ("●", Style(color=GOOD)),
    Kind.LOST: ("▲", Style(color=GROUND, bgcolor=BAD, bold=True)),
    Kind.OVER: ("■", Style(color=TEXT, bold=True)),
    Kind.WRONG: ("!", Style(color=BAD)),
    Kind.NOTE: ("»", Style(color=DIM, italic=True)),
}


def look_of(kind: Kind) -> tuple[str, Style]:
    """Return the sign and the style of an entry that nobody said."""
    return _LOOKS[kind]
