"""The messages of the service, as values: no I/O, no clock. What the protocol leaves open is read leniently."""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from attrs import field, frozen

from chat_core import (
    AgentConnected,
    AgentTyping,
    AmbiguousError,
    ChatError,
    ErrorInfo,
    ErrorReported,
    Event,
    LoginRefusedError,
    MessageReceived,
    NotSentError,
    ParticipantJoined,
    ParticipantTyping,
    Party,
    PartyType,
    ProtocolError,
    RefusedError,
    UnknownEvent,
)

__all__ = ["HEALTH_ID", "Frame", "Wire", "decode", "fault"]

#: Whose the numbers of this service's errors are.
ORIGIN: Final = "x-webmessaging"
#: The service knows this tracing id for a question after its health.
HEALTH_ID: Final = "SGVhbHRoQ2hlY2tNZXNzYWdlSWQ="
#: Ids of messages that are remembered, so that one that comes twice is shown once.
REMEMBERED: Final = 1000

_OK: Final = range(200, 300)
_LOGIN: Final = frozenset({401, 403})
_TOO_MANY: Final = frozenset({429, 4029})
_UNKNOWN_SESSION: Final = frozenset({4006, 4007})
_MAY_HAVE_HAPPENED: Final = frozenset({408, 5000, *range(500, 600)})
_ENDS: Final = frozenset({"SessionExpiredEvent", "LogoutEvent", "SessionClearedEvent", "ConnectionClosedEvent"})


@frozen(kw_only=True)
class Frame:
    """One message of the service; what is missing or of the wrong type is empty."""

    class_: str = ""
    code: int = 0
    tracing_id: str = ""
    body: Mapping[str, Any] = field(factory=dict, repr=False)
    text: str = field(default="", repr=False)

    @property
    def failed(self) -> bool:
        """True for a refusal."""
        return self.class_ == "TooManyRequestsErrorMessage" or (self.code not in _OK and self.code != 0)

    @property
    def session_unknown(self) -> bool:
        """True for a refusal because the session is not there (any more)."""
        return self.code in _UNKNOWN_SESSION

    @property
    def ends(self) -> bool:
        """True for what says that the session is over."""
        return self.class_ in _ENDS


