"""The answer envelope of section 2.3, with the quirks that the page tells of."""

from __future__ import annotations

import json
from typing import Any

from interop.strict_gms.chats import Chat

__all__ = ["GONE", "bare_error", "envelope", "event_view", "failure", "text_of"]

#: 2.5: what a dead session answers; the advice ends with a number in brackets.
GONE = (249, "The media server could not run the request. referenceId[10010001]")


def text_of(data: Any) -> str:
    """JSON as the page writes it."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def event_view(chat: Chat, event: dict[str, Any]) -> dict[str, Any]:
    """An event as it goes out: index as text (3.4), or without what is optional (2.3)."""
    seen = dict(event)
    if chat.quirks.text_index and "index" in seen:
        seen["index"] = str(seen["index"])
    if chat.quirks.sparse:
        del seen["utcTime"]
    return seen


def envelope(
    chat: Chat,
    events: list[dict[str, Any]],
    *,
    first: bool = False,
    data: dict[str, str] | None = None,
    with_chat_id: bool = True,
    cometd: bool = False,
) -> dict[str, Any]:
    """A good answer (2.3, statusCode 0).

    Args:
        chat: of the answer.
        events: to show, the log's own.
        first: whether it is the first answer of the chat, which alone always brings the secureKey (3.4).
        data: result data of an operation.
        with_chat_id: False for the limits of files (2.8).
        cometd: chatEnded is in every delivery there (3.4).
    """
    quirks = chat.quirks
    if quirks.changing_alias:
        chat.alias = str(int(chat.alias) + 1)
    indexes = [event["index"] for event in events if "index" in event]
    if indexes and quirks.repeats:
        before = [event for event in chat.events if event["index"] < indexes[0]]
        events = [*before[-2:], *events, next(event for event in reversed(events) if "index" in event)]
    chat.delivered = max([chat.delivered, *indexes])
    answer: dict[str, Any] = {"messages": [event_view(chat, event) for event in events]}
    answer |= {"chatEnded": chat.ended, "statusCode": 0, "alias": chat.alias}
    if not chat.ended:  # 2.11: the answer that ends a chat has neither of these
        answer |= {"secureKey": chat.secure_key, "userId": chat.user_id}
    answer |= {"chatId": chat.chat_id, "nextPosition": chat.next_position}
    if data is not None:
        answer["userData"] = data
    if quirks.extras:
        answer |= {"monitored": True, "idleTimerExpire": 255}
    if (quirks.bare or quirks.sparse) and not answer["messages"]:
        del answer["messages"]
    if (quirks.bare or quirks.sparse) and not first:
        answer.pop("secureKey", None)
    if quirks.sparse:
        for name in ("alias", "userId", "nextPosition"):
            answer.pop(name, None)
        if not chat.ended and not cometd:
            del answer["chatEnded"]
    if not with_chat_id:
        del answer["chatId"]
    if "alias" in answer:
        chat.issue(chat.alias)
    chat.told_end = chat.told_end or chat.ended
    return answer


def failure(chat: Chat, code: int, advice: str) -> dict[str, Any]:
    """An error answer, as it was seen: without secureKey, userId and nextPosition (2.3, 2.11)."""
    chat.issue(chat.alias)
    return {
        "messages": [],
        "chatEnded": chat.ended,
        "statusCode": 2,
        "alias": chat.alias,
        "chatId": chat.chat_id,
        "errors": [{"code": code, "advice": advice}],
    }


def bare_error(code: int, advice: str, *, chat_id: str | None = None, ended: bool = True) -> dict[str, Any]:
    """An error answer where there is no chat."""
    answer: dict[str, Any] = {"messages": [], "chatEnded": ended, "statusCode": 2}
    if chat_id is not None:
        answer["chatId"] = chat_id
    return {**answer, "errors": [{"code": code, "advice": advice}]}
