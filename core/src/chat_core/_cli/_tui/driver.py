"""The terminal that may go away: a window that is closed must not keep the chat's process for ever."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, Any

from textual.driver import Driver

__all__ = ["driver_class", "terminal_is_there"]


class _Forgiving:
    """A file to which writing never fails. Textual's thread for it would end, and whoever writes wait for it."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def driver_class() -> type[Driver] | None:
    """Return what draws upon this system's terminal, None for Textual's own choice."""
    if sys.platform == "win32":
        return None
    from textual.drivers.linux_driver import LinuxDriver  # noqa: PLC0415 - there is none on Windows

    class TerminalDriver(LinuxDriver):
        def __init__(self, *arguments: Any, **given: Any) -> None:
            super().__init__(*arguments, **given)
            self._file = _Forgiving(self._file)  # type: ignore[assignment,arg-type]

    return TerminalDriver


def terminal_is_there() -> bool:
    """Tell whether the terminal is still there."""
    try:
        return os.isatty(sys.__stdin__.fileno()) if sys.__stdin__ is not None else False
    except (OSError, ValueError):
        return False
