"""Callbacks that read the log through a cursor of their own, one task each."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from chat_core._contracts.logger import Log
from chat_core._model.events import Event
from chat_core._session.callers import current_caller
from chat_core._session.log import EventLog

__all__ = ["Subscription"]

E = TypeVar("E", bound=Event)


class Subscription(Generic[E]):
    """A callback's place in a session. Call it like the callback; ``cancel`` ends it.

    Attributes:
        callback: what is called.
        active: False once it was cancelled or the session is over and everything was handed over.
    """

    def __init__(
        self,
        *,
        log: EventLog,
        kind: type[E],
        callback: Callable[[E], Awaitable[object] | object],
        own: bool,
        logger: Log,
    ) -> None:
        self.callback = callback
        # Opened now: whatever comes from here on is for this reader too, also typing that is soon superseded.
        self._cursor = log.cursor()
        self._kind = kind
        self._own = own
        self._logger = logger
        functools.update_wrapper(self, callback, assigned=("__doc__", "__name__", "__qualname__", "__module__"))
        self._task = asyncio.get_running_loop().create_task(self._pump(), name=f"chat-core: {kind.__name__} callback")
        # Not in the pump: one that is cancelled before it has begun would hold the saved position back for ever.
        self._task.add_done_callback(lambda _: self._cursor.close())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.callback(*args, **kwargs)

    def __repr__(self) -> str:
        name = getattr(self.callback, "__qualname__", type(self.callback).__name__)
        return f"<Subscription to {self._kind.__name__}: {name}, {'active' if self.active else 'over'}>"

    @property
    def active(self) -> bool:
        """True while events may still be handed over."""
        return not self._task.done()

    def cancel(self) -> None:
        """Call back no more. A callback that is running is cancelled, unless it is the one that asks."""
        if self.runs_in(current_caller()):
            self._kind = _Nothing  # type: ignore[assignment] # the pump ends when this callback returns
        else:
            self._task.cancel()

    def runs_in(self, caller: object | None) -> bool:
        """Say whether the callback is what is calling."""
        return self._task is caller

    def when_over(self, call: Callable[[], object]) -> None:
        """Call once nothing more is handed over."""
        self._task.add_done_callback(lambda _: call())

    async def ended(self) -> None:
        """Wait until everything was handed over, unless the callback itself asks."""
        if not self.runs_in(current_caller()):
            await asyncio.wait([self._task])

    def _catch_up(self) -> None:
        """Call back for what is in the log already, before this returns. For plain callbacks that return nothing."""
        while (event := self._cursor.take()) is not None:
            if isinstance(event, self._kind) and (self._own or not event.own):
                try:
                    self.callback(event)
                except Exception as error:  # noqa: BLE001 - as in _call
                    self._logger.error("a callback failed", repr(self), error)
            self._cursor.finish()

    async def _pump(self) -> None:
        cursor = self._cursor
        while self._kind is not _Nothing and (event := await cursor.next()) is not None:
            if isinstance(event, self._kind) and (self._own or not event.own):
                await self._call(event)
            cursor.finish()

    async def _call(self, event: E) -> None:
        try:
            result = self.callback(event)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._logger.error("a callback was cancelled from within", repr(self))
        except Exception as error:  # noqa: BLE001 - a bad handler hurts nobody (RP-12)
            self._logger.error("a callback failed", repr(self), error)


class _Nothing(Event):
    """The kind of event that never comes."""
