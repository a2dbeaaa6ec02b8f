"""Signs of life: one file per process, touched each second, so that a state knows when its owner went away.

``kill -9`` is no different from a page reload: nothing has to be written at the end.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from pathlib import Path
from typing import ClassVar, Final

from chat_core._model.lease import boot_time

__all__ = ["Signs", "boot_id", "boot_time"]

#: Seconds between two touches.
EVERY: Final = 1.0


def boot_id() -> str:
    """Name the current boot; empty where the system does not."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


class Signs:
    """This process's sign of life in one directory. Touched while somebody holds it."""

    _lock = threading.Lock()
    _all: ClassVar[dict[tuple[str, int], Signs]] = {}

    def __init__(self, directory: Path) -> None:
        self.path = directory / f"alive-{uuid.uuid4().hex}"
        self._holders = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def hold(cls, directory: Path) -> Signs:
        """Begin, or share, this process's sign of life. A forked child gets one of its own."""
        key = (os.path.realpath(directory), os.getpid())
        with cls._lock:
            signs = cls._all.get(key)
            if signs is None:
                signs = cls._all[key] = cls(directory)
                signs._begin()
            signs._holders += 1
            return signs

    def drop(self) -> None:
        """Stop holding; the last holder ends it."""
        with self._lock:
            self._holders -= 1
            if self._holders:
                return
            for key, signs in list(self._all.items()):
                if signs is self:
                    del self._all[key]
        self._stop.set()
        if self._thread is not None:
            self._thread.join(EVERY)
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _begin(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(descriptor)
        self._touch()
        self._thread = threading.Thread(target=self._run, name="chat-core: sign of life", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._touch()

    def _touch(self) -> None:
        # The file's text is the boot clock; its modification time is the wall clock's word, for after a boot.
        with contextlib.suppress(OSError):
            self.path.write_text(f"{boot_id()} {boot_time():.3f}", "ascii")


def age_of(path: Path) -> float | None:
    """Return the seconds since a sign of life, None when there is none.

    By the boot clock; by the wall clock only across a boot, and never below zero.
    """
    try:
        text = path.read_text("ascii")
        modified = path.stat().st_mtime
    except (OSError, ValueError):
        return None
    boot, _, at = text.partition(" ")
    with contextlib.suppress(ValueError):
        if boot == boot_id() and boot:
            return max(0.0, boot_time() - float(at))
    return max(0.0, time.time() - modified)
