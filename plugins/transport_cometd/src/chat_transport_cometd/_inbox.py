"""What has arrived and waits for the session: a burst becomes one batch, and wakes the session once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import chain
from typing import Final

from chat_core import Batch, Ended, LinkDown, LinkUp

__all__ = ["Inbox"]

#: Events that are handed over as one batch, and batches that become one, at most.
MOST: Final = 500


class Inbox:
    """Items in the order in which they came, for one who iterates; batches that follow one another are one."""

    def __init__(self) -> None:
        #: A list stands for batches that are one.
        self._items: list[list[Batch] | LinkDown | LinkUp | Ended] = []
        #: Events in the newest of these lists.
        self._events = 0
        #: Who waits for the next item. An event would take half a KiB of each session.
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    def put(self, item: Batch | LinkDown | LinkUp | Ended) -> None:
        """Take an item; after closing none is taken."""
        if self._closed:
            return
        if not isinstance(item, Batch):
            self._items.append(item)
        elif (
            self._items
            and isinstance(last := self._items[-1], list)
            and self._events + len(item.events) <= MOST
            and _belong_together(last, item)
        ):
            last.append(item)
            self._events += len(item.events)
            return
        else:
            self._items.append([item])
            self._events = len(item.events)
        self._wake()

    def close(self) -> None:
        """Say that nothing follows."""
        self._closed = True
        self._wake()

    async def items(self) -> AsyncIterator[Batch | LinkDown | LinkUp | Ended]:
        """Yield what arrives until the end, or until closing; what waits then is yielded first."""
        while True:
            while self._items:
                item = self._items.pop(0)
                if not isinstance(item, list):
                    yield item
                    if isinstance(item, Ended):
                        return
                else:
                    yield item[0] if len(item) == 1 else _one(item)
            if self._closed:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _belong_together(batches: list[Batch], later: Batch) -> bool:
    """Say whether batches say no less as one: a position that falls, or is not told, has a meaning of its own."""
    before, after = batches[-1].next_position, later.next_position
    return before is not None and after is not None and before <= after and len(batches) < MOST


def _one(batches: list[Batch]) -> Batch:
    user_data: dict[str, object] = {}
    for batch in batches:
        user_data.update(batch.user_data or {})
    return Batch(
        events=tuple(chain.from_iterable([batch.events for batch in batches])),
        next_position=batches[-1].next_position,
        user_data=user_data or None,
    )
