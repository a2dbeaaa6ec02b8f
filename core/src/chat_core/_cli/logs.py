"""Where ``--verbose`` logs to: standard error, or whoever takes the lines over while the terminal is drawn upon."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chat_core._cli.terminal import visible

__all__ = ["LogLines"]


class LogLines:
    """A logger that shows each call as a line. Called from any thread."""

    def __init__(self) -> None:
        self._show: Callable[[str], None] = _print

    def __call__(self, *arguments: Any) -> None:
        """Log."""
        self._show(" ".join(visible(str(one)) for one in arguments))

    @contextmanager
    def taken_over(self, show: Callable[[str], None]) -> Iterator[None]:
        """Let ``show`` have the lines."""
        self._show = show
        try:
            yield
        finally:
            self._show = _print


def _print(line: str) -> None:
    print("log:", line, file=sys.stderr)  # noqa: T201 - asked for