def decode(data: str | bytes) -> Frame:
    """Read a frame.

    Raises:
        ProtocolError: it is no JSON object.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        # The parser's exception holds the whole text, so it is not chained.
        raise ProtocolError(f"a frame of {len(data)} characters is no JSON: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"a frame holds a {type(value).__name__} in place of an object")
    body = value.get("body")
    metadata = _mapping(_mapping(body).get("metadata"))
    return Frame(
        class_=_text(value.get("class")),
        code=_number(value.get("code")),
        tracing_id=_text(value.get("tracingId")) or _text(metadata.get("tracingId")),
        body=body if isinstance(body, dict) else {},
        text=body if isinstance(body, str) else "",
    )


def fault(frame: Frame) -> ChatError:
    """Return the error that a refusal means, in one of the ways in which a transport may fail."""
    words = _text(frame.body.get("errorMessage")) or _text(frame.body.get("reason")) or frame.text
    words = words or f"the service said {frame.class_ or frame.code}"
    code = frame.code or _number(frame.body.get("errorCode"))
    details: dict[str, Any] = {"code": code, "origin": ORIGIN}
    if code in _TOO_MANY or frame.class_ == "TooManyRequestsErrorMessage":
        return NotSentError(words, retry_after=float(min(_number(frame.body.get("retryAfter")), 3600)), **details)
    if code in _MAY_HAVE_HAPPENED:
        return AmbiguousError(words, **details)
    if code in _LOGIN:
        return LoginRefusedError(words, **details)
    return RefusedError(words, session_unknown=frame.ends or code in _UNKNOWN_SESSION, **details)


class Wire:
    """One session's side of the protocol: makes requests and reads what comes.

    Args:
        token: made by the client; it is the session.
        deployment_id: the messenger's deployment.
        attributes: what the first message carries along as custom attributes.
    """

    def __init__(self, token: str, deployment_id: str, attributes: Mapping[str, str] | None = None) -> None:
        self._token = token
        self._deployment_id = deployment_id
        self._attributes = dict(attributes or {})
        self._seen: deque[str] = deque(maxlen=REMEMBERED)
        self._known: set[int | None] = set()

    def configure(self) -> tuple[str, str]:
        """Return tracing id and text of the request that opens or resumes the session."""
        return self._request("configureSession", deploymentId=self._deployment_id, startNew=False)

    def message(self, text: str) -> tuple[str, str]:
        """Return tracing id and text of a message."""
        # It comes back with the tracing id, or with the metadata that it was given.
        tracing_id = str(uuid.uuid4())
        message: dict[str, Any] = {"type": "Text", "text": text, "metadata": {"tracingId": tracing_id}}
        if self._attributes:
            message["channel"] = {"metadata": {"customAttributes": self._attributes}}
        return self._request("onMessage", tracing_id, message=message)

    def typing(self) -> str:
        """Return the text that says that the visitor is typing."""
        event = {"eventType": "Typing", "typing": {"type": "On"}}
        return self._request("onMessage", message={"type": "Event", "events": [event]})[1]

    def close(self) -> str:
        """Return the text that closes the session everywhere."""
        return self._request("closeSession", closeAllConnections=True)[1]

    def health(self) -> str:
        """Return the text of the question after the service's health."""
        return self._request("echo", HEALTH_ID, message={"type": "Text", "text": "ping"})[1]

    def accepted(self) -> None:
        """Note that a message arrived: what the first one carried along is known now."""
        self._attributes = {}

    def _request(self, action: str, tracing_id: str | None = None, **fields: Any) -> tuple[str, str]:
        tracing_id = tracing_id or str(uuid.uuid4())
        return tracing_id, json.dumps({"action": action, "token": self._token, "tracingId": tracing_id, **fields})

    def events(self, frame: Frame) -> tuple[Event, ...]:
        """Return what a frame says to the visitor; nothing for what it has said before."""
        if frame.class_ != "StructuredMessage":
            # An answer that nobody waits for, or a class of a later version: an error is shown, the rest is not.
            return (
                ErrorReported(error=ErrorInfo(code=frame.code, description=fault(frame).description)),
            ) * frame.failed
        body = frame.body
        channel = _mapping(body.get("channel"))
        id_ = _text(body.get("id")) or _text(channel.get("messageId"))
        if id_:
            if id_ in self._seen:
                return ()
            self._seen.append(id_)
        own = body.get("direction") == "Inbound"
        party, timestamp = _party(body, channel, own=own), _time(channel.get("time"))
        common: dict[str, Any] = {"own": own, "party": party, "timestamp": timestamp}
        kind = _text(body.get("type"))
        if kind == "Event":
            return tuple(self._event(_mapping(one), common) for one in _list(body.get("events")))
        text = _text(body.get("text"))
        if not text and kind != "Text":
            return (UnknownEvent(kind=kind, data=dict(body), **common),)
        said = MessageReceived(text=text, content_type=kind.lower() or "text", **common)
        return (said,) if own else (*self._first(common), said)

    def _event(self, value: Mapping[str, Any], common: Mapping[str, Any]) -> Event:
        kind = _text(value.get("eventType"))
        if kind == "Typing":
            on = _text(_mapping(value.get("typing")).get("type")).lower() != "off"
            return (ParticipantTyping if common["own"] else AgentTyping)(is_typing=on, **common)
        if kind == "Presence" and _text(_mapping(value.get("presence")).get("type")) == "Join":
            return (ParticipantJoined if common["own"] else AgentConnected)(**common)
        return UnknownEvent(kind=kind, data=dict(value), **common)

    def _first(self, common: Mapping[str, Any]) -> tuple[Event, ...]:
        """The service announces nobody: whoever speaks for the first time has joined."""
        party = common["party"]
        if party.id in self._known:
            return ()
        self._known.add(party.id)
        make = AgentConnected if party.type is PartyType.AGENT else ParticipantJoined
        return (make(**common),)


def _party(body: Mapping[str, Any], channel: Mapping[str, Any], *, own: bool) -> Party:
    name = _text(_mapping(channel.get("from")).get("nickname"))
    if own:
        return Party(id=1, name=name, type=PartyType.CLIENT)
    human = _text(body.get("originatingEntity")).lower() != "bot"
    return Party(id=2 if human else 3, name=name, type=PartyType.AGENT if human else PartyType.EXTERNAL)


def _time(value: Any) -> datetime | None:
    try:
        when = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).astimezone(UTC)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:  # noqa: PLR2004
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
