"""The checks of a logger. A session calls it through the adapter that redacts; the contract is ``chat_core.Log``."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from chat_core._contracts.logger import Log, LoggerContext
from chat_core._loggers.adapter import make_log
from chat_core.testing._checks import Level, Suite, require
from chat_core.testing._subject import Subject
from chat_core.testing._watch import Printed, Shown, watched

__all__ = ["SUITE", "LoggerBench"]

SUITE: Final = Suite("logger", "LG")

_SECRET: Final = "canary-77c1d2-password"  # noqa: S105 - looked for in what the logger shows
_QUICK: Final = 0.25
_THREADS: Final = 8
#: Seconds for calls from several threads.
_PATIENCE: Final = 10.0


class LoggerBench:
    """Makes the logger for one check, as a session does.

    Args:
        subject: what is checked.
        folder: fresh, for this check alone.
    """

    def __init__(self, subject: Subject, folder: Path) -> None:
        self.subject = subject
        self._options = subject.build_options(folder)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def make(self, profile: str = "conformance") -> Any:
        """Make what the provider makes."""
        return self.subject.make(LoggerContext(profile=profile, options=self._options))

    @contextlib.contextmanager
    def log(self, profile: str = "conformance") -> Iterator[tuple[Log, list[BaseException]]]:
        """Yield a log on it and what it raised, which the adapter keeps from the session."""
        raised: list[BaseException] = []
        with _output_caught():
            raw = self.make(profile)
            spy: Any = _Spy(raw, raised) if isinstance(raw, logging.Logger) else _spying(raw, raised)
            yield make_log(spy), raised


class _Spy(logging.LoggerAdapter[Any]):
    """A logger of the standard library, with what it raises noted."""

    def __init__(self, logger: Any, raised: list[BaseException]) -> None:
        super().__init__(logger, {})
        self._raised = raised

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the standard library's name
        return bool(self.logger.isEnabledFor(level))

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        try:
            self.logger.log(level, msg, *args, **kwargs)
        except BaseException as error:
            self._raised.append(error)
            raise


def _spying(function: Any, raised: list[BaseException]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        try:
            result = function(*args)
        except BaseException as error:
            raised.append(error)
            raise
        if inspect.isawaitable(result):
            getattr(result, "close", lambda: None)()
            raised.append(TypeError("it returned an awaitable, which nobody awaits"))
        return result

    return call


@contextlib.contextmanager
def _output_caught() -> Iterator[None]:
    """Keep what the logger writes from everybody else.

    What it writes is its own business, and there are texts among it that other handlers, such as those of a test
    runner, cannot carry.
    """
    root = logging.getLogger()
    others, complains = root.handlers[:], logging.raiseExceptions
    root.handlers, logging.raiseExceptions = [logging.NullHandler()], False
    sink = Shown()
    try:
        with contextlib.redirect_stdout(Printed(sink)), contextlib.redirect_stderr(Printed(sink)):
            yield
    finally:
        root.handlers, logging.raiseExceptions = others, complains


class _Nasty:
    """Has a repr that raises, as objects of strangers do."""

    def __repr__(self) -> str:
        raise ValueError("this repr raises")


@SUITE.check("LG-001", "The factory returns a plain callable or a logging.Logger: nothing to be awaited.")
async def factory_makes_a_logger(bench: LoggerBench) -> None:
    raw = bench.make()
    good = isinstance(raw, logging.Logger | logging.LoggerAdapter) or callable(raw)
    require(good, f"the factory returned a {type(raw).__name__}")
    call = getattr(raw, "__call__", None)  # noqa: B004 - an object with an async __call__ is meant
    asynchronous = inspect.iscoroutinefunction(raw) or inspect.iscoroutinefunction(call)
    require(not asynchronous, "the logger is async, and nobody awaits it")


@SUITE.check("LG-002", "Any number of arguments is taken, none included, whether or not the first one is a text.")
async def any_number_of_arguments(bench: LoggerBench) -> None:
    with bench.log() as (log, raised):
        for number in (0, 1, 2, 3, 20):
            for first in ("words", 7):
                log.warning(*(first, *range(20))[:number])
                require(not raised, f"{number} arguments, the first one {first!r}: it raised {_words(raised)}")


@SUITE.check(
    "LG-003", "Arguments of any type are taken: None, bytes, exceptions, collections, objects with a bad repr."
)
async def any_type_of_argument(bench: LoggerBench) -> None:
    with bench.log() as (log, raised):
        for argument in (
            None,
            True,
            10**40,
            0.5,
            b"bytes",
            ValueError("x"),
            {"key": [1]},
            (1, 2),
            {3},
            object(),
            _Nasty(),
        ):
            log.warning("words", argument)
            log.warning(argument)
            require(not raised, f"an argument of type {type(argument).__name__}: it raised {_words(raised)}")


@SUITE.check("LG-004", "Any text is taken as it is: percent signs, braces, line ends, any script, lone surrogates.")
async def any_text(bench: LoggerBench) -> None:
    texts = (
        "100 %",
        "%s and %(name)s",
        "{} {name} {0}",
        "a\nb",
        "\0",
        "\u05e9\u05dc\u05d5\u05dd \U0001f600",
        "cut \ud83d",
        "",
    )
    with bench.log() as (log, raised):
        for text in texts:
            log.warning(text)
            log.warning(text, "value")
            log.warning("words", text)
            require(not raised, f"the text {text!a}: it raised {_words(raised)}")


@SUITE.check("LG-005", "Each of debug, info, warning and error can be called, and nothing is raised.")
async def every_level(bench: LoggerBench) -> None:
    with bench.log() as (log, raised):
        for level in ("debug", "info", "warning", "error"):
            getattr(log, level)("words", level)
            require(not raised, f"{level}: it raised {_words(raised)}")


@SUITE.check("LG-006", "It can be called from several threads at once.")
async def several_threads(bench: LoggerBench) -> None:
    with bench.log() as (log, raised):
        barrier = threading.Barrier(_THREADS)

        def work() -> None:
            barrier.wait()
            for number in range(25):
                log.warning("words", number)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        ends = time.monotonic() + _PATIENCE
        for thread in threads:
            await asyncio.to_thread(thread.join, max(0.0, ends - time.monotonic()))
        require(not raised, f"from {_THREADS} threads at once it raised {_words(raised)}")
        require(not any(thread.is_alive() for thread in threads), f"calls from {_THREADS} threads at once hang")


@SUITE.check("LG-007", "Sessions with other profiles have loggers that work beside it.")
async def several_profiles(bench: LoggerBench) -> None:
    for profile in ("one", "two", "a.b/c", "\u00e9 %s"):
        with bench.log(profile) as (log, raised):
            log.warning("words", profile)
            require(not raised, f"the profile {profile!a}: it raised {_words(raised)}")


@SUITE.check(
    "LG-008",
    "A call returns within 250 ms: the session calls it on its event loop.",
    level=Level.SHOULD,
)
async def calls_return_at_once(bench: LoggerBench) -> None:
    with bench.log() as (log, _):
        took = []
        for _number in range(3):  # a busy machine may stall once
            began = time.monotonic()
            log.warning("words", 1)
            took.append(time.monotonic() - began)
    require(min(took) < _QUICK, f"a call took {min(took) * 1000:.0f} ms")


@SUITE.check("LG-009", "What the adapter hid from it shows nowhere: it looks at its arguments alone.", security=True)
async def hidden_is_hidden(bench: LoggerBench) -> None:
    raw = bench.make()
    with watched() as shown:
        log = make_log(raw)

        def session(password: str) -> None:
            log.warning("words", {"password": password}, f"https://ada:{password}@chat.example.com/?token={password}")

        session(_SECRET)
    found = shown.find({"a password": _SECRET})
    require(not found, "a password that was hidden from it can be read in what it writes")


def _words(raised: list[BaseException]) -> str:
    return f"{type(raised[-1]).__name__}: {raised[-1]}" if raised else ""
