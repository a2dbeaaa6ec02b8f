"""The lines around the conversation: who talks and how it is connected above, who types below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from chat_core._cli._tui.keys import KEYS
from chat_core._cli._tui.palette import BAD, DIM, GOOD, MINE, TEXT, THEIRS, WARN
from chat_core._cli.terminal import visible
from chat_core._model.events import ParticipantTyping, Party, PartyType
from chat_core._session.parts import ConnectionState

__all__ = ["Bar", "TypingOthers", "connection_text", "keys_text", "party_text"]

#: Seconds after which somebody who is said to type is taken to have stopped: a stop may be lost, it is ephemeral.
LONGEST = 30.0


class Bar(Horizontal):
    """A line with something on the left and something on the right; either is only drawn anew when it changes."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name, classes="bar")
        self._parts = [Static(classes=side, markup=False) for side in ("left", "right")]
        self._shown: list[Text | None] = [None, None]

    def compose(self) -> ComposeResult:
        """Put the parts together."""
        yield from self._parts

    def show(self, left: Text, right: Text) -> None:
        """Show two texts."""
        for number, text in enumerate((left, right)):
            if self._shown[number] != text or self._shown[number].spans != text.spans:  # type: ignore[union-attr]
                self._shown[number] = text
                self._parts[number].update(text)


def connection_text(state: ConnectionState, *, seconds: float, waiting: int) -> Text:
    """Say how the session is connected.

    Args:
        state: the session's own word.
        seconds: since when it has been interrupted.
        waiting: how many messages wait for the connection.
    """
    match state:
        case ConnectionState.CONNECTED:
            return Text("● connected", style=GOOD)
        case ConnectionState.INTERRUPTED:
            text = Text(f"○ interrupted for {seconds:.0f} s", style=WARN)
            if waiting:
                text.append(f", {waiting} waiting")
            return text
        case ConnectionState.ENDED:
            return Text("■ ended", style=BAD)
        case ConnectionState.DETACHED:
            return Text("□ given up", style=DIM)


def party_text(parties: Sequence[Party], subject: str | None) -> Text:
    """Name those who talk with each other, and about what."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for number, party in enumerate(sorted(parties, key=lambda one: one.type is not PartyType.CLIENT)):
        if number:
            text.append(" · ", style=DIM)
        text.append(
            visible(party.name or "-").replace("\n", " "), style=MINE if party.type is PartyType.CLIENT else THEIRS
        )
    if subject:
        text.append(f"  {visible(subject)}".replace("\n", " "), style=TEXT)
    return text


def keys_text(*, demo: bool, cut: bool, over: bool) -> Text:
    """Name the keys that are worth it, as far as they are there and still do something."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for key in KEYS:
        label = key.label_when_over if over else (cut and key.label_when_cut) or key.label
        if label and (demo or not key.demo):
            text.append("  " * bool(text), style=DIM)
            text.append(key.shown, style=f"bold {MINE}")
            text.append(f" {label}", style=DIM)
    return text


class TypingOthers:
    """Who of the others types now."""

    def __init__(self) -> None:
        self._typing: dict[int | None, tuple[ParticipantTyping, float]] = {}

    def take(self, event: ParticipantTyping, now: float) -> None:
        """Note what a typing event says."""
        party = event.party.id if event.party is not None else None
        if event.is_typing and not event.own and not event.restored:
            self._typing[party] = (event, now)
        else:
            self._typing.pop(party, None)

    def spoke(self, party: Party | None) -> None:
        """Note that somebody said something, or left."""
        self._typing.pop(party.id if party is not None else None, None)

    def clear(self) -> None:
        """Note that the chat is over."""
        self._typing.clear()

    def text(self, now: float) -> Text:
        """Say it."""
        self._typing = {party: (event, at) for party, (event, at) in self._typing.items() if now - at < LONGEST}
        text = Text(no_wrap=True, overflow="ellipsis", style=DIM)
        for number, (event, _) in enumerate(self._typing.values()):
            text.append("  " * (number > 0) + visible(f"{event}").replace("\n", " ") + " …", style=THEIRS)
            if event.text:
                text.append(f" {visible(event.text)}".replace("\n", " "), style=DIM)
        return text
