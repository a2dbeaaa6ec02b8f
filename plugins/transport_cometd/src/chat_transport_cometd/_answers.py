"""Whose answer a delivery is. Nothing in it says so: CometD's deliveries have no correlation with a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from attrs import evolve

from chat_core import NotSentError
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
        except NotSentError:
            raise
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

    def _hear(self) -> None:
        self._unheard -= 1

    @staticmethod
    def transcript(position: int, anchor: int | None, earlier: Collection[int]) -> Watcher:
        """Return what takes the answer to a question about the transcript.

        Args:
            position: from which on it is wanted.
            anchor: the event from which it is asked; None where it is asked from the beginning.
            earlier: anchors of questions whose answers may yet come, which will do as well.
        """

        def is_answer(delivery: Delivery) -> bool:
            if delivery.error is not None:
                return True
            if delivery.first_index is not None:
                if anchor is None or delivery.first_index in earlier:
                    return delivery.first_index <= position
                return delivery.first_index == anchor
            # The transcript ends there. An envelope without events that says more answers another command: this answer
            # would begin with the anchor.
            known = delivery.batch.next_position
            end = anchor if anchor is not None else position
            return known is not None and known <= end and not delivery.batch.user_data

        return is_answer

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
