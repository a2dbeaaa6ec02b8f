"""The one loop thread of the process, and the way of a call from any thread to it and back.

The thread is a daemon: one that is not would be waited for before ``atexit`` is called, for ever. What it must not
leave behind is closed by ``atexit``, bounded; if it hangs nevertheless it hangs nobody.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from chat_core._blocking.threads import Threads, Worker, calling
from chat_core._session.callers import stand_for
from chat_core._session.session import Session, until_over

__all__ = ["Portal", "portal"]

T = TypeVar("T")

#: Seconds for the sessions that are open when the interpreter ends, all together.
EXIT_TIMEOUT: Final = 8.0
#: Seconds for tasks and threads to end after that.
STOP_TIMEOUT: Final = 1.0

_TOO_LATE: Final = "the interpreter is ending, and the chats of chat_core.blocking with it"


class _Call(Generic[T]):
    """One call: the thread that made it waits, a task on the loop does the work."""

    def __init__(
        self, work: Callable[[], Awaitable[T]], unwanted: Callable[[T], Awaitable[object] | None] | None
    ) -> None:
        self._work = work
        self._unwanted = unwanted
        self._caller = calling()
        self._finished = threading.Event()
        self._abandoned = False
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """True while there is something to be given up: it is on its way, or has a result."""
        return not self._finished.is_set() or bool(self._results)

    def begin(self) -> None:
        """Start, on the loop's thread."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="chat-core: blocking call")

    def wait(self, timeout: float | None = None) -> T:
        """Return the result, or raise what went wrong, in the calling thread."""
        if not self._finished.wait(timeout):
            raise TimeoutError(f"the loop thread of chat_core.blocking did not answer within {timeout:g} s")
        if isinstance(self._error, asyncio.CancelledError):
            raise RuntimeError(_TOO_LATE)  # noqa: TRY004 - nobody passed a wrong type
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # it refers to this frame
        return self._results[0]

    def give_up(self, cleaning: set[asyncio.Task[None]]) -> None:
        """Cancel it, on the loop's thread: nobody waits any more. What cleans up after it is added to the set."""
        self._abandoned = True
        task = self._task
        assert task is not None
        if not task.done():
            task.cancel()
        else:
            task = asyncio.get_running_loop().create_task(self._dispose(), name="chat-core: blocking call")
        cleaning.add(task)
        task.add_done_callback(cleaning.discard)

    async def _run(self) -> None:
        stand_for(self._caller)
        try:
            self._results.append(await self._work())
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread, whatever it is
            self._error = error
        if self._abandoned:
            await self._dispose()
        self._finished.set()

    async def _dispose(self) -> None:
        if self._results and self._unwanted is not None and (giving := self._unwanted(self._results[0])) is not None:
            with contextlib.suppress(Exception):  # nobody is there to be told
                await giving


