"""Saves a session's state as it changes: soon, in order, and never twice the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chat_core._contracts.logger import Log
from chat_core._model.errors import (
    ChatError,
    LeaseLostError,
    StorageCapacityError,
    StorageError,
    StorageUnavailableError,
)
from chat_core._session.shown import Kept

__all__ = ["LAST", "Saver"]

#: Seconds for which position changes are gathered before they are written (architecture, "Session").
DELAY = 0.2
#: Seconds until a failed write is tried again.
RETRY = 5.0
#: Seconds for the last write of a session that is given up (RP-9).
LAST = 10.0


class Saver:
    """Keeps the saved state of one session up to date.

    Args:
        write: puts a state into the storage, None to clear it.
        snapshot: makes the state that is to be saved now.
        kept: called with what the storage holds once a write is over.
        log: where a storage that fails is reported, once until it works again.
    """

    def __init__(
        self,
        *,
        write: Callable[[Mapping[str, Any] | None], Awaitable[None]],
        snapshot: Callable[[], Mapping[str, Any]],
        log: Log,
        kept: Callable[[Kept], None] = lambda _: None,
        delay: float = DELAY,
        retry: float = RETRY,
    ) -> None:
        self._write = write
        self._snapshot = snapshot
        self._log = log
        self._kept = kept
        self._delay = delay
        self._retry = retry
        self._written: Mapping[str, Any] | None = None
        self._turn = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        #: What the storage failed to do the last time it was asked: ``write``, or renew the ``lease``.
        self._failing: set[str] = set()
        self._closed = False

    def touch(self) -> None:
        """Note that something changed; it is saved within the delay."""
        if self._timer is None:
            self._schedule(self._delay)

    async def flush(self) -> None:
        """Save now and return when it is saved.

        Raises:
            LeaseLostError: another process owns the state.
            StorageError: the storage failed; what it held before may still be there.
        """
        self._cancel_timer()
        async with self._turn:
            if self._closed:
                return
            state = self._snapshot()
            if state == self._written:
                self._kept(Kept.LAST)
                return
            self._written = None  # what a write leaves behind that fails, or is not waited for, nobody knows
            try:
                await self._write(state)
            except (StorageCapacityError, StorageUnavailableError) as error:
                self._kept(Kept.EARLIER)
                self._report("write", error)
                raise
            except StorageError as error:
                self._kept(Kept.PERHAPS)
                self._report("write", error)
                raise
            except asyncio.CancelledError:
                self._kept(Kept.PERHAPS)
                raise
            self._kept(Kept.LAST)
            self._written = state
            self._failing.discard("write")

    async def clear(self) -> ChatError | None:
        """Clear the state, for good: the session is over. A storage that fails is reported and returned, not raised."""
        self._cancel_timer()
        async with self._turn:
            if self._closed:
                return None
            self._closed = True
            try:
                await self._write(None)
            except LeaseLostError as error:
                self._log.info("the state of the ended session is another owner's", str(error))
                return error
            except StorageError as error:
                self._log.warning("the state of the ended session could not be cleared", str(error))
                return error
        return None

    async def close(self) -> None:
        """Save a last time and stop. A storage that fails, or does not return, is reported, not raised."""
        try:
            async with asyncio.timeout(LAST):
                await self.flush()
        except (LeaseLostError, StorageError):
            pass  # reported by flush, or by the lease
        except TimeoutError:
            self._report("write", StorageError(f"the state could not be saved within {LAST:g} s"))
        finally:
            self.stop()

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
        except LeaseLostError:
            pass  # whoever keeps the lease has been told
        except StorageError:
            self._schedule(self._retry)

    def stop(self) -> None:
        """Save nothing any more."""
        self._closed = True
        self._cancel_timer()

    def lease_trouble(self, error: Exception | None) -> None:
        """Note that the storage did not renew the lease, or that it does again (None)."""
        if error is not None:
            self._report("lease", error)
        elif "lease" in self._failing:
            self._failing.discard("lease")
            if "write" in self._failing:
                # Sooner than the next attempt would be.
                self._cancel_timer()
                self.touch()

    def _report(self, what: str, error: Exception) -> None:
        """Say once that the storage fails, whatever it is asked."""
        if not self._failing:
            self._log.warning("the session goes on, but its state cannot be saved", str(error))
        self._failing.add(what)
