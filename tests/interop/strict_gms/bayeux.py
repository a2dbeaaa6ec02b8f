"""The Bayeux messages: section 5, as far as a GMS client meets them, and their order in section 3.2."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from interop.strict_gms.answers import text_of
from interop.strict_gms.captures import parsed, with_id
from interop.strict_gms.channel import ChatChannel
from interop.strict_gms.sessions import BayeuxSession, Socket, identifier
from interop.strict_gms.violations import ViolationError
from interop.strict_gms.waiting import Changes

if TYPE_CHECKING:
    from interop.strict_gms.server import StrictGms

__all__ = ["Bayeux", "Link", "Turn"]

#: 5.1: the fields of a request, beside channel, id, clientId, ext and timestamp.
_FIELDS = {
    "/meta/handshake": {"version", "minimumVersion", "supportedConnectionTypes", "advice"},
    "/meta/connect": {"connectionType", "advice"},
    "/meta/subscribe": {"subscription"},
    "/meta/unsubscribe": {"subscription"},
    "/meta/disconnect": set(),
}
#: 5.5, and 3.5 for the position.
_EXTENSIONS = {"ack", "reload", "timesync", "transcriptPosition"}
_TYPES = ["websocket", "long-polling", "callback-polling"]


@dataclass
class Link:
    """How a batch came.

    Attributes:
        carrier: its connectionType.
        cookie: BAYEUX_BROWSER of the request or of the upgrade; None when there was none.
        alone: whether the batch has one message.
        socket: of a WebSocket.
        new_cookie: to be set with the answer.
        sessions: that the batch touched.
    """

    carrier: str
    cookie: str | None
    alone: bool = True
    socket: Socket | None = None
    new_cookie: str | None = None
    sessions: list[BayeuxSession] = field(default_factory=list)

    def use(self, session: BayeuxSession) -> None:
        """Events of this session wait until the replies to this batch are out."""
        self.sessions.append(session)
        session.busy += 1
        if self.socket is not None:
            session.socket = self.socket

    def release(self) -> None:
        """The replies are out."""
        sessions, self.sessions = self.sessions, []
        for session in sessions:
            session.busy -= 1
            session.flush()


@dataclass
class Turn:
    """A connect, checked; its carrier holds it for ``seconds`` and then asks for ``reply``."""

    session: BayeuxSession
    message: dict[str, Any]
    seconds: float
    advice: dict[str, Any] | None
    canned: str | None = None

    def reply(self) -> str:
        """The answer to the connect (5.1)."""
        self.session.connected = True
        if self.canned is not None:
            return with_id(self.canned, self.message["id"])
        reply: dict[str, Any] = {"id": self.message["id"], "channel": "/meta/connect", "successful": True}
        if self.session.gone:  # 5.3 point 12
            reply["advice"] = {"reconnect": "none", "interval": 0}
        elif self.advice is not None:
            reply["advice"] = self.advice
        if self.session.ack:
            reply["ext"] = {"ack": self.session.batch}
        return text_of(reply)


class Bayeux:
    """The sessions, and what is done with a message."""

    def __init__(self, server: StrictGms) -> None:
        self._server = server
        self.channel = ChatChannel(server)
        self.sessions: dict[str, BayeuxSession] = {}
        self.changes = Changes()
        self._past: set[str] = set()

    @property
    def _advice(self) -> dict[str, Any]:
        return {"reconnect": "retry", "interval": 0, "timeout": int(self._server.timeout * 1000)}

    def handle(self, message: dict[str, Any], link: Link) -> str | Turn:
        """Do one message. Returns its reply, or the turn of a connect."""
        channel = message.get("channel")
        try:
            _check_message(message)
            if channel == "/meta/handshake":
                return self._handshake(message, link)
            session = self._find(message, link)
            if session is None:
                return _unknown(message)
            link.use(session)
            if message["id"] in session.ids:
                raise ViolationError("5.1", f"the id {message['id']} has been used before")
            session.ids.add(message["id"])
            match channel:
                case "/meta/connect":
                    return self._connect(session, message, link)
                case "/meta/subscribe" | "/meta/unsubscribe":
                    return self._subscribe(session, message)
                case "/meta/disconnect":
                    return self._disconnect(session, message)
                case _:
                    return self._publish(session, message)
        except ViolationError as error:
            self._server.record(error)
            reply = {"channel": channel, "id": message.get("id"), "error": f"400::{error.words}", "successful": False}
            return text_of(reply)

    def _handshake(self, message: dict[str, Any], link: Link) -> str:
        """5.1, 5.3 point 1 and 8."""
        if "clientId" in message:
            raise ViolationError("5.1", "a handshake has no clientId")
        if message.get("version") != "1.0":
            raise ViolationError("5.1", f"the version is '1.0', not {message.get('version')!r}")
        types = message.get("supportedConnectionTypes")
        if not isinstance(types, list) or not set(types) <= set(_TYPES) or link.carrier not in types:
            raise ViolationError("5.1", f"supportedConnectionTypes over {link.carrier}: {types!r}")
        ack = self._server.ack and bool(message.get("ext", {}).get("ack"))
        canned = self._server.canned.take("/meta/handshake")
        cookie = link.cookie
        if cookie is None:
            cookie = link.new_cookie = identifier(27 if self._server.documented_cookie else 16)
            if canned is not None:
                cookie = link.new_cookie = self._server.canned.cookie
        session = BayeuxSession(cookie, types, ack, self._server.max_interval, self.drop)
        if canned is not None:
            session.client_id = parsed(canned)["clientId"]
        self.sessions[session.client_id] = session
        session.ids.add(message["id"])
        session.socket = link.socket
        session.watch()
        if canned is not None:
            return with_id(canned, message["id"])
        offered = [name for name in _TYPES if self._server.websocket or name != "websocket"]
        reply = {"id": message["id"], "channel": "/meta/handshake", "successful": True, "clientId": session.client_id}
        reply |= {"version": "1.0", "minimumVersion": "1.0", "supportedConnectionTypes": offered}
        reply["advice"] = self._advice
        if ack:
            reply["ext"] = {"ack": True}
        return text_of(reply)

    def _find(self, message: dict[str, Any], link: Link) -> BayeuxSession | None:
        """3.1, 5.3 point 6 and 7: by the cookie and the clientId, else it is an unknown client."""
        client_id = message.get("clientId")
        if not isinstance(client_id, str):
            raise ViolationError("5.1", f"{message['channel']} needs the clientId")
        session = self.sessions.get(client_id)
        if session is None:
            if client_id not in self._past:
                self._server.record(ViolationError("5.1", f"the clientId {client_id!r} was never given out"))
            return None
        if link.cookie != session.cookie:
            words = f"{message['channel']} over {link.carrier} lacks the cookie BAYEUX_BROWSER of its session"
            self._server.record(ViolationError("3.1", words))
            return None
        return session

    def _connect(self, session: BayeuxSession, message: dict[str, Any], link: Link) -> Turn:
        """5.1: one outstanding; 5.3 point 2 to 4: advice, first one and batched ones at once."""
        if message.get("connectionType") != link.carrier:
            raise ViolationError("5.1", f"connectionType over {link.carrier} is {message.get('connectionType')!r}")
        if link.carrier not in session.types:
            raise ViolationError("5.1", f"{link.carrier} was not in supportedConnectionTypes")
        extension = message.get("ext", {})
        if session.ack:
            session.acknowledge(extension.get("ack"))
        elif "ack" in extension:
            raise ViolationError("5.5", "ext.ack without acknowledgements agreed upon")
        if session.hold is not None:
            if session.hold.alive():
                self._server.record(ViolationError("5.1", "at most one connect is outstanding"))
            session.hold.wake(superseded=True)
        asked = message.get("advice")
        seconds = self._server.timeout
        if asked is not None:
            seconds = _check_advice(asked, seconds)
        waiting = session.unacknowledged or (session.queue and (link.socket is None or session.ack))
        if not session.connected or not link.alone or waiting:
            seconds = 0.0
        session.unwatch()
        canned = self._server.canned.take("/meta/connect")
        return Turn(session, message, seconds, None if asked is None else self._advice, canned)

    def _subscribe(self, session: BayeuxSession, message: dict[str, Any]) -> str:
        """5.1; 3.1: there is one channel."""
        asked = message.get("subscription")
        names = asked if isinstance(asked, list) else [asked]
        if not names or any(name != self.channel.name for name in names):
            raise ViolationError("3.1", f"the channel is {self.channel.name}, not {asked!r}")
        if message["channel"] == "/meta/subscribe":
            if session.subscriptions:
                raise ViolationError("3.2", "the channel is subscribed to already")
            session.subscriptions.add(self.channel.name)
            canned = self._server.canned.take("/meta/subscribe")
            if canned is not None:
                return with_id(canned, message["id"])
        else:
            if not session.subscriptions:
                raise ViolationError("5.1", "unsubscribe without a subscription")
            session.subscriptions.clear()
        reply = {"id": message["id"], "channel": message["channel"], "subscription": asked, "successful": True}
        return text_of(reply)

    def _publish(self, session: BayeuxSession, message: dict[str, Any]) -> str:
        """3.4: the acknowledgement has no data and says nothing about the operation."""
        if message["channel"] != self.channel.name:
            raise ViolationError("3.1", f"the channel is {self.channel.name}, not {message['channel']}")
        if "data" not in message:
            raise ViolationError("5.1", "a publication has data")
        self.channel.publish(session, message["data"])
        canned = self._server.canned.take("publish")
        if canned is not None:
            return with_id(canned, message["id"])
        return text_of({"id": message["id"], "channel": message["channel"], "successful": True})

    def _disconnect(self, session: BayeuxSession, message: dict[str, Any]) -> str:
        """3.2 step 7 and the quirk below it; 3.5: going away with the position received."""
        chat = session.chat
        try:
            if chat is not None and session.left_at is not None:
                waited = time.monotonic() - session.left_at
                if not (chat.told_end and not session.queue) and waited < self._server.grace:
                    raise ViolationError("3.2", f"/meta/disconnect {waited:.3f} s after disconnect, before chatEnded")
                if session.subscriptions:
                    raise ViolationError("3.2", "/meta/disconnect comes after unsubscribe")
            elif chat is not None and not chat.ended:
                _check_going_away(message.get("ext", {}).get("transcriptPosition"), chat.delivered)
        finally:
            self.drop(session)
        return text_of({"id": message["id"], "channel": "/meta/disconnect", "successful": True})

    def drop(self, session: BayeuxSession) -> None:
        """The session is no more; the chat goes on."""
        self.sessions.pop(session.client_id, None)
        self._past.add(session.client_id)
        session.gone = True
        session.unwatch()
        self.channel.unbind(session)
        if session.hold is not None:
            session.hold.wake()
        self.changes.happened()

    def browser_is_busy(self, session: BayeuxSession) -> bool:
        """5.3 point 9: whether another session of this browser holds a connect."""
        return any(
            other.hold is not None
            for other in self.sessions.values()
            if other is not session and other.cookie == session.cookie and other.socket is None
        )


def _unknown(message: dict[str, Any]) -> str:
    """3.4, 5.3 point 6: the wording of CometD 3.1; advice for connect alone."""
    reply = {"channel": message["channel"], "id": message["id"], "error": "402::Unknown client", "successful": False}
    if message["channel"] == "/meta/connect":
        reply["advice"] = {"reconnect": "handshake", "interval": 0}
    return text_of(reply)


def _check_message(message: dict[str, Any]) -> None:
    """5.1: the fields of a message and their types."""
    channel = message.get("channel")
    if not isinstance(channel, str) or not channel.startswith("/"):
        raise ViolationError("5.1", f"a message has a channel, not {channel!r}")
    if not isinstance(message.get("id"), str) or not message["id"]:
        raise ViolationError("5.1", f"the id is text, not {message.get('id')!r}")
    if channel.startswith("/meta/") and channel not in _FIELDS:
        raise ViolationError("5.1", f"there is no channel {channel}")
    known = {"channel", "id", "clientId", "ext", "timestamp"} | _FIELDS.get(channel, {"data"})
    if set(message) - known:
        raise ViolationError("5.1", f"{channel} has no fields {', '.join(sorted(set(message) - known))}")
    extension = message.get("ext", {})
    if not isinstance(extension, dict) or set(extension) - _EXTENSIONS:
        raise ViolationError("5.5", f"ext of {channel} is {extension!r}")
    if "transcriptPosition" in extension and channel != "/meta/disconnect":
        raise ViolationError("3.5", "ext.transcriptPosition belongs to /meta/disconnect")


def _check_advice(asked: object, seconds: float) -> float:
    """5.1, 5.3 point 3: advice.timeout of a connect is in milliseconds and overrides the server's."""
    if not isinstance(asked, dict) or set(asked) - {"timeout", "interval", "reconnect"}:
        raise ViolationError("5.2", f"advice of a connect: {asked!r}")
    timeout = asked.get("timeout", seconds * 1000)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout < 0:
        raise ViolationError("5.2", f"advice.timeout is milliseconds, not {timeout!r}")
    return timeout / 1000


def _check_going_away(position: object, delivered: int) -> None:
    """3.5: ``ext: {"transcriptPosition": "<highest received index>"}``, as text."""
    if not isinstance(position, str) or not position.isdecimal():
        raise ViolationError("3.5", f"going away needs ext.transcriptPosition as text, not {position!r}")
    if int(position) > delivered:
        raise ViolationError("3.5", f"ext.transcriptPosition is {position}, but only {delivered} were delivered")
