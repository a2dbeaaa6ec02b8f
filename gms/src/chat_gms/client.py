"""From the vocabulary of GMS to the events of chat-core. Needs the extra ``chat-gms[client]``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from chat_core._contracts.transport import Batch
from chat_core._model.errors import Origin, RefusedError
from chat_core._model.events import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    CustomNotice,
    Event,
    FileDeleted,
    FileUploaded,
    IdleAlert,
    IdleClose,
    MessageReceived,
    NicknameUpdated,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantTyping,
    Party,
    PartyType,
    PushUrl,
    UnknownEvent,
)
from chat_gms import envelope as gms
from chat_gms.envelope import LARGEST, NOTHING, Envelope, EventType, as_mapping, as_number, as_text
from chat_gms.verdict import is_session_unknown

__all__ = ["EventTranslator", "refusal"]

_PARTY_TYPES: Final = {
    gms.PartyType.CLIENT: PartyType.CLIENT,
    gms.PartyType.AGENT: PartyType.AGENT,
    gms.PartyType.SUPERVISOR: PartyType.SUPERVISOR,
    gms.PartyType.EXTERNAL: PartyType.EXTERNAL,
}
#: Parties of one chat that are kept.
MAX_PARTIES: Final = 256
#: Looking a member of an enumeration up takes as long as a call.
_CLIENT: Final = PartyType.CLIENT
_MESSAGE: Final = EventType.MESSAGE
_SIZE: Final = re.compile("[0-9]{1,18}")
_STAFF: Final = frozenset({PartyType.AGENT, PartyType.SUPERVISOR})


class EventTranslator:
    """Makes core events of one chat, in one pass from the elements of an envelope.

    The visitor's participant id is learnt from the first ParticipantJoined of a client; until then a client counts as
    the visitor itself, since one GMS chat has one visitor.
    """

    def __init__(self) -> None:
        self._own_id: int | None = None
        #: Who has spoken, by nickname, participant id and type as they came: one object each for thousands of events.
        self._parties: dict[tuple[str, int, str], Party] = {}

    def batch(self, envelope: Envelope) -> Batch:
        """Return the events, the position and the session data of an envelope whose head was read."""
        return Batch(
            events=self.events(envelope.elements), next_position=envelope.next_position, user_data=envelope.user_data
        )

    def events(self, elements: Sequence[object]) -> tuple[Event, ...]:
        """Return the events of an envelope's messages."""
        return tuple([self.event(element) for element in elements])

    def event(self, element: object) -> Event:
        """Return one core event. An unknown type is kept as ``UnknownEvent``; what is no object as one of no kind."""
        if not isinstance(element, dict):
            return UnknownEvent()
        # What has the type that it should have needs no call; this is done for each event there is.
        get = element.get
        kind = get("type")
        if kind.__class__ is not str:
            kind = as_text(kind) or ""
        index = get("index")
        if index.__class__ is not int or not 1 <= index < LARGEST:
            index = _index(index)
        time = get("utcTime")
        timestamp = _time(time if time.__class__ is int else as_number(time))
        party = self._party(get("from"))
        own = False
        if party is not None and party.type is _CLIENT:
            if self._own_id is None and kind == EventType.PARTICIPANT_JOINED:
                self._own_id = party.id
            own = self._own_id is None or party.id is None or party.id == self._own_id
        text = get("text")
        if text.__class__ is not str:
            text = as_text(text)
        if kind == _MESSAGE:
            content_type = get("messageType")
            if content_type.__class__ is not str:
                content_type = as_text(content_type)
            return MessageReceived(
                text=text or "",
                content_type=content_type or "text",
                index=index,
                timestamp=timestamp,
                party=party,
                own=own,
            )
        common: dict[str, Any] = {"index": index, "timestamp": timestamp, "party": party, "own": own}
        return _other(kind, element, text, party, common)

    def _party(self, sender: object) -> Party | None:
        if not isinstance(sender, dict):
            return None
        nickname, number, kind = sender.get("nickname"), sender.get("participantId"), sender.get("type")
        # Only exact types: True is the same key as 1, and no number.
        if nickname.__class__ is not str or number.__class__ is not int or kind.__class__ is not str:
            return _make_party(sender)
        key = nickname, number, kind
        party = self._parties.get(key)
        if party is None:
            if len(self._parties) >= MAX_PARTIES:
                self._parties.clear()
            party = self._parties[key] = _make_party(sender)
        return party


