"""A session's events as a plain iterator."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from chat_core._model.events import Event
from chat_core._session import readers

if TYPE_CHECKING:
    from chat_core._blocking.portal import Portal

__all__ = ["EventIterator"]


class EventIterator(Iterator[Event]):
    """Iterates over a session's events from the past on, and ends after SessionEnded or detach.

    An event counts as finished when the next one is asked for. One thread at a time.
    """

    def __init__(self, portal: Portal, events: readers.EventIterator) -> None:
        self._portal = portal
        self._events = events
        #: What came when the wait for it had just been interrupted: it is the next one.
        self._kept: deque[Event | None] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        event = self._kept.popleft() if self._kept else self._portal.call(self._next, unwanted=self._kept.append)
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """Stop reading. The event that was handed over last does not count as finished."""
        if not self._portal.is_inherited:
            self._portal.call(self._events.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _next(self) -> Event | None:
        return await anext(self._events, None)
