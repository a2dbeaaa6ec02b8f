"""Wakes whoever waits for something to change."""

from __future__ import annotations

import asyncio

__all__ = ["Changes"]


class Changes:
    """Has waiters wait for the next change, and wakes them all at it.

    An ``asyncio.Condition`` takes a lock, which a caller that is no coroutine cannot do; an ``asyncio.Event`` that is
    set and cleared takes four times as much memory of each session.
    """

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        # A list: there are few of them, and an empty set takes four times as much.
        self._waiters: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Wake whoever waits."""
        if not self._waiters:
            return
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def next(self) -> None:
        """Wait for the next change."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter in self._waiters:  # who woke the others has taken all of them out
                self._waiters.remove(waiter)
            raise
