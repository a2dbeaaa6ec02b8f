"""Callbacks as the browser library has them: the past at once, then each event in order, to each in order."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, Final

from chat_core._model.errors import OptionTypeError
from chat_core._model.events import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    Continued,
    ErrorReported,
    Event,
    Interrupted,
    MessageReceived,
    PushUrl,
    SessionEnded,
)
from chat_core._session.session import Session
from chat_core._session.subscriptions import Subscription
from chat_core.compat._events import to_browser
from chat_core.compat._promise import as_in_javascript

__all__ = ["Dispatcher"]

#: The kinds of events that have a method of their own in the browser library.
_KINDS: Final = (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    MessageReceived,
    PushUrl,
    SessionEnded,
    ErrorReported,
    Interrupted,
    Continued,
)
#: What is remembered for callbacks that come later, in events and in characters of text, as in the session's own log.
MAX_EVENTS: Final = 10_000
MAX_CHARACTERS: Final = 16 * 1024 * 1024


class Dispatcher:
    """Calls the callbacks of one session.

    One reader serves all plain callbacks, so that two of them see one order, whatever kinds they are for. An async
    callback has a reader of its own and is awaited: it may wait for something that happens later.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._callbacks: dict[type[Event], list[Callable[[Any], Any]]] = {kind: [] for kind in _KINDS}
        #: What callbacks that come later are told at once; None when it was too much to remember.
        self._memory: dict[type[Event], list[Event]] | None = {kind: [] for kind in _KINDS}
        self._events = 0
        self._characters = 0
        #: Reads for all plain callbacks. None until there is one: what nobody was told does not count as delivered.
        self._reader: Subscription[Event] | None = None
        #: Awaitables that plain callbacks returned; the event loop alone holds tasks weakly.
        self._loose: set[asyncio.Future[Any]] = set()

    def add(self, kind: type[Event], callback: Any) -> None:
        """Call back for each event of a kind, now for those that have been.

        Args:
            kind: one of the kinds that the browser library knows.
            callback: plain or async, with one argument or none.

        Raises:
            OptionTypeError: the callback cannot be called.
        """
        if not callable(callback):
            raise OptionTypeError(f"a callback must be callable, not {callback!r}")
        tell = as_in_javascript(callback)
        if _is_async(callback) or self._memory is None:
            self._session.on_event(_only(kind, tell))
            return
        if self._reader is None:
            self._callbacks[kind].append(tell)
            self._reader = self._session.on_event(self._dispatch)
            self._reader._catch_up()  # noqa: SLF001 - the browser library calls back before the method returns
            return
        for event in list(self._memory[kind]):
            self._call(tell, to_browser(event))
        self._callbacks[kind].append(tell)

    def _dispatch(self, event: Event) -> None:
        kind = _kind(event)
        if kind is None:
            return
        # Remembered first, and the list copied: a callback added by a callback is told of this event once.
        self._remember(kind, event)
        shape = to_browser(event)
        for tell in tuple(self._callbacks[kind]):
            self._call(tell, shape)

    def _remember(self, kind: type[Event], event: Event) -> None:
        if self._memory is None:
            return
        memory = self._memory[kind]
        if isinstance(event, AgentTyping):
            # As in the log: of typing only the newest of each party matters to who comes later.
            memory[:] = [other for other in memory if _party_id(other) != _party_id(event)]
        else:
            self._events += 1
            self._characters += len(event.text) if isinstance(event, MessageReceived) else 0
        memory.append(event)
        if self._events > MAX_EVENTS or self._characters > MAX_CHARACTERS:
            # From now on who comes later reads the past from the log and the server's transcript.
            self._memory = None

    def _call(self, tell: Callable[[Any], Any], shape: Any) -> None:
        """Call back; what a callback raises is logged and hurts nobody (RP-12)."""
        try:
            result = tell(shape)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a stranger's callback
            self._failed(tell, error)
            return
        # Such as the promise that a lambda happens to return: the next event does not wait for it.
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(result)
            self._loose.add(task)
            task.add_done_callback(lambda task: self._ended(tell, task))

    def _ended(self, tell: Callable[[Any], Any], task: asyncio.Future[Any]) -> None:
        self._loose.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(tell, error)

    def _failed(self, tell: Callable[[Any], Any], error: BaseException) -> None:
        name = getattr(tell, "__qualname__", type(tell).__name__)
        self._session._parts.log.error("a callback failed", name, error)  # noqa: SLF001 - the session's own logger


def _kind(event: Event) -> type[Event] | None:
    if isinstance(event, PushUrl):
        return MessageReceived
    return next((kind for kind in _KINDS if isinstance(event, kind)), None)


def _only(wanted: type[Event], tell: Callable[[Any], Any]) -> Callable[[Event], Any]:
    def call(event: Event) -> Any:
        return tell(to_browser(event)) if _kind(event) is wanted else None

    return functools.wraps(tell)(call)


def _is_async(callback: Any) -> bool:
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(getattr(callback, "__call__", None))  # noqa: B004 - an object with an async __call__


def _party_id(event: Event) -> int | None:
    return event.party.id if event.party is not None else None
