"""The one event loop of a worker: a thread of its own beside Locust's greenlets, and the way between the two.

Locust patches the process with gevent, and asyncio sees it: ``DefaultSelector``, ``socket``, ``threading``, ``queue``
and ``ssl`` are gevent's. They serve whoever has a hub, and each thread can have one. So the loop is left as it is under
the patches: its selector waits in the hub of its thread, where its "threads" (storages, ``to_thread``) are greenlets
that run while it waits. The unpatched selector would be quicker and would never let them run. A thread of its own it
is all the same, and not a greenlet of the main hub: there every greenlet would seem to be inside the running loop, and
a burst of chats would hold up Locust's heartbeat.

The thread starts with the first chat, when the main hub runs: the locks of ``import`` are gevent's too, and what the
loop imports could wait for ever for an import in a main thread that does not run its hub yet. For the same reason
nothing here is started while a locustfile is being imported; and a worker that ``--processes`` forks starts its own.

Nothing polls. A greenlet waits for an event of its hub; the loop's thread has that event set by the hub
(``run_callback_threadsafe``, an async watcher). In the other direction it is ``call_soon_threadsafe``. Neither side
waits for a lock of the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeAlias

import gevent
from gevent.event import AsyncResult, Event
from gevent.hub import Hub
from gevent.threadpool import ThreadPool

__all__ = ["LoopThread", "Tell", "Work"]

#: Seconds for a scenario to end once its user was stopped. A chat's own limits are shorter: a start that is given up
#: takes 2 s for leaving and 5 s for closing, a session 5 s (RP-9); but hundreds that are left at once share a core.
LEAVE_TIMEOUT: Final = 30.0
#: Seconds for the thread to end after that.
END_TIMEOUT: Final = 5.0

#: Has something called in the greenlet that waits for the work.
Tell: TypeAlias = Callable[[Callable[[], object]], None]
#: What is done on the loop.
Work: TypeAlias = Callable[[Tell], Coroutine[Any, Any, None]]

_logger = logging.getLogger(__name__)


class LoopThread:
    """A loop in a native thread. Made, used and stopped by greenlets of one hub."""

    def __init__(self) -> None:
        self._hub = gevent.get_hub()
        self._pool = ThreadPool(1, self._hub)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        #: The system's number of the thread, 0 before it runs.
        self._thread = 0
        #: Set once the loop runs, or cannot.
        self._known = Event()
        self._ended: AsyncResult[None] = self._pool.spawn(self._run)
        self._ended.rawlink(lambda _: self._known.set())

    def run(self, work: Work) -> None:
        """Do something on the loop; the calling greenlet waits, and calls what the work tells it to.

        A greenlet that is killed, or whose call raises, has the work cancelled and waits until it is over, bounded.

        Raises:
            RuntimeError: the loop has ended.
            Exception: what the work raised, or a call.
        """
        self._known.wait()
        call = _Call(work, self._hub)
        if not self._post(call.begin):
            raise RuntimeError("the loop of the chats has ended, and no chat can begin") from self._ended.exception
        try:
            call.wait()
        except BaseException:
            self._post(call.cancel)
            if not call.wait_until_over(LEAVE_TIMEOUT):
                _logger.error("a scenario did not end within %g s after it was stopped", LEAVE_TIMEOUT)
            raise

    def stop(self) -> None:
        """End the loop and its thread; what still runs there is cancelled. Bounded."""
        self._known.wait()
        if self._stop is not None:
            self._post(self._stop.set)
        if not self._ended.wait(timeout=END_TIMEOUT) and not self._ended.ready():
            _logger.error("the loop of the chats did not end within %g s and is left behind", END_TIMEOUT)
            return
        self._pool.kill()
        # A process that ends while the thread still takes its hub down is aborted in greenlet's code.
        deadline = time.monotonic() + END_TIMEOUT
        while _is_running(self._thread) and time.monotonic() < deadline:
            gevent.sleep(0.001)

    def _post(self, callback: Callable[[], object]) -> bool:
        """Have the loop call; False when it has ended."""
        if self._loop is None:
            return False
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # closed
            return False
        return True

    def _run(self) -> None:
        self._thread = threading.get_native_id()
        with asyncio.Runner(loop_factory=lambda: _Loop(self._hub)) as runner:
            runner.run(self._serve())
        # Sockets that were left behind in cycles can only be closed while the hub of this thread is there.
        gc.collect()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._hub.loop.run_callback_threadsafe(self._known.set)
        await self._stop.wait()


def _is_running(thread: int) -> bool:
    """Say whether a thread of this process is there, by its number; False where the system does not tell."""
    return Path(f"/proc/self/task/{thread}").exists()


class _Loop(asyncio.SelectorEventLoop):
    """Has names looked up by the main hub.

    gevent looks names up in native threads of the hub that asks. Those of the loop's hub would end with the loop, and
    a process that ends at the same moment, as Locust does after a test, can crash in them. The main hub's stay.
    """

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._main_hub = hub

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's own word
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Look a name up."""
        found: asyncio.Future[list[Any]] = self.create_future()

        def settle(addresses: list[Any], error: Exception | None) -> None:
            if found.done():
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def look_up() -> None:
            addresses: list[Any] = []
            failure: Exception | None = None
            try:
                addresses = socket.getaddrinfo(host, port, family, type, proto, flags)
            except Exception as error:  # noqa: BLE001 - raised where it was asked for
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.call_soon_threadsafe(settle, addresses, failure)

        self._main_hub.loop.run_callback_threadsafe(gevent.spawn, look_up)
        return await found


class _Call:
    """One piece of work: a task on the loop, and the greenlet that waits for it."""

    def __init__(self, work: Work, hub: Hub) -> None:
        self._work = work
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        #: What the greenlet is to call, and None for the end. Filled on the loop's thread.
        self._news: deque[Callable[[], object] | None] = deque()
        self._arrived = Event()
        self._over = False

    def begin(self) -> None:
        """Start; on the loop's thread."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="chat-load-locust: chat")
        self._task.add_done_callback(self._on_done)

    def cancel(self) -> None:
        """Cancel; on the loop's thread."""
        if self._task is not None:
            self._task.cancel()

    def wait(self) -> None:
        """Call what arrives until the work is over.

        Raises:
            Exception: what the work raised, or a call.
            GreenletExit: the work was cancelled together with the loop.
        """
        while (call := self._next(None)) is not None:
            call()
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # it refers to this frame

    def wait_until_over(self, timeout: float) -> bool:
        """Wait until the work is over, whoever else kills the greenlet meanwhile; what arrives is dropped."""
        deadline = time.monotonic() + timeout
        while not self._over and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(gevent.GreenletExit, TimeoutError):
                self._next(left)
        return self._over

    def _next(self, timeout: float | None) -> Callable[[], object] | None:
        while not self._news:
            if not self._arrived.wait(timeout):
                raise TimeoutError
            self._arrived.clear()
        call = self._news.popleft()
        self._over = call is None
        return call

    def _tell(self, call: Callable[[], object] | None) -> None:
        self._news.append(call)
        self._hub.loop.run_callback_threadsafe(self._arrived.set)

    async def _run(self) -> None:
        try:
            await self._work(self._tell)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised in the greenlet, whatever it is; sys.exit() too
            self._error = error

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._error = gevent.GreenletExit()
        self._tell(None)
