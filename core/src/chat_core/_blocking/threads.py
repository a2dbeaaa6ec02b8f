"""The threads beside the loop's: one for each callback, and those for calls of the operating system that block."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Threads", "Worker", "calling"]

P = ParamSpec("P")
T = TypeVar("T")

_local = threading.local()


def calling() -> object:
    """Return who this thread is to a session: the callback that it runs, or the thread itself."""
    caller = getattr(_local, "caller", None)
    if caller is None:
        caller = _local.caller = object()
    return caller


class Worker:
    """The thread of one callback: it calls in order, with the context variables of whoever subscribed."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._context = contextvars.copy_context()
        # A daemon: the interpreter waits for other threads before it lets the sessions be closed that end this one.
        self._thread = threading.Thread(target=self._work, name=f"chat-core: {name} callback", daemon=True)
        self._thread.start()

    async def call(self, function: Callable[..., object], *args: object) -> None:
        """Call on the thread, for the running task, and wait until it has returned.

        Raises:
            Exception: what it raised.
        """
        loop, caller = asyncio.get_running_loop(), asyncio.current_task()
        returned: asyncio.Future[None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if returned.done():
                return
            if error is None:
                returned.set_result(None)
            else:
                returned.set_exception(error)

        def job() -> None:
            _local.caller = caller
            failure: Exception | None = None
            try:
                self._context.run(function, *args)
            except (StopIteration, asyncio.CancelledError) as error:  # they mean something else to a future
                failure = RuntimeError(f"a callback raised {type(error).__name__}")
                failure.__cause__ = error
            except Exception as error:  # noqa: BLE001 - told to whoever waits
                failure = error
            except BaseException as error:  # noqa: BLE001 - sys.exit() in a thread ends no program, nor the loop
                failure = RuntimeError(f"a callback raised {type(error).__name__}")
                failure.__cause__ = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, failure)

        self._jobs.put(job)
        await returned

    def stop(self) -> None:
        """End the thread once the callback has returned."""
        self._jobs.put(None)

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, unless this is it."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


class Threads(ThreadPoolExecutor):
    """What the loop runs blocking calls on: names are looked up and files are read there.

    The standard pool refuses work from the end of the main thread on, just when chats have to be left. So each call
    gets a thread of its own; they are few, and last as long as the call.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call in a new thread."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - told to whoever waits
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="chat-core: blocking call", daemon=True).start()
        return future
