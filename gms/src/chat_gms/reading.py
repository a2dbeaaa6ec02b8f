"""JSON from a stranger: bounded in nesting, and with errors that hold nothing of the text.

Where msgspec is installed (the extra ``chat-gms[speed]``) it reads, which takes less time. What it refuses is left to
Python's own reader, so that the result never depends on which one there is: msgspec takes no ``NaN``, no number beyond
a float and no lone surrogate.
"""

from __future__ import annotations

import json
from typing import Any, Final

from chat_gms.envelope import Envelope, MalformedEnvelopeError, decode_envelope, decode_head

_DECODER: Final = json.JSONDecoder()


def _by_python(data: str | bytes) -> Any:
    # json.loads tells encodings apart and skips blanks before it reads, which costs a fifth of the whole.
    try:
        text = data.decode() if isinstance(data, bytes) else data
        value, end = _DECODER.raw_decode(text)
    except ValueError:  # raw_decode does neither; or there is an error, which json.loads says
        return json.loads(data)
    return value if end == len(text) else json.loads(data)


try:
    import msgspec
except ImportError:  # an extra
    _load = _by_python
else:

    def _load(data: str | bytes) -> Any:
        try:
            return msgspec.json.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return _by_python(data)


__all__ = ["MAX_DEPTH", "MAX_OPENED", "NotJsonError", "read_envelope", "read_head", "read_json"]

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
        value = _load(data)
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
    return decode_envelope(_read(data))


def read_head(data: str | bytes) -> Envelope:
    """Read an envelope from JSON text, but for its messages (``decode_head``).

    Raises:
        MalformedEnvelopeError: it is none.
    """
    return decode_head(_read(data))


def _read(data: str | bytes) -> Any:
    try:
        return read_json(data)
    except NotJsonError as error:
        raise MalformedEnvelopeError(f"an envelope is JSON: {error}") from None


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
