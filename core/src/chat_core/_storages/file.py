"""The storage ``file``: one file per profile, private, crash-proof, with one owner."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chat_core._contracts.storage import StorageContext
from chat_core._model.errors import (
    ErrorCode,
    SessionInUseError,
    StorageCapacityError,
    StorageError,
    StorageUnavailableError,
)
from chat_core._storages import codec
from chat_core._storages.codec import POSITION_KEY, Stored
from chat_core._storages.locks import OwnerLock
from chat_core._storages.options import FileOptions
from chat_core._storages.paths import file_name, prepare_directory, state_directory
from chat_core._storages.signs import Signs, age_of, boot_id, boot_time

__all__ = ["FileStorage", "make_file_storage"]


class FileStorage:
    """One profile's state in files of the state directory.

    ``<name>.json`` is replaced atomically with fsync; ``<name>.position`` takes the position alone, without fsync,
    since losing it costs a repeated hand-over and no event; ``<name>.lock`` says who the owner is.

    Args:
        profile: its name.
        directory: where, None for the user's state directory.
        max_offline_duration: seconds for which the state stays restorable after its owner went away.
    """

    def __init__(self, profile: str, *, directory: Path | str | None = None, max_offline_duration: float = 5.0) -> None:
        self._profile = profile
        self._given = directory
        self._lasts = max_offline_duration
        self._name = file_name(profile)
        self._ready: Path | None = None
        self._lock: OwnerLock | None = None
        self._signs: Signs | None = None
        self._last: Stored | None = None

    @property
    def directory(self) -> Path:
        """The state directory, made if need be.

        Raises:
            StorageUnavailableError: it cannot be used.
        """
        if self._ready is None:
            self._ready = prepare_directory(Path(self._given if self._given is not None else state_directory()))
        return self._ready

    def acquire(self) -> None:
        """Become the owner.

        Raises:
            SessionInUseError: another session has the profile.
            StorageUnavailableError: the directory cannot be used.
        """
        lock = OwnerLock(self.directory / f"{self._name}.lock", self._profile)
        lock.acquire()
        self._lock = lock
        try:
            self._signs = Signs.hold(self.directory)
        except OSError as error:
            self.release()
            raise _unavailable("written to", self.directory, error) from error

    def release(self) -> None:
        """Stop being the owner. Idempotent."""
        # The lock goes last: whoever gets it must find the sign of life ended.
        signs, self._signs = self._signs, None
        lock, self._lock = self._lock, None
        if signs is not None:
            if self._last is not None:
                with contextlib.suppress(StorageError):
                    self._replace(self._stored(self._last.state))
            signs.drop()
        if lock is not None:
            lock.release()

    def read(self) -> Mapping[str, Any] | None:
        """Return the state, None when there is none or its time is over.

        Raises:
            StateCorruptError: it is damaged.
            StateVersionError: a newer chat-core wrote it.
            StorageUnavailableError: it cannot be read.
        """
        data = self._read("json")
        if data is None:
            return None
        stored = codec.decode_state(data, f"{self._name}.json")
        if stored.lasts != math.inf and self._age(stored) > stored.lasts:
            return None
        position = self._read("position")
        newer = codec.decode_position(position, stored.serial) if position is not None else None
        state = dict(stored.state)
        if newer is not None and isinstance(state.get(POSITION_KEY), int):
            state[POSITION_KEY] = max(newer, state[POSITION_KEY])
        return state

    def write(self, state: Mapping[str, Any] | None) -> None:
        """Replace the state; None clears it.

        Raises:
            StorageCapacityError: there is no space.
            StorageUnavailableError: it cannot be written.
        """
        if self._lock is not None and not self._lock.in_place:
            self._come_back()
        if state is None:
            self._last = None
            self._remove("json")
            self._remove("position")
            self._sync_directory()
            return
        if self._last is not None and _without_position(state) == _without_position(self._last.state):
            position = state.get(POSITION_KEY)
            if isinstance(position, int):
                self._write("position", codec.encode_position(self._last.serial, position), sync=False)
                return
        self._replace(self._stored(state))

    def _come_back(self) -> None:
        """Make the directory again that was removed under its owner, and own it; everything is to be written anew."""
        assert self._lock is not None
        self._ready = self._last = None
        _ = self.directory
        try:
            self._lock.renew()
        except SessionInUseError as error:
            raise StorageUnavailableError(
                f"{self.directory} was removed, and another session has the profile {self._profile!r} there now",
                advice="do not remove the state directory while sessions use it",
            ) from error

    def _stored(self, state: Mapping[str, Any]) -> Stored:
        return Stored(
            state=dict(state),
            lasts=self._lasts,
            sign=self._signs.path.name if self._signs is not None else "",
            left=(boot_id(), boot_time(), time.time()),
            serial=uuid.uuid4().hex[:12],
        )

    def _replace(self, stored: Stored) -> None:
        position = self._read("position")
        if self._last is not None and position is not None:
            newer = codec.decode_position(position, self._last.serial)
            known = stored.state.get(POSITION_KEY)
            if newer is not None and isinstance(known, int) and newer > known and self._signs is None:
                stored.state[POSITION_KEY] = newer  # type: ignore[index] # a dict of our own
        self._write("json", codec.encode_state(stored), sync=True)
        self._sync_directory()
        self._last = stored

    def _age(self, stored: Stored) -> float:
        """Return the seconds since the owner went away: its last sign of life, or its last write."""
        ages = []
        if stored.sign and Path(stored.sign).name == stored.sign:
            alive = age_of(self.directory / stored.sign)
            if alive is not None:
                ages.append(alive)
        boot, at, wall = stored.left
        ages.append(boot_time() - at if boot and boot == boot_id() else time.time() - wall)
        return max(0.0, min(ages))

    def _read(self, ending: str) -> bytes | None:
        try:
            return (self.directory / f"{self._name}.{ending}").read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable("read", self.directory / f"{self._name}.{ending}", error) from error

    def _write(self, ending: str, data: bytes, *, sync: bool) -> None:
        """Replace a file as a whole: whoever reads it sees the old one or the new one."""
        target = self.directory / f"{self._name}.{ending}"
        temporary = self.directory / f"{self._name}.{ending}.{os.getpid()}.tmp"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o600)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                if sync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise StorageCapacityError(
                    f"there is no space for the state in {self.directory}; what it held before is unharmed",
                    advice="make space",
                ) from error
            raise _unavailable("written to", target, error) from error

    def _remove(self, ending: str) -> None:
        try:
            (self.directory / f"{self._name}.{ending}").unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable("cleared", self.directory / f"{self._name}.{ending}", error) from error

    def _sync_directory(self) -> None:
        """Make a rename or removal last through a crash of the machine, where directories can be synced."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _without_position(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != POSITION_KEY}


def _unavailable(what: str, path: Path, error: OSError) -> StorageUnavailableError:
    return StorageUnavailableError(
        f"{path} cannot be {what}: {error.strerror or error}",
        code=ErrorCode.NONE,
        advice="check the directory's owner and mode, or give another one in storage_options",
    )


def make_file_storage(context: StorageContext) -> FileStorage:
    """Make the storage ``file``; the provider's factory."""
    options = context.options if isinstance(context.options, FileOptions) else FileOptions()
    return FileStorage(context.profile, directory=options.directory, max_offline_duration=context.max_offline_duration)
