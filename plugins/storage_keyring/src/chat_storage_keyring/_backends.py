"""Which keyring backend is used, why, and whether it keeps anything at all."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, cast

from attrs import field, frozen

from chat_core import StorageUnavailableError

__all__ = ["HEADLESS", "Backend", "Chosen", "choose", "folds_case", "limit_of", "members", "name_of", "useless"]

#: What helps wherever there is no keyring.
HEADLESS: Final = (
    "a machine without a desktop has no unlocked keyring: run the program in 'dbus-run-session' after "
    "'gnome-keyring-daemon --unlock', name another backend with storage_options={\"backend\": ...}, or use "
    "state_storage=\"file\"; 'chat-core doctor' says of each backend why it can or cannot be used"
)
_VARIABLE: Final = "PYTHON_KEYRING_BACKEND"
_NULL: Final = "keyring.backends.null.Keyring"
_FAIL: Final = "keyring.backends.fail.Keyring"
_CHAINER: Final = "keyring.backends.chainer.ChainerBackend"
_WINDOWS: Final = "keyring.backends.Windows.WinVaultKeyring"
#: What Windows' Credential Manager holds: 1,280 characters of UTF-16.
_WINDOWS_BYTES: Final = 2560


class Backend(Protocol):
    """The part of a keyring backend that is used."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return an item's text, None when there is no such item."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Make or replace an item."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Delete an item; what happens when there is none differs."""
        ...


@frozen(kw_only=True)
class Chosen:
    """The backend in use.

    Attributes:
        backend: itself.
        name: its class, dotted.
        reason: why this one, for the log and for doctor.
    """

    backend: Backend = field(repr=False)
    name: str
    reason: str


def name_of(backend: object) -> str:
    """Return the dotted name of a backend's class, or of a class."""
    kind = backend if isinstance(backend, type) else type(backend)
    return f"{kind.__module__}.{kind.__qualname__}"


def choose(wanted: object) -> Chosen:
    """Find the backend, and make sure that it keeps what it is given as far as that can be told by looking.

    Args:
        wanted: the option ``backend``.

    Raises:
        StorageUnavailableError: there is none, or it keeps nothing.
    """
    if wanted is None:
        backend, reason = _own_choice()
    elif isinstance(wanted, str):
        backend, reason = _named(wanted), "storage_options names it"
    else:
        backend, reason = wanted, "storage_options holds it"
    chosen = Chosen(backend=cast(Backend, backend), name=name_of(backend), reason=reason)
    fault = useless(backend)
    if fault is not None:
        raise StorageUnavailableError(f"the keyring backend {chosen.name} ({reason}) {fault}", advice=HEADLESS)
    return chosen


def useless(backend: object) -> str | None:
    """Say why a backend keeps nothing, None when that is not known of it."""
    kinds = _kinds(backend)
    if _NULL in kinds:
        return "takes everything and keeps nothing"
    if _FAIL in kinds:
        return "is what keyring takes when it finds no usable one"
    if _CHAINER in kinds and not members(backend):
        return "has no usable backend behind it and keeps nothing"
    return None


def members(backend: object) -> Sequence[Backend]:
    """Return what keeps the items: a chainer's backends, or the one there is."""
    if _CHAINER in _kinds(backend):
        return list(getattr(backend, "backends", ()))
    return [cast(Backend, backend)]


def limit_of(backend: object) -> int | None:
    """Return how many bytes of UTF-16 an item may have, None when there is no known limit."""
    # A chainer writes into its first backend.
    return _WINDOWS_BYTES if any(_WINDOWS in _kinds(one) for one in members(backend)[:1]) else None


def folds_case(backend: object) -> bool:
    """Say whether items whose names differ in case alone are one item."""
    return any(_WINDOWS in _kinds(one) for one in members(backend))


def _kinds(backend: object) -> set[str]:
    return {name_of(kind) for kind in type(backend).__mro__}


def _own_choice() -> tuple[object, str]:
    reason = _reason()
    try:
        backend = importlib.import_module("keyring").get_keyring()
    except Exception as error:
        # A wrong name in the variable or the file ends in ImportError, AttributeError, ValueError or RuntimeError.
        raise _unusable("keyring could not choose a backend", error, reason) from error
    return backend, reason


def _reason() -> str:
    """Say what makes keyring choose: a variable, a file, or neither."""
    if _VARIABLE in os.environ:
        return f"the variable {_VARIABLE}={os.environ[_VARIABLE]} names it"
    with contextlib.suppress(Exception):  # only adds to what is told
        file = Path(importlib.import_module("keyring.util.platform_").config_root()) / "keyringrc.cfg"
        if file.is_file():
            return f"the file {file} is there"
    return "keyring's own choice"


def _named(name: str) -> object:
    try:
        backend: object = importlib.import_module("keyring.core").load_keyring(name)
    except Exception as error:
        raise _unusable(f"the keyring backend {name} cannot be used", error, "storage_options names it") from error
    return backend


def _unusable(what: str, error: Exception, reason: str) -> StorageUnavailableError:
    # Nothing has been read or written yet, so the text cannot hold any of the state.
    return StorageUnavailableError(f"{what} ({reason}): {type(error).__name__}: {error}", advice=HEADLESS)
