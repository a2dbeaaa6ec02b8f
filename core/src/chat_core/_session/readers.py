"""The first way to read a session, ``async for``, and the one for scripts and tests, ``wait_for``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from chat_core._model.errors import SessionEndedError
from chat_core._model.events import Event
from chat_core._session.callers import current_caller
from chat_core._session.log import Cursor, EventLog

__all__ = ["EventIterator", "Waiting"]

E = TypeVar("E", bound=Event)


class EventIterator(AsyncIterator[Event]):
    """Iterates over a session's events from the past on, and ends after SessionEnded or detach.

    Raises ``LeaseLostError`` at the end where this process lost the session to another one.

    An event counts as finished when the next one is asked for.
    """

    def __init__(self, log: EventLog, *, after: int, own: bool) -> None:
        self._log = log
        self._after = after
        self._own = own
        self._cursor: Cursor | None = None
        self._closed = False

    def __aiter__(self) -> EventIterator:
        return self

    async def __anext__(self) -> Event:
        if self._closed:
            raise StopAsyncIteration
        cursor = self._cursor
        if cursor is None:
            # Only now: an iterator that nobody iterates must not hold the saved position back.
            cursor = self._cursor = self._log.cursor(after=self._after)
        cursor.finish()
        cursor.caller = current_caller()
        while True:
            event = cursor.take()
            if event is None:
                event = await cursor.next()
            if event is None:
                await self.aclose()
                if self._log.failure is not None:
                    raise self._log.failure()
                raise StopAsyncIteration
            if self._own or not event.own:
                return event
            cursor.finish()

    async def aclose(self) -> None:
        """Stop reading. The event that was handed over last does not count as finished."""
        self._closed = True
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None


class Waiting:
    """Reads through one place of its own, as pexpect does: each wait goes on where the last one ended."""

    def __init__(self, log: EventLog, *, after: int) -> None:
        self._log = log
        self._place = log.cursor(after=after)
        # Between two waits nobody reads, so the saved position must not wait for this place.
        self._place.close()
        #: Who waited last.
        self._caller: object | None = None

    def finish(self, caller: object | None) -> None:
        """Say that the caller is done with what its last wait returned."""
        if self._caller is caller:
            place = self._place.copy()
            place.finish()
            place.close()

    async def wait_for(
        self,
        kind: type[E],
        predicate: Callable[[E], object] | None,
        *,
        timeout: float | None,
        after: int | None,
        own: bool,
        caller: object | None = None,
    ) -> E:
        """Return the next event of a kind for which the predicate holds.

        Raises:
            TimeoutError: none came in time. What was read meanwhile is read again by the next wait.
            SessionEndedError: the session is over and none came; ``LeaseLostError`` where another process goes on.
        """
        cursor = self._place.copy() if after is None else self._log.cursor(after=after)
        cursor.finish()
        try:
            async with asyncio.timeout(timeout):
                while (event := await cursor.next()) is not None:
                    if isinstance(event, kind) and (own or not event.own) and (predicate is None or predicate(event)):
                        if after is not None or self._place.is_behind(cursor):
                            self._place, self._caller = cursor, caller
                        return event
                    cursor.finish()
        except TimeoutError:
            raise TimeoutError(f"no {kind.__name__} that fits came within {timeout:g} s") from None
        finally:
            cursor.close()
        if self._log.failure is not None:
            raise self._log.failure()
        raise SessionEndedError(f"the session was over before a {kind.__name__} that fits came")
