"""Bayeux messages on the wire: JSON arrays of objects, bounded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen

from chat_core import ProtocolError
from chat_gms.reading import NotJsonError, read_items

__all__ = ["BayeuxError", "Message", "decode", "encode", "parse_error"]

Message: TypeAlias = dict[str, Any]

#: Messages in one array, at most (RP-11).
MAX_MESSAGES: Final = 100_000
#: What of a wrong answer is shown in an error text, in characters.
_SHOWN: Final = 60

#: Made once: json.dumps makes one for each call that does not want its defaults.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ERROR: Final = re.compile(r"(\d{3}):([^:]*):(.*)", re.DOTALL)


@frozen
class BayeuxError:
    """``NNN:arguments:words``: the number counts, the words are free text."""

    code: int
    text: str


def encode(messages: list[Message]) -> str:
    """Write messages as one JSON array that has a UTF-8 form, whatever text is in it."""
    text = _ENCODER.encode(messages)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate; JSON has an escape for it, UTF-8 has nothing
        return json.dumps(messages, separators=(",", ":"))
    return text


def decode(data: str | bytes) -> Iterator[Message]:
    """Read a JSON array of messages, or a lone one; each when it is asked for.

    Raises:
        ProtocolError: it is not Bayeux. Messages before the place where that shows may have been yielded.
    """
    try:
        for number, message in enumerate(read_items(data), 1):
            if number > MAX_MESSAGES:
                raise ProtocolError(f"the server sent more than {MAX_MESSAGES} messages at once")
            if not isinstance(message, dict) or not isinstance(message.get("channel"), str):
                raise ProtocolError("not a Bayeux server: the answer is JSON, but no Bayeux message")
            yield message
    except NotJsonError as error:
        raise ProtocolError(f"not a Bayeux server: the answer is no JSON ({error}){_begin(data)}") from None


def parse_error(message: Mapping[str, Any]) -> BayeuxError:
    """Read the ``error`` field of an unsuccessful reply, whatever its form."""
    text = message.get("error")
    if not isinstance(text, str) or not text:
        return BayeuxError(0, "the server gave no reason")
    match = _ERROR.fullmatch(text)
    if match is None:
        return BayeuxError(0, text)
    code, arguments, words = match.groups()
    return BayeuxError(int(code), words or arguments)


def _begin(data: str | bytes) -> str:
    """Show how markup begins, to tell whose page it is; what may be part of a chat is not shown."""
    shown = data[:_SHOWN]
    if isinstance(shown, bytes):
        shown = shown.decode("utf-8", "replace")
    return f", it begins with {shown!r}" if shown.lstrip().startswith("<") else ""