def refusal(envelope: Envelope) -> RefusedError:
    """Return the error of an envelope that says no, with the server's code and words."""
    first = envelope.errors[0] if envelope.errors else None
    words = (
        first.advice if first is not None and first.advice else f"the server answered statusCode {envelope.status_code}"
    )
    return RefusedError(
        words,
        code=first.code if first is not None else 0,
        origin=Origin.GMS,
        session_unknown=is_session_unknown(envelope),
    )


def _other(kind: str, element: dict[str, Any], text: str | None, party: Party | None, common: dict[str, Any]) -> Event:
    staff = party is not None and party.type in _STAFF
    match kind:
        case EventType.PARTICIPANT_JOINED:
            return (AgentConnected if staff else ParticipantJoined)(**common)
        case EventType.PARTICIPANT_LEFT:
            reason = _reason(as_mapping(element.get("eventAttributes")) or {})
            return (AgentDisconnected if staff else ParticipantLeft)(reason_code=reason, **common)
        case EventType.TYPING_STARTED | EventType.TYPING_STOPPED:
            started = kind == EventType.TYPING_STARTED
            return (AgentTyping if staff else ParticipantTyping)(is_typing=started, text=text, **common)
        case EventType.PUSH_URL:
            return PushUrl(url=text or "", **common)
        case EventType.NICKNAME_UPDATED:
            return NicknameUpdated(nickname=party.name if party is not None else text or "", **common)
        case EventType.IDLE_ALERT:
            return IdleAlert(text=text or "", **common)
        case EventType.IDLE_CLOSE:
            return IdleClose(text=text or "", **common)
    return _with_data(kind, as_mapping(element.get("userData")) or NOTHING, text, common)


def _with_data(kind: str, data: Mapping[str, Any], text: str | None, common: dict[str, Any]) -> Event:
    match kind:
        case EventType.FILE_UPLOADED:
            return FileUploaded(
                file_id=str(data.get("file-id", "")),
                name=str(data.get("file-name", text or "")),
                size=_size(data.get("file-size")),
                **common,
            )
        case EventType.FILE_DELETED:
            return FileDeleted(file_id=str(data.get("file-id", "")), **common)
        case EventType.CUSTOM_NOTICE:
            return CustomNotice(text=text or "", data=data, **common)
        case EventType.NOTICE:
            return Notice(text=text or "", data=data, **common)
        case _:
            return UnknownEvent(kind=kind, text=text, data=data, **common)


def _make_party(sender: dict[str, Any]) -> Party:
    return Party(
        id=as_number(sender.get("participantId")),
        name=as_text(sender.get("nickname")) or "",
        type=_PARTY_TYPES.get(as_text(sender.get("type")) or "", PartyType.UNKNOWN),
    )


def _index(value: object) -> int | None:
    number = as_number(value)
    return number if number is not None and number >= 1 else None  # numbering starts at 1: below is no place


def _time(milliseconds: int | None) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None  # a time outside every calendar is no time


def _reason(attributes: Mapping[str, Any]) -> str | None:
    system = attributes.get("GCTI_SYSTEM")
    code = system.get("quit-reason-code") if isinstance(system, dict) else None
    return str(code) if code is not None else None


def _size(value: object) -> int | None:
    return int(value) if isinstance(value, str) and _SIZE.fullmatch(value) else None
