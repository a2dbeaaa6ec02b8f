"""Calls any storage: plain or async, quick or slow, well-behaved or not."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import inspect
import math
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chat_core._contracts.logger import Log
from chat_core._model.errors import ChatError, InvalidPluginError, LeaseLostError, StorageError, StorageTimeoutError
from chat_core._model.lease import Lease
from chat_core._storages.keeper import Keeper

__all__ = ["StorageRunner", "check_storage"]

#: Seconds for one call (RP-9: a foreign call that does not return is left behind and named), unless the storage has a
#: ``deadline`` of its own.
DEADLINE = 10.0
#: Seconds for which a call waits for a write that was left behind.
STRAY = 0.25
#: Seconds that a cancelled start waits for the storage to take an ownership back (RP-9).
GIVE_BACK = 2.0


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


def _lease_of(storage: object) -> Lease | None:
    """Return a storage's lease, None where its ownership does not end by itself.

    Raises:
        InvalidPluginError: how long it lasts is no number of seconds.
    """
    if not callable(getattr(storage, "renew", None)):
        return None
    value = getattr(storage, "lease", None)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InvalidPluginError(
            f"the lease of a {type(storage).__qualname__} must be seconds above 0, not {value!r}",
            advice="it is how long its ownership lasts unless renewed",
        )
    return Lease(float(value))


class _Sealed:
    """A storage's answer on its way. In debug mode asyncio logs results and arguments, and a state holds secrets."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Lane:
    """Calls that follow one another, and the thread they run on where they may block."""

    def __init__(self, name: str) -> None:
        self.turn = asyncio.Lock()
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] | None = None

    def put(self, job: Callable[[], None]) -> None:
        """Do something on the thread."""
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=_work, args=(self._jobs,), name=self._name, daemon=True).start()
        self._jobs.put(job)

    def end(self) -> None:
        """Let the thread end once it has done what it was given; the next job gets a new one."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None


class StorageRunner:
    """Brings one storage's calls in order, and keeps its lease where it has one.

    Plain methods run on one daemon thread of the storage's own, one after the other, with the caller's context
    variables; async methods, and everything of a storage with ``blocking = False``, run in the event loop. Renewals of
    a lease do not wait for the other calls.

    Args:
        storage: has ``read`` and ``write``, ``acquire`` and ``release`` where it knows its owner, and ``renew`` where
            the ownership is a lease.
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
        self._lane = _Lane(f"chat-core: storage {name}")
        self._renewals = _Lane(f"chat-core: storage {name}, lease")
        #: What the storage grants to its owner, None where ownership lasts until it is given up.
        self.lease = _lease_of(storage)
        self._keeper = None if self.lease is None else Keeper(self.lease, self._renew)
        self._giving_back: asyncio.Task[None] | None = None
        #: The end of a write that was left behind on its thread.
        self._stray: asyncio.Future[None] | None = None

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
            LeaseLostError: this owner is none any more.
            StorageError: the storage failed.
        """
        try:
            # A copy, so that a storage that changes or keeps what it was given changes nothing here.
            await self._call("write", copy.deepcopy(dict(state)) if state is not None else None)
        except LeaseLostError as error:
            if self.lease is not None:
                self.lease.lose(error)
            raise

    async def acquire(self) -> None:
        """Become the owner, where the storage knows such a thing.

        Raises:
            SessionInUseError: another session is.
            StorageError: the storage failed.
        """
        if not callable(getattr(self._storage, "acquire", None)):
            return
        asked = 0.0 if self.lease is None else self.lease.clock()
        try:
            await self._call("acquire")
        except asyncio.CancelledError:
            # It is finished all the same, and nobody would know that this is the owner.
            self._giving_back = asyncio.get_running_loop().create_task(
                self._give_back(), name="chat-core: give the ownership back"
            )
            await asyncio.wait({self._giving_back}, timeout=GIVE_BACK)
            raise
        if self.lease is not None and self._keeper is not None:
            self.lease.begin(asked)
            self._keeper.start()

    async def release(self) -> None:
        """Stop being the owner and end the storage's thread."""
        if self.lease is not None and self._keeper is not None:
            self.lease.give_up()
            await self._keeper.stop()
        try:
            if callable(getattr(self._storage, "release", None)):
                await self._call("release")
        finally:
            self._close()

    async def _give_back(self) -> None:
        with contextlib.suppress(ChatError):
            await self.release()

    def abandon(self) -> None:
        """Stop being the owner while the event loop is ending, where the storage can do that at once."""
        if self.lease is not None and self._keeper is not None:
            self.lease.give_up()
            self._keeper.cancel()
        self._close()
        release = getattr(self._storage, "release", None)
        hangs = self._stray is not None and not self._stray.done()
        if callable(release) and not inspect.iscoroutinefunction(release) and not hangs:
            try:
                release()
            except Exception as error:  # noqa: BLE001 - there is nobody left to tell
                self._log.debug("the ownership of the state could not be given up", type(error).__name__)

    async def orphans(self, limit: int) -> list[str]:
        """Return profiles whose state nobody owns.

        Raises:
            StorageError: the storage failed.
            InvalidPluginError: it has no leases, or returned something else.
        """
        if not callable(getattr(self._storage, "orphans", None)):
            raise InvalidPluginError(
                f"the storage {self._name!r} cannot tell which sessions have no owner",
                advice="use one with the capability 'lease', such as 'redis'",
            )
        found = await self._call("orphans", limit)
        if not isinstance(found, Sequence) or isinstance(found, str) or not all(isinstance(one, str) for one in found):
            raise InvalidPluginError(f"the storage {self._name!r} returned no list of profiles from orphans")
        return list(found)

    def _close(self) -> None:
        self._lane.end()
        self._renewals.end()

    async def _renew(self) -> None:
        # Not shielded: a renewal that nobody waits for any more is given up.
        await self._in_turn(self._renewals, self._storage.renew, "renew", ())

    async def _call(self, method: str, *arguments: Any) -> Any:
        function = getattr(self._storage, method)
        # A call that was begun is finished, in its turn, whoever stops waiting for it.
        task = asyncio.get_running_loop().create_task(
            self._in_turn(self._lane, function, method, arguments), name=f"chat-core: storage {method}"
        )
        task.add_done_callback(_seen)
        return (await asyncio.shield(task)).value

    async def _in_turn(
        self, lane: _Lane, function: Callable[..., Any], method: str, arguments: tuple[Any, ...]
    ) -> _Sealed:
        async with lane.turn:
            limit = asyncio.timeout(self._deadline)
            try:
                async with limit:
                    if getattr(self._storage, "blocking", True) is False or inspect.iscoroutinefunction(function):
                        result = function(*arguments)
                    else:
                        undo = getattr(self._storage, "release", None) if method == "acquire" else None
                        if method in {"write", "release"}:
                            await self._end_of_stray(method)
                        result = (await self._on_thread(lane, function, arguments, undo, method)).value
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
                lane.end()
                self._log.warning("a call to the state storage did not return and was left behind", self._name, method)
                raise StorageTimeoutError(
                    f"the storage {self._name!r} did not return from {method} within {self._deadline:g} s"
                ) from error

    async def _on_thread(
        self,
        lane: _Lane,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        undo: Callable[[], Any] | None,
        method: str,
    ) -> _Sealed:
        """Call on the storage's thread. ``undo`` is called there if the call succeeds after nobody waits any more."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Sealed] = loop.create_future()
        ended: asyncio.Future[None] = loop.create_future()
        context = contextvars.copy_context()

        def settle(result: _Sealed, error: BaseException | None) -> None:
            ended.set_result(None)
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

        lane.put(job)
        try:
            return await done
        except asyncio.CancelledError:
            if method == "write" and not ended.done():
                self._stray = ended
            raise

    async def _end_of_stray(self, method: str) -> None:
        """Wait for a write that was left behind: it must take no place of what is written later, by whatever owner.

        Not for long: it has had its time.
        """
        if self._stray is None:
            return
        await asyncio.wait({self._stray}, timeout=min(STRAY, self._deadline))
        if not self._stray.done():
            raise StorageTimeoutError(
                f"the storage {self._name!r} has not returned from an earlier write, so {method} waits for that"
            )
        self._stray = None


def _work(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()


def _seen(task: asyncio.Task[Any]) -> None:
    """Take note of a failure for who waits no more: asyncio would complain of it in the program's log."""
    if not task.cancelled():
        task.exception()
