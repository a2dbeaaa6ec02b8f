"""The client as the tests against the strict server call it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import chat_core
from chat_core import (
    AgentConnected,
    ContinuityLost,
    CustomNotice,
    ErrorReported,
    Event,
    Interrupted,
    MessageReceived,
    NicknameUpdated,
    ParticipantJoined,
    ParticipantLeft,
    SessionEnded,
)

_NUMBERS = itertools.count()
CARRIERS = ("websocket", "long-polling", "rest")


def options_for(carrier: str) -> dict[str, Any]:
    """What has to be said for a carrier, at the start and at a restore."""
    if carrier == "rest":
        return {"transport": "rest", "transport_options": {"poll_quick": 0.1, "poll_slow": 0.5}}
    return {"transport": "cometd", "disable_websockets": carrier == "long-polling"}


def start(server: Any, carrier: str, **options: Any) -> Any:
    if "storage_options" not in options:
        options.setdefault("state_storage", "memory")
        options.setdefault("profile", f"strict-{next(_NUMBERS)}")  # a failed test does not disturb the next one
    address = server.rest_url if carrier == "rest" else server.cometd_url
    return chat_core.start_session(server_url=address, username="Ada", **{**options_for(carrier), **options})


async def everything(session: Any) -> list[Event]:
    return [event async for event in session.events()]


def shown(events: Iterable[Event]) -> list[str]:
    """What a user is shown of a conversation, without typing, the own leaving and loose notices."""
    lines: list[str] = []
    for event in events:
        match event:
            case AgentConnected() | ParticipantJoined():
                lines.append(f"{event.party.name} joined")
            case MessageReceived(content_type="text"):
                lines.append(event.text)
            case MessageReceived():
                lines.append(f"{event.content_type} {event.text}")
            case NicknameUpdated():
                lines.append(f"now {event.nickname}")
            case CustomNotice():
                lines.append(f"notice {event.text}")
            case ParticipantLeft(own=False):
                lines.append(f"{event.party.name} left")
            case SessionEnded():
                lines.append(f"ended {event.reason}")
            case Interrupted() | ContinuityLost() | ErrorReported():
                lines.append(str(event))
            case _:
                pass
    return lines


def in_order_once(events: Iterable[Event]) -> bool:
    """Whether no index comes twice or goes back."""
    indexes = [event.index for event in events if event.index is not None]
    return indexes == sorted(set(indexes))
