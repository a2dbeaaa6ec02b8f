"""Chats as GMS keeps them: keys, parties, an event log with indexes from 1."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from chat_gms import Envelope, EventType, GmsError, GmsEvent, GmsParty, PartyType

__all__ = ["Backend", "Chat"]

#: The captured answer to an operation on a dead chat.
UNKNOWN_CHAT: Final = 249
MESSAGE_TOO_LONG: Final = 204
NAME_MISSING: Final = 161

Listener = Callable[["Chat", GmsEvent], None]


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
        self.last_request = backend.clock()
        self._parties = 0
        self.visitor = self.new_party(nickname, PartyType.CLIENT)

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
        )
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


class Backend:
    """All chats of one server.

    Args:
        clock: monotonic seconds.
        wall_clock: seconds since 1970.
        max_message_length: characters of one message, None for any.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        max_message_length: int | None = None,
    ) -> None:
        self.clock = clock
        self.wall_clock = wall_clock
        self.max_message_length = max_message_length
        self.chats: list[Chat] = []
        self._by_key: dict[str, Chat] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call back for each event of each chat, after it is in the log."""
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        """Stop calling back."""
        self._listeners.remove(listener)

    def tell(self, chat: Chat, event: GmsEvent) -> None:
        """Tell every listener."""
        for listener in list(self._listeners):
            listener(chat, event)

    def open(self, *, service: str, nickname: str, subject: str | None, user_data: Mapping[str, Any]) -> Chat:
        """Open a chat. Its ParticipantJoined is told by ``admit``, once whoever asked is listening."""
        chat = Chat(service=service, nickname=nickname, subject=subject, user_data=user_data, backend=self)
        self.chats.append(chat)
        self._by_key[chat.secure_key] = chat
        return chat

    def find(self, secure_key: object) -> Chat | None:
        """Return the chat that a key opens."""
        chat = self._by_key.get(secure_key) if isinstance(secure_key, str) else None
        if chat is not None:
            chat.last_request = self.clock()
        return chat

    def forget(self, chat: Chat) -> None:
        """Remove a chat as if it had never been."""
        self.chats.remove(chat)
        del self._by_key[chat.secure_key]


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
