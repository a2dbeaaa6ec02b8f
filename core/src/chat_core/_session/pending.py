"""``Pending``: what every launcher and every command returns (the "promise" of the API page), in Python's idiom.

It can be awaited, more than once; entered with ``async with`` where the result can be; given to ``create_task`` and
``TaskGroup``; or chained with ``.done(callback)`` and ``.fail(callback)`` as in the browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import field, frozen

from chat_core._model.errors import ChatError, NoSessionToRestore

if TYPE_CHECKING:
    from chat_core._model.events import ErrorInfo

__all__ = ["FailEvent", "Pending"]

T = TypeVar("T")
#: Stands for the callback that was left out, so that the error can say what to use instead.
_MISSING: Any = None
_logger = logging.getLogger("chat_core")


@frozen(kw_only=True)
class FailEvent:
    """What a ``.fail`` callback is given.

    Attributes:
        error: code and description; None when there was nothing to restore, which is not an error (API page,
            "restoreSession").
        exception: what awaiting would have raised.
    """

    error: ErrorInfo | None = None
    exception: BaseException | None = field(default=None, repr=False)


class Pending(Coroutine[Any, Any, T], Generic[T]):
    """The outcome of an operation that starts when somebody wants it: at the first ``await``, ``async with``,
    ``.done`` or ``.fail``. It settles once, and what comes late is told at once.

    Cancelling a task that awaits it cancels the operation, unless a ``.done`` callback or another task waits for
    it too.

    Args:
        factory: makes the coroutine that does the work, or begins it and returns the future that settles with its
            outcome and whose cancellation ends it; called once, on the event loop.
        name: what is done, for messages.
        eager: start at once, as the browser's library does.
        discard: gives back a result that nobody will see, because whoever waited was cancelled in the moment in which
            it came.
    """  # noqa: D205

    def __init__(
        self,
        factory: Callable[[], Coroutine[Any, Any, T] | asyncio.Future[T]],
        *,
        name: str,
        eager: bool = False,
        discard: Callable[[T], Coroutine[Any, Any, object]] | None = None,
    ) -> None:
        self._factory = factory
        self._discard = discard
        #: Somebody has the result.
        self._delivered = False
        self._name = name
        self._task: asyncio.Future[T] | None = None
        self._used = False
        #: Whoever would miss the operation if it were cancelled: tasks, and whether a ``.done`` callback is there.
        self._waiting = 0
        self._wanted = False
        self._callbacks: list[Callable[[asyncio.Future[T]], None]] = []
        self._told = False
        self._observed = False
        self._own: Generator[Any, Any, T] | None = None
        if eager:
            self._start("starting at once")

    def __repr__(self) -> str:
        return f"<Pending {self._name}: {self.state}>"

    @property
    def state(self) -> str:
        """``new``, ``pending``, ``done`` or ``failed``."""
        if self._task is None:
            return "new"
        if not self._task.done():
            return "pending"
        return "failed" if self._task.cancelled() or self._task.exception() is not None else "done"

    @property
    def settled(self) -> bool:
        """True once the outcome is there."""
        return self._task is not None and self._task.done()

    def done(self, callback: Callable[[T], Awaitable[object] | object] = _MISSING) -> Pending[T]:
        """Call back with the result, now if it is there. Returns itself, for chaining.

        Raises:
            TypeError: the callback is missing or cannot be called.
            RuntimeError: no event loop is running.
        """
        _check_callback("done", callback)
        self._wanted = True

        def tell(task: asyncio.Future[T]) -> None:
            if not task.cancelled() and task.exception() is None:
                self._delivered = True
                self._call(callback, task.result())

        return self._when_settled("done", tell)

    def fail(self, callback: Callable[[FailEvent], Awaitable[object] | object] = _MISSING) -> Pending[T]:
        """Call back with a ``FailEvent`` if it fails, now if it has. Returns itself, for chaining.

        Raises:
            TypeError: the callback is missing or cannot be called.
            RuntimeError: no event loop is running.
        """
        _check_callback("fail", callback)
        self._observed = True

        def tell(task: asyncio.Future[T]) -> None:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is not None:
                self._call(callback, FailEvent(error=_info(error), exception=error))

        return self._when_settled("fail", tell)

    def __await__(self) -> Generator[Any, Any, T]:
        self._observed = True
        return self._wait().__await__()

    async def __aenter__(self) -> Any:
        result = await self
        enter = getattr(type(result), "__aenter__", None)
        if enter is None:
            raise TypeError(f"the result of {self._name} cannot be entered with 'async with'; await it instead")
        return await enter(result)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        assert self._task is not None
        result = self._task.result()
        return await type(result).__aexit__(result, kind, error, trace)  # type: ignore[attr-defined]

    # The coroutine protocol, so that create_task and TaskGroup take it

    def send(self, value: Any) -> Any:
        """Run one step, as a coroutine does."""
        return self._steps().send(value)

    def throw(self, *args: Any) -> Any:
        """Raise inside, as in a coroutine."""
        return self._steps().throw(*args)

    def close(self) -> None:
        """Give up waiting, as a coroutine does; one that was never started will not be."""
        self._used = True
        if self._own is not None:
            self._own.close()

    def __del__(self) -> None:
        if not self._used:
            warnings.warn(
                f"the Pending of {self._name} was never awaited, and has no .done or .fail callback: nothing happened",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )
        elif self._task is not None and self._task.done() and not self._observed and not self._task.cancelled():
            error = self._task.exception()
            if error is not None:
                _logger.error("%s failed and nobody asked: %s", self._name, type(error).__name__)

    def _steps(self) -> Generator[Any, Any, T]:
        if self._own is None:
            self._own = self.__await__()
        return self._own

    async def _wait(self) -> T:
        task = self._start("await")
        if task.done():
            self._delivered = True
            return task.result()
        self._waiting += 1
        try:
            result = await asyncio.shield(task)
        except asyncio.CancelledError:
            if self._waiting == 1 and not self._wanted and not self._delivered:
                if not task.done():
                    task.cancel()
                    # The operation may have something to leave behind in order; its own time limits bound that.
                    await _over(task)
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.sleep(0)  # a future tells who made it a turn of the loop later
                await self._give_back(task)
            raise
        else:
            self._delivered = True
            return result
        finally:
            self._waiting -= 1

    async def _give_back(self, task: asyncio.Future[T]) -> None:
        """Dispose of a result that came when nobody waited any more."""
        if self._discard is None or task.cancelled() or task.exception() is not None:
            return
        giving = asyncio.ensure_future(self._discard(task.result()))
        await _over(giving)
        if not giving.cancelled() and (error := giving.exception()) is not None:
            _logger.error("the result of a cancelled %s could not be given back: %s", self._name, type(error).__name__)

    def _start(self, how: str) -> asyncio.Future[T]:
        self._used = True
        if self._task is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                raise RuntimeError(
                    f"{self._name}: {how} needs a running event loop; call it inside a coroutine run by asyncio.run(), "
                    "or use chat_core.blocking, which needs none"
                ) from None
            work = self._factory()
            if not isinstance(work, asyncio.Future):
                work = loop.create_task(work, name=f"chat-core: {self._name}")
            self._task = work
            # The event loop holds tasks weakly, and whoever chained a callback may have let this object go.
            _running.add(self._task)
            self._task.add_done_callback(_retrieve)
            self._task.add_done_callback(self._flush)
        return self._task

    def _when_settled(self, how: str, tell: Callable[[asyncio.Future[T]], None]) -> Pending[T]:
        task = self._start(f".{how}()")
        if self._told:
            tell(task)
        else:
            self._callbacks.append(tell)
        return self

    def _flush(self, task: asyncio.Future[T]) -> None:
        """Call the callbacks in the order in which they were added; later ones are called at once."""
        while self._callbacks:
            self._callbacks.pop(0)(task)
        self._told = True

    def _call(self, callback: Callable[[Any], Awaitable[object] | object], value: Any) -> None:
        """Call back; what a callback raises is reported and hurts nobody (RP-12)."""
        try:
            result = callback(value)
        except Exception as error:  # noqa: BLE001 - a stranger's callback
            self._report(callback, error)
            return
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(result)
            _running.add(task)
            task.add_done_callback(lambda task: self._callback_ended(callback, task))

    def _callback_ended(self, callback: Callable[..., object], task: asyncio.Future[Any]) -> None:
        _running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(callback, error)

    def _report(self, callback: Callable[..., object], error: BaseException) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"a callback of {self._name} failed: {callback!r}", "exception": error}
        )


#: Operations and async callbacks on their way; the event loop alone holds tasks weakly.
_running: set[asyncio.Future[Any]] = set()


async def _over(future: asyncio.Future[Any]) -> None:
    """Wait for what is bounded in itself; another cancellation must not leave anything of it behind."""
    while not future.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({future})


def _retrieve(task: asyncio.Future[Any]) -> None:
    """Mark the outcome as seen: ``Pending`` itself reports a failure that nobody asked for."""
    _running.discard(task)
    if not task.cancelled():
        task.exception()


def _check_callback(how: str, callback: object) -> None:
    if not callable(callback):
        raise TypeError(
            f".{how}() needs a callback that can be called, not {callback!r}; "
            "a Pending is no Future: ask .settled whether it is settled"
        )


def _info(error: BaseException) -> ErrorInfo | None:
    """What the API page's ``event.error`` holds; None when there simply was no session to restore."""
    if isinstance(error, NoSessionToRestore):
        return None
    # A few dozen event classes are made in that module; whoever only imports a launcher need not wait for that.
    from chat_core._model.events import ErrorInfo  # noqa: PLC0415

    if isinstance(error, ChatError):
        return ErrorInfo(code=error.code, description=error.description)
    return ErrorInfo(code=0, description=str(error) or type(error).__name__)
