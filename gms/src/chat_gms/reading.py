"""JSON from a stranger: bounded in nesting, and with errors that hold nothing of the text."""

from __future__ import annotations

import json
from typing import Any, Final

from chat_gms.envelope import Envelope, MalformedEnvelopeError, decode_envelope

__all__ = ["MAX_DEPTH", "MAX_OPENED", "NotJsonError", "read_envelope", "read_json"]

#: Lists and objects within each other, at most (RP-11). What is deeper could not be walked or written again everywhere.
MAX_DEPTH: Final = 64
#: Brackets and braces that open in one text, at most: a list of a million objects is small until it is read (RP-11).
MAX_OPENED: Final = 200_000


class NotJsonError(ValueError):
    """What arrived is no JSON, or nested too deeply. Its text is the kind of error alone."""


def read_json(data: str | bytes) -> Any:
    """Read JSON.

    Raises:
        NotJsonError: it is none, has a number of thousands of digits, is nested deeper than ``MAX_DEPTH`` or has more
            than ``MAX_OPENED`` lists and objects.
    """
    opened = data.count("[") + data.count("{") if isinstance(data, str) else data.count(b"[") + data.count(b"{")
    if opened > MAX_OPENED:
        raise NotJsonError("too many lists and objects")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        kind = type(error).__name__
    else:
        if opened <= MAX_DEPTH or not _is_deep(value):
            return value
        kind = "too deeply nested"
    # Raised out here, so that it is not chained: a decoding error's repr is the whole text, with its secrets (RP-10).
    raise NotJsonError(kind)


def read_envelope(data: str | bytes) -> Envelope:
    """Read an envelope from JSON text.

    Raises:
        MalformedEnvelopeError: it is none.
    """
    try:
        value = read_json(data)
    except NotJsonError as error:
        raise MalformedEnvelopeError(f"an envelope is JSON: {error}") from None
    return decode_envelope(value)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
