"""GMS Chat v2 over CometD: the view of the back end that a Bayeux server gives."""

from __future__ import annotations

from collections.abc import Mapping

from chat_gms import Envelope, GmsEvent, Operation, encode_envelope
from chat_sandbox._backend.chats import Backend, Chat, refusal
from chat_sandbox._backend.operations import perform
from chat_sandbox._bayeux.server import BayeuxServer, Message, ServerSession, Timings
from chat_sandbox.faults import Faults

__all__ = ["CometdView"]

PREFIX = "/service/chatV2/"


class CometdView:
    """Lets CometD clients hold the back end's chats."""

    def __init__(self, backend: Backend, faults: Faults, *, timings: Timings, ack: bool) -> None:
        self._backend = backend
        self._faults = faults
        #: Who wants a chat's events, on which channel.
        self._attached: dict[Chat, dict[ServerSession, str]] = {}
        self.bayeux = BayeuxServer(
            clock=backend.clock,
            on_publish=self._on_publish,
            refuse_handshake=lambda: faults.refuse_handshake and f"403::{faults.refuse_handshake}",
            offer=self.offered,
            timings=timings,
            on_gone=self._on_gone,
            ack=ack,
        )
        #: Sessions whose connection has to break in place of the answer.
        self.to_break: set[ServerSession] = set()
        backend.listen(self._on_event)

    def close(self) -> None:
        """Stop listening to the back end."""
        self._backend.unlisten(self._on_event)

    def offered(self) -> list[str]:
        """Return the carriers on offer."""
        return ["long-polling"] if self._faults.refuse_websocket else ["websocket", "long-polling"]

    def forget_sessions(self) -> None:
        """Forget every session; held connects are answered without advice to come back, other requests with 402."""
        for session in list(self.bayeux.sessions.values()):
            self.bayeux.remove(session)

    def _on_gone(self, session: ServerSession) -> None:
        self._detach(session)

    def _detach(self, session: ServerSession) -> None:
        for chat in [chat for chat, sessions in self._attached.items() if session in sessions]:
            del self._attached[chat][session]
            if not self._attached[chat]:
                del self._attached[chat]

    def _on_publish(self, session: ServerSession, message: Message) -> str | None:
        """Perform an operation. Returns why it is refused, None when it is not, and "" for no reply at all."""
        channel = message["channel"]
        if not channel.startswith(PREFIX):
            return "403:denied_by_not_granting:create_denied"
        data = message.get("data")
        if not isinstance(data, Mapping):
            return "400::data_missing"
        service = channel.removeprefix(PREFIX)
        operation = data.get("operation")
        if operation == Operation.REQUEST_CHAT and self._faults.refuse_chat is not None:
            self._send(session, channel, refusal(*self._faults.refuse_chat))
            return None
        chat = self._backend.find(data.get("secureKey"))
        if (refused := self._faults.take("refuse", operation, chat)) is not None:
            self._send(session, channel, refused)
            return None
        if operation == Operation.REQUEST_NOTIFICATIONS and (early := self._faults.take("overlap", operation, chat)):
            data = {**data, "transcriptPosition": max(1, int(data.get("transcriptPosition") or 1) - early)}
        lost = self._faults.take("lose answer", operation, chat)
        if lost:
            # Whoever asked hears nothing of it: not the reply, not the events.
            self._detach(session)
            self.to_break.add(session)
        result = perform(
            self._backend, service, data, lambda chat: self._attached.setdefault(chat, {}).__setitem__(session, channel)
        )
        if lost:
            return ""
        if result.answer is not None:
            self._send(session, channel, result.answer, operation, result.chat)
        return None

    def _on_event(self, chat: Chat, event: GmsEvent) -> None:
        for session, channel in list(self._attached.get(chat, {}).items()):
            if not self._faults.take("drop push", None, chat):
                self._send(session, channel, chat.envelope([event]), None, chat)

    def has_cookie(self, cookie: str | None) -> bool:
        """Say whether a session has that affinity cookie."""
        return cookie is not None and any(session.cookie == cookie for session in self.bayeux.sessions.values())

    def _send(
        self,
        session: ServerSession,
        channel: str,
        envelope: Envelope,
        operation: object = None,
        chat: Chat | None = None,
    ) -> None:
        if session.id in self.bayeux.sessions:
            self.bayeux.deliver(session, channel, self._faults.mangle(encode_envelope(envelope), operation, chat))
