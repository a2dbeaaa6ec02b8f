"""The ``storage_options`` of the keyring storage."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import Attribute, field, frozen

from chat_core import OptionError, OptionTypeError

__all__ = ["KeyringOptions"]

#: What an object given as ``backend`` must have, with keyring's signatures.
_METHODS: Final = ("get_password", "set_password", "delete_password")
#: Seconds that a time option may have at most.
_LONGEST: Final = 3600.0
_DOTTED: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_LONGEST_SERVICE: Final = 100


def _check_backend(_: Any, __: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if isinstance(value, str):
        if not _DOTTED.fullmatch(value):
            raise OptionError(
                f"storage_options: backend must be the dotted name of a class, not {value!r}",
                advice="such as 'keyring.backends.SecretService.Keyring'; 'chat-core doctor' lists them",
            )
        return
    if isinstance(value, type):
        raise OptionTypeError(
            f"storage_options: backend must be an object or a name, not the class {value.__qualname__}",
            advice="call it",
        )
    missing = [name for name in _METHODS if not callable(getattr(value, name, None))]
    if missing:
        raise OptionTypeError(
            f"storage_options: backend: an object of type {type(value).__qualname__} lacks {', '.join(missing)}",
            advice="give a keyring backend, its dotted name, or None for keyring's own choice",
        )


def _check_service(_: Any, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise OptionTypeError(f"storage_options: service must be text, not {type(value).__name__}")
    if not 1 <= len(value) <= _LONGEST_SERVICE or not value.isprintable():
        raise OptionError(
            f"storage_options: service must have 1 to {_LONGEST_SERVICE} printable characters, not {value!r}",
            advice="it is the first part of the item's name",
        )


def _check_seconds(least: float) -> Any:
    def check(_: Any, attribute: Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= _LONGEST:
            raise OptionError(
                f"storage_options: {attribute.name} must be from {least:g} to {_LONGEST:g} seconds, not {value!r}"
            )

    return check


def _check_bytes(_: Any, attribute: Attribute[Any], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise OptionError(
            f"storage_options: {attribute.name} must be None or a whole number of bytes from 1 on, not {value!r}"
        )


def _type_only(value: object) -> str:
    # A backend's repr may show what it holds.
    return repr(value) if value is None or isinstance(value, str) else f"<{type(value).__qualname__}>"


@frozen(kw_only=True)
class KeyringOptions:
    """What the keyring storage can be told.

    Attributes:
        backend: which keyring: None for keyring's own choice, the dotted name of a backend's class, or an object with
            ``get_password``, ``set_password`` and ``delete_password``.
        service: first part of the item's name, ``<service>:<profile>``.
        timeout: seconds for one read or write, the time included in which somebody answers a prompt; 0.01 to 3600.
        max_bytes: the largest state in bytes of UTF-16; None: 2560 in Windows' Credential Manager, elsewhere any.
        prompt_pause: seconds for which a locked keyring is not asked again to save, since each time may show a prompt;
            0 to 3600. Reading and clearing always ask.
    """

    backend: Any = field(default=None, validator=_check_backend, repr=_type_only)
    service: str = field(default="chat-core", validator=_check_service)
    timeout: float = field(default=30.0, validator=_check_seconds(0.01))
    max_bytes: int | None = field(default=None, validator=_check_bytes)
    prompt_pause: float = field(default=60.0, validator=_check_seconds(0.0))
