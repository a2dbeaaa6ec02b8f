"""Chats as GMS keeps them: keys, parties, an event log with indexes from 1."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from chat_gms import Envelope, EventType, GmsError, GmsEvent, GmsParty, PartyType
from chat_sandbox._backend.files import FilePolicy, Files

__all__ = ["Backend", "Chat", "ChatTimes"]

#: The captured answer to an operation on a dead chat.
UNKNOWN_CHAT: Final = 249
MESSAGE_TOO_LONG: Final = 204
NAME_MISSING: Final = 161

#: The key of ``userData`` that asks for an asynchronous chat.
ASYNC_MODE: Final = "GCTI_Chat_AsyncMode"

_SYSTEM: Final = frozenset({EventType.IDLE_ALERT, EventType.IDLE_CLOSE})

Listener = Callable[["Chat", GmsEvent], None]


@frozen(kw_only=True)
class ChatTimes:
    """When a server loses patience, in seconds; the defaults are the documented ones.

    Attributes:
        removal: a visitor who polls and is not heard of for so long is removed.
        idle_alert: so long after the last words everybody is warned ...
        idle_close: ... and so long after that the chat is closed.
        async_idle_alert: the same for asynchronous chats.
        async_idle_close: the same for asynchronous chats.
    """

    removal: float = 45.0
    idle_alert: float = 255.0
    idle_close: float = 45.0
    async_idle_alert: float = 86400.0
    async_idle_close: float = 3600.0


class Chat:
    """One conversation.

    Attributes:
        id: constant.
        secure_key: opens it.
        user_id: the visitor's.
        alias: which server holds it; digits, and may change.
        service: where it was opened.
        nickname: the visitor's name.
        subject: as given.
        user_data: as given and merged.
        events: the transcript.
        ended: whether it is over.
        last_request: when the visitor was last heard of, seconds.
        last_activity: when anybody last said something, seconds.
        polled: whether the visitor is heard of by its requests alone (REST), and so is removed when it is silent.
        removed: whether it was.
        files: what was put into it.
        listeners: called back for each event, after it is in the log.
    """

    def __init__(
        self, *, service: str, nickname: str, subject: str | None, user_data: Mapping[str, Any], backend: Backend
    ) -> None:
        self._backend = backend
        self.id = secrets.token_hex(8).upper()
        # Over CometD real keys are about 100 characters of base64.
        self.secure_key = secrets.token_urlsafe(75)
        self.user_id = secrets.token_hex(8).upper()
        self.alias = "117"
        self.service = service
        self.nickname = nickname
        self.subject = subject
        self.user_data = {key: value for key, value in user_data.items() if value is not None}
        self.events: list[GmsEvent] = []
        self.ended = False
        self.last_request = self.last_activity = backend.clock()
        self.polled = False
        self.removed = False
        self.alerted = False
        self._parties = 0
        self.visitor = self.new_party(nickname, PartyType.CLIENT)
        self.files = Files(self, backend.file_policy)
        self.listeners: list[Listener] = []

    def __repr__(self) -> str:
        return f"<Chat {self.id}: {len(self.events)} events{', ended' if self.ended else ''}>"

    @property
    def next_position(self) -> int:
        """The index that the next event gets."""
        return len(self.events) + 1

    @property
    def texts(self) -> list[str]:
        """The texts of all messages, in order."""
        return [event.text or "" for event in self.events if event.type == EventType.MESSAGE]

    @property
    def is_async(self) -> bool:
        """Whether it is an asynchronous (persistent) chat, asked for at its beginning."""
        return str(self.user_data.get(ASYNC_MODE, "")).lower() == "true"

    def change_alias(self) -> None:
        """Let another server answer for it from now on."""
        self.alias = str(int(self.alias) + 1)

    def fail_over(self) -> None:
        """Restore it on another server: everybody but the visitor leaves with reason 8 and is there again."""
        self.change_alias()
        for party in self.others():
            self.add(EventType.PARTICIPANT_LEFT, party, attributes={"GCTI_SYSTEM": {"quit-reason-code": "8"}})
            self.add(EventType.PARTICIPANT_JOINED, party)

    def others(self) -> list[GmsParty]:
        """Return who else is in the conversation."""
        there: dict[int | None, GmsParty] = {}
        for event in self.events:
            if event.party is None or event.party.type == PartyType.CLIENT:
                continue
            if event.type == EventType.PARTICIPANT_JOINED:
                there[event.party.participant_id] = event.party
            elif event.type == EventType.PARTICIPANT_LEFT:
                there.pop(event.party.participant_id, None)
        return list(there.values())

    def new_party(self, nickname: str, kind: str) -> GmsParty:
        """Number a participant."""
        self._parties += 1
        return GmsParty(nickname=nickname, participant_id=self._parties, type=kind)

    def add(
        self,
        kind: str,
        party: GmsParty,
        *,
        text: str | None = None,
        message_type: str | None = None,
        user_data: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
        end: bool = False,
    ) -> GmsEvent:
        """Append an event and tell every listener. ``end``: the chat is over with it."""
        event = GmsEvent(
            type=kind,
            index=self.next_position,
            utc_time=int(self._backend.wall_clock() * 1000),
            text=text,
            message_type=message_type,
            party=party,
            user_data=user_data or {},
            attributes=attributes or {},
        )
        if kind not in _SYSTEM:
            self.last_activity, self.alerted = self._backend.clock(), False
        self.events.append(event)
        self.ended = self.ended or end
        self._backend.tell(self, event)
        return event

    def envelope(self, events: Iterable[GmsEvent] = ()) -> Envelope:
        """Return an answer with the chat's keys and some of its events."""
        return Envelope(
            messages=tuple(events),
            chat_ended=self.ended,
            status_code=0,
            alias=self.alias,
            secure_key=self.secure_key,
            user_id=self.user_id,
            chat_id=self.id,
            next_position=self.next_position,
        )

    def transcript(self, position: int) -> Envelope:
        """Return the events from an index on; 0 and 1 are all of them over CometD."""
        return self.envelope(self.events[max(position, 1) - 1 :])


