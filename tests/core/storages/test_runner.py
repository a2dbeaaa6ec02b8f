"""Calling any storage."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from typing import Any

import pytest

from chat_core import InvalidPluginError, SessionInUseError, StorageError, StorageTimeoutError
from chat_core._storages.runner import StorageRunner, check_storage
from support.sessions import MemoryLog


def runner(storage: Any, log: MemoryLog | None = None, **options: Any) -> StorageRunner:
    return StorageRunner(storage, name="mine", log=log or MemoryLog(), **options)


class Plain:
    def __init__(self) -> None:
        self.state: Any = None
        self.threads: set[str] = set()

    def read(self) -> Any:
        self.threads.add(threading.current_thread().name)
        return self.state

    def write(self, state: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self.state = state


def test_plain_calls_run_on_one_thread_of_the_storages_own():
    """In order, and never in the event loop's thread."""

    async def main() -> Plain:
        storage = Plain()
        one = runner(storage)
        await asyncio.gather(*(one.write({"n": number}) for number in range(20)))
        assert await one.read() == {"n": 19}
        await one.release()
        return storage

    assert asyncio.run(main()).threads == {"chat-core: storage mine"}


def test_a_storage_that_never_blocks_runs_inline():
    """``blocking = False`` saves the thread."""

    class Inline(Plain):
        blocking = False

    async def main() -> Plain:
        storage = Inline()
        one = runner(storage)
        await one.write({"a": 1})
        await one.release()
        return storage

    assert asyncio.run(main()).threads == {"MainThread"}


def test_awaitables_are_awaited():
    """Coroutine functions run in the loop; a plain method may return an awaitable as well."""

    class Async:
        async def read(self) -> Any:
            await asyncio.sleep(0)
            return {"a": 1}

        def write(self, state: Any) -> Any:
            future: asyncio.Future[None] = loop.create_future()
            loop.call_soon_threadsafe(future.set_result, None)
            return future

    async def main() -> Any:
        nonlocal loop
        loop = asyncio.get_running_loop()
        one = runner(Async())
        await one.write({"b": 2})
        result = await one.read()
        await one.release()
        return result

    loop: Any = None
    assert asyncio.run(main()) == {"a": 1}


def test_the_callers_context_variables_are_there():
    """A storage that looks up the current request finds it."""
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request")

    class Asking(Plain):
        def read(self) -> Any:
            return {"request": request.get()}

    async def main() -> Any:
        request.set("mine")
        one = runner(Asking())
        result = await one.read()
        await one.release()
        return result

    assert asyncio.run(main()) == {"request": "mine"}


def test_what_a_storage_is_given_is_a_copy():
    """A storage that changes its argument or its own state later changes nothing of the session's."""

    class Meddling(Plain):
        def write(self, state: Any) -> None:
            state["link"]["key"] = "changed"
            self.state = state

    async def main() -> Any:
        storage = Meddling()
        one = runner(storage)
        state = {"link": {"key": "mine"}}
        await one.write(state)
        read = await one.read()
        read["link"]["key"] = "mine again"  # type: ignore[index]
        await one.release()
        return state, storage.state

    state, stored = asyncio.run(main())
    assert state == {"link": {"key": "mine"}}
    assert stored == {"link": {"key": "changed"}}


def test_rp09_a_call_that_does_not_return_is_left_behind_and_named():
    """The deadline passes, the log names storage and method, and the next call works."""
    release = threading.Event()

    class Hanging(Plain):
        hang = True

        def read(self) -> Any:
            if self.hang:
                self.hang = False
                release.wait(30)
            return {"a": 1}

    async def main() -> MemoryLog:
        log = MemoryLog()
        one = runner(Hanging(), log, deadline=0.1)
        with pytest.raises(StorageTimeoutError, match=r"'mine' did not return from read within 0\.1 s"):
            await one.read()
        assert await one.read() == {"a": 1}
        await one.release()
        return log

    log = asyncio.run(main())
    release.set()
    assert any("mine read" in line for line in log.at("warning"))


@pytest.mark.parametrize("error", [ValueError("bad"), OSError("disk"), StopIteration(), KeyError("x")])
def test_a_foreign_exception_is_wrapped_and_chained(error: Exception):
    """Ours pass through as they are."""

    class Failing(Plain):
        def read(self) -> Any:
            raise error

    async def main() -> BaseException | None:
        one = runner(Failing())
        with pytest.raises(StorageError, match="'mine' failed to read") as caught:
            await one.read()
        await one.release()
        return caught.value.__cause__

    assert asyncio.run(main()) is not None


def test_our_own_errors_pass():
    """A storage that knows its owner says who it is."""

    class Owned(Plain):
        def acquire(self) -> None:
            raise SessionInUseError("taken")

    async def main() -> None:
        one = runner(Owned())
        with pytest.raises(SessionInUseError):
            await one.acquire()
        await one.release()

    asyncio.run(main())


def test_a_cancelled_write_is_still_made_in_its_turn():
    """Who stops waiting does not break the order."""

    async def main() -> Any:
        storage = Plain()
        one = runner(storage)
        first = asyncio.create_task(one.write({"n": 1}))
        await asyncio.sleep(0)
        first.cancel()
        await one.write({"n": 2})
        await one.release()
        return storage.state

    assert asyncio.run(main()) == {"n": 2}


def test_what_lacks_a_method_is_refused():
    """The missing ones are listed."""

    class Half:
        def read(self) -> Any: ...

    with pytest.raises(InvalidPluginError, match="Half lacks write"):
        check_storage(Half())
    with pytest.raises(InvalidPluginError, match="lacks read and write"):
        check_storage(object())


