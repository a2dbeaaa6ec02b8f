"""JSON from a stranger: bounded in nesting, and with errors that hold nothing of the text.

Where msgspec is installed (the extra ``chat-gms[speed]``) it reads, which takes less time. What it refuses is left to
Python's own reader, so that the result never depends on which one there is: msgspec takes no ``NaN``, no number beyond
a float and no lone surrogate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from chat_gms.envelope import Envelope, MalformedEnvelopeError, decode_envelope, decode_head

_DECODER: Final = json.JSONDecoder()
_BLANK: Final = frozenset(" \t\n\r")
_NO_BLANK: Final = re.compile(r"[^ \t\n\r]")


def _by_python(data: str | bytes) -> Any:
    # json.loads tells encodings apart and skips blanks before it reads, which costs a fifth of the whole.
    try:
        text = data.decode() if isinstance(data, bytes) else data
        value, end = _DECODER.raw_decode(text)
    except ValueError:  # raw_decode does neither; or there is an error, which json.loads says
        return json.loads(data)
    return value if end == len(text) else json.loads(data)


def _items_by_python(text: str) -> Iterator[tuple[Any, int]]:
    """Yield the items of an array that is not empty, each with the lists and objects that open in it."""
    read, end = _DECODER.raw_decode, 0
    mark = ","
    while mark == ",":
        begin = _past_blanks(text, end + 1)
        value, end = read(text, begin)
        yield value, text.count("{", begin, end) + text.count("[", begin, end)
        end = _past_blanks(text, end)
        mark = text[end : end + 1]
    if mark != "]" or _past_blanks(text, end + 1) != len(text):
        raise json.JSONDecodeError("no array", text, end)


def _past_blanks(text: str, place: int) -> int:
    if text[place : place + 1] not in _BLANK:
        return place  # as mostly
    after = _NO_BLANK.search(text, place)
    return len(text) if after is None else after.start()


try:
    import msgspec
except ImportError:  # an extra
    _load = _by_python
    _items = _items_by_python
else:
    _ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
    _MOST_COMMAS: Final = 500_000
    _REFUSED: Final = (msgspec.MsgspecError, ValueError, RecursionError)

    def _load(data: str | bytes) -> Any:
        try:
            return msgspec.json.decode(data)
        except _REFUSED:
            return _by_python(data)

    def _items(text: str) -> Iterator[tuple[Any, int]]:
        try:
            # It cuts the whole array up first, into some seventy bytes for each item, and a comma may part two of them.
            parts = _ARRAY.decode(text) if text.count(",") <= _MOST_COMMAS else None
        except _REFUSED:
            parts = None
        if parts is None:
            yield from _items_by_python(text)
            return
        for part in parts:
            item = bytes(part)
            yield _load(item), item.count(b"{") + item.count(b"[")


__all__ = ["MAX_DEPTH", "MAX_OPENED", "NotJsonError", "read_envelope", "read_head", "read_items", "read_json"]

#: Lists and objects within each other, at most (RP-11). What is deeper could not be walked or written again everywhere.
MAX_DEPTH: Final = 64
_TOO_DEEP: Final = "too deeply nested"
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
    return _whole(data, _opened(data))


def read_items(data: str | bytes) -> Iterator[Any]:
    """Read the items of an array, or another value as the only one.

    Each is read when it is asked for, and may be gone before the next one is: a thousand events that exist at the same
    time cost as much again when Python looks for garbage.

    Raises:
        NotJsonError: as ``read_json``; what stands before that in an array may have been yielded.
    """
    opened = _opened(data)
    text = _array(data) if opened > MAX_DEPTH else None
    if text is None:
        value = _whole(data, opened)
        yield from value if isinstance(value, list) else (value,)
        return
    try:
        for value, within in _items(text):
            if within >= MAX_DEPTH and _is_deep(value, MAX_DEPTH - 1):
                kind = _TOO_DEEP
                break
            yield value
        else:
            return
    except (ValueError, RecursionError) as error:
        kind = type(error).__name__
    raise NotJsonError(kind)  # out here: as above


def _whole(data: str | bytes, opened: int) -> Any:
    try:
        value = _load(data)
    except (ValueError, RecursionError) as error:
        kind = type(error).__name__
    else:
        if opened <= MAX_DEPTH or not _is_deep(value, MAX_DEPTH):
            return value
        kind = _TOO_DEEP
    # Raised out here, so that it is not chained: a decoding error's repr is the whole text, with its secrets (RP-10).
    raise NotJsonError(kind)


def _opened(data: str | bytes) -> int:
    opened = data.count("[") + data.count("{") if isinstance(data, str) else data.count(b"[") + data.count(b"{")
    if opened > MAX_OPENED:
        raise NotJsonError("too many lists and objects")
    return opened


def _array(data: str | bytes) -> str | None:
    """Return the text of an array, None for what is none, has blanks before it or is in another encoding than UTF-8."""
    try:
        text = data if isinstance(data, str) else data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.startswith("[") and not text.startswith("[\0") else None  # so begins UTF-16


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


def _is_deep(value: Any, limit: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        # What JSON becomes is of these classes themselves; a large envelope has many thousands of them.
        level = [
            child
            for one in level
            for child in (one.values() if one.__class__ is dict else one)
            if child.__class__ is dict or child.__class__ is list
        ]
        if not level:
            return False
    return True
