"""One owner per state: a lock file between processes, a table within one."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Final

from chat_core._model.errors import ErrorCode, SessionInUseError, StorageUnavailableError

__all__ = ["OwnerLock"]

_guard = threading.Lock()
#: Locked paths of this process. POSIX record locks do not exclude within a process, so this does.
_held: dict[str, int] = {}
_IN_USE: Final = (
    "give each session a name of its own with profile=, or keep the state in memory with state_storage='memory'"
)


class OwnerLock:
    """The lock of one state file. Ends with the process, however that ends, and never passes to a forked child.

    Args:
        path: the lock file; stays when the lock is given up, since removing it would let two owners in.
        profile: for messages.
    """

    def __init__(self, path: Path, profile: str) -> None:
        self._path = path
        self._key = os.path.realpath(path)
        self._profile = profile
        self._descriptor: int | None = None
        self._process = 0

    @property
    def held(self) -> bool:
        """True while this object, in this process, is the owner."""
        return self._descriptor is not None and self._process == os.getpid()

    def acquire(self) -> None:
        """Become the owner.

        Raises:
            SessionInUseError: code 200 when this process is, 201 when another one is.
            StorageUnavailableError: the lock file cannot be used.
        """
        if self.held:
            return
        with _guard:
            if _held.get(self._key) == os.getpid():
                raise SessionInUseError(
                    f"the profile {self._profile!r} is held by a session of this process",
                    code=ErrorCode.IN_USE_HERE,
                    advice=_IN_USE,
                )
            self._descriptor = self._take()
            self._process = os.getpid()
            _held[self._key] = os.getpid()

    def _take(self) -> int:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise StorageUnavailableError(
                f"the lock file {self._path} cannot be used: {error.strerror or error}"
            ) from error
        if not _lock(descriptor):
            owner = _read_owner(descriptor)
            os.close(descriptor)
            raise SessionInUseError(
                f"the profile {self._profile!r} is held by another process{owner}",
                code=ErrorCode.IN_USE_ELSEWHERE,
                advice=_IN_USE,
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0) if hasattr(os, "pwrite") else None
        return descriptor

    @property
    def in_place(self) -> bool:
        """True while the locked file is the one at the path: nobody has removed it."""
        if self._descriptor is None:
            return False
        try:
            there, ours = self._path.stat(), os.fstat(self._descriptor)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def renew(self) -> None:
        """Lock the path again, whose file was removed under this owner.

        Raises:
            SessionInUseError: somebody else has locked the new file.
            StorageUnavailableError: the lock file cannot be used.
        """
        with _guard:
            old, self._descriptor = self._descriptor, self._take()
        if old is not None:
            os.close(old)

    def release(self) -> None:
        """Stop being the owner. Idempotent."""
        with _guard:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is None:
                return
            if self._process == os.getpid():
                _held.pop(self._key, None)
            os.close(descriptor)


def owner_of(path: Path) -> int | None:
    """Return the process that holds a lock, None when nobody does. Takes nothing away from anybody."""
    with _guard:
        if _held.get(os.path.realpath(path)) == os.getpid():
            return os.getpid()
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        if _lock(descriptor):
            return None
        text = os.read(descriptor, 20).decode("ascii", "replace").strip()
        return int(text) if text.isdecimal() else -1
    finally:
        os.close(descriptor)


def _read_owner(descriptor: int) -> str:
    text = os.read(descriptor, 20).decode("ascii", "replace").strip()
    return f" (pid {text})" if text.isdecimal() else ""


if sys.platform == "win32":  # pragma: no cover - tested on Windows only
    import msvcrt

    def _lock(descriptor: int) -> bool:
        # Beyond the text, so that others can read who the owner is.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
