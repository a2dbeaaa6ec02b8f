"""Form bodies of GMS Chat v2 over REST: nested data uses one level of brackets, ``userData[FirstName]=Ada``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from chat_gms.userdata import encode_user_data

__all__ = ["decode_form", "encode_form", "nest"]

#: Fields of one form, at most (RP-11).
MAX_FIELDS = 10_000


def encode_form(fields: Mapping[str, Any]) -> bytes:
    """Return an ``application/x-www-form-urlencoded`` body. Fields whose value is None are left out.

    A mapping becomes bracket keys, its values encoded as user data.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}[{key}]", text) for key, text in encode_user_data(value).items()]
        elif value is not None:
            pairs.append((name, str(value)))
    return urlencode(pairs, encoding="utf-8", errors="replace").encode("ascii")


def decode_form(body: bytes) -> dict[str, Any]:
    """Read what ``encode_form`` wrote.

    Raises:
        ValueError: it holds too many fields or is no form.
    """
    text = body.decode("utf-8")
    return nest(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))


def nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Put bracket keys into mappings; of a key that comes twice the last value counts."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        outer, bracket, rest = name.partition("[")
        if bracket and rest.endswith("]") and outer:
            inner = fields.setdefault(outer, {})
            if isinstance(inner, dict):
                inner[rest[:-1]] = value
        else:
            fields[name] = value
    return fields
