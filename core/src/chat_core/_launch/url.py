"""What may serve as ``server_url``."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from chat_core._model.errors import MissingOptionError, OptionError, OptionTypeError

__all__ = ["check_server_url", "same_origin"]

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PLAIN = {"http", "ws"}


def check_server_url(value: Any, *, allow_insecure: bool = False, name: str = "server_url") -> str:
    """Return the address, or say what is wrong with it.

    ``http`` and ``ws`` are for loopback hosts, unless ``allow_insecure`` is set.

    Raises:
        MissingOptionError: it is missing.
        OptionTypeError: it is not text.
        OptionError: it cannot be used.
    """
    if value is None or value == "":
        raise MissingOptionError(
            f"{name} is missing: it is mandatory unless a transport instance is given",
            advice="give the address of the chat server, such as server_url='https://gms.example.com/genesys/cometd'",
        )
    if not isinstance(value, str):
        raise OptionTypeError(f"{name} must be text, not {type(value).__name__}")
    shown = _without_user(value)
    if any(ord(character) <= 32 or ord(character) == 127 for character in value):  # noqa: PLR2004 - blanks, controls
        raise OptionError(f"{name} {shown!r} holds a blank or a control character", advice="remove it")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise OptionError(f"{name} {shown!r} is no URL: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise OptionError(
            f"{name} {shown!r} is not an absolute http, https, ws or wss URL",
            advice="write it as https://host/path",
        )
    if "@" in parts.netloc:
        raise OptionError(
            f"{name} {shown!r} holds a user name or password",
            advice="give them as transport_options={'auth': (user, password)}",
        )
    if parts.fragment:
        raise OptionError(f"{name} {shown!r} has a fragment (#...), which no server sees", advice="remove it")
    if parts.scheme in _PLAIN and not allow_insecure and not _is_loopback(parts.hostname):
        raise OptionError(
            f"{name} {shown!r} would send the chat unencrypted to {parts.hostname}",
            advice="use https, or accept the risk with transport_options={'allow_insecure': True}",
        )
    return value


def same_origin(one: str, other: str) -> bool:
    """Say whether two addresses share scheme, host and port; ``ws`` counts as ``http``, ``wss`` as ``https``."""
    return _origin(urlsplit(one)) == _origin(urlsplit(other))


def _origin(parts: SplitResult) -> tuple[bool, str | None, int | None]:
    return parts.scheme in _PLAIN, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_user(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        authority = "<hidden>@" + authority.rpartition("@")[2]
    return f"{scheme}{separator}{authority}{slash}{path}"
