"""The inspector: what the session is, and everything that happens in it, typing and receipts included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final

from attrs import fields
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.strip import Strip
from textual.widgets import Static

from chat_core._cli._tui.clock import Clock
from chat_core._cli._tui.palette import DIM, FAINT, MARKS, TEXT, THEIRS, WARN
from chat_core._cli._tui.rows import Rows
from chat_core._cli._tui.wrapping import fitted
from chat_core._cli.terminal import visible
from chat_core._model.events import Event
from chat_core._session.receipts import Receipt
from chat_core._session.session import Session

__all__ = ["EventRow", "Inspector", "LogRow", "ReceiptRow"]

#: The widths of the log's columns, and the one below which there is none for times.
_NUMBER: Final = 5
_TIME: Final = 9
_WHAT: Final = 19
_NARROW: Final = 60
_COMMON: Final = {one.name for one in fields(Event)}


class LogRow:
    """One line of the event log: a number, a time, what it is, and the details."""

    def __init__(self, number: str, time: str, what: str, details: Callable[[], str], look: Style) -> None:
        self._cells = (number, time, what)
        #: Put together only where it is in sight.
        self._details = details
        self._look = look

    def height(self, width: int) -> int:
        """Return 1."""
        del width
        return 1

    def draw(self, width: int) -> Sequence[Strip]:
        """Return its line."""
        number, time, what = self._cells
        segments = [Segment(fitted(number, _NUMBER), Style(color=FAINT))]
        room = width - _NUMBER - _WHAT
        if width >= _NARROW:
            segments.append(Segment(fitted(time, _TIME), Style(color=FAINT)))
            room -= _TIME
        segments.append(Segment(fitted(what, _WHAT - 1) + " ", self._look))
        segments.append(Segment(fitted(self._details(), max(0, room)), Style(color=DIM)))
        return [Strip(segments).adjust_cell_length(width)]


class EventRow(LogRow):
    """An event, with everything it holds."""

    def __init__(self, event: Event, *, clock: Clock) -> None:
        look = Style(color=WARN if event.index is None else THEIRS, dim=event.restored)
        super().__init__(
            "" if event.index is None else f"#{event.index}",
            clock.seconds(event.timestamp),
            type(event).__name__,
            lambda: visible(" ".join(_details(event))).replace("\n", "⏎"),
            look,
        )


class ReceiptRow(LogRow):
    """A receipt that has come further."""

    def __init__(self, receipt: Receipt, now: str) -> None:
        place = f" at #{receipt.index}" if receipt.index is not None else ""
        tries = f", {receipt.attempts} tries" if receipt.attempts > 1 else ""
        reason = f": {receipt.error.description}" if receipt.failed and receipt.error is not None else ""
        shown = visible(f"{receipt.state}{place}{tries}{reason}")
        super().__init__(
            f"→{receipt.number}",
            now,
            f"Receipt {receipt.number}",
            lambda: shown,
            MARKS[receipt.state],
        )


class Inspector(Vertical):
    """The pane: facts above, the log below."""

    def __init__(self, session: Session, *, clock: Clock) -> None:
        super().__init__(id="inspector")
        self._session = session
        self._clock = clock
        self._facts = Static(id="facts", markup=False)
        self._log = Rows(id="log")
        self._states: dict[int, tuple[Any, ...]] = {}

    def compose(self) -> ComposeResult:
        """Put the parts together."""
        yield self._facts
        yield self._log

    def on_mount(self) -> None:
        """Show what is known."""
        self.border_title = "Inspector"
        facts = Text(overflow="ellipsis", no_wrap=True, end="")
        for number, (name, value) in enumerate(facts_of(self._session)):
            facts.append("\n" * (number > 0) + f"{name:<12}", style=DIM)
            facts.append(visible(value).replace("\n", " "), style=TEXT)
        self._facts.update(facts)

    def add_event(self, event: Event) -> None:
        """Log an event."""
        self._log.add(EventRow(event, clock=self._clock))

    def add_line(self, line: str) -> None:
        """Log what a logger said."""
        now = self._clock.seconds(self._clock.now())
        self._log.add(LogRow("", now, "log", lambda: line.replace("\n", "⏎"), Style(color=FAINT)))

    def add_receipt(self, receipt: Receipt) -> None:
        """Log a receipt if it has come further since it was seen last."""
        state = (receipt.state, receipt.attempts, receipt.copies)
        if self._states.get(receipt.number) != state:
            self._states[receipt.number] = state
            self._log.add(ReceiptRow(receipt, self._clock.seconds(self._clock.now())))


def facts_of(session: Session) -> Iterator[tuple[str, str]]:
    """Name what a session is made of and what that can promise: that gaps are closed, sends settled, and so on."""
    options, guarantees = session.options, session.guarantees
    yield "session", session.id
    if options is not None:
        yield "server", options.server_url or "-"
        explained = {one.name: one.value for one in options.explain()}
        yield "plugins", f"{explained['transport']}, {explained['state_storage']}; profile {options.profile}"
    kept = {
        "gaps": guarantees.gaps_are_closed,
        "sends": guarantees.sends_are_settled,
        "restore": guarantees.survives_the_process,
        "outbox": guarantees.outbox_is_saved,
        "owner": guarantees.single_owner,
    }
    yield "guarantees", "  ".join(f"{'✓' if value else '✗'} {name}" for name, value in kept.items())


def _details(event: Event) -> Iterator[str]:
    if event.party is not None:
        yield f"{event.party.name or '-'} ({event.party.type}{'' if event.party.id is None else f' {event.party.id}'})"
    for one in fields(type(event)):
        value = getattr(event, one.name)
        if one.name not in _COMMON and value is not None and value != one.default:
            yield f"{one.name}={_value(value)}"
    if event.own:
        yield "own"
    if event.restored:
        yield "restored"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return str(value) if isinstance(value, StrEnum) or not isinstance(value, str) else repr(value)
