"""Events in the browser library's shape."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

from chat_core._model.events import (
    AgentConnected,
    AgentDisconnected,
    Continued,
    EndReason,
    ErrorReported,
    Event,
    Interrupted,
    MessageReceived,
    ParticipantTyping,
    Party,
    PartyType,
    PushUrl,
    SessionEnded,
)

__all__ = ["BrowserObject", "raw", "to_browser"]

_REASONS: Final = {
    EndReason.LEFT: "leaveRequest",
    EndReason.CLOSED: "agent",
    EndReason.IDLE: "agent",
    EndReason.REFUSED: "error",
    EndReason.LOST: "error",
}
#: The browser library knows three kinds of participants.
_TYPES: Final = {PartyType.CLIENT: "client", PartyType.AGENT: "agent", PartyType.SUPERVISOR: "agent"}


class BrowserObject(SimpleNamespace):
    """An object as JavaScript has it: ``event.party.name`` and ``event["party"]["name"]``, and what it lacks is None.

    So ``if event.party.type.client`` works as it does in the browser. Its ``repr`` names its properties only, so that
    no text reaches a log by accident.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # protocols of Python, such as copying, need the truth
            raise AttributeError(name)
        return None

    def __getitem__(self, name: str) -> Any:
        return vars(self).get(name)

    def __contains__(self, name: object) -> bool:
        return name in vars(self)

    def __repr__(self) -> str:
        return f"<{', '.join(vars(self))}>"


def to_browser(event: Event) -> BrowserObject:
    """Return an event as the browser library hands it to callbacks.

    Times are milliseconds since 1970; the server's, None where it gave none.
    """
    match event:
        case SessionEnded():
            return BrowserObject(reason=BrowserObject(**{_REASONS[event.reason]: True}), restored=event.restored)
        case ErrorReported():
            error = BrowserObject(code=event.error.code, description=event.error.description)
            return BrowserObject(error=error, restored=event.restored)
        case ParticipantTyping():
            return BrowserObject(party=_party(event.party), isTyping=event.is_typing, index=event.index)
        case Interrupted():
            return BrowserObject(overdue=event.overdue)
        case Continued():
            return BrowserObject(blindTime=event.blind_time)
    shape = BrowserObject(
        party=_party(event.party),
        index=event.index,
        timestamp=None if event.timestamp is None else round(event.timestamp.timestamp() * 1000),
        restored=event.restored,
    )
    if isinstance(event, PushUrl):
        shape.content = BrowserObject(text=event.url, type=BrowserObject(url=True))
    elif isinstance(event, MessageReceived):
        kind = "url" if event.content_type == "url" else "text"
        shape.content = BrowserObject(text=event.text, type=BrowserObject(**{kind: True}))
    return shape


def raw(event: Event) -> BrowserObject:
    """Return an entry of a transcript: an event and the name of its kind."""
    shape = to_browser(event)
    shape.type = _kind(event)
    return shape


def _kind(event: Event) -> str:
    match event:
        case AgentConnected():
            return "AgentConnected"
        case AgentDisconnected():
            return "AgentDisconnected"
        case ErrorReported():
            return "Error"
        case PushUrl():
            return "MessageReceived"
        case _:
            return type(event).__name__


def _party(party: Party | None) -> BrowserObject:
    party = party or Party()
    kind = _TYPES.get(party.type, "external")
    return BrowserObject(id=party.id, name=party.name, type=BrowserObject(**{kind: True}))
