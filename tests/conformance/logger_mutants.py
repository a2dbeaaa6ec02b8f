"""Loggers with one thing wrong, and odd ones that are right."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Any

from attrs import frozen

from chat_core import LoggerProvider
from conformance.mutant import Mutant, Odd


async def _async(*args: Any) -> None:
    pass


def _one(text: object, value: object = None) -> None:
    pass


def _upper(*args: object) -> None:
    for argument in args:
        if not isinstance(argument, str | int | float):
            raise TypeError("cannot write that")


def _percent(*args: Any) -> None:
    if len(args) > 1 and isinstance(args[0], str) and isinstance(args[1], str):
        _ = args[0] % ()


def _utf8(*args: Any) -> None:
    for argument in args:
        if isinstance(argument, str):
            argument.encode("utf-8")


class _OneThread:
    def __init__(self) -> None:
        self.thread = threading.get_ident()

    def __call__(self, *args: object) -> None:
        if threading.get_ident() != self.thread:
            raise RuntimeError("made in another thread")


class _Hangs:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, *args: object) -> None:
        if threading.current_thread().name.startswith("Thread-"):
            self.lock.acquire()


class _Quiet(logging.Logger):
    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return True

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if level < logging.INFO:
            raise ValueError("no such level")


_profiles: list[str] = []


def _only_one_profile(context: Any) -> Any:
    if context.profile not in {"conformance", "one"}:
        raise ValueError("there is a logger already")
    return lambda *_: None


def _profile_is_a_format(context: Any) -> Any:
    def log(*_: object) -> None:
        _ = context.profile % ()

    return log


def _slow(*_: object) -> None:
    if threading.current_thread().name.startswith("chat-core: LG-008"):
        time.sleep(0.12)


def _looks_around(*args: object) -> None:
    frame = sys._getframe()
    while frame is not None:
        if "password" in frame.f_locals:
            sys.stderr.write(frame.f_locals["password"])
        frame = frame.f_back  # type: ignore[assignment]


class _Records(logging.LoggerAdapter[Any]):
    pass


def _provider(factory: Any, options: Any = None) -> LoggerProvider:
    return LoggerProvider(name="mutant", summary="a logger", factory=factory, options=options)


def _mutant(name: str, factory: Any, fails: dict[str, str], *, hangs: bool = False) -> Mutant:
    return Mutant(name=name, subject=_provider(factory), fails=fails, hangs=hangs)


@frozen(kw_only=True)
class _Options:
    prefix: str = "chat"


async def _factory(context: Any) -> Any:
    return print


MUTANTS = [
    _mutant(
        "the factory is async",
        _factory,
        {
            "LG-001": "the factory returned a coroutine",
            "LG-002": "0 arguments, the first one 'words': it raised",
            "LG-003": "an argument of type NoneType: it raised",
            "LG-004": "the text '100 %': it raised TypeError:",
            "LG-005": "info: it raised TypeError: 'coroutine' object",
            "LG-006": "from 8 threads at once it raised TypeError:",
            "LG-007": "the profile 'one': it raised TypeError:",
            "LG-009": "InvalidPluginError came out: logger must be",
        },
    ),
    _mutant(
        "the factory returns text",
        lambda _: "logger",
        {
            "LG-001": "the factory returned a str",
            "LG-002": "0 arguments, the first one 'words': it raised",
            "LG-003": "an argument of type NoneType: it raised",
            "LG-004": "the text '100 %': it raised TypeError: 'str'",
            "LG-005": "info: it raised TypeError: 'str' object is not",
            "LG-006": "from 8 threads at once it raised TypeError:",
            "LG-007": "the profile 'one': it raised TypeError: 'str'",
            "LG-009": "InvalidPluginError came out: logger must be",
        },
    ),
    _mutant(
        "the logger is async",
        lambda _: _async,
        {
            "LG-001": "the logger is async, and nobody awaits it",
            "LG-002": "0 arguments, the first one 'words': it raised",
            "LG-003": "an argument of type NoneType: it raised",
            "LG-004": "the text '100 %': it raised TypeError: it",
            "LG-005": "info: it raised TypeError: it returned an",
            "LG-006": "from 8 threads at once it raised TypeError: it",
            "LG-007": "the profile 'one': it raised TypeError: it",
        },
    ),
    _mutant(
        "it takes one or two arguments", lambda _: _one, {"LG-002": "0 arguments, the first one 'words': it raised"}
    ),
    _mutant("it takes texts and numbers only", lambda _: _upper, {"LG-003": "an argument of type NoneType: it raised"}),
    _mutant("texts are taken for formats", lambda _: _percent, {"LG-004": "the text '100 %': it raised ValueError:"}),
    _mutant("texts are written as UTF-8", lambda _: _utf8, {"LG-004": "the text 'cut \\ud83d': it raised"}),
    _mutant(
        "debug is no level of it", lambda _: _Quiet("quiet"), {"LG-005": "debug: it raised ValueError: no such level"}
    ),
    _mutant(
        "it belongs to the thread that made it",
        lambda _: _OneThread(),
        {"LG-006": "from 8 threads at once it raised RuntimeError:"},
    ),
    _mutant(
        "it hangs when threads call it", lambda _: _Hangs(), {"LG-006": "calls from 8 threads at once hang"}, hangs=True
    ),
    _mutant("there can be one only", _only_one_profile, {"LG-007": "ValueError came out: there is a logger already"}),
    _mutant(
        "the profile is taken for a format",
        _profile_is_a_format,
        {"LG-007": "the profile '\\xe9 %s': it raised TypeError: not"},
    ),
    _mutant("a call takes 0.12 s", lambda _: _slow, {"LG-008": "a call took"}),
    _mutant(
        "it prints the caller's variables",
        lambda _: _looks_around,
        {"LG-009": "a password that was hidden from it can be read"},
    ),
]

ODD = [
    Odd(name="one that does nothing", subject=_provider(lambda _: lambda *_: None)),
    Odd(
        name="a class with options",
        subject=_provider(lambda context: [].append and (lambda *a: context.options.prefix), _Options),
    ),
    Odd(name="a logger of the standard library", subject=_provider(lambda _: logging.getLogger("odd"))),
    Odd(name="one that returns something", subject=_provider(lambda _: lambda *args: len(args))),
]
