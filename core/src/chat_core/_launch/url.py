"""What may serve as ``server_url``."""

from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from chat_core._model.errors import MissingOptionError, OptionError, OptionTypeError

__all__ = ["check_server_url", "same_origin", "shown_url"]

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PLAIN = {"http", "ws"}
_EXAMPLE = "write it as https://host/path"


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
    shown = shown_url(value)
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in value):
        raise OptionError(f"{name} {shown!r} holds a blank or a control character, or a backslash", advice="remove it")
    # What urlsplit says quotes the value, so it is neither passed on nor chained (RP-10).
    try:
        parts = urlsplit(value)
    except ValueError:
        raise OptionError(f"{name} {shown!r} is no URL: its host cannot be read", advice=_EXAMPLE) from None
    try:
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise OptionError(f"{name} {shown!r} is no URL: its port is not a number up to 65535") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise OptionError(
            f"{name} {shown!r} is not an absolute http, https, ws or wss URL",
            advice=_EXAMPLE,
        )
    if "@" in parts.netloc:
        raise OptionError(
            f"{name} {shown!r} holds a user name or password",
            advice="give them as transport_options={'auth': (user, password)}",
        )
    if "#" in value:
        raise OptionError(f"{name} {shown!r} has a fragment (#...), which no server sees", advice="remove it")
    if parts.scheme in _PLAIN and not allow_insecure and not _is_loopback(parts.hostname):
        raise OptionError(
            f"{name} {shown!r} would send the chat unencrypted to {parts.hostname}",
            advice="use https, or accept the risk with transport_options={'allow_insecure': True}",
        )
    return value


def same_origin(one: str, other: str) -> bool:
    """Say whether two addresses share scheme, host and port; ``ws`` counts as ``http``, ``wss`` as ``https``.

    What is no address shares nothing.
    """
    try:
        first, second = _origin(one), _origin(other)
    except ValueError:
        return False
    return first == second and first[1] is not None


def shown_url(value: str) -> str:
    """Return an address as an error or a log may show it: no user, no password, no values of its query."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "", value
    address, mark, query = rest.partition("?")
    if "@" in query:
        # A password with a question mark, or an address as a query's value: nobody can tell, so nothing is shown.
        return f"{scheme}{separator}<hidden>"
    # A password may itself hold slashes, so everything before the last "@" goes.
    _, at, address = address.rpartition("@")
    query = re.sub(r"=[^&#]*", "=<hidden>", query)
    return f"{scheme}{separator}{'<hidden>@' if at else ''}{address}{mark}{query}"


def _origin(value: str) -> tuple[bool, str | None, int | None]:
    parts = urlsplit(value)
    return parts.scheme in _PLAIN, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _is_loopback(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
