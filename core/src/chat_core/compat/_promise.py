"""The browser library's promise: ``done`` and ``fail``, chainable, started at the call."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from chat_core._session.pending import FailEvent, Pending
from chat_core.compat._events import BrowserObject

__all__ = ["Promise", "as_in_javascript"]

_NOTHING: Final = object()
#: Operations on their way. Ported code ignores most promises, and the event loop alone holds tasks weakly.
_running: Final[set[Pending[Any]]] = set()


class Promise:
    """What the launchers and every command return. It can be awaited as well.

    It starts at the call, settles once, and what comes late is told at once, in order of registration. What a callback
    raises is reported to the event loop's exception handler and hurts nobody.

    Args:
        work: makes the coroutine that does it.
        name: what is done, for messages.

    Raises:
        RuntimeError: no event loop is running.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Any]], *, name: str) -> None:
        async def run() -> Any:
            try:
                return await work()
            finally:
                # One round later it has settled; a failure that nobody asked for is logged when it is dropped then.
                asyncio.get_running_loop().call_soon(lambda: _running.discard(self._pending))

        self._pending: Pending[Any] = Pending(run, name=name, eager=True)
        if not self._pending.settled:  # an eager task factory may have run it to its end already
            _running.add(self._pending)

    def __repr__(self) -> str:
        return repr(self._pending).replace("Pending", "Promise", 1)

    @property
    def settled(self) -> bool:
        """True once the outcome is there."""
        return self._pending.settled

    def done(self, callback: Callable[..., Any] | None = None) -> Promise:
        """Call back with the result, or without an argument where the callback takes none.

        Args:
            callback: plain or async.

        Raises:
            TypeError: it is missing or cannot be called.
        """
        self._pending.done(as_in_javascript(callback))
        return self

    def fail(self, callback: Callable[..., Any] | None = None) -> Promise:
        """Call back with an event that tells what went wrong, or without an argument where the callback takes none.

        The event has ``error.code`` and ``error.description``; its ``error`` is None where there was no session to
        restore. ``exception`` is what awaiting raises.

        Args:
            callback: plain or async.

        Raises:
            TypeError: it is missing or cannot be called.
        """
        tell = as_in_javascript(callback)
        adapted: Callable[[FailEvent], Any] = tell
        if callable(tell):
            adapted = lambda event: tell(_failed(event))  # noqa: E731 - Pending names what cannot be called
        self._pending.fail(adapted)
        return self

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._pending.__await__()


def _failed(event: FailEvent) -> BrowserObject:
    """Return the event of ``fail``; it has no ``error`` at all where there was nothing to restore."""
    shape = BrowserObject(exception=event.exception)
    if event.error is not None:
        shape.error = BrowserObject(code=event.error.code, description=event.error.description)
    return shape


def as_in_javascript(callback: Any) -> Any:
    """Let a callback be called with one argument even if it takes none, as JavaScript drops what nobody asked for.

    What cannot be called is returned as it is, for the callee to refuse.
    """
    if not callable(callback) or _takes_one(callback):
        return callback

    @functools.wraps(callback)
    def call(_argument: Any = _NOTHING) -> Any:
        return callback()

    return call


def _takes_one(callback: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(callback)
    except (ValueError, TypeError):  # a builtin that does not tell
        return True
    for arguments in ((_NOTHING,), ()):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return bool(arguments)
    return True
