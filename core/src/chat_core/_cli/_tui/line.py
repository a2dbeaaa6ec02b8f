"""The line that the visitor types into: with a history, and a pasted text stays whole."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import Input

from chat_core._cli.terminal import visible

__all__ = ["TypedLine"]


class TypedLine(Input):
    """One line, and those that were sent before it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "older", show=False),
        Binding("down", "newer", show=False),
    ]

    def __init__(self, **given: Any) -> None:
        super().__init__(select_on_focus=False, **given)
        self.cursor_blink = False
        self._history: list[str] = []
        #: Where in the history the visitor is; its length stands for the line that is being written.
        self._at = 0
        self._draft = ""

    def take(self) -> str:
        """Return the line, remember it, and begin a new one."""
        line = self.value
        if line and self._history[-1:] != [line]:
            self._history.append(line)
        self._at = len(self._history)
        self._draft = ""
        self.value = ""
        return line

    def action_older(self) -> None:
        """Show the line that was sent before."""
        if self._at == len(self._history):
            self._draft = self.value
        self._go(max(0, self._at - 1))

    def action_newer(self) -> None:
        """Show the line that was sent after, at last the one that was being written."""
        self._go(min(len(self._history), self._at + 1))

    def _go(self, at: int) -> None:
        if at != self._at:
            self._at = at
            self.value = self._draft if at == len(self._history) else self._history[at]
            self.cursor_position = len(self.value)

    def _on_paste(self, event: events.Paste) -> None:
        """Insert all of it, as one line: what Input does keeps the first line and drops the others."""
        text = visible(" ".join(event.text.splitlines()).replace("\t", " "))
        self.replace(text, *sorted(self.selection))
        event.prevent_default()
        event.stop()
