"""Turns what keyring and the libraries below it raise into our errors, by one table."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from chat_core import (
    StateCorruptError,
    StorageCapacityError,
    StorageError,
    StorageLockedError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_storage_keyring._backends import HEADLESS, name_of

__all__ = ["close_connections", "needles_of", "translate"]

#: By class, so that none of these libraries has to be there.
_CLASSES: Final[Mapping[str, type[StorageError]]] = {
    "keyring.errors.NoKeyringError": StorageUnavailableError,
    "keyring.errors.KeyringLocked": StorageLockedError,
    "keyring.errors.InitError": StorageLockedError,
    "secretstorage.exceptions.LockedException": StorageLockedError,
    "secretstorage.exceptions.PromptDismissedException": StorageLockedError,
    "secretstorage.exceptions.SecretServiceNotAvailableException": StorageUnavailableError,
    "jeepney.auth.AuthenticationError": StorageUnavailableError,
    "jeepney.io.common.RouterClosed": StorageUnavailableError,
    "builtins.UnicodeDecodeError": StateCorruptError,
    "builtins.NotImplementedError": StorageUnavailableError,
    "builtins.ImportError": StorageUnavailableError,
    "builtins.TimeoutError": StorageTimeoutError,
    "builtins.EOFError": StorageUnavailableError,
    "builtins.OSError": StorageUnavailableError,
}
#: By the name of a D-Bus error, which jeepney, dbus-python and GLib carry in different places.
_DBUS: Final[Mapping[str, type[StorageError]]] = {
    "org.freedesktop.Secret.Error.IsLocked": StorageLockedError,
    "org.freedesktop.DBus.Error.NoReply": StorageTimeoutError,
    "org.freedesktop.DBus.Error.Timeout": StorageTimeoutError,
    "org.freedesktop.DBus.Error.TimedOut": StorageTimeoutError,
    "org.freedesktop.DBus.Error.ServiceUnknown": StorageUnavailableError,
    "org.freedesktop.DBus.Error.NameHasNoOwner": StorageUnavailableError,
    "org.freedesktop.DBus.Error.NoServer": StorageUnavailableError,
    "org.freedesktop.DBus.Error.Disconnected": StorageUnavailableError,
    "org.freedesktop.DBus.Error.AccessDenied": StorageUnavailableError,
}
_DBUS_NAME: Final = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)+", re.ASCII)
#: By Windows' number: access denied, invalid flags of a session without a profile, no logon session, "the stub received
#: bad data", which is how a credential is refused that is too large.
_WINDOWS: Final[Mapping[int, type[StorageError]]] = {
    5: StorageUnavailableError,
    1004: StorageUnavailableError,
    1312: StorageUnavailableError,
    1783: StorageCapacityError,
}
_ADVICE: Final[Mapping[type[StorageError], str]] = {
    StorageUnavailableError: HEADLESS,
    StorageLockedError: f"unlock it and try again; what it holds is unharmed; {HEADLESS}",
    StorageCapacityError: 'what it held before is unharmed; use state_storage="file", or another backend',
    StorageTimeoutError: "somebody may have to answer a prompt; see the option timeout",
    StateCorruptError: "a new start_session replaces it; the old chat cannot be taken up without it",
}
_WORDS: Final[Mapping[type[StorageError], str]] = {
    StorageUnavailableError: "is not there or refuses this user",
    StorageLockedError: "is locked or could not be opened, which is not the same as holding nothing",
    StorageCapacityError: "does not hold a state of this size",
    StorageTimeoutError: "did not answer in time",
    StateCorruptError: "holds something that is no text: the saved state is damaged",
}
#: Characters of a value from which on it counts as recognisable.
_VALUE: Final = 8
#: Characters of the state's text that give it away wherever they were cut out of it.
_PIECE: Final = 24


def needles_of(state: Mapping[str, Any], text: str) -> Iterator[str]:
    """Yield what must not stand in any error: the values of a state, and pieces of its text."""
    yield from _values(state)
    for start in range(max(1, len(text) - _PIECE + 1)):
        yield text[start : start + _PIECE]


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= _VALUE:
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _values(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _values(one)


def translate(error: BaseException, *, doing: str, backend: str, needles: Iterable[str] = ()) -> StorageError:
    """Return our error for a foreign one, chained unless the foreign one shows the state.

    The text names the foreign error's type and number, never its own text: what a backend puts there is not ours to
    know.

    Args:
        error: what a backend raised.
        doing: what it was asked for: ``read``, ``write`` or ``clear``.
        backend: its name.
        needles: what must not be shown.
    """
    kind = _kind(error)
    shows_state = _shows(error, needles)
    words = _WORDS.get(kind, "failed")
    what = f"the keyring backend {backend} was asked to {doing} and {words} ({_label(error)})"
    if shows_state:
        what += "; its own error is withheld because it shows the state"
    result = kind(what, advice=_ADVICE.get(kind, "the cause is chained to this error"))
    if not shows_state:
        result.__cause__ = error
    return result


def _kind(error: BaseException) -> type[StorageError]:
    by_name = _DBUS.get(_dbus_name(error))
    if by_name is not None:
        return by_name
    number = getattr(error, "winerror", None)
    if isinstance(number, int) and number in _WINDOWS:
        return _WINDOWS[number]
    for one in type(error).__mro__:
        found = _CLASSES.get(f"{one.__module__}.{one.__qualname__}")
        if found is not None:
            return found
    return StorageError


def _dbus_name(error: BaseException) -> str:
    for attribute in ("name", "get_dbus_name"):
        value = getattr(error, attribute, None)
        if callable(value):
            with contextlib.suppress(Exception):  # an error that cannot be asked has no name
                value = value()
        if isinstance(value, str) and _DBUS_NAME.fullmatch(value):
            return value
    return ""


def _label(error: BaseException) -> str:
    parts = [type(error).__name__]
    if name := _dbus_name(error):
        parts.append(name)
    for attribute in ("winerror", "errno"):
        number = getattr(error, attribute, None)
        if isinstance(number, int):
            parts.append(f"{attribute} {number}")
    return ", ".join(parts)


def _shows(error: BaseException, needles: Iterable[str]) -> bool:
    """Say whether an error, or one it is chained to, shows any of this."""
    texts = "\n".join(_texts(error))
    return any(needle in texts for needle in needles)


def _texts(error: BaseException) -> Iterator[str]:
    for one in _chain(error):
        for show in (str, repr, lambda one: repr(one.args), lambda one: repr(vars(one))):
            with contextlib.suppress(Exception):  # what cannot be shown shows nothing
                yield show(one)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that hang on it."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


def close_connections(error: BaseException) -> None:
    """Close the D-Bus connections that a failed call has left open.

    keyring's Secret Service backend closes its connection when it succeeds; when the collection is locked it raises and
    forgets it, once for every time a locked keyring is asked.
    """
    for one in _chain(error):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_globals.get("__name__") != "keyring.backends.SecretService":
                continue
            for value in list(frame.f_locals.values()):
                if name_of(value) == "jeepney.io.blocking.DBusConnection":
                    with contextlib.suppress(Exception):  # a second closing, at worst
                        value.close()
