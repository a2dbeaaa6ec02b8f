"""How long an event loop was kept from running, by the machine or by whoever runs in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define

#: Seconds between two looks.
STEP = 0.01


@define
class Lag:
    """The longest hold-up since it was last set to nought, in seconds."""

    longest: float = 0.0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Lag]:
        task = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(STEP)
            self.longest = max(self.longest, time.monotonic() - began - STEP)
