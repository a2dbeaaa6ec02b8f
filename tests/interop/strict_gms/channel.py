"""What is published on ``/service/chatV2/{service}``: the operations of 3.3 and the order of 3.2."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from interop.strict_gms.answers import GONE, bare_error, envelope, failure, text_of
from interop.strict_gms.chats import Chat
from interop.strict_gms.fields import COMETD, CREDENTIALS, check_names, check_position, check_time_zone
from interop.strict_gms.sessions import BayeuxSession
from interop.strict_gms.violations import ViolationError

if TYPE_CHECKING:
    from interop.strict_gms.server import StrictGms

__all__ = ["ChatChannel"]

#: The names of 2.2 where those of 3.3 differ.
_NAMES = {"sendMessage": "send"}


class ChatChannel:
    """The one channel for both directions (3.1)."""

    def __init__(self, server: StrictGms) -> None:
        self._server = server
        self.name = f"/service/chatV2/{server.service}"

    def publish(self, session: BayeuxSession, data: Any) -> None:
        """Do an operation; its result is delivered separately (3.4).

        Raises:
            ViolationError: the page does not allow it.
        """
        if self.name not in session.subscriptions:
            raise ViolationError("3.2", "a publication comes after the subscription")
        if not isinstance(data, dict) or not isinstance(data.get("operation"), str):
            raise ViolationError("3.3", "data is an object with an operation")
        operation = data["operation"]
        rule = COMETD.get(operation)
        if rule is None:
            raise ViolationError("3.3", f"there is no operation {operation!r}")
        fields = {name: value for name, value in data.items() if name not in {"operation", "userData", *CREDENTIALS}}
        credentials = {name: value for name, value in data.items() if name in CREDENTIALS}
        user_data = data.get("userData")
        if "userData" in data:
            _check_user_data(user_data)
        check_names(operation, rule, fields, user_data)
        position = _check_types(operation, fields)
        if self._server.quirks.echoes:
            session.deliver(text_of({"channel": self.name, "data": data}))
        if operation == "requestChat":
            self._request_chat(session, fields, credentials, user_data)
            return
        if operation == "requestNotifications":
            self._request_notifications(session, credentials, position)
            return
        chat = session.chat
        if chat is None:
            raise ViolationError("3.2", f"{operation} comes after requestChat or requestNotifications")
        if session.left_at is not None:
            raise ViolationError("3.2", f"{operation} comes after disconnect")
        chat.check_credentials(credentials)
        self._operate(session, chat, operation, fields, user_data)

    def _request_chat(
        self,
        session: BayeuxSession,
        fields: dict[str, Any],
        credentials: Mapping[str, Any],
        user_data: dict[str, Any] | None,
    ) -> None:
        """3.2: the first delivered message brings secureKey; one connection serves one chat."""
        if session.bound:
            raise ViolationError("3.2", "one CometD connection serves one chat session")
        if any(credentials.values()):
            raise ViolationError("3.3", f"requestChat has no {', '.join(credentials)}")
        if self._server.refuse_chats is not None:
            self._fail(session, bare_error(*self._server.refuse_chats))
            return
        canned = self._server.canned.take(self.name)
        chat = self._server.open_chat("cometd", fields, user_data, canned)
        chat.operations.append("requestChat")
        if canned is not None:
            session.deliver(canned)
        else:
            session.bound = True
            if self._server.quirks.slow_start:
                asyncio.get_running_loop().call_later(self._server.quirks.slow_start, self._opened, session, chat)
            else:
                self._opened(session, chat)
            return
        self._bind(session, chat)

    def _opened(self, session: BayeuxSession, chat: Chat) -> None:
        session.deliver(self.delivery(chat, chat.since(1), first=True))
        self._bind(session, chat)

    def _request_notifications(self, session: BayeuxSession, credentials: dict[str, Any], position: int | None) -> None:
        """3.5: with the old secureKey and the next wanted position; 0 or absent is everything."""
        chat = self._server.chat_with_key(credentials.get("secureKey"))
        if chat is None:
            self._fail(session, bare_error(*GONE))
            raise ViolationError("3.5", "requestNotifications carries the secureKey of a chat")
        if session.bound and session.chat is not chat:
            raise ViolationError("3.2", "one CometD connection serves one chat session")
        chat.check_credentials(credentials)
        chat.check_position(position or 0)
        chat.operations.append("requestNotifications")
        if chat.ended and chat.told_end:  # 2.6: a late restoration fails
            self._fail(session, failure(chat, *GONE))
            return
        self._bind(session, chat)
        session.deliver(self.delivery(chat, [*chat.since(position or 1), *chat.take_loose()]))

    def _bind(self, session: BayeuxSession, chat: Chat) -> None:
        """Events go to the session that asked last."""
        session.bound = True
        session.chat = chat
        chat.resting = False
        chat.listener = _Listener(self, session, chat)

    def unbind(self, session: BayeuxSession) -> None:
        """3.5: without a session nobody is told."""
        chat = session.chat
        if chat is not None and isinstance(chat.listener, _Listener) and chat.listener.session is session:
            chat.listener = None

    def _operate(
        self,
        session: BayeuxSession,
        chat: Chat,
        operation: str,
        fields: dict[str, Any],
        user_data: dict[str, Any] | None,
    ) -> None:
        name = _NAMES.get(operation, operation)
        if chat.ended:
            chat.late_operations += chat.told_end
            self._fail(session, failure(chat, *GONE))
            return
        canned = self._server.canned.take(f"{self.name} {operation}")
        if canned is not None:
            chat.operations.append(name)
            self._server.learn(chat, canned)
            session.deliver(canned)
            return
        if operation == "disconnect":
            self._disconnect(session, chat, fields)
            return
        chat.perform(name, fields, user_data)
        if operation == "updateData":  # no event tells of it
            data = {key: str(value) for key, value in chat.user_data.items()}
            session.deliver(self.delivery(chat, [], data=data))

    def _disconnect(self, session: BayeuxSession, chat: Chat, fields: dict[str, Any]) -> None:
        """3.2 step 7: chatEnded is delivered, maybe late."""
        session.left_at = time.monotonic()
        chat.listener = None
        chat.perform("disconnect", fields, None)
        events = [] if self._server.quirks.quiet_end else [chat.events[-1]]

        def deliver() -> None:
            session.deliver(self.delivery(chat, events))

        if self._server.quirks.late_end:
            asyncio.get_running_loop().call_later(self._server.quirks.late_end, deliver)
        else:
            deliver()

    def delivery(
        self, chat: Chat, events: list[dict[str, Any]], *, first: bool = False, data: dict[str, str] | None = None
    ) -> str:
        """3.4: ``{channel, data}`` without ``successful``; chatEnded always there."""
        return text_of({"channel": self.name, "data": envelope(chat, events, first=first, data=data, cometd=True)})

    def _fail(self, session: BayeuxSession, error: dict[str, Any]) -> None:
        """3.4, 11 point 5: where an error sits is unknown; three places are to be handled."""
        first = error["errors"][0]
        match self._server.quirks.errors_at:
            case "data":
                message = {"channel": self.name, "data": error}
            case "errors":
                message = {"channel": self.name, "errors": error["errors"]}
            case _:
                message = {"channel": self.name, "error": f"{first['code']}::{first['advice']}"}
        session.deliver(text_of(message))


class _Listener:
    """Takes a chat's events to a session."""

    def __init__(self, channel: ChatChannel, session: BayeuxSession, chat: Chat) -> None:
        self._channel = channel
        self.session = session
        self._chat = chat

    def __call__(self, events: list[dict[str, Any]]) -> None:
        self.session.deliver(self._channel.delivery(self._chat, events))


def _check_user_data(user_data: object) -> None:
    """3.3: an object; 2.3: of plain values."""
    if not isinstance(user_data, dict):
        raise ViolationError("3.3", f"userData is an object, not {user_data!r}")
    for key, value in user_data.items():
        if not isinstance(value, str | int | float):
            raise ViolationError("3.3", f"userData has plain values, not {key}={value!r}")
    check_time_zone(user_data)


def _check_types(operation: str, fields: dict[str, Any]) -> int | None:
    """3.3: text everywhere, but for ``auth`` (two forms) and ``transcriptPosition`` (a number or numeric text)."""
    position: int | None = None
    for name, value in fields.items():
        if name == "transcriptPosition":
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                position = value
            else:
                position = check_position(value)
        elif name == "auth":
            if not isinstance(value, dict) or set(value) not in ({"username", "password"}, {"encoded"}):
                raise ViolationError("3.3", "auth is {username, password} or {encoded}")
        elif not isinstance(value, str):
            raise ViolationError("3.3", f"{name} of {operation} is text, not {value!r}")
    return position
