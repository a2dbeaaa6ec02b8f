"""The client's state machine of Bayeux: messages in, happenings out.

Makes requests with ids, matches replies to them (``successful`` present, id and channel agree; an event may carry any
id), keeps the advice, the acknowledgements and the clock offset. Knows no socket; a carrier brings messages to and fro.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from chat_transport_cometd._bayeux.advice import Advice, Reconnect
from chat_transport_cometd._bayeux.messages import BayeuxError, Message, parse_error

__all__ = [
    "Connected",
    "Delivered",
    "Engine",
    "Failed",
    "Handshaken",
    "Happening",
    "Replied",
]

HANDSHAKE: Final = "/meta/handshake"
CONNECT: Final = "/meta/connect"
SUBSCRIBE: Final = "/meta/subscribe"
UNSUBSCRIBE: Final = "/meta/unsubscribe"
DISCONNECT: Final = "/meta/disconnect"

#: Milliseconds since 1970 that are believed, at most (the year 5138).
_LATEST: Final = 10**14
#: Error numbers that mean that the server does not know the Bayeux session: CometD says 402, Faye 401.
SESSION_UNKNOWN: Final = frozenset({401, 402})


@frozen(kw_only=True)
class Handshaken:
    """A Bayeux session was opened."""

    request: str
    connection_types: tuple[str, ...]


@frozen(kw_only=True)
class Connected:
    """A connect was answered well."""

    request: str


@frozen(kw_only=True)
class Replied:
    """A subscription, publication or disconnect was answered well."""

    request: str
    message: Message = field(repr=False)


@frozen(kw_only=True)
class Failed:
    """A request was answered badly.

    Attributes:
        request: the id.
        channel: what was asked for.
        error: the server's words.
        session_unknown: a new handshake is needed, whether or not the server advised it.
    """

    request: str
    channel: str
    error: BayeuxError
    session_unknown: bool = False


@define(kw_only=True)
class Delivered:
    """A message was delivered to a subscription. Not frozen, which would double what making one costs."""

    channel: str
    message: Message = field(repr=False)


Happening: TypeAlias = Handshaken | Connected | Replied | Failed | Delivered


@frozen
class _Request:
    channel: str


class Engine:
    """One client.

    Args:
        ack: offer the acknowledgement extension, so that the server keeps what was not acknowledged.
        timesync: offer the time extension.
    """

    def __init__(self, *, ack: bool = False, timesync: bool = False) -> None:
        self.advice = Advice()
        self.client_id: str | None = None
        #: Milliseconds to add to the own clock to get the server's; None until it is known.
        self.clock_offset: float | None = None
        self._ack_offered = ack
        self._ack = False
        self._ack_last = -1
        self._timesync = timesync
        self._connection_type = "long-polling"
        self._number = 0
        self._pending: dict[str, _Request] = {}
        self._connect_out: str | None = None

    @property
    def connect_is_out(self) -> bool:
        """True while a connect waits for its answer; there is never more than one."""
        return self._connect_out is not None

    @property
    def acknowledges(self) -> bool:
        """True when the server took the acknowledgement extension."""
        return self._ack

    def begin(self, *, ack: bool) -> None:
        """Forget the Bayeux session; the next message is a handshake."""
        self.client_id = None
        self.advice = Advice()
        self._ack_offered = ack
        self._ack = False
        self._ack_last = -1
        self.forget()

    def forget(self) -> list[str]:
        """Forget every request without an answer, because the link that would bring it is gone. Returns their ids."""
        lost = list(self._pending)
        self._pending.clear()
        self._connect_out = None
        return lost

    def abandon(self, request: str) -> None:
        """Forget one request: nobody waits for its answer any more."""
        self._pending.pop(request, None)
        if request == self._connect_out:
            self._connect_out = None

    def handshake(self, connection_types: Sequence[str], *, now: float) -> Message:
        """Open a session. Goes alone: a server may refuse whatever shares its request. ``now``: ms since 1970."""
        self._connection_type = connection_types[0]
        message = self._request(HANDSHAKE)
        message["version"] = "1.0"
        message["minimumVersion"] = "1.0"
        message["supportedConnectionTypes"] = list(connection_types)
        ext: dict[str, Any] = {}
        if self._ack_offered:
            ext["ack"] = True
        if self._timesync:
            ext["timesync"] = {"tc": int(now), "l": 0, "o": 0}
        if ext:
            message["ext"] = ext
        return message

    def connect(self, *, at_once: bool = False) -> Message:
        """Ask for events. ``at_once``: the server answers without holding it; the first one must ask for that."""
        assert self._connect_out is None, "one connect at a time"
        message = self._request(CONNECT, client=True)
        message["connectionType"] = self._connection_type
        if at_once:
            message["advice"] = {"timeout": 0}
        if self._ack:
            message["ext"] = {"ack": self._ack_last}
        self._connect_out = message["id"]
        return message

    def subscribe(self, channel: str) -> Message:
        """Ask for a channel's messages."""
        message = self._request(SUBSCRIBE, client=True)
        message["subscription"] = channel
        return message

    def unsubscribe(self, channel: str) -> Message:
        """Ask for a channel's messages no longer."""
        message = self._request(UNSUBSCRIBE, client=True)
        message["subscription"] = channel
        return message

    def publish(self, channel: str, data: object) -> Message:
        """Publish to a channel."""
        message = self._request(channel, client=True)
        message["data"] = data
        return message

    def disconnect(self, ext: Mapping[str, Any] | None = None) -> Message:
        """Close the session."""
        message = self._request(DISCONNECT, client=True)
        if ext:
            message["ext"] = dict(ext)
        return message

    def take(self, message: Message, *, now: float = 0.0) -> Happening | None:
        """Take a message of the server. ``now``: milliseconds since 1970, for the time extension."""
        channel = message["channel"]
        if "successful" not in message:
            if channel.startswith("/meta/"):
                return None  # a reply that does not say how it went answers nothing
            # CometD hands a publisher's extra fields on with an event: advice in it may be any stranger's.
            return Delivered(channel=channel, message=message)
        self.advice = self.advice.merged(message.get("advice"), self._connection_type)
        request = message.get("id")
        known = self._pending.get(request) if isinstance(request, str) else None
        if known is None or known.channel != channel:
            return self._without_id(message)
        assert isinstance(request, str)
        del self._pending[request]
        if request == self._connect_out:
            self._connect_out = None
        if message["successful"] is not True:
            return self._failed(message, request, channel)
        if channel == HANDSHAKE:
            return self._handshaken(message, request, now)
        if channel == CONNECT:
            self._note_ack(message)
            return Connected(request=request)
        return Replied(request=request, message=message)

    def _without_id(self, message: Message) -> Happening | None:
        """Some servers answer a meta message they cannot place without its id; only the kind can be matched then."""
        if "id" in message and message["id"] is not None:
            return None
        channel = message["channel"]
        request = next((key for key, pending in self._pending.items() if pending.channel == channel), None)
        if request is None:
            return None
        return self.take({**message, "id": request, "advice": None})

    def _failed(self, message: Message, request: str, channel: str) -> Failed:
        error = parse_error(message)
        unknown = error.code in SESSION_UNKNOWN and channel != HANDSHAKE
        if channel == CONNECT and self.advice.reconnect == Reconnect.HANDSHAKE:
            unknown = True
        return Failed(request=request, channel=channel, error=error, session_unknown=unknown)

    def _handshaken(self, message: Message, request: str, now: float) -> Happening:
        client_id = message.get("clientId")
        if not isinstance(client_id, str) or not client_id:
            error = BayeuxError(0, "the handshake was answered without a clientId")
            return Failed(request=request, channel=HANDSHAKE, error=error)
        self.client_id = client_id
        ext = message.get("ext")
        if isinstance(ext, dict):
            ack = ext.get("ack")
            self._ack = self._ack_offered and (ack is True or (isinstance(ack, dict) and ack.get("enabled") is True))
            self._note_time(ext.get("timesync"), now)
        types = message.get("supportedConnectionTypes")
        names = tuple(name for name in types if isinstance(name, str)) if isinstance(types, list) else ()
        return Handshaken(request=request, connection_types=names)

    def _note_ack(self, message: Message) -> None:
        ext = message.get("ext")
        number = ext.get("ack") if isinstance(ext, dict) else None
        if self._ack and isinstance(number, int) and not isinstance(number, bool):
            self._ack_last = number

    def _note_time(self, timesync: object, now: float) -> None:
        if not isinstance(timesync, dict):
            return
        sent: Any = timesync.get("tc")
        server: Any = timesync.get("ts")
        processing: Any = timesync.get("p", 0)
        if all(isinstance(value, int) and abs(value) < _LATEST for value in (sent, server, processing)):
            lag = (now - sent - processing) / 2
            self.clock_offset = server - sent - lag

    def _request(self, channel: str, *, client: bool = False) -> Message:
        self._number += 1
        request = str(self._number)
        self._pending[request] = _Request(channel)
        message: Message = {"id": request, "channel": channel}
        if client:
            assert self.client_id is not None, "no session"
            message["clientId"] = self.client_id
        return message
