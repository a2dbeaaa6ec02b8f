"""Whether a machine keeps up with a check whose outcome depends on time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

__all__ = ["Pace"]

#: Seconds between two looks at whether the event loop moves.
_STEP: Final = 0.02


class Pace:
    """How long anything stood still, at most: the event loop, or a call of what is checked.

    Attributes:
        longest: seconds.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._looked = time.monotonic()

    @contextlib.contextmanager
    def called(self) -> Iterator[None]:
        """Note how long a call takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._note(time.monotonic() - began)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch from here on, with nothing noted yet."""
        self.longest, self._looked = 0.0, time.monotonic()
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            self._look()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_STEP)
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        self._note(now - self._looked - _STEP)
        self._looked = now

    def _note(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
