"""Takes secrets and message text out of what is logged, by structure (RP-10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

__all__ = ["names_a_secret", "redact"]

HIDDEN: Final = "<hidden>"
#: Levels of nesting that are shown.
_DEPTH: Final = 6
#: Entries of a collection that are shown.
_ENTRIES: Final = 50

_SECRET: Final = re.compile(
    r"secure_?key|passw|secret|token|authoriz|cookie|api_?key|credential|\bauth\b|bayeux_browser|^link$|session_?key|"
    r"client_?id|proxy|ssl_context",
    re.IGNORECASE,
)
_TEXT: Final = re.compile(
    r"^(text|message|body|content|preview|nickname|user_?name|subject|user_?data|advice)$", re.IGNORECASE
)
#: The scheme's length is bounded, so that a long text of letters does not take the square of its length.
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}://[^\s'\"<>]+", re.IGNORECASE)


def names_a_secret(name: str) -> bool:
    """Say whether the value under a key or in an option of this name is hidden."""
    return _SECRET.search(name) is not None


def redact(value: Any, _depth: int = 0) -> Any:
    """Return a value that may be logged. Never raises, never changes what it is given.

    In mappings the values of secret keys are hidden and texts become their length; bytes become their length; addresses
    lose their user part and the values of their query.
    """
    try:
        return _redact(value, _depth)
    except Exception:  # noqa: BLE001 - whatever a stranger's object does, logging goes on
        return f"<{type(value).__name__}>"


def _redact(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _URL.sub(lambda match: _address(match.group()), value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth >= _DEPTH:
        return "..."
    if isinstance(value, Mapping):
        shown = list(value.items())[:_ENTRIES]
        return {redact(key, depth + 1): _entry(key, one, depth) for key, one in shown}
    if isinstance(value, list | tuple | set | frozenset):
        kind = value.__class__ if value.__class__ in {list, tuple} else list
        return kind([redact(one, depth + 1) for one in list(value)[:_ENTRIES]])
    if isinstance(value, BaseException):
        return _URL.sub(lambda match: _address(match.group()), f"{type(value).__name__}: {value}")
    # Events, receipts and commands have reprs that hide their texts.
    return _URL.sub(lambda match: _address(match.group()), repr(value))


def _entry(key: object, value: Any, depth: int) -> Any:
    name = str(key)
    if names_a_secret(name):
        return HIDDEN if value is not None else None
    if _TEXT.match(name):
        if isinstance(value, str):
            return f"<{len(value)} characters>"
        if isinstance(value, Mapping):
            return f"<{len(value)} entries>"
    return redact(value, depth + 1)


def _address(text: str) -> str:
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    user = "<hidden>@" if "@" in parts.netloc else ""
    query = re.sub(r"=[^&]*", "=<hidden>", parts.query)
    return urlunsplit((parts.scheme, user + host, parts.path, query, ""))
