"""The Bayeux messages in a body or frame: what rules look at, and how single ones are taken out or doubled."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from attrs import frozen

__all__ = ["BayeuxMessage", "edit_messages", "read_messages"]


@frozen
class BayeuxMessage:
    """What a rule can ask a message for.

    Attributes:
        channel: such as ``/meta/connect``.
        operation: of GMS, in a publication's data; None elsewhere.
    """

    channel: str
    operation: str | None = None


def read_messages(body: bytes) -> tuple[BayeuxMessage, ...]:
    """Return the messages of a body or frame; none when it is not Bayeux."""
    parsed = _parse(body)
    found = []
    for message in parsed:
        if not isinstance(message, dict) or not isinstance(channel := message.get("channel"), str):
            return ()
        data = message.get("data")
        operation = data.get("operation") if isinstance(data, dict) else None
        found.append(BayeuxMessage(channel, operation if isinstance(operation, str) else None))
    return tuple(found)


def edit_messages(body: bytes, *, without: Collection[int] = (), twice: Collection[int] = ()) -> bytes:
    """Return the body without some of its messages, and with some of them twice."""
    edited = []
    for number, message in enumerate(_parse(body)):
        if number not in without:
            edited += [message] * (2 if number in twice else 1)
    return json.dumps(edited, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _parse(body: bytes) -> list[Any]:
    if body.lstrip()[:1] not in {b"[", b"{"}:
        return []
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return []
    return parsed if isinstance(parsed, list) else [parsed]
