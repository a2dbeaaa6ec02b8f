"""What can be told about the file storage without reading anybody's state."""

from __future__ import annotations

import stat
import time
from pathlib import Path

from attrs import frozen

from chat_core._model.errors import StorageUnavailableError
from chat_core._storages.locks import owner_of
from chat_core._storages.paths import state_directory

__all__ = ["FileStorageReport", "ProfileReport", "inspect_file_storage"]


@frozen(kw_only=True)
class ProfileReport:
    """One profile: its file's name, size in bytes, age in seconds, and the process that owns it, 0 for none."""

    name: str
    size: int
    age: float
    owner: int


@frozen(kw_only=True)
class FileStorageReport:
    """The state directory, its mode as text ("" when there is none yet), what is wrong with it, and what it holds."""

    directory: str
    mode: str = ""
    problem: str = ""
    profiles: tuple[ProfileReport, ...] = ()


def inspect_file_storage(directory: Path | None = None) -> FileStorageReport:
    """Look at a state directory. Makes nothing and changes nothing."""
    try:
        place = directory if directory is not None else Path(state_directory())
    except StorageUnavailableError as error:
        return FileStorageReport(directory="", problem=str(error))
    try:
        found = place.stat()
    except FileNotFoundError:
        return FileStorageReport(directory=str(place))
    except OSError as error:
        return FileStorageReport(directory=str(place), problem=f"{place} cannot be looked at: {error.strerror}")
    problem = ""
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = f"the state directory {place} can be written to by others; chmod go-w {place}"
    profiles = []
    for file in sorted(place.glob("*.json")):
        data = file.stat()
        profiles.append(
            ProfileReport(
                name=file.stem,
                size=data.st_size,
                age=max(0.0, time.time() - data.st_mtime),
                owner=owner_of(file.with_suffix(".lock")) or 0,
            )
        )
    return FileStorageReport(
        directory=str(place), mode=f"{stat.S_IMODE(found.st_mode):04o}", problem=problem, profiles=tuple(profiles)
    )
