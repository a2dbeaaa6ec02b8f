"""Pending: the promise of the API page."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from typing import Any

import pytest

from chat_core import ChatError, ConnectError, FailEvent, NoSessionToRestore, Pending


async def value() -> int:
    await asyncio.sleep(0)
    return 7


async def failure() -> int:
    await asyncio.sleep(0)
    raise ConnectError("no server")


def pending(work: Any = value, **options: Any) -> Pending[Any]:
    return Pending(work, name="work", **options)


def test_it_can_be_awaited_more_than_once():
    """The operation runs once, and each await gives the same result."""
    runs: list[int] = []

    async def work() -> int:
        runs.append(1)
        return len(runs)

    async def main() -> tuple[int, int]:
        one = pending(work)
        return await one, await one

    assert asyncio.run(main()) == (1, 1)


def test_a_failure_can_be_awaited_more_than_once():
    """Each await raises it."""

    async def main() -> None:
        one = pending(failure)
        for _ in range(2):
            with pytest.raises(ConnectError):
                await one
        assert one.state == "failed"

    asyncio.run(main())


def test_done_gets_the_result_and_chains():
    """``.done(...).fail(...)`` returns the same object; callbacks may be async."""

    async def main() -> list[Any]:
        got: list[Any] = []

        async def later(result: int) -> None:
            await asyncio.sleep(0)
            got.append(("async", result))

        one = pending()
        assert one.done(got.append).fail(got.append).done(later) is one
        await one
        for _ in range(5):
            await asyncio.sleep(0)
        return got

    assert asyncio.run(main()) == [7, ("async", 7)]


def test_late_callbacks_are_called_at_once():
    """A callback added after the outcome is called before ``.done`` returns."""

    async def main() -> tuple[list[Any], list[Any]]:
        good, bad = pending(), pending(failure)
        await good
        with pytest.raises(ConnectError):
            await bad
        results: list[Any] = []
        failures: list[Any] = []
        good.done(results.append).fail(failures.append)
        bad.done(results.append).fail(failures.append)
        return results, failures

    results, failures = asyncio.run(main())
    assert results == [7]
    assert [type(one) for one in failures] == [FailEvent]


def test_fail_gets_code_and_description():
    """``event.error.code`` and ``event.error.description``, and the exception beside them."""

    async def main() -> FailEvent:
        events: list[FailEvent] = []
        one = pending(failure).fail(events.append)
        await asyncio.gather(one._task, return_exceptions=True)  # type: ignore[arg-type]
        return events[0]

    event = asyncio.run(main())
    assert event.error is not None
    assert (event.error.code, event.error.description) == (100, "no server")
    assert isinstance(event.exception, ConnectError)


def test_nothing_to_restore_is_an_event_without_error():
    """API page, restoreSession: no error because the chat does not exist."""

    async def nothing() -> None:
        raise NoSessionToRestore("nothing is saved")

    async def other() -> None:
        raise ZeroDivisionError

    async def main() -> list[FailEvent]:
        events: list[FailEvent] = []
        for work in (nothing, other):
            one = pending(work).fail(events.append)
            await asyncio.gather(one._task, return_exceptions=True)  # type: ignore[arg-type]
        return events

    missing, foreign = asyncio.run(main())
    assert missing.error is None
    assert foreign.error is not None
    assert (foreign.error.code, foreign.error.description) == (0, "ZeroDivisionError")


def test_done_without_a_callback_names_settled():
    """It is no Future: ``.done()`` is a TypeError that says what to ask instead."""

    async def main() -> None:
        one = pending()
        with pytest.raises(TypeError, match=r"\.settled"):
            one.done()
        with pytest.raises(TypeError, match=r"\.fail\(\) needs a callback"):
            one.fail()
        assert await one == 7

    asyncio.run(main())


def test_callbacks_need_a_running_loop():
    """Without one the error says how to get one."""
    one = pending()
    with pytest.raises(RuntimeError, match=r"asyncio\.run"):
        one.done(print)
    one.close()


def test_one_that_is_never_used_warns():
    """Like a coroutine that was never awaited."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        one = pending()
        assert one.state == "new"
        del one
        gc.collect()
    assert any("the Pending of work was never awaited" in str(one.message) for one in caught)


def test_create_task_and_task_groups_take_it():
    """It implements the coroutine protocol."""

    async def main() -> list[int]:
        first = await asyncio.create_task(pending())
        async with asyncio.TaskGroup() as group:
            second = group.create_task(pending())
        return [first, second.result()]

    assert asyncio.run(main()) == [7, 7]


