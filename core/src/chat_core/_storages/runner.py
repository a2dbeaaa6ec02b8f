"""Calls any storage: plain or async, quick or slow, well-behaved or not."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import inspect
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from chat_core._contracts.logger import Log
from chat_core._model.errors import ChatError, InvalidPluginError, StorageError, StorageTimeoutError

__all__ = ["StorageRunner", "check_storage"]

#: Seconds for one call (RP-9: a foreign call that does not return is left behind and named), unless the storage has a
#: ``deadline`` of its own.
DEADLINE = 10.0


def check_storage(storage: object) -> None:
    """Check that an object can serve as a storage.

    Raises:
        InvalidPluginError: it lacks a method.
    """
    missing = [name for name in ("read", "write") if not callable(getattr(storage, name, None))]
    if missing:
        raise InvalidPluginError(
            f"a state storage needs read and write; {type(storage).__qualname__} lacks {' and '.join(missing)}",
            advice="read() returns the state or None, write(state) keeps it and write(None) clears it",
        )


def _deadline_of(storage: object) -> float:
    """Return a storage's own deadline, or the usual one.

    Raises:
        InvalidPluginError: it is no number of seconds.
    """
    value = getattr(storage, "deadline", None)
    if value is None:
        return DEADLINE
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InvalidPluginError(
            f"the deadline of a {type(storage).__qualname__} must be seconds above 0, not {value!r}",
            advice="it is how long one read or write may take",
        )
    return float(value)


class _Sealed:
    """A storage's answer on its way. In debug mode asyncio logs results and arguments, and a state holds secrets."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class StorageRunner:
    """Brings one storage's calls in order.

    Plain methods run on one daemon thread of the storage's own, one after the other, with the caller's context
    variables; async methods, and everything of a storage with ``blocking = False``, run in the event loop.

    Args:
        storage: has ``read`` and ``write``, and ``acquire`` and ``release`` where it knows its owner.
        name: for messages.
        log: hears of calls that are left behind.
        deadline: seconds for one call; None: the storage's own ``deadline``, else 10.
    """

    def __init__(self, storage: Any, *, name: str, log: Log, deadline: float | None = None) -> None:
        check_storage(storage)
        self._storage = storage
        self._name = name
        self._log = log
        self._deadline = _deadline_of(storage) if deadline is None else deadline
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def read(self) -> Mapping[str, Any] | None:
        """Return the state, None when there is none.

        Raises:
            StorageError: the storage failed.
            InvalidPluginError: it returned something else.
        """
        state = await self._call("read")
        if state is not None and not isinstance(state, Mapping):
            raise InvalidPluginError(
                f"the storage {self._name!r} read a {type(state).__name__}, not a mapping or None",
                advice="read() must return what write() was given",
            )
        return copy.deepcopy(dict(state)) if state is not None else None

    async def write(self, state: Mapping[str, Any] | None) -> None:
        """Keep a state, or clear it with None.

        Raises:
            StorageError: the storage failed.
        """
        # A copy, so that a storage that changes or keeps what it was given changes nothing here.
        await self._call("write", copy.deepcopy(dict(state)) if state is not None else None)

    async def acquire(self) -> None:
        """Become the owner, where the storage knows such a thing.

        Raises:
            SessionInUseError: another session is.
            StorageError: the storage failed.
        """
        if callable(getattr(self._storage, "acquire", None)):
            await self._call("acquire")

    async def release(self) -> None:
        """Stop being the owner and end the storage's thread."""
        try:
            if callable(getattr(self._storage, "release", None)):
                await self._call("release")
        finally:
            self._closed = True
            if self._jobs is not None:
                self._jobs.put(None)
                self._jobs = None

    def abandon(self) -> None:
        """Stop being the owner while the event loop is ending, where the storage can do that at once."""
        self._closed = True
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None
        release = getattr(self._storage, "release", None)
        if callable(release) and not inspect.iscoroutinefunction(release):
            try:
                release()
            except Exception as error:  # noqa: BLE001 - there is nobody left to tell
                self._log.debug("the ownership of the state could not be given up", type(error).__name__)

    async def _call(self, method: str, *arguments: Any) -> Any:
        function = getattr(self._storage, method)
        # A call that was begun is finished, in its turn, whoever stops waiting for it.
        task = asyncio.get_running_loop().create_task(
            self._in_turn(function, method, arguments), name=f"chat-core: storage {method}"
        )
        return (await asyncio.shield(task)).value

    async def _in_turn(self, function: Callable[..., Any], method: str, arguments: tuple[Any, ...]) -> _Sealed:
        async with self._turn:
            limit = asyncio.timeout(self._deadline)
            try:
                async with limit:
                    if getattr(self._storage, "blocking", True) is False or inspect.iscoroutinefunction(function):
                        result = function(*arguments)
                    else:
                        undo = getattr(self._storage, "release", None) if method == "acquire" else None
                        result = (await self._on_thread(function, arguments, undo)).value
                    return _Sealed(await result if inspect.isawaitable(result) else result)
            except ChatError:
                raise
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                raise StorageError(f"the storage {self._name!r} gave {method} up in the middle") from error
            except Exception as error:
                if not limit.expired():  # a storage may have a TimeoutError of its own
                    raise StorageError(
                        f"the storage {self._name!r} failed to {method}: {type(error).__name__}",
                        advice="the cause is chained to this error",
                    ) from error
                # The thread may never come back; if it does it ends, and the next call gets a new one.
                if self._jobs is not None:
                    self._jobs.put(None)
                    self._jobs = None
                self._log.warning("a call to the state storage did not return and was left behind", self._name, method)
                raise StorageTimeoutError(
                    f"the storage {self._name!r} did not return from {method} within {self._deadline:g} s"
                ) from error

    async def _on_thread(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], undo: Callable[[], Any] | None
    ) -> _Sealed:
        """Call on the storage's thread. ``undo`` is called there if the call succeeds after nobody waits any more."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Sealed] = loop.create_future()
        context = contextvars.copy_context()

        def settle(result: _Sealed, error: BaseException | None) -> None:
            if done.done():
                if error is None and undo is not None:
                    threading.Thread(target=undo, name=f"chat-core: storage {self._name}", daemon=True).start()
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def job() -> None:
            result = _Sealed(None)
            failure: BaseException | None = None
            try:
                result = _Sealed(context.run(function, *arguments))
            except StopIteration as error:  # cannot be put into a future
                failure = RuntimeError(f"StopIteration: {error}")
            except BaseException as error:  # noqa: BLE001 - told to whoever waits
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result, failure)

        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(
                target=_work, args=(self._jobs,), name=f"chat-core: storage {self._name}", daemon=True
            ).start()
        self._jobs.put(job)
        return await done


def _work(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
