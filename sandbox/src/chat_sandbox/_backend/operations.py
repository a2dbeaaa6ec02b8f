"""What each operation of GMS Chat v2 does to a chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from chat_gms import Envelope, EventType, Operation
from chat_sandbox._backend.chats import MESSAGE_TOO_LONG, NAME_MISSING, Backend, Chat, refusal, unknown_chat

__all__ = ["Result", "perform"]


@frozen(kw_only=True)
class Result:
    """What came of an operation.

    Attributes:
        chat: the chat it was about, None when there is none.
        answer: what goes to whoever asked, None when the events that it caused say everything.
        attach: whoever asked wants the chat's events from now on.
    """

    chat: Chat | None = None
    answer: Envelope | None = None
    attach: bool = False


def perform(backend: Backend, service: str, data: Mapping[str, Any], attach: Any) -> Result:
    """Perform an operation. ``attach(chat)`` is called before the first event that whoever asked must see."""
    operation = data.get("operation")
    if operation == Operation.REQUEST_CHAT:
        return _request_chat(backend, service, data, attach)
    chat = backend.find(data.get("secureKey"))
    if chat is None:
        return Result(answer=unknown_chat())
    if operation == Operation.REQUEST_NOTIFICATIONS:
        attach(chat)
        return Result(chat=chat, answer=chat.transcript(_position(data.get("transcriptPosition"))))
    if chat.ended:
        return Result(chat=chat, answer=unknown_chat())
    return _command(backend, chat, operation, data)


def _request_chat(backend: Backend, service: str, data: Mapping[str, Any], attach: Any) -> Result:
    nickname = data.get("nickname") or " ".join(
        str(data[key]) for key in ("firstName", "lastName") if isinstance(data.get(key), str)
    )
    if not isinstance(nickname, str) or not nickname:
        return Result(answer=refusal(NAME_MISSING, "A name must be entered."))
    user_data = data.get("userData")
    subject = data.get("subject")
    chat = backend.open(
        service=service,
        nickname=nickname,
        subject=subject if isinstance(subject, str) else None,
        user_data=user_data if isinstance(user_data, Mapping) else {},
    )
    attach(chat)
    chat.add(EventType.PARTICIPANT_JOINED, chat.visitor)
    return Result(chat=chat)


def _command(backend: Backend, chat: Chat, operation: object, data: Mapping[str, Any]) -> Result:
    text = data.get("message")
    text = text if isinstance(text, str) else ""
    match operation:
        case Operation.SEND_MESSAGE:
            limit = backend.max_message_length
            if limit is not None and len(text) > limit:
                return Result(chat=chat, answer=refusal(MESSAGE_TOO_LONG, "The message is too long.", chat=chat))
            kind = data.get("messageType")
            chat.add(EventType.MESSAGE, chat.visitor, text=text, message_type=kind if isinstance(kind, str) else "text")
        case Operation.START_TYPING:
            chat.add(EventType.TYPING_STARTED, chat.visitor, text=text or None)
        case Operation.STOP_TYPING:
            chat.add(EventType.TYPING_STOPPED, chat.visitor, text=text or None)
        case Operation.UPDATE_NICKNAME:
            _rename(chat, data)
        case Operation.UPDATE_DATA:
            merged = data.get("userData")
            if isinstance(merged, Mapping):
                chat.user_data.update(merged)
            return Result(chat=chat, answer=chat.envelope())
        case Operation.PUSH_URL:
            url = data.get("pushUrl")
            chat.add(EventType.PUSH_URL, chat.visitor, text=url if isinstance(url, str) else "")
        case Operation.CUSTOM_NOTICE:
            chat.add(EventType.CUSTOM_NOTICE, chat.visitor, text=text)
        case Operation.DISCONNECT:
            chat.add(EventType.PARTICIPANT_LEFT, chat.visitor, end=True)
        case _:
            return Result(chat=chat, answer=refusal(100, f"The operation {operation!r} is not known.", chat=chat))
    return Result(chat=chat)


def _rename(chat: Chat, data: Mapping[str, Any]) -> None:
    nickname = data.get("nickname")
    if isinstance(nickname, str) and nickname:
        chat.nickname = nickname
        kept = chat.visitor
        chat.visitor = type(kept)(nickname=nickname, participant_id=kept.participant_id, type=kept.type)
        chat.add(EventType.NICKNAME_UPDATED, chat.visitor, text=nickname)


def _position(value: object) -> int:
    if isinstance(value, str) and value.isdecimal():
        return int(value[:18])
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
