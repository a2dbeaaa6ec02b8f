"""The view of many rows: it follows its end, and draws no more than it shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.strip import Strip

from chat_core._cli._tui.rows import KEPT, Rows
from support.screens import screen_text


class Numbered:
    drawn = 0

    def __init__(self, number: int, height: int = 1) -> None:
        self.number = number
        self._height = height

    def height(self, width: int) -> int:
        del width
        return self._height

    def draw(self, width: int) -> Sequence[Strip]:
        Numbered.drawn += 1
        return [Strip([Segment(f"row {self.number}".ljust(width))])] * self._height


class Shown(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()

    def compose(self) -> ComposeResult:
        yield self.rows


def line(app: Shown, number: int) -> str:
    """Without the scroll bar."""
    return " ".join(screen_text(app).splitlines()[number].split()[:2])


def test_the_end_is_followed_until_somebody_scrolls_away():
    """Then what comes below is counted, and the view stays; at the end it follows again, after a resize too."""

    async def main() -> None:
        app = Shown()
        async with app.run_test(size=(40, 10)) as pilot:
            for number in range(30):
                app.rows.add(Numbered(number))
            await pilot.pause()
            assert line(app, -1) == "row 29"
            await pilot.resize_terminal(40, 6)
            assert line(app, -1) == "row 29"
            app.rows.scroll_home(animate=False)
            await pilot.pause()
            for number in range(30, 33):
                app.rows.add(Numbered(number))
            await pilot.pause()
            assert app.rows.unseen == 3
            assert line(app, 0) == "row 0"
            app.rows.scroll_end(animate=False)
            await pilot.pause()
            app.rows.add(Numbered(33))
            await pilot.pause()
            assert app.rows.unseen == 0
            assert line(app, -1) == "row 33"

    asyncio.run(main())


def test_the_tail_is_replaced_as_a_whole_and_stays_below():
    """Rows that are added stand above it."""

    async def main() -> None:
        app = Shown()
        async with app.run_test(size=(40, 10)) as pilot:
            app.rows.add(Numbered(1, height=2))
            app.rows.set_tail([Numbered(8), Numbered(9)])
            await pilot.pause()
            app.rows.add(Numbered(2))
            await pilot.pause()
            assert screen_text(app).split() == ["row", "1", "row", "1", "row", "2", "row", "8", "row", "9"]
            app.rows.set_tail([])
            await pilot.pause()
            assert screen_text(app).split() == ["row", "1", "row", "1", "row", "2"]

    asyncio.run(main())


def test_thousands_of_rows_cost_no_more_than_the_screenful_in_sight():
    """Adding draws nothing that is not shown, and the oldest are let go."""

    async def main() -> None:
        app = Shown()
        async with app.run_test(size=(40, 10)) as pilot:
            Numbered.drawn = 0
            began = time.process_time()
            for number in range(KEPT + 1500):
                app.rows.add(Numbered(number))
            await pilot.pause()
            assert Numbered.drawn < 100
            assert time.process_time() - began < 5
            assert len(app.rows.rows) <= KEPT + 1000
            assert line(app, -1) == f"row {KEPT + 1499}"

    asyncio.run(main())


def test_the_view_stays_where_it_is_while_the_oldest_rows_go():
    """Whoever reads further up is not moved."""

    async def main() -> None:
        app = Shown()
        async with app.run_test(size=(40, 10)) as pilot:
            for number in range(KEPT + 999):
                app.rows.add(Numbered(number))
            await pilot.pause()
            app.rows.scroll_to(y=5000, animate=False)
            await pilot.pause()
            assert line(app, 0) == "row 5000"
            app.rows.add(Numbered(KEPT + 999))
            await pilot.pause()
            assert line(app, 0) == "row 5000"

    asyncio.run(main())
