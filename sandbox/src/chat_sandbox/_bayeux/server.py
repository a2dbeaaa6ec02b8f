"""Sessions, held connects, queues: a Bayeux server that behaves like CometD 3.1, without I/O.

A view of a socket or of an HTTP request gives it messages and the time; it says what to answer, whether to hold the
answer, and calls a session's ``wake`` when the held answer should go out.
"""

from __future__ import annotations

import math
import secrets
import string
from collections.abc import Callable
from typing import Any, Final

from attrs import define, field, frozen

__all__ = ["BayeuxServer", "Exchange", "Message", "ServerSession", "Timings"]

Message = dict[str, Any]

_LETTERS: Final = string.digits + string.ascii_lowercase
COOKIE: Final = "BAYEUX_BROWSER"
UNKNOWN: Final = "402::Unknown client"


@frozen(kw_only=True)
class Timings:
    """Figures of the server, in seconds; CometD's defaults.

    Attributes:
        timeout: how long a connect is held.
        interval: pause that clients are asked to make between two connects.
        max_interval: how long a session lives without a connect.
    """

    timeout: float = 30.0
    interval: float = 0.0
    max_interval: float = 10.0


@define(eq=False)
class ServerSession:
    """One client's session.

    Attributes:
        id: the clientId.
        cookie: the browser it belongs to.
        push: sends messages at once over a WebSocket, None on long polling.
        wake: lets a held connect answer.
    """

    id: str
    cookie: str
    carrier: str
    seen_at: float
    push: Callable[[list[Message]], None] | None = None
    wake: Callable[[], None] | None = None
    subscriptions: set[str] = field(factory=set)
    queue: list[Message] = field(factory=list)
    connected: bool = False
    holding: Message | None = None
    superseded: bool = False
    ack: bool = False
    batch: int = 0
    unacknowledged: list[tuple[int, list[Message]]] = field(factory=list)


@frozen(kw_only=True)
class Exchange:
    """What to do about some messages.

    Attributes:
        replies: to answer with, in order, after the queued events.
        session: the session they belong to, None when there is none.
        held: a connect to be answered later with ``finish``, None when there is none.
        hold: seconds to hold it.
        cookie: to be set, None when it is known.
        broken: the request is an error of the protocol as a whole.
    """

    replies: list[Message] = field(factory=list)
    session: ServerSession | None = None
    held: Message | None = None
    hold: float = 0.0
    cookie: str | None = None
    broken: str | None = None


