"""The storage: one row per profile, and one lock per profile that ends with its owner's process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from chat_core import (
    ErrorCode,
    ProbeStep,
    SessionInUseError,
    StateCorruptError,
    StorageCapacityError,
    StorageError,
    StorageLockedError,
    StorageUnavailableError,
)

__all__ = ["SqliteStorage", "probe"]

#: Seconds for which another process may hold the database while it writes.
PATIENCE: Final = 5.0
_TABLE: Final = "CREATE TABLE IF NOT EXISTS chats (profile TEXT PRIMARY KEY, state TEXT NOT NULL)"
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_guard = threading.Lock()
#: Lock files that this process holds, and as which process: a forked child holds none.
_held: dict[str, int] = {}


class SqliteStorage:
    """One profile's state. Its methods are plain and block: the session calls them on a thread of their own.

    The owner holds a write transaction open on a small database of its own beside the other one. The operating system
    ends it with the process, however that ends, so there is no heartbeat and no guess about who is alive.
    """

    def __init__(self, path: str, profile: str) -> None:
        self._path = Path(path)
        self._profile = profile
        digest = hashlib.sha256(profile.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._lock_path = self._path.with_name(f"{self._path.name}.{digest}.owner")
        self._lock: sqlite3.Connection | None = None

    def acquire(self) -> None:
        """Become the owner."""
        if self._lock is not None:
            return
        key = os.path.realpath(self._lock_path)
        with _guard:
            if _held.get(key) == os.getpid():
                raise _in_use(self._profile, "a session of this process", ErrorCode.IN_USE_HERE)
            lock = _connect(self._lock_path, timeout=0.0)
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                lock.close()
                if _code(error) in _BUSY:
                    raise _in_use(self._profile, "another process", ErrorCode.IN_USE_ELSEWHERE) from error
                raise _fault(error, self._lock_path) from error
            self._lock = lock
            _held[key] = os.getpid()

    def release(self) -> None:
        """Stop being the owner."""
        with _guard:
            lock, self._lock = self._lock, None
            if lock is not None:
                lock.close()
                _held.pop(os.path.realpath(self._lock_path), None)

    def read(self) -> Mapping[str, Any] | None:
        """Return the state, None when there is none."""
        with _transaction(self._path) as database:
            row = database.execute("SELECT state FROM chats WHERE profile = ?", (_key(self._profile),)).fetchone()
        if row is None:
            return None
        try:
            state = json.loads(row[0])
        except (TypeError, ValueError, RecursionError):
            state = None
        if not isinstance(state, dict):
            # The exception of the parser holds the text, and the text opens the chat: it is not chained.
            raise StateCorruptError(f"the state of the profile {self._profile!r} in {self._path} is damaged")
        return state

    def write(self, state: Mapping[str, Any] | None) -> None:
        """Replace the state; None clears it."""
        with _transaction(self._path) as database:
            if state is None:
                database.execute("DELETE FROM chats WHERE profile = ?", (_key(self._profile),))
            else:
                row = (_key(self._profile), json.dumps(state))
                database.execute("INSERT OR REPLACE INTO chats VALUES (?, ?)", row)


def probe(path: str) -> Iterator[ProbeStep]:
    """Say where the database is and how many chats it holds; make nothing."""
    place = Path(path)
    if not place.exists():
        folder = place.absolute().parent
        yield ProbeStep(name="database", ok=folder.is_dir(), detail=f"{place} is not there yet, in the folder {folder}")
        return
    try:
        with _transaction(place) as database:
            (count,) = database.execute("SELECT count(*) FROM chats").fetchone()
    except StorageError as error:
        yield ProbeStep(name="database", ok=False, detail=str(error))
        return
    mode = place.stat().st_mode & 0o777
    yield ProbeStep(name="database", ok=True, detail=f"{place}, mode {mode:04o}, {count} chats")


@contextlib.contextmanager
def _transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database, do something whole, close it. Nothing of SQLite's leaves this module."""
    with contextlib.closing(_connect(path, timeout=PATIENCE)) as database:
        try:
            database.execute("PRAGMA secure_delete = ON")  # what is cleared is not left in the file
            database.execute("BEGIN IMMEDIATE")
            database.execute(_TABLE)
            yield database
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise _fault(error, path) from error


def _connect(path: Path, *, timeout: float) -> sqlite3.Connection:
    try:
        # SQLite would make it readable for others; the files beside it get this one's mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
        # The thread that gives the ownership back need not be the one that took it.
        return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    except OSError as error:
        raise StorageUnavailableError(f"the database {path} cannot be opened: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise _fault(error, path) from error


def _fault(error: sqlite3.Error, path: Path) -> StorageError:
    code = _code(error)
    if code in _BUSY:
        return StorageLockedError(f"the database {path} is held by another process")
    if code in _DAMAGED:
        return StateCorruptError(f"{path} is damaged or no SQLite database: {error}", advice="move it away")
    if code == sqlite3.SQLITE_FULL:
        return StorageCapacityError(f"there is no space for the database {path}; what it held before is unharmed")
    return StorageUnavailableError(f"the database {path} cannot be used: {error}")


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code, without the extension


def _key(profile: str) -> str:
    """Return the profile as SQLite takes it: text that is no Unicode would be refused."""
    return profile.encode("utf-8", "backslashreplace").decode("utf-8")


def _in_use(profile: str, owner: str, code: int) -> SessionInUseError:
    advice = "give each session a name of its own with profile="
    return SessionInUseError(f"the profile {profile!r} is held by {owner}", code=code, advice=advice)
