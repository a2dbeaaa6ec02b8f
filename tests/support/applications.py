"""A chat in the application, driven as from a keyboard."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot

from chat_core._cli._tui.app import ChatApp
from chat_core._cli._tui.line import TypedLine
from support.screens import screen_text

__all__ = ["Driven", "driven"]

_DEADLINE = 30.0


class Driven:
    """The application, its keyboard and its screen."""

    def __init__(self, app: ChatApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def screen(self) -> str:
        return screen_text(self.app)

    async def types(self, text: str) -> None:
        """Type a line and send it."""
        await self.writes(text)
        await self.pilot.press("enter")

    async def writes(self, text: str) -> None:
        """Put text into the line without sending it, in one go: each key takes its time."""
        self.app.query_one(TypedLine).insert_text_at_cursor(text)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object], *, within: float = _DEADLINE) -> None:
        """Wait for something to become true."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"it did not come true; the screen:\n{self.screen}") from None

    async def shows(self, pattern: str, *, within: float = _DEADLINE) -> None:
        """Wait until a line of the screen matches a regular expression."""
        await self.until(lambda: re.search(pattern, self.screen), within=within)


@asynccontextmanager
async def driven(session: Any, *, size: tuple[int, int] = (80, 24), **given: Any) -> AsyncIterator[Driven]:
    """Run the application without a terminal."""
    app = ChatApp(session, **given)
    async with app.run_test(size=size) as pilot:
        yield Driven(app, pilot)
    assert app.failure is None, app.failure
