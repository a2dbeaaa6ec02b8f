"""The ``storage_options`` of the Redis storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from chat_core import OptionError, OptionTypeError

__all__ = ["RedisOptions"]

_SCHEMES: Final = frozenset({"redis", "rediss", "unix"})
_LONGEST_PREFIX: Final = 100


def _check_url(_: Any, __: Attribute[Any], value: object) -> None:
    good = False
    if isinstance(value, str):
        try:
            parts = urlsplit(value)
            good = parts.scheme in _SCHEMES and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
    if not good:
        # It may hold a password, so neither it nor what Python says of it is shown.
        raise OptionError(
            "storage_options: url must be the address of a Redis server",
            advice="write it as redis://host:6379/0, rediss://... for TLS, or unix:///path/to/socket",
        )


def _check_connection(_: Any, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise OptionTypeError(
            f"storage_options: connection must be a mapping of redis-py's options, not {type(value).__name__}",
            advice='such as {"ssl_ca_certs": "ca.pem"} or {"credential_provider": ...}',
        )


def _check_prefix(_: Any, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_PREFIX or not value.isprintable():
        raise OptionError(
            f"storage_options: prefix must be 1 to {_LONGEST_PREFIX} printable characters, not {value!r}",
            advice="it begins the name of each key",
        )


def _check_seconds(least: float, most: float) -> Any:
    def check(_: Any, attribute: Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise OptionError(
                f"storage_options: {attribute.name} must be from {least:g} to {most:.10g} seconds, not {value!r}"
            )

    return check


def _names_only(value: object) -> str:
    # The values may be passwords.
    return f"<{', '.join(sorted(value))}>" if isinstance(value, Mapping) else f"<{type(value).__name__}>"


@frozen(kw_only=True)
class RedisOptions:
    """What the Redis storage can be told.

    Attributes:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user, password and database if need be.
        connection: further options of redis-py's connections, such as ``ssl_ca_certs``, ``username``, ``password`` or
            ``credential_provider``.
        prefix: begins the name of each key. Sessions with the same prefix are one fleet's.
        lease: seconds for which a session is owned unless the ownership is renewed, which happens each quarter of
            these; 0.5 to 3600. A session whose process died is free after so long at most, and the server may be away
            for somewhat less.
        keep: seconds for which a state is kept after its owner's last sign of life; 1 to 10 years. One that was not
            given up is kept for twice the lease at least.
        timeout: seconds for one call; 0.01 to 3600. A renewal takes a quarter of the lease at most.
    """

    url: str = field(default="redis://127.0.0.1:6379/0", repr=False, validator=_check_url)
    connection: Mapping[str, Any] = field(factory=dict, repr=_names_only, validator=_check_connection)
    prefix: str = field(default="chat-core:", validator=_check_prefix)
    lease: float = field(default=12.0, validator=_check_seconds(0.5, 3600.0))
    keep: float = field(default=86400.0, validator=_check_seconds(1.0, 315360000.0))
    timeout: float = field(default=2.0, validator=_check_seconds(0.01, 3600.0))