def test_async_with_enters_the_result():
    """``async with start_session(...) as session`` leaves the session at the end; other results cannot be entered."""
    seen: list[str] = []

    class Thing:
        async def __aenter__(self) -> str:
            seen.append("enter")
            return "entered"

        async def __aexit__(self, kind: object, error: object, trace: object) -> None:
            seen.append(getattr(kind, "__name__", "clean"))

    async def thing() -> Thing:
        return Thing()

    async def main() -> None:
        async with pending(thing) as entered:
            assert entered == "entered"
        with pytest.raises(ValueError, match="mine"):
            async with pending(thing):
                raise ValueError("mine")
        with pytest.raises(TypeError, match="cannot be entered"):
            async with pending():
                pass

    asyncio.run(main())
    assert seen == ["enter", "clean", "enter", "ValueError"]


def test_a_callback_that_raises_hurts_nobody():
    """It is reported to the loop's exception handler; the others are called."""

    async def main() -> tuple[list[Any], list[str]]:
        reported: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["message"]))
        got: list[Any] = []

        def bad(result: int) -> None:
            raise ZeroDivisionError

        async def worse(result: int) -> None:
            raise ZeroDivisionError

        one = pending().done(bad).done(worse).done(got.append)
        await one
        for _ in range(5):
            await asyncio.sleep(0)
        return got, reported

    got, reported = asyncio.run(main())
    assert got == [7]
    assert len(reported) == 2


def test_cancelling_the_only_one_who_waits_cancels_the_operation():
    """And the operation has ended when the cancellation is through."""

    async def main() -> str:
        events: list[str] = []

        async def long() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                events.append("cleaned up")

        task = asyncio.create_task(pending(long))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return events[0]

    assert asyncio.run(main()) == "cleaned up"


def test_cancelling_one_of_two_lets_the_operation_go_on():
    """Whoever else waits still gets the result; so does a callback."""

    async def main() -> int:
        go = asyncio.Event()

        async def work() -> int:
            await go.wait()
            return 7

        one = pending(work)

        async def wait() -> int:
            return await one

        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        go.set()
        return await second

    assert asyncio.run(main()) == 7


def test_eager_starts_at_the_call():
    """The browser's library starts at the call, and so does what is made eager."""

    async def main() -> bool:
        started = asyncio.Event()

        async def work() -> None:
            started.set()

        one = pending(work, eager=True)
        await asyncio.sleep(0.01)
        assert one.state == "done"
        return started.is_set()

    assert asyncio.run(main())


def test_a_failure_that_nobody_asked_for_is_logged(caplog: pytest.LogCaptureFixture):
    """As asyncio does for a task whose exception was never retrieved."""

    async def main() -> None:
        one = pending(failure, eager=True)
        await asyncio.sleep(0.01)
        assert one.settled
        del one
        gc.collect()

    with caplog.at_level(logging.ERROR, logger="chat_core"):
        asyncio.run(main())
    assert "work failed and nobody asked: ConnectError" in caplog.text


def test_a_cancelled_operation_fails_its_callbacks():
    """A callback is told when the operation was cancelled from outside."""

    async def main() -> FailEvent:
        events: list[FailEvent] = []

        async def long() -> None:
            await asyncio.Event().wait()

        one = pending(long).fail(events.append)
        await asyncio.sleep(0.01)
        assert one._task is not None
        one._task.cancel()
        await asyncio.sleep(0.01)
        return events[0]

    assert isinstance(asyncio.run(main()).exception, asyncio.CancelledError)


def test_errors_can_be_pickled():
    """Workers hand errors on; nothing of them is lost."""
    import pickle

    error = pickle.loads(pickle.dumps(ConnectError("no server", code=100, advice="look")))
    assert isinstance(error, ChatError)
    assert (str(error), error.code, error.retryable) == ("no server (look)", 100, True)


def test_callbacks_are_called_in_the_order_in_which_they_were_added():
    """Also one that is added between the outcome and the first call."""

    async def main() -> list[str]:
        order: list[str] = []
        one = pending()
        one.done(lambda _: order.append("first"))
        assert one._task is not None
        while not one._task.done():
            await asyncio.sleep(0)
        one.done(lambda _: order.append("second"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return order

    assert asyncio.run(main()) == ["first", "second"]


def test_an_operation_that_nobody_holds_is_not_collected():
    """``Pending(...).done(callback)`` without keeping the object goes on to its callback."""

    async def main() -> int:
        result: list[int] = []
        wake: list[asyncio.Future[None]] = []

        async def work() -> int:
            wake.append(asyncio.get_running_loop().create_future())
            await wake[0]
            return 7

        pending(work).done(result.append)
        await asyncio.sleep(0)
        gc.collect()
        wake[0].set_result(None)
        await asyncio.sleep(0.01)
        return result[0]

    assert asyncio.run(main()) == 7
