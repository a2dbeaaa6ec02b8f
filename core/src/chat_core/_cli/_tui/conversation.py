"""The conversation: entries one below the other, and below them the visitor's messages that are under way."""

from __future__ import annotations

from collections.abc import Sequence

from chat_core._cli._tui.entries import Entry
from chat_core._cli._tui.rows import Rows
from chat_core._cli._tui.talk_rows import DividerRow, TalkRow

__all__ = ["Conversation"]


class Conversation(Rows):
    """The view of it."""

    def __init__(self) -> None:
        super().__init__(id="conversation")
        self._above: Entry | None = None
        self._under_way: Sequence[Entry] = ()

    def add_entry(self, entry: Entry) -> None:
        """Show an entry. What an earlier process had shown is divided from what is new."""
        if self._above is not None and self._above.earlier and not entry.earlier:
            self.add(DividerRow("taken up again; what follows is new"))
            self._above = None
        self.add(TalkRow(entry, above=self._above))
        self._above = entry
        if self._under_way:
            self.show_under_way(self._under_way)  # the first of them has another one above

    def show_under_way(self, entries: Sequence[Entry]) -> None:
        """Show these as the messages that are under way, in place of those before."""
        self._under_way = entries
        above = [self._above, *entries]
        self.set_tail(TalkRow(entry, above=upper) for upper, entry in zip(above, entries, strict=False))
