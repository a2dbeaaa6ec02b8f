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
        late: seconds in which a command may yet be answered for which nobody waits any more.
    """

    def __init__(self, *, late: float) -> None:
        self._late = late
        self._watchers: list[Watcher] = []
        #: Commands that may be answered though nobody waits for that.
        self._unheard = 0

    @contextmanager
    def watched(self, watcher: Watcher) -> Iterator[None]:
        """Show deliveries to who waits for one. Who gives up may be answered all the same."""
        self._watchers.append(watcher)
        try:
            yield
        except BaseException:
            with self.unheard(self._late):
                raise
        finally:
            self._watchers.remove(watcher)

    @contextmanager
    def unheard(self, seconds: float) -> Iterator[None]:
        """Note that now and for some seconds more a command may be answered though nobody waits for that."""
        self._unheard += 1
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(seconds, self._hear)

    @property
    def one_is_due(self) -> bool:
        """True while one answer can come, and no other."""
        return len(self._watchers) + self._unheard == 1

    def _hear(self) -> None:
        self._unheard -= 1

    def transcript(self, position: int, anchor: int | None) -> Watcher:
        """Return what takes the answer to a question about the transcript.

        Args:
            position: from which on it is wanted.
            anchor: the event from which it is asked; None where it is asked from the beginning.
        """

        def is_answer(delivery: Delivery) -> bool:
            if delivery.error is not None:
                return True
            if delivery.first_index is not None:
                return delivery.first_index == anchor if anchor is not None else delivery.first_index <= position
            known = delivery.batch.next_position
            if known is None or delivery.batch.user_data:
                return False
            # The transcript ends there. One that goes on would begin with the anchor, unless the server leaves that
            # out; and so does the answer to another command, where one may come.
            end = anchor if anchor is not None else position
            return known <= end or (self.one_is_due and not delivery.batch.events)

        return is_answer

    def offer(self, delivery: Delivery) -> bool:
        """Show a delivery to whoever waits for one; True when it is nobody else's business.

        An error that may answer one of several commands is no certain outcome for any of them: it is shown to all, as
        one that may pass.
        """
        if not self._watchers:
            return False
        watchers = tuple(self._watchers)
        if delivery.error is None or self.one_is_due:
            return any(watcher(delivery) for watcher in watchers)
        uncertain = evolve(delivery, passing=True)
        taken = [watcher(uncertain) for watcher in watchers]
        return any(taken)
