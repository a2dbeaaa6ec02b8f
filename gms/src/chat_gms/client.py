"""From the vocabulary of GMS to the events of chat-core. Needs the extra ``chat-gms[client]``."""

from __future__ import annotations

import re
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
from chat_gms.envelope import Envelope, EventType, GmsEvent
from chat_gms.verdict import is_session_unknown

__all__ = ["EventTranslator", "refusal"]

_PARTY_TYPES: Final = {
    gms.PartyType.CLIENT: PartyType.CLIENT,
    gms.PartyType.AGENT: PartyType.AGENT,
    gms.PartyType.SUPERVISOR: PartyType.SUPERVISOR,
    gms.PartyType.EXTERNAL: PartyType.EXTERNAL,
}
_SIZE: Final = re.compile("[0-9]{1,18}")
_STAFF: Final = frozenset({PartyType.AGENT, PartyType.SUPERVISOR})


class EventTranslator:
    """Makes core events of one chat.

    The visitor's participant id is learnt from the first ParticipantJoined of a client; until then a client counts as
    the visitor itself, since one GMS chat has one visitor.
    """

    def __init__(self) -> None:
        self._own_id: int | None = None

    def batch(self, envelope: Envelope) -> Batch:
        """Return an envelope's events, position and session data."""
        return Batch(
            events=tuple(self.event(event) for event in envelope.messages),
            next_position=envelope.next_position,
            user_data=envelope.user_data,
        )

    def event(self, event: GmsEvent) -> Event:
        """Return one core event. An unknown type is kept as ``UnknownEvent``."""
        party = _party(event)
        own = party is not None and party.type is PartyType.CLIENT
        if own and party is not None:
            if self._own_id is None and event.type == EventType.PARTICIPANT_JOINED:
                self._own_id = party.id
            own = self._own_id is None or party.id is None or party.id == self._own_id
        common: dict[str, Any] = {
            "index": event.index,
            "timestamp": _time(event.utc_time),
            "party": party,
            "own": own,
        }
        staff = party is not None and party.type in _STAFF
        text = event.text or ""
        match event.type:
            case EventType.MESSAGE:
                return MessageReceived(text=text, content_type=event.message_type or "text", **common)
            case EventType.PARTICIPANT_JOINED:
                return (AgentConnected if staff else ParticipantJoined)(**common)
            case EventType.PARTICIPANT_LEFT:
                return (AgentDisconnected if staff else ParticipantLeft)(reason_code=_reason(event), **common)
            case EventType.TYPING_STARTED | EventType.TYPING_STOPPED:
                started = event.type == EventType.TYPING_STARTED
                return (AgentTyping if staff else ParticipantTyping)(is_typing=started, text=event.text, **common)
            case _:
                return _rare(event, text, party, common)


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


def _rare(event: GmsEvent, text: str, party: Party | None, common: dict[str, Any]) -> Event:
    match event.type:
        case EventType.PUSH_URL:
            return PushUrl(url=text, **common)
        case EventType.NICKNAME_UPDATED:
            return NicknameUpdated(nickname=party.name if party is not None else text, **common)
        case EventType.FILE_UPLOADED:
            data = event.user_data
            return FileUploaded(
                file_id=str(data.get("file-id", "")),
                name=str(data.get("file-name", text)),
                size=_size(data.get("file-size")),
                **common,
            )
        case EventType.FILE_DELETED:
            return FileDeleted(file_id=str(event.user_data.get("file-id", "")), **common)
        case EventType.CUSTOM_NOTICE:
            return CustomNotice(text=text, data=event.user_data, **common)
        case EventType.NOTICE:
            return Notice(text=text, data=event.user_data, **common)
        case EventType.IDLE_ALERT:
            return IdleAlert(text=text, **common)
        case EventType.IDLE_CLOSE:
            return IdleClose(text=text, **common)
        case _:
            return UnknownEvent(kind=event.type, text=event.text, data=event.user_data, **common)


def _party(event: GmsEvent) -> Party | None:
    if event.party is None:
        return None
    return Party(
        id=event.party.participant_id,
        name=event.party.nickname,
        type=_PARTY_TYPES.get(event.party.type, PartyType.UNKNOWN),
    )


def _time(milliseconds: int | None) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None  # a time outside every calendar is no time


def _reason(event: GmsEvent) -> str | None:
    system = event.attributes.get("GCTI_SYSTEM")
    code = system.get("quit-reason-code") if isinstance(system, dict) else None
    return str(code) if code is not None else None


def _size(value: object) -> int | None:
    return int(value) if isinstance(value, str) and _SIZE.fullmatch(value) else None
