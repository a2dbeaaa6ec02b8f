"""The storage itself. Replace the file by what you store in."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chat_core import StateCorruptError, StorageUnavailableError

__all__ = ["AcmeStorage"]

#: Two sessions of one process take turns at the file. Two processes do not: give each a file of its own.
_turn = threading.Lock()


class AcmeStorage:
    """One profile's state. Plain methods run on a thread of their own, so they may block."""

    def __init__(self, path: str, profile: str) -> None:
        self._path = Path(path)
        self._profile = profile

    def read(self) -> Mapping[str, Any] | None:
        """Return the state, None when there is none."""
        with _turn:
            return self._read_all().get(self._profile)

    def write(self, state: Mapping[str, Any] | None) -> None:
        """Replace the state; None clears it."""
        with _turn:
            try:
                states = self._read_all()
            except StateCorruptError:
                states = {}  # what is damaged is replaced, as a new chat begins
            if state is None:
                states.pop(self._profile, None)
            else:
                states[self._profile] = dict(state)
            self._replace(json.dumps(states).encode("ascii"))

    def _read_all(self) -> dict[str, dict[str, Any]]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError as error:
            if self._path.parent.is_dir():
                return {}
            raise StorageUnavailableError(f"there is no folder {self._path.parent}") from error
        except OSError as error:
            raise StorageUnavailableError(f"{self._path} cannot be read: {error.strerror}") from error
        try:
            states = json.loads(data)
        except (ValueError, RecursionError):
            states = None
        if not isinstance(states, dict) or not all(isinstance(state, dict) for state in states.values()):
            # The parser's exception holds the text, and the text opens chats: it is not chained.
            raise StateCorruptError(f"{self._path} holds no states")
        return states

    def _replace(self, data: bytes) -> None:
        """Write another file and put it in the place of this one: whoever reads sees the old or the new one."""
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise StorageUnavailableError(f"{self._path} cannot be written to: {error.strerror}") from error
