"""Whose answer a delivery is. Nothing in it says so: CometD's deliveries have no correlation with a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from attrs import evolve

from chat_transport_cometd._dialect import Delivery

__all__ = ["Answers", "Watcher"]

#: Returns True for what it takes as its own.
Watcher: TypeAlias = Callable[[Delivery], bool]


class Answers:
    """The commands that may yet be answered.

    Args:
        late: seconds after its acknowledgement in which a command may still be refused.
    """

    def __init__(self, *, late: float) -> None:
        self._late = late
        self._watchers: list[Watcher] = []
        #: Commands whose outcome nobody waits for.
        self._unheard = 0

    @contextmanager
    def watched(self, watcher: Watcher) -> Iterator[None]:
        """Show deliveries to who waits for one."""
        self._watchers.append(watcher)
        try:
            yield
        finally:
            self._watchers.remove(watcher)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Expect that a command is refused though nobody waits for that."""
        self._unheard += 1
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(self._late, self._hear)

    def _hear(self) -> None:
        self._unheard -= 1

    def offer(self, delivery: Delivery) -> bool:
        """Show a delivery to whoever waits for one; True when it is nobody else's business.

        An error that may answer one of several commands is no certain outcome for any of them: it is shown to all, as
        one that may pass.
        """
        if not self._watchers:
            return False
        watchers = tuple(self._watchers)
        if delivery.error is None or len(watchers) + self._unheard == 1:
            return any(watcher(delivery) for watcher in watchers)
        uncertain = evolve(delivery, passing=True)
        taken = [watcher(uncertain) for watcher in watchers]
        return any(taken)
