"""Where states are kept: a file per visitor that nobody can read without the visitor's cookie."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.fernet import InvalidToken

from chat_core import Capability, StateCorruptError, StorageUnavailableError
from chat_page._said import Said
from chat_page._visitors import Visitor

__all__ = ["Vault", "VisitorStorage"]

_SUFFIX: Final = ".state"
#: Of what is being written; a process that is killed meanwhile leaves it behind.
_BESIDE: Final = ".new"


class Vault:
    """A folder of encrypted states.

    When a file was last written or touched is its owner's last sign of life; that can be told, and what is too old
    removed, without any key.

    Args:
        folder: made with mode 0700 where it is missing.
        max_offline_duration: seconds that a state can be restored after its owner's last sign of life.
        clock: wall time, as the file system has it.
    """

    def __init__(self, folder: Path, *, max_offline_duration: float, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._lasts = max_offline_duration
        self._clock = clock
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder and become the one process that uses it; the system ends that with the process. Idempotent.

        Raises:
            StorageUnavailableError: it cannot be used, or another process uses it.
        """
        if self._lock is not None:
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise StorageUnavailableError(
                f"the folder {self.folder} is used by another process",
                advice="give each process a folder of its own, and send a visitor to the same process each time",
            ) from error
        except OSError as error:
            self.close()
            raise StorageUnavailableError(f"the folder {self.folder} cannot be used: {error.strerror}") from error

    def close(self) -> None:
        """Let other processes use the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def storage(self, visitor: Visitor) -> VisitorStorage:
        """Return one visitor's storage."""
        return VisitorStorage(self, visitor)

    def path(self, visitor: Visitor) -> Path:
        """Return where a visitor's state is."""
        return self.folder / f"{visitor.file_name}{_SUFFIX}"

    def touch(self, visitors: list[Visitor]) -> None:
        """Give a sign of life for chats that are open."""
        now = self._clock()
        for visitor in visitors:
            with contextlib.suppress(FileNotFoundError):
                os.utime(self.path(visitor), (now, now))

    def sweep(self) -> None:
        """Remove what nobody can restore any more."""
        for path in [*self.folder.glob(f"*{_SUFFIX}"), *self.folder.glob(f"*{_BESIDE}")]:
            with contextlib.suppress(FileNotFoundError):
                if self.is_over(path):
                    path.unlink()

    def is_over(self, path: Path) -> bool:
        """Say whether a state's time is over.

        Raises:
            FileNotFoundError: there is none.
        """
        return self._clock() - path.stat().st_mtime > self._lasts


class VisitorStorage:
    """One visitor's state, as ``state_storage`` takes it. Its methods are plain: they run on a thread of their own.

    Attributes:
        capabilities: it outlives the process, and has room for messages on their way: they are encrypted as well.
        said: which messages were asked for; written and read together with the state.
        epoch: how often the server has begun to count anew; as above.
    """

    capabilities = frozenset({Capability.PERSISTENT, Capability.OUTBOX, Capability.ATOMIC})

    def __init__(self, vault: Vault, visitor: Visitor) -> None:
        self._vault = vault
        self._path = vault.path(visitor)
        self._fernet = visitor.fernet
        self.said = Said()
        self.epoch = 0

    def read(self) -> Mapping[str, Any] | None:
        """Return the state; None where there is none, or where its time is over."""
        try:
            if self._vault.is_over(self._path):
                self._path.unlink()
                return None
            saved = json.loads(self._fernet.decrypt(self._path.read_bytes()))
            self.said = Said(saved["said"])
            self.epoch = int(saved.get("epoch", 0))
            state: Mapping[str, Any] = saved["state"]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageUnavailableError(f"the state cannot be read: {error.strerror}") from error
        except (InvalidToken, ValueError, KeyError, TypeError) as error:
            raise StateCorruptError("the state is damaged, or the key is not its own") from error
        return state

    def write(self, state: Mapping[str, Any] | None) -> None:
        """Replace the state at once, encrypted; None removes it."""
        try:
            if state is None:
                self._path.unlink(missing_ok=True)
                return
            text = json.dumps({"state": dict(state), "said": self.said.to_json(), "epoch": self.epoch})
            beside = self._path.with_suffix(_BESIDE)
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(self._fernet.encrypt(text.encode()))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise StorageUnavailableError(f"the state cannot be written: {error.strerror}") from error
