"""Sees what a plugin shows and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from chat_core._contracts.logger import Log
from chat_core._loggers.adapter import make_log
from chat_core.testing._checks import RequirementError

__all__ = ["Printed", "Shown", "open_sockets", "shown_by", "until", "watched"]

_DESCRIPTORS: Final = Path("/proc/self/fd")


class Shown:
    """Everything that was logged, printed or warned of, with the level it had."""

    def __init__(self) -> None:
        self.texts: list[tuple[int, str]] = []

    @property
    def log(self) -> Log:
        """A log as the core hands it to plugins: redacted, then kept here."""
        logger = logging.Logger("chat_core.conformance", logging.DEBUG)  # noqa: LOG001 - stands outside the tree
        logger.addHandler(_Keeper(self))
        return make_log(logger)

    def add(self, text: str, level: int = logging.CRITICAL) -> None:
        """Keep a text."""
        self.texts.append((level, text))

    def find(self, secrets: dict[str, str], *, above: int = 0) -> list[str]:
        """Return the names of the secrets that were shown at a level or above it."""
        shown = "\n".join(text for level, text in self.texts if level >= above)
        return sorted(name for name, secret in secrets.items() if secret and secret in shown)


class _Keeper(logging.Handler):
    def __init__(self, shown: Shown) -> None:
        super().__init__(logging.DEBUG)
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        self._shown.add(self.format(record), record.levelno)


class Printed(io.TextIOBase):
    """Keeps what is printed."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown

    def write(self, text: str) -> int:
        self._shown.add(text)
        return len(text)


@contextlib.contextmanager
def watched() -> Iterator[Shown]:
    """Keep what every logger, stdout, stderr and warnings show meanwhile."""
    shown = Shown()
    root = logging.getLogger()
    level, keeper = root.level, _Keeper(shown)
    # Other handlers go on as before: they are not meant to see DEBUG because this suite looks at it.
    others = [(handler, handler.level) for handler in root.handlers]
    for handler, own in others:
        handler.setLevel(max(own, level))
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        with (
            warnings.catch_warnings(record=True) as caught,
            contextlib.redirect_stdout(Printed(shown)),
            contextlib.redirect_stderr(Printed(shown)),
        ):
            warnings.simplefilter("always")
            yield shown
        for warning in caught:
            shown.add(str(warning.message))
    finally:
        root.removeHandler(keeper)
        root.setLevel(level)
        for handler, own in others:
            handler.setLevel(own)


def shown_by(error: BaseException) -> str:
    """Return everything that a traceback or a log would show of an exception."""
    parts = ["".join(traceback.format_exception(error))]
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        parts += [str(one), repr(one), repr(one.args), *getattr(one, "__notes__", ())]
        one = one.__cause__ or one.__context__
    return "\n".join(parts)


def open_sockets() -> frozenset[str]:
    """Return the sockets that this process has open, none where the system does not say."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in _DESCRIPTORS.iterdir():
            with contextlib.suppress(OSError):
                target = str(entry.readlink())
                if target.startswith("socket:"):
                    found.add(target)
    return frozenset(found)


async def until(met: Any, *, within: float, what: str) -> None:
    """Wait for something to be so.

    Raises:
        RequirementError: it did not come about in time.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + within
    pause = 0.0005
    while not met():
        if loop.time() > ends:
            raise RequirementError(f"{what} within {within:g} s")
        await asyncio.sleep(pause)
        pause = min(2 * pause, 0.02)
