"""SIGTERM for the workers of a process: there may be several, and it had a meaning before them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final, TypeAlias

__all__ = ["on_sigterm"]

Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class _Sigterm:
    """Tells all that wait."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []
        self._before: Handler = None

    def __call__(self, *_: object) -> None:
        for tell in list(self._waiting):
            tell()

    def add(self, tell: Callable[[], None]) -> None:
        self._waiting.append(tell)
        if len(self._waiting) == 1:
            # Not by way of the loop: it holds one function for a signal, and forgets what was there before.
            self._before = signal.signal(signal.SIGTERM, self)

    def remove(self, tell: Callable[[], None]) -> None:
        self._waiting.remove(tell)
        if not self._waiting:
            signal.signal(signal.SIGTERM, signal.SIG_DFL if self._before is None else self._before)


_sigterm: Final = _Sigterm()


@contextlib.contextmanager
def on_sigterm(stop: Callable[[], None]) -> Iterator[None]:
    """Call something in the running loop on each SIGTERM, where signals can be had: in the main thread.

    The last one to go gives the signal back the meaning that it had before the first one came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(stop)

    _sigterm.add(tell)
    try:
        yield
    finally:
        _sigterm.remove(tell)
