"""How the entries of the conversation look: a column of times and names, the text, and what became of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from chat_core._cli._tui.entries import Entry, Kind, mark_of
from chat_core._cli._tui.palette import BAD, DIM, EARLIER, FAINT, MARKS, MINE, RAISED, TEXT, THEIRS, look_of
from chat_core._cli._tui.wrapping import fitted, wrap

__all__ = ["DividerRow", "TalkRow"]

_TIME: Final = 6
_NAME: Final = 10
_BAR: Final = 3
#: What stands before the text of a message.
_LEFT: Final = 1 + _TIME + _NAME + _BAR
#: What stands behind one's own, and of that what there is room for on a narrow screen.
_MARK: Final = 13
_SIGN: Final = 4
#: Below this width there is no room for times and for more than signs.
_NARROW: Final = 50


def _belongs_together(upper: Entry | None, lower: Entry) -> bool:
    """Tell whether two entries are one speech: the same speaker in the same minute."""
    return (
        upper is not None
        and upper.kind is lower.kind is Kind.SAID
        and (upper.who, upper.own, upper.earlier) == (lower.who, lower.own, lower.earlier)
        and lower.time in {upper.time, ""}
    )


def _mark_width(width: int) -> int:
    return _MARK if width >= _NARROW else _SIGN


class TalkRow:
    """One entry.

    Args:
        entry: what is shown.
        above: what is shown above it, None at the top and below a line across.
    """

    def __init__(self, entry: Entry, *, above: Entry | None = None) -> None:
        self.entry = entry
        #: The row above has shown time and name.
        self._goes_on = _belongs_together(above, entry)
        self._spaced = entry.kind in {Kind.SAID, Kind.LOST, Kind.OVER} and not self._goes_on and above is not None

    def height(self, width: int) -> int:
        """Return how many lines it takes."""
        return len(self._lines(width)) + len(self._reason(width)) + self._spaced

    def draw(self, width: int) -> Sequence[Strip]:
        """Return its lines."""
        strips = [Strip.blank(width)] if self._spaced else []
        if self.entry.kind is Kind.SAID:
            return strips + self._draw_speech(width)
        return strips + self._draw_happening(width)

    def _left(self, width: int) -> int:
        return _LEFT if width >= _NARROW else _LEFT - _TIME

    def _lines(self, width: int) -> list[str]:
        room = width - self._left(width) - 1
        if self.entry.own and self.entry.kind is Kind.SAID:
            room -= _mark_width(width)
        return wrap(self.entry.text, room)

    def _reason(self, width: int) -> list[str]:
        """Return why a message of the visitor failed."""
        receipt = self.entry.receipt
        if receipt is None or not receipt.failed or receipt.error is None:
            return []
        return wrap(receipt.error.description, width - self._left(width) - 1)

    def _draw_speech(self, width: int) -> list[Strip]:
        entry = self.entry
        colour = MINE if entry.own else THEIRS
        ground = Style(bgcolor=RAISED) if entry.own else Style()
        name = Style(color=colour, bold=True, dim=entry.earlier) + ground
        text = Style(color=EARLIER if entry.earlier else TEXT) + ground
        mark, state = mark_of(entry) if entry.own else ("", None)
        behind = _mark_width(width) if entry.own else 0
        mark = f" {mark}" if width >= _NARROW else f" {mark.partition(' ')[0]}"
        strips = []
        for number, line in enumerate(self._lines(width)):
            shown = not self._goes_on and number == 0
            segments = self._margin(width, ground, name, shown=shown)
            segments.append(Segment(fitted(line, width - self._left(width) - 1 - behind), text))
            if behind:
                look = MARKS[state] if state is not None else Style()
                segments.append(Segment(fitted(mark if number == 0 else "", behind), look + ground))
            segments.append(Segment(" ", ground))
            strips.append(Strip(segments))
        for line in self._reason(width):
            segments = self._margin(width, ground, name, shown=False)
            segments.append(Segment(fitted(line, width - self._left(width)), Style(color=BAD) + ground))
            strips.append(Strip(segments))
        return strips

    def _margin(self, width: int, ground: Style, name: Style, *, shown: bool) -> list[Segment]:
        """Return time, name and bar."""
        who = fitted(self.entry.who if shown else "", _NAME)
        segments = [Segment(" ", ground)]
        if width >= _NARROW:
            time = self.entry.time if shown else ""
            segments.append(Segment(fitted(time, _TIME), Style(color=FAINT) + ground))
        bare = who.rstrip(" ")
        segments.append(Segment(" " * (len(who) - len(bare)) + bare, name))
        segments.append(Segment(" ┃ ", name))
        return segments

    def _draw_happening(self, width: int) -> list[Strip]:
        sign, look = look_of(self.entry.kind)
        if self.entry.earlier:
            look += Style(dim=True)
        left = self._left(width)
        loud = look.bgcolor is not None
        strips = []
        for number, line in enumerate(self._lines(width)):
            margin = fitted("", left - _BAR) + (f" {sign} " if number == 0 else "   ")
            strips.append(
                Strip(
                    [
                        Segment(
                            margin, look if loud else Style(color=DIM, dim=self.entry.earlier) + Style(color=look.color)
                        ),
                        Segment(fitted(line, width - left), look),
                    ]
                )
            )
        return strips


class DividerRow:
    """A line across with a word in it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def height(self, width: int) -> int:
        """Return 2: there is a blank line above."""
        del width
        return 2

    def draw(self, width: int) -> Sequence[Strip]:
        """Return its lines."""
        text = f"── {self._text} "
        return [Strip.blank(width), Strip([Segment(text + "─" * max(0, width - len(text)), Style(color=FAINT))])]
