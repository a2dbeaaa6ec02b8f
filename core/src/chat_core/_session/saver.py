"""Saves a session's state as it changes: soon, in order, and never twice the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chat_core._contracts.logger import Log
from chat_core._model.errors import StorageError

__all__ = ["Saver"]

#: Seconds for which position changes are gathered before they are written (architecture, "Session").
DELAY = 0.2
#: Seconds until a failed write is tried again.
RETRY = 5.0


class Saver:
    """Keeps the saved state of one session up to date.

    Args:
        write: puts a state into the storage, None to clear it.
        snapshot: makes the state that is to be saved now.
        log: where a storage that fails is reported, once until it works again.
    """

    def __init__(
        self,
        *,
        write: Callable[[Mapping[str, Any] | None], Awaitable[None]],
        snapshot: Callable[[], Mapping[str, Any]],
        log: Log,
        delay: float = DELAY,
        retry: float = RETRY,
    ) -> None:
        self._write = write
        self._snapshot = snapshot
        self._log = log
        self._delay = delay
        self._retry = retry
        self._written: Mapping[str, Any] | None = None
        self._turn = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self._closed = False

    def touch(self) -> None:
        """Note that something changed; it is saved within the delay."""
        self._schedule(self._delay)

    async def flush(self) -> None:
        """Save now and return when it is saved.

        Raises:
            StorageError: the storage failed; what it held before may still be there.
        """
        self._cancel_timer()
        async with self._turn:
            if self._closed:
                return
            state = self._snapshot()
            if state == self._written:
                return
            try:
                await self._write(state)
            except StorageError as error:
                self._report(error)
                raise
            self._written = state
            self._failing = False

    async def clear(self) -> None:
        """Clear the state, for good: the session is over. A storage that fails is reported, not raised."""
        self._cancel_timer()
        async with self._turn:
            if self._closed:
                return
            self._closed = True
            try:
                await self._write(None)
            except StorageError as error:
                self._log.warning("the state of the ended session could not be cleared", str(error))

    async def close(self) -> None:
        """Save a last time and stop. A storage that fails is reported, not raised."""
        try:
            await self.flush()
        except StorageError:
            pass  # reported by flush
        finally:
            self._closed = True
            self._cancel_timer()

    def _schedule(self, delay: float) -> None:
        if self._closed or self._timer is not None:
            return
        self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._save(), name="chat-core: save state")

    async def _save(self) -> None:
        try:
            await self.flush()
        except StorageError:
            self._schedule(self._retry)

    def _report(self, error: StorageError) -> None:
        if not self._failing:
            self._failing = True
            self._log.warning("the session goes on, but its state cannot be saved", str(error))