#: Who speaks for the server.
SYSTEM: Final = GmsParty(nickname="system", participant_id=0, type=PartyType.EXTERNAL)


class Backend:
    """All chats of one server.

    Args:
        clock: monotonic seconds.
        wall_clock: seconds since 1970.
        max_message_length: characters of one message, None for any.
        times: when it loses patience.
        file_policy: what files it takes.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        max_message_length: int | None = None,
        times: ChatTimes | None = None,
        file_policy: FilePolicy | None = None,
    ) -> None:
        self.times = times or ChatTimes()
        self.file_policy = file_policy or FilePolicy()
        self.clock = clock
        self.wall_clock = wall_clock
        self.max_message_length = max_message_length
        self.chats: list[Chat] = []
        self._by_key: dict[str, Chat] = {}
        self._by_id: dict[str, Chat] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call back for each event of each chat, after it is in the log."""
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        """Stop calling back."""
        self._listeners.remove(listener)

    def tell(self, chat: Chat, event: GmsEvent) -> None:
        """Tell every listener."""
        for listener in [*self._listeners, *chat.listeners]:
            listener(chat, event)

    def open(self, *, service: str, nickname: str, subject: str | None, user_data: Mapping[str, Any]) -> Chat:
        """Open a chat. Its ParticipantJoined is told by ``admit``, once whoever asked is listening."""
        chat = Chat(service=service, nickname=nickname, subject=subject, user_data=user_data, backend=self)
        self.chats.append(chat)
        self._by_key[chat.secure_key] = self._by_id[chat.id] = chat
        return chat

    def find(self, secure_key: object) -> Chat | None:
        """Return the chat that a key opens."""
        chat = self._by_key.get(secure_key) if isinstance(secure_key, str) else None
        if chat is None or chat.removed:
            return None
        chat.last_request = self.clock()
        return chat

    def by_id(self, chat_id: str | None) -> Chat | None:
        """Return the chat of that name."""
        return None if chat_id is None else self._by_id.get(chat_id)

    def look_around(self) -> None:
        """Remove who is silent, warn of idle chats and close them. Called every now and then."""
        now, times = self.clock(), self.times
        for chat in self.chats:
            if chat.ended:
                continue
            alert, close = (
                (times.async_idle_alert, times.async_idle_close)
                if chat.is_async
                else (times.idle_alert, times.idle_close)
            )
            idle = now - chat.last_activity
            if chat.polled and not chat.is_async and now - chat.last_request > times.removal:
                chat.removed = True
                chat.add(EventType.PARTICIPANT_LEFT, chat.visitor, end=True)
            elif idle > alert + close:
                chat.add(EventType.IDLE_CLOSE, SYSTEM, text="The chat was closed: nobody said anything.", end=True)
            elif idle > alert and not chat.alerted:
                chat.alerted = True
                chat.add(EventType.IDLE_ALERT, SYSTEM, text="Are you still there?")

    def forget(self, chat: Chat) -> None:
        """Remove a chat as if it had never been."""
        self.chats.remove(chat)
        del self._by_key[chat.secure_key], self._by_id[chat.id]


def refusal(code: int, advice: str, *, chat_ended: bool = False, chat: Chat | None = None) -> Envelope:
    """Return an answer that says no, in the captured form: without keys."""
    return Envelope(
        status_code=2,
        chat_ended=chat_ended,
        chat_id=chat.id if chat is not None else None,
        alias=chat.alias if chat is not None else None,
        errors=(GmsError(code=code, advice=advice),),
    )


def unknown_chat() -> Envelope:
    """Return the captured answer to an operation on a chat that is not there."""
    return refusal(UNKNOWN_CHAT, "The media server could not run the request. referenceId[10010001]", chat_ended=True)
