"""A view of many rows that draws only those it shows: thousands of events cost no more than the screenful in sight."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

__all__ = ["Row", "Rows"]

#: Rows kept; the oldest thousand goes when there are a thousand more. The session's log keeps as many events.
KEPT = 10_000
_SLICE = 1_000


class Row(Protocol):
    """One thing that is drawn in a number of lines."""

    def height(self, width: int) -> int:
        """Return how many lines it takes in a width, 1 at least."""

    def draw(self, width: int) -> Sequence[Strip]:
        """Return its lines."""


class Rows(ScrollView, can_focus=True):
    """Rows one below the other. Follows its end unless somebody scrolled away from it.

    The last rows may be a tail that is replaced as a whole: what is under way.
    """

    DEFAULT_CSS = """
    Rows { overflow-x: hidden; overflow-y: auto; scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._rows: list[Row] = []
        #: The first line of each row, the tail's included.
        self._tops: list[int] = []
        self._tail: list[Row] = []
        self._height = 0
        #: The height of the rows without the tail.
        self._settled_height = 0
        self._width = 0
        self._due = False
        self._following = True
        #: Rows that came while nobody looked at the end.
        self._unseen = 0
        self._drawn: dict[int, Sequence[Strip]] = {}

    @property
    def unseen(self) -> int:
        """How many rows came below what is in sight since somebody scrolled up."""
        return 0 if self._following else self._unseen

    @property
    def rows(self) -> Sequence[Row]:
        """All rows, the tail's included."""
        return [*self._rows, *self._tail]

    def add(self, row: Row) -> None:
        """Put a row below the others, above the tail."""
        self._rows.append(row)
        del self._tops[len(self._rows) - 1 :]
        self._tops.append(self._settled_height)
        self._settled_height += self._measure(row)
        self._unseen += 1
        if len(self._rows) >= KEPT + _SLICE:
            self._forget_the_oldest()
        self._change()

    def set_tail(self, rows: Iterable[Row]) -> None:
        """Replace the rows at the end that are under way."""
        self._tail = list(rows)
        self._change()

    def _measure(self, row: Row) -> int:
        return row.height(self._width) if self._width else 1

    def _forget_the_oldest(self) -> None:
        gone = self._tops[_SLICE]
        del self._rows[:_SLICE]
        self._tops = [top - gone for top in self._tops[_SLICE:]]
        self._settled_height -= gone
        if not self._following:
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, immediate=True)

    def _change(self) -> None:
        """Settle once for all that is added in one go."""
        if not self._due:
            self._due = True
            self.call_later(self._settle)

    def _settle(self) -> None:
        self._due = False
        self._drawn.clear()
        del self._tops[len(self._rows) :]
        self._height = self._settled_height
        for row in self._tail:
            self._tops.append(self._height)
            self._height += self._measure(row)
        self.virtual_size = Size(self._width, self._height)
        if self._following:
            self._unseen = 0
            self.scroll_end(animate=False, immediate=True, force=True)
        self.refresh()

    def on_resize(self) -> None:
        """Measure all rows anew when the width is another one."""
        width = self.scrollable_content_region.width
        if width != self._width:
            self._width = width
            self._tops, self._settled_height = [], 0
            for row in self._rows:
                self._tops.append(self._settled_height)
                self._settled_height += row.height(width)
        self._settle()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow the end from when somebody scrolls to it until they scroll away. What comes does not scroll."""
        super().watch_scroll_y(old_value, new_value)
        self._following = self.is_vertical_scroll_end

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        width = self._width
        line = self.scroll_offset.y + y
        base = self.rich_style
        if not 0 <= line < self._height or not width:
            return Strip.blank(self.size.width, base)
        number = bisect_right(self._tops, line) - 1
        strips = self._drawn.get(number)
        if strips is None:
            if len(self._drawn) >= _SLICE:
                self._drawn.clear()
            row = self._rows[number] if number < len(self._rows) else self._tail[number - len(self._rows)]
            strips = self._drawn[number] = row.draw(width)
        offset = line - self._tops[number]
        strip = strips[offset] if offset < len(strips) else Strip.blank(width)
        return strip.adjust_cell_length(self.size.width).apply_style(base)