class Portal:
    """A loop in a thread of its own, to which other threads bring their calls."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(Threads())
        self._process = os.getpid()
        #: Guards against a call after the loop's last round. A signal handler may call while its thread does.
        self._lock = threading.RLock()
        self._open = True
        #: Calls that were given up and clean up after themselves.
        self._cleaning: set[asyncio.Task[None]] = set()
        #: Starts and restores on their way.
        self._launches: set[asyncio.Task[Any]] = set()
        #: Sessions that are not over, and the tasks that watch them.
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._workers: WeakSet[Worker] = WeakSet()
        self._thread = threading.Thread(target=self._run, name="chat-core: blocking", daemon=True)
        self._thread.start()

    @property
    def is_inherited(self) -> bool:
        """True in a forked process: the loop's thread is in the other one."""
        return self._process != os.getpid()

    def call(
        self,
        work: Callable[[], Awaitable[T]],
        *,
        unwanted: Callable[[T], Awaitable[object] | None] | None = None,
        timeout: float | None = None,
    ) -> T:
        """Do something on the loop and wait for the result.

        Whatever interrupts the wait, such as Ctrl-C, is raised at once and cancels the work.

        Args:
            work: makes what is awaited.
            unwanted: takes back a result that came when nobody waited any more.
            timeout: seconds for a loop that may not answer at all; what takes its time has limits of its own.

        Raises:
            RuntimeError: called on the loop's own thread, in a forked process, or too late.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                "a blocking method was called on the loop thread of chat_core.blocking, which would wait for itself: "
                "a logger, a storage, a transport or the predicate of wait_for runs there; hand the work to a thread "
                "of your own, or use an on_...() callback, which has one"
            )
        if self.is_inherited:
            raise RuntimeError(
                f"this session belongs to the process {self._process}, from which this one was forked: "
                "start or restore a session in the process that uses it"
            )
        call = _Call(work, unwanted)
        self._post(call.begin)
        try:
            return call.wait(timeout)
        except BaseException:
            if call.is_open:
                with contextlib.suppress(RuntimeError):
                    self._post(call.give_up, self._cleaning)
            raise

    def launch(
        self, work: Callable[[], Awaitable[Session]], *, unwanted: Callable[[Session], Awaitable[object]]
    ) -> Session:
        """Do as ``call`` does, for a session, which is remembered until it is over."""

        async def run() -> Session:
            task = asyncio.current_task()
            assert task is not None
            self._launches.add(task)
            try:
                session = await work()
            finally:
                self._launches.discard(task)
            watching = self._loop.create_task(until_over(session), name="chat-core: blocking session")
            self._sessions[session] = watching
            watching.add_done_callback(lambda _: self._sessions.pop(session, None))
            return session

        return self.call(run, unwanted=unwanted)

    def worker(self, name: str) -> Worker:
        """Start the thread of a callback."""
        worker = Worker(name)
        self._workers.add(worker)
        return worker

    def stop(self, *, timeout: float = EXIT_TIMEOUT) -> None:
        """Close the open sessions, detached or left as after an exception, and end the thread; all of it bounded."""
        if not self._open:
            return
        try:
            # Ctrl-C while chats are left: go on without them.
            with contextlib.suppress(KeyboardInterrupt, TimeoutError):
                self.call(lambda: self._close_sessions(timeout), timeout=timeout + STOP_TIMEOUT)
        finally:
            with self._lock:
                self._open = False
                with contextlib.suppress(RuntimeError):  # closed already
                    self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2 * STOP_TIMEOUT)
            for worker in list(self._workers):
                worker.join(STOP_TIMEOUT)

    def _post(self, callback: Callable[..., object], *args: Any) -> None:
        with self._lock:
            if not self._open:
                raise RuntimeError(_TOO_LATE)
            self._loop.call_soon_threadsafe(callback, *args, context=contextvars.copy_context())

    async def _close_sessions(self, timeout: float) -> None:
        for task in self._launches - self._cleaning:  # what it may have opened it leaves by itself, if cancelled once
            task.cancel()
        closing = [asyncio.ensure_future(session.aclose(failed=True)) for session in self._sessions]
        if waiting := {*closing, *self._launches, *self._cleaning}:
            await asyncio.wait(waiting, timeout=timeout)

    def _run(self) -> None:
        try:
            while True:
                # What a plugin or predicate raises to end the program reaches whoever called, and not the others.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    self._loop.run_forever()
                    break
            self._loop.run_until_complete(_end_tasks())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


async def _end_tasks() -> None:
    await asyncio.sleep(0)  # calls that were on their way here have become tasks then
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=STOP_TIMEOUT)


_lock = threading.RLock()
_portal: Portal | None = None
#: Portals of the processes from which this one was forked. A loop that is collected closes what the other one uses.
_inherited: Final[list[Portal]] = []


def portal() -> Portal:
    """Return the process's portal, started when it is first needed."""
    global _portal  # noqa: PLW0603 - one for each process
    with _lock:
        if _portal is None:
            _portal = Portal()
        return _portal


def _at_exit() -> None:
    if _portal is not None:
        _portal.stop()


def _after_fork() -> None:
    global _portal, _lock  # noqa: PLW0603 - the other process may have held the lock
    _lock = threading.RLock()
    if _portal is not None:
        _inherited.append(_portal)
        _portal = None


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
