"""The envelope that every answer and every push of GMS Chat v2 has, both directions.

Decoding is lenient where the documentation is silent or real servers differ: every field may be absent, numbers may be
texts, unknown fields and event types are kept or ignored. What cannot be an envelope at all raises
``MalformedEnvelopeError`` and nothing else does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from attrs import define, evolve, field, frozen

__all__ = [
    "LARGEST",
    "MAX_EVENTS",
    "NOTHING",
    "Envelope",
    "EventType",
    "GmsError",
    "GmsEvent",
    "GmsParty",
    "MalformedEnvelopeError",
    "PartyType",
    "as_mapping",
    "as_number",
    "as_text",
    "decode_envelope",
    "decode_event",
    "decode_head",
    "encode_envelope",
]

#: Data where there is none.
NOTHING: Mapping[str, Any] = MappingProxyType({})

_NUMBER: Final = re.compile("-?[0-9]{1,18}")

#: Numbers beyond are no positions, times or identifiers, and Python refuses to write very large ones out.
LARGEST: Final = 10**18

#: Events in one envelope, at most.
MAX_EVENTS: Final = 100_000


class MalformedEnvelopeError(ValueError):
    """What arrived cannot be an envelope."""


class EventType:
    """Names of event types. Others are tolerated."""

    PARTICIPANT_JOINED: Final = "ParticipantJoined"
    PARTICIPANT_LEFT: Final = "ParticipantLeft"
    MESSAGE: Final = "Message"
    TYPING_STARTED: Final = "TypingStarted"
    TYPING_STOPPED: Final = "TypingStopped"
    NICKNAME_UPDATED: Final = "NicknameUpdated"
    PUSH_URL: Final = "PushUrl"
    FILE_UPLOADED: Final = "FileUploaded"
    FILE_DELETED: Final = "FileDeleted"
    CUSTOM_NOTICE: Final = "CustomNotice"
    NOTICE: Final = "Notice"
    IDLE_ALERT: Final = "IdleAlert"
    IDLE_CLOSE: Final = "IdleClose"


class PartyType:
    """Names of party types. ``External`` are bots, strategies and the system."""

    CLIENT: Final = "Client"
    AGENT: Final = "Agent"
    SUPERVISOR: Final = "Supervisor"
    EXTERNAL: Final = "External"


@frozen(kw_only=True)
class GmsParty:
    """Who caused an event."""

    nickname: str = ""
    participant_id: int | None = None
    type: str = ""


@frozen(kw_only=True)
class GmsEvent:
    """One element of ``messages``.

    Attributes:
        type: see ``EventType``.
        index: place in the transcript from 1; absent on some notices.
        utc_time: milliseconds since 1970.
        text: message, address, preview or notice.
        message_type: as the sender gave it.
        party: who caused it.
        user_data: e.g. ``file-name``.
        attributes: ``eventAttributes``, e.g. ``{"GCTI_SYSTEM": {"quit-reason-code": "4"}}``.
    """

    type: str = ""
    index: int | None = None
    utc_time: int | None = None
    text: str | None = field(default=None, repr=False)
    message_type: str | None = None
    party: GmsParty | None = None
    user_data: Mapping[str, Any] = field(default=NOTHING, repr=False)
    attributes: Mapping[str, Any] = field(default=NOTHING, repr=False)


@frozen(kw_only=True)
class GmsError:
    """One element of ``errors``."""

    code: int = 0
    advice: str = ""


@define(kw_only=True)
class Envelope:
    """An answer or a push. Fields that were absent are None (or empty).

    Not frozen, as one is made for each push: that would double what making it costs.

    Attributes:
        elements: the messages as they came, where only the head was read (``decode_head``).
    """

    status_code: int | None = None
    chat_ended: bool | None = None
    chat_id: str | None = None
    user_id: str | None = None
    secure_key: str | None = field(default=None, repr=False)
    alias: str | None = None
    messages: tuple[GmsEvent, ...] = ()
    elements: Sequence[object] = field(default=(), repr=False, eq=False)
    next_position: int | None = None
    user_data: Mapping[str, Any] | None = field(default=None, repr=False)
    monitored: bool | None = None
    idle_timer_expire: int | None = None
    errors: tuple[GmsError, ...] = ()

    @property
    def first_index(self) -> int | None:
        """The index of the first event that has one."""
        return next((event.index for event in self.messages if event.index is not None), None)

    @property
    def last_index(self) -> int | None:
        """The highest index in the envelope."""
        return max((event.index for event in self.messages if event.index is not None), default=None)


def decode_envelope(data: object) -> Envelope:
    """Read an envelope from decoded JSON.

    Raises:
        MalformedEnvelopeError: it is not an object, or ``messages`` is no list.
    """
    head = decode_head(data)
    return evolve(head, messages=tuple([decode_event(element) for element in head.elements]), elements=())


def decode_head(data: object) -> Envelope:
    """Read an envelope but for its messages, which stay in ``elements`` as they came, for who reads these otherwise.

    Raises:
        MalformedEnvelopeError: as ``decode_envelope``.
    """
    if not isinstance(data, dict):
        raise MalformedEnvelopeError(f"an envelope is an object, not {type(data).__name__}")
    get = data.get
    elements = get("messages")
    if elements is None:
        elements = ()
    elif not isinstance(elements, list) or len(elements) > MAX_EVENTS:
        raise MalformedEnvelopeError(f"'messages' must be a list of at most {MAX_EVENTS} events")
    errors = get("errors")
    return Envelope(
        status_code=as_number(get("statusCode")),
        chat_ended=_flag(get("chatEnded")),
        chat_id=as_text(get("chatId")),
        user_id=as_text(get("userId")),
        secure_key=as_text(get("secureKey")),
        alias=as_text(get("alias")),
        elements=elements,
        next_position=as_number(get("nextPosition")),
        user_data=as_mapping(get("userData")),
        monitored=_flag(get("monitored")),
        idle_timer_expire=as_number(get("idleTimerExpire")),
        errors=tuple([_error(error) for error in errors]) if isinstance(errors, list) else (),
    )


def encode_envelope(envelope: Envelope) -> dict[str, Any]:
    """Return the JSON object of an envelope; ``messages`` always, other absent fields not at all."""
    return _present(
        {
            "messages": [_encode_event(event) for event in envelope.messages],
            "chatEnded": envelope.chat_ended,
            "statusCode": envelope.status_code,
            "alias": envelope.alias,
            "secureKey": envelope.secure_key,
            "userId": envelope.user_id,
            "chatId": envelope.chat_id,
            "nextPosition": envelope.next_position,
            "userData": None if envelope.user_data is None else dict(envelope.user_data),
            "monitored": envelope.monitored,
            "idleTimerExpire": envelope.idle_timer_expire,
            "errors": [{"code": error.code, "advice": error.advice} for error in envelope.errors] or None,
        }
    )


def _encode_event(event: GmsEvent) -> dict[str, Any]:
    party = event.party
    return _present(
        {
            "from": None
            if party is None
            else _present(
                {"nickname": party.nickname, "participantId": party.participant_id, "type": party.type or None}
            ),
            "index": event.index,
            "type": event.type,
            "text": event.text,
            "messageType": event.message_type,
            "utcTime": event.utc_time,
            "userData": dict(event.user_data) or None,
            "eventAttributes": dict(event.attributes) or None,
        }
    )


def decode_event(data: object) -> GmsEvent:
    """Read one element of ``messages``; what is no object stands in its place as an event of no kind."""
    if not isinstance(data, dict):
        return GmsEvent()  # one element must not cost the others
    get = data.get
    sender = get("from")
    party = None
    if isinstance(sender, dict):
        party = GmsParty(
            nickname=as_text(sender.get("nickname")) or "",
            participant_id=as_number(sender.get("participantId")),
            type=as_text(sender.get("type")) or "",
        )
    index = as_number(get("index"))
    return GmsEvent(
        type=as_text(get("type")) or "",
        # Numbering starts at 1; anything below has no place in the transcript.
        index=index if index is not None and index >= 1 else None,
        utc_time=as_number(get("utcTime")),
        text=as_text(get("text")),
        message_type=as_text(get("messageType")),
        party=party,
        user_data=as_mapping(get("userData")) or NOTHING,
        attributes=as_mapping(get("eventAttributes")) or NOTHING,
    )


def _error(data: object) -> GmsError:
    if not isinstance(data, dict):
        return GmsError(advice=as_text(data) or "")
    advice = as_text(data.get("advice")) or as_text(data.get("message")) or ""
    return GmsError(code=as_number(data.get("code")) or 0, advice=advice)


def as_number(value: object) -> int | None:
    """Take a whole number, also one written as text (a Java model reads ``index`` that way)."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if -LARGEST < value < LARGEST else None
    if isinstance(value, float) and value.is_integer():
        return int(value) if abs(value) < LARGEST else None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return int(value.strip())
    return None


def _flag(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return None


def as_text(value: object) -> str | None:
    """Take a text, also one written as a number."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value) if abs(value) < LARGEST else None
    return None


def as_mapping(value: object) -> Mapping[str, Any] | None:
    """Take an object."""
    return value if isinstance(value, dict) else None


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