def test_a_storage_without_owner_may_have_something_to_close():
    """``release`` is called at the end, also where there is no ``acquire``."""
    calls: list[str] = []

    class Open:
        def read(self) -> Any:
            calls.append("read")

        def write(self, state: Any) -> None: ...

        async def release(self) -> None:
            calls.append("release")

    async def main() -> None:
        one = runner(Open())
        await one.acquire()
        await one.read()
        await one.release()

    asyncio.run(main())
    assert calls == ["read", "release"]


def test_rp14_an_ownership_that_comes_too_late_is_given_back():
    """Acquiring after the deadline must not leave the profile taken by nobody."""
    go, released = threading.Event(), threading.Event()

    class Slow(Plain):
        def acquire(self) -> None:
            go.wait(10)

        def release(self) -> None:
            released.set()

    async def main() -> bool:
        one = runner(Slow(), deadline=0.05)
        with pytest.raises(StorageTimeoutError):
            await one.acquire()
        go.set()
        return await asyncio.to_thread(released.wait, 5)

    assert asyncio.run(main())


@pytest.mark.parametrize("blocking", [False, True])
def test_rp14_an_ownership_that_nobody_waits_for_any_more_is_given_back(blocking: bool):
    """Whoever wanted it was cancelled; without that nobody would get it before its end, if it has one."""

    class Slow(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[str] = []

        async def acquire(self) -> None:
            await asyncio.sleep(0.05)
            self.calls.append("acquire")

        async def release(self) -> None:
            self.calls.append("release")

    class SlowOnAThread(Slow):
        def acquire(self) -> None:  # type: ignore[override]
            time.sleep(0.05)  # what blocks
            self.calls.append("acquire")

        def release(self) -> None:  # type: ignore[override]
            self.calls.append("release")

    async def main() -> list[str]:
        storage = SlowOnAThread() if blocking else Slow()
        one = runner(storage)
        acquiring = asyncio.ensure_future(one.acquire())
        await asyncio.sleep(0.01)
        acquiring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await acquiring
        return storage.calls

    assert asyncio.run(main()) == ["acquire", "release"]


@pytest.mark.parametrize("error", [StorageTimeoutError("the vault is slow"), TimeoutError("the socket is slow")])
def test_a_storages_own_timeout_is_not_the_deadline(error: Exception):
    """What it says reaches the caller, nothing is left behind, and its thread goes on."""

    class Slow(Plain):
        def read(self) -> Any:
            super().read()
            raise error

    async def main() -> Slow:
        storage, log = Slow(), MemoryLog()
        one = runner(storage, log)
        for _ in range(2):
            with pytest.raises(StorageError) as caught:
                await one.read()
            assert error in (caught.value, caught.value.__cause__)
            assert "did not return" not in str(caught.value)
        assert log.at("warning") == []
        await one.release()
        return storage

    asyncio.run(main())


def test_a_storage_may_have_a_deadline_of_its_own():
    """Seconds for one call, where ten do not suit it."""
    release = threading.Event()

    class Hanging(Plain):
        deadline = 0.05

        def read(self) -> Any:
            release.wait(30)

    async def main() -> None:
        one = runner(Hanging())
        with pytest.raises(StorageTimeoutError, match=r"did not return from read within 0\.05 s"):
            await one.read()
        release.set()
        await one.release()

    asyncio.run(main())


@pytest.mark.parametrize("value", [0, -1, "10", True, float("nan")])
def test_a_deadline_that_is_no_number_of_seconds_is_refused(value: Any):
    """The error names the storage and the value."""

    class Odd(Plain):
        deadline = value

    async def main() -> None:
        with pytest.raises(InvalidPluginError, match=rf"deadline of a \S+Odd must be seconds above 0, not {value!r}"):
            runner(Odd())

    asyncio.run(main())


def test_rp02_a_write_that_was_left_behind_takes_no_later_ones_place():
    """A disk that hangs for longer than the deadline, as over a network: the next write waits for the end of it."""

    class Hanging(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.go_on = threading.Event()
            self.order: list[int] = []

        def write(self, state: Any) -> None:
            if not self.order:
                self.order.append(0)
                self.go_on.wait(20)
            self.order.append(state["n"])
            super().write(state)

    async def main() -> Hanging:
        storage = Hanging()
        one = runner(storage, deadline=0.1)
        for number in (1, 2):
            with pytest.raises(StorageTimeoutError):
                await one.write({"n": number})
        storage.go_on.set()
        await one.write({"n": 3})
        assert await one.read() == {"n": 3}
        await one.release()
        return storage

    assert asyncio.run(main()).order == [0, 1, 3]


def test_rp14_an_owner_whose_write_hangs_stays_one():
    """What it writes late would take the place of what the next owner wrote; and nobody waits for long."""

    class Hanging(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.go_on = threading.Event()
            self.released = 0

        def write(self, state: Any) -> None:
            self.go_on.wait(20)
            super().write(state)

        def acquire(self) -> None:
            """Nobody else is there."""

        def release(self) -> None:
            self.released += 1

    async def main() -> None:
        storage = Hanging()
        one = runner(storage, deadline=0.4)
        await one.acquire()
        with pytest.raises(StorageTimeoutError):
            await one.write({"n": 1})
        with pytest.raises(StorageTimeoutError, match="has not returned from an earlier write"):
            await one.release()
        one.abandon()
        assert storage.released == 0
        storage.go_on.set()
        async with asyncio.timeout(20):
            while storage.state is None:
                await asyncio.sleep(0.01)
        await one.release()
        assert storage.released == 1

    asyncio.run(main())
