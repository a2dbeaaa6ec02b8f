"""An event loop on virtual time whose tasks run in an order that a seed decides."""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
#: The time of day at which a loop's clock shows 0, in seconds since 1970.
EPOCH = 1.7e9


class _Selector(selectors.SelectSelector):
    """Moves the loop's clock on instead of sleeping, and shuffles what is ready to run."""

    loop: SeededLoop

    def select(self, timeout: float | None = None) -> Any:
        loop = self.loop
        loop.ticks += 1
        if loop.ticks == loop.alarm_at:
            loop.alarm()
        if loop.ready_handles:
            loop.shuffle()
            return []
        if timeout is None:
            # Only threads and signals could still bring something, and there are none here.
            raise RuntimeError("nothing is left to happen: every task waits for something that never comes")
        if timeout > 0:
            # A little more, so that a timer is due whatever the rounding.
            loop.now += timeout + 1e-9
        return []


class SeededLoop(asyncio.SelectorEventLoop):
    """Runs at full speed. No sockets: whatever happens, happens in this loop."""

    def __init__(self, seed: int) -> None:
        self.now = 1000.0
        self.chance = random.Random(seed)
        self.complaints: list[dict[str, Any]] = []
        #: How often the loop went round, and what happens at one of these.
        self.ticks = 0
        self.alarm_at = -1
        self.alarm: Callable[[], object] = lambda: None
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def time(self) -> float:
        return self.now

    @property
    def ready_handles(self) -> Any:
        return self._ready  # type: ignore[attr-defined]

    def shuffle(self) -> None:
        ready = self.ready_handles
        if len(ready) > 1:
            handles = list(ready)
            self.chance.shuffle(handles)
            ready.clear()
            ready.extend(handles)


def run_seeded(main: Coroutine[Any, Any, T], *, seed: int, limit: float = 36000.0) -> T:
    """Run a coroutine on a loop of its own, ``limit`` virtual seconds at most.

    Raises:
        AssertionError: something was reported to the loop's exception handler.
    """
    loop = SeededLoop(seed)

    async def bounded() -> T:
        async with asyncio.timeout(limit):
            return await main

    # Back-off draws from the module's own generator, and a saved message has the time of day at which it was queued.
    state, wall = random.getstate(), time.time
    random.seed(seed)
    time.time = lambda: EPOCH + loop.now
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            result = runner.run(bounded())
    finally:
        random.setstate(state)
        time.time = wall
    assert not loop.complaints, loop.complaints
    return result