class BayeuxServer:
    """All sessions.

    Args:
        clock: monotonic seconds.
        on_publish: called with session, message; returns why it is refused, None when it is not.
        refuse_handshake: returns why handshakes are refused, None when they are not.
        offer: the carriers on offer.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        on_publish: Callable[[ServerSession, Message], str | None],
        refuse_handshake: Callable[[], str | None] = lambda: None,
        offer: Callable[[], list[str]] = lambda: ["websocket", "long-polling"],
        timings: Timings | None = None,
        on_gone: Callable[[ServerSession], None] = lambda _: None,
        ack: bool = True,
    ) -> None:
        self.timings = timings or Timings()
        self.sessions: dict[str, ServerSession] = {}
        self._clock = clock
        self._on_publish = on_publish
        self._refuse_handshake = refuse_handshake
        self._offer = offer
        self._on_gone = on_gone
        self._ack = ack

    def process(self, messages: list[Any], *, cookie: str | None, carrier: str) -> Exchange:
        """Take the messages of one request or frame."""
        self.sweep()
        if not messages or not all(isinstance(one, dict) and isinstance(one.get("channel"), str) for one in messages):
            return Exchange(broken="these are no Bayeux messages")
        if len(messages) > 1 and any(one["channel"] == "/meta/handshake" for one in messages):
            return Exchange(broken="a handshake must be alone")
        if messages[0]["channel"] == "/meta/handshake":
            return self._handshake(messages[0], cookie, carrier)
        replies: list[Message] = []
        session: ServerSession | None = None
        held: Message | None = None
        for message in messages:
            session = self._session_of(message, cookie, carrier)
            if session is None:
                replies.append(self._unknown(message))
                continue
            session.seen_at = self._clock()
            session.carrier = carrier
            match message["channel"]:
                case "/meta/connect":
                    held = self._connect(session, message, alone=len(messages) == 1, replies=replies)
                case "/meta/subscribe" | "/meta/unsubscribe":
                    replies.append(self._subscribe(session, message))
                case "/meta/disconnect":
                    replies.append(_reply(message))
                    self.remove(session)
                case _:
                    self._publish(session, message, replies)
        hold = self._hold_for(held) if held is not None else 0.0
        return Exchange(replies=replies, session=session, held=held, hold=hold)

    def drain(self, session: ServerSession) -> list[Message]:
        """Return the queued events for an answer that is no connect's; none where acknowledgements are on."""
        if session.ack:
            return []
        queue, session.queue = session.queue, []
        return queue

    def finish(self, session: ServerSession, held: Message) -> list[Message]:
        """Return the answer to a held connect, events first."""
        if session.holding is held:
            session.holding = None
        session.seen_at = self._clock()
        reply = _reply(held)
        if session.id not in self.sessions:
            reply["advice"] = {"reconnect": "none"}
            return [reply]
        if isinstance(held.get("advice"), dict):
            reply["advice"] = self._advice()
        return [*self._batch(session, reply), reply]

    def deliver(self, session: ServerSession, channel: str, data: object) -> None:
        """Queue a message for a session, or send it at once over a WebSocket."""
        message: Message = {"channel": channel, "data": data}
        if session.push is not None and not session.ack:
            session.push([message])
            return
        session.queue.append(message)
        if session.holding is not None and session.wake is not None:
            session.wake()

    def remove(self, session: ServerSession) -> None:
        """End a session; a held connect is answered without advice to come back."""
        if self.sessions.pop(session.id, None) is not None:
            self._on_gone(session)
            if session.wake is not None:
                session.wake()

    def sweep(self) -> None:
        """Remove sessions that have been silent for too long."""
        limit = self.timings.max_interval + self.timings.interval
        now = self._clock()
        for session in list(self.sessions.values()):
            if session.holding is None and now - session.seen_at > limit:
                self.remove(session)

    def _handshake(self, message: Message, cookie: str | None, carrier: str) -> Exchange:
        refused = self._refuse_handshake()
        if refused is not None:
            reply = _reply(message, error=refused)
            reply["advice"] = {"reconnect": "none"}
            return Exchange(replies=[reply])
        browser = cookie or "".join(secrets.choice(_LETTERS) for _ in range(16))
        session = ServerSession(id=secrets.token_hex(14), cookie=browser, carrier=carrier, seen_at=self._clock())
        self.sessions[session.id] = session
        reply = _reply(message)
        reply |= {
            "clientId": session.id,
            "version": "1.0",
            "minimumVersion": "1.0",
            "supportedConnectionTypes": self._offer(),
            "advice": self._advice(),
        }
        ext = message.get("ext")
        if isinstance(ext, dict):
            answer: dict[str, Any] = {}
            if ext.get("ack") is True and self._ack:
                session.ack = True
                answer["ack"] = True
            sync = ext.get("timesync")
            if isinstance(sync, dict) and isinstance(sync.get("tc"), int):
                answer["timesync"] = {"tc": sync["tc"], "ts": int(self._clock() * 1000), "p": 0, "a": 0}
            if answer:
                reply["ext"] = answer
        return Exchange(replies=[reply], session=session, cookie=None if cookie else browser)

    def _session_of(self, message: Message, cookie: str | None, carrier: str) -> ServerSession | None:
        client_id = message.get("clientId")
        session = self.sessions.get(client_id) if isinstance(client_id, str) else None
        # Over HTTP the session is found through the cookie: a clientId alone opens nothing.
        if session is not None and carrier == "long-polling" and session.cookie != cookie:
            return None
        return session

    def _unknown(self, message: Message) -> Message:
        reply = _reply(message, error=UNKNOWN)
        if message["channel"] == "/meta/connect":
            reply["advice"] = {"reconnect": "handshake", "interval": 0}
        return reply

    def _connect(
        self, session: ServerSession, message: Message, *, alone: bool, replies: list[Message]
    ) -> Message | None:
        self._acknowledge(session, message)
        if session.holding is not None:
            # Two connects at once: the older one ends, over HTTP with an error.
            session.superseded = True
            session.holding = None
            if session.wake is not None:
                session.wake()
        first = not session.connected
        session.connected = True
        if first or not alone or self._hold_for(message) <= 0 or session.queue or session.unacknowledged:
            replies.extend(self._answer_connect(session, message))
            return None
        session.superseded = False
        session.holding = message
        return message

    def _answer_connect(self, session: ServerSession, message: Message) -> list[Message]:
        reply = _reply(message)
        if isinstance(message.get("advice"), dict) or not session.connected:
            reply["advice"] = self._advice()
        return [*self._batch(session, reply), reply]

    def _batch(self, session: ServerSession, reply: Message) -> list[Message]:
        """Return what goes with a connect's answer, numbered where acknowledgements are on."""
        queue, session.queue = session.queue, []
        if not session.ack:
            return queue
        if queue:
            session.batch += 1
            session.unacknowledged.append((session.batch, queue))
        reply["ext"] = {"ack": session.batch}
        return [message for _, messages in session.unacknowledged for message in messages]

    def _acknowledge(self, session: ServerSession, message: Message) -> None:
        ext = message.get("ext")
        number = ext.get("ack") if isinstance(ext, dict) else None
        if session.ack and isinstance(number, int):
            session.unacknowledged = [one for one in session.unacknowledged if one[0] > number]

    def _subscribe(self, session: ServerSession, message: Message) -> Message:
        wanted = message.get("subscription")
        given = wanted if isinstance(wanted, list) else [wanted]
        names = [name for name in given if isinstance(name, str) and name.startswith("/")]
        if not names or len(names) != len(given):
            return _reply(message, error="403::subscription_invalid")
        if message["channel"] == "/meta/subscribe":
            session.subscriptions.update(names)
        else:
            session.subscriptions.difference_update(names)
        return _reply(message) | {"subscription": wanted}

    def _publish(self, session: ServerSession, message: Message, replies: list[Message]) -> None:
        place = len(replies)
        refused = self._on_publish(session, message)
        if refused != "":
            replies.insert(place, _reply(message, error=refused))

    def _hold_for(self, message: Message) -> float:
        advice = message.get("advice")
        wanted = advice.get("timeout") if isinstance(advice, dict) else None
        if isinstance(wanted, int | float) and not isinstance(wanted, bool) and wanted > -math.inf:  # NaN is not
            return max(min(wanted, 300_000), 0) / 1000
        return self.timings.timeout

    def _advice(self) -> dict[str, Any]:
        return {
            "reconnect": "retry",
            "interval": int(self.timings.interval * 1000),
            "timeout": int(self.timings.timeout * 1000),
        }


def _reply(message: Message, *, error: str | None = None) -> Message:
    reply: Message = {"channel": message["channel"], "successful": error is None}
    if "id" in message:
        reply["id"] = message["id"]
    if error is not None:
        reply["error"] = error
    return reply
