"""What the two halves of the storage checks share."""

from __future__ import annotations

from typing import Any, Final

from chat_core.testing._checks import Suite
from chat_core.testing._subject import Subject

__all__ = ["OTHER", "SECRETS", "STATE", "SUITE", "needs_folder"]

SUITE: Final = Suite("storage", "ST")

#: A state as the core writes it, with canaries where the secrets are.
SECRETS: Final = {
    "the secure key": "canary-3f8e1c-secure-key",
    "a cookie": "canary-9b2d77-cookie",
    "a message of the outbox": "canary-51aa04-message",
}
STATE: Final[dict[str, Any]] = {
    "version": 1,
    "transport": "conformance",
    "server_url": "https://chat.example.com/",
    "session_id": "0001",
    "link": {"secure_key": SECRETS["the secure key"], "cookies": {"SERVERID": SECRETS["a cookie"]}},
    "delivered": 7,
    "websockets_disabled": False,
    "outbox": [{"text": SECRETS["a message of the outbox"], "type": "text", "queued_at": 1700000000.25}],
}
OTHER: Final[dict[str, Any]] = {"version": 1, "link": {"other": "value"}, "delivered": 8}


def needs_folder(subject: Subject) -> str | None:
    """Say whether the author gave a place in the folder."""
    return None if subject.uses_folder else "it needs options(folder) with a place in that folder"
