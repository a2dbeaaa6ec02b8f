"""Where state files live: the user's state directory, by the rules that platformdirs follows."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Final

from chat_core._model.errors import StorageUnavailableError

__all__ = ["file_name", "prepare_directory", "state_directory"]

APP: Final = "chat-core"
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: Windows gives these names to devices, whatever the ending.
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def state_directory(*, platform: str | None = None, environ: Mapping[str, str] | None = None) -> PurePath:
    """Return the user's state directory for chat-core.

    Raises:
        StorageUnavailableError: there is no home directory to derive it from.
    """
    platform = sys.platform if platform is None else platform
    environ = os.environ if environ is None else environ
    if platform == "win32":
        local = environ.get("LOCALAPPDATA") or _home(environ, "USERPROFILE", "AppData\\Local")
        return PureWindowsPath(local) / APP / "State"
    if platform == "darwin":
        return PurePosixPath(_home(environ, "HOME", "Library/Application Support")) / APP
    base = environ.get("XDG_STATE_HOME", "")
    # The XDG rules: a path that is not absolute counts as unset.
    if not base.startswith("/"):
        base = _home(environ, "HOME", ".local/state")
    return PurePosixPath(base) / APP


def _home(environ: Mapping[str, str], variable: str, rest: str) -> str:
    home = environ.get(variable) or str(Path("~").expanduser())
    if not home or home == "~":
        raise StorageUnavailableError(
            f"there is no home directory to keep the state in ({variable} is not set)",
            advice='give storage_options={"directory": ...} or state_storage="memory"',
        )
    separator = "\\" if "\\" in rest else "/"
    return f"{home}{separator}{rest}"


def file_name(profile: str) -> str:
    """Return a profile's file name without ending: the profile itself where that is safe, else a hash of it.

    Two profiles never share a file, also where the file system ignores case.
    """
    lower = profile.lower()
    plain = _PLAIN.fullmatch(profile) and profile == lower and not _DEVICES.fullmatch(profile)
    if plain and not profile.startswith((".", "h-")) and not profile.endswith("."):
        return profile
    return "h-" + hashlib.sha256(profile.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def prepare_directory(directory: Path) -> Path:
    """Make the directory if need be, mode 0700, and refuse one that others can write to.

    Raises:
        StorageUnavailableError: it cannot be used.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except OSError as error:
        raise StorageUnavailableError(
            f"the state directory {directory} cannot be used: {error.strerror or error}",
            advice='give another one with storage_options={"directory": ...}, or use state_storage="memory"',
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise StorageUnavailableError(f"the state directory {directory} is not a directory", advice="remove that file")
    if hasattr(os, "getuid"):
        if found.st_uid not in {os.getuid(), 0}:
            raise StorageUnavailableError(
                f"the state directory {directory} belongs to another user (uid {found.st_uid})",
                advice="use a directory of your own",
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StorageUnavailableError(
                f"the state directory {directory} can be written to by others (mode {stat.S_IMODE(found.st_mode):04o})",
                advice=f"chmod go-w {directory}",
            )
    return directory
