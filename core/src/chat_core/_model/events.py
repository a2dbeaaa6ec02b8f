"""What happens in a chat, as frozen values under one base class.

``str(event)`` shows the text, as a transcript would; ``repr(event)`` shows only its length, so that message text does
not reach logs by accident.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import field, frozen

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "AgentConnected",
    "AgentDisconnected",
    "AgentTyping",
    "Continued",
    "ContinuityLost",
    "CustomNotice",
    "EndReason",
    "ErrorInfo",
    "ErrorReported",
    "Event",
    "FileDeleted",
    "FileUploaded",
    "IdleAlert",
    "IdleClose",
    "Interrupted",
    "LossReason",
    "MessageReceived",
    "NicknameUpdated",
    "Notice",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantTyping",
    "Party",
    "PartyType",
    "PushUrl",
    "SessionEnded",
    "UnknownEvent",
]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


#: Holds an entry for each ``plain_reprs`` that is entered.
_plain: list[object] = []


@contextmanager
def plain_reprs() -> Iterator[None]:
    """Let the ``repr`` of events show texts and data as they are, in the whole process: for the output of tests.

    Never where real visitors chat: what is shown in a repr reaches logs and tracebacks (RP-10).
    """
    mine = object()
    _plain.append(mine)
    try:
        yield
    finally:
        _plain.remove(mine)


def _length(text: object) -> str:
    """How a repr shows text that must not reach a log."""
    return f"<{len(text)} characters>" if isinstance(text, str) and not _plain else repr(text)


def _keys(data: Mapping[str, Any]) -> str:
    """How a repr shows data whose values must not reach a log."""
    return repr(dict(data)) if _plain else f"<{len(data)} entries>"


class PartyType(enum.StrEnum):
    """What a participant is to the conversation."""

    CLIENT = "client"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    EXTERNAL = "external"
    UNKNOWN = "unknown"


class EndReason(enum.StrEnum):
    """Why a session is over."""

    LEFT = "left"
    CLOSED = "closed"
    IDLE = "idle"
    REFUSED = "refused"
    LOST = "lost"


class LossReason(enum.StrEnum):
    """Why events could not be brought back."""

    NO_TRANSCRIPT = "no transcript"
    FETCH_REFUSED = "fetch refused"
    NO_ANSWER = "no answer"
    POSITION_RESET = "position reset"
    EVICTED = "evicted"


@frozen(kw_only=True)
class Party:
    """A participant. ``id`` is the server's number of it within the chat, None where the server gives none."""

    id: int | None = None
    name: str = ""
    type: PartyType = PartyType.UNKNOWN


@frozen(kw_only=True)
class ErrorInfo:
    """An error as the API page shows it: a number and an English sentence."""

    code: int = 0
    description: str = ""


@frozen(kw_only=True)
class Event:
    """What every event has.

    Attributes:
        index: the event's place in the server's transcript, from 1; None for what has no place there.
        timestamp: the server's time (aware, UTC), None where the server gave none.
        party: who caused it, None where nobody did.
        own: True when this session's visitor caused it.
        restored: True when an earlier owner of the session surely had it already.
    """

    #: True for what only matters while it is new; such events may be left out of a transcript.
    ephemeral: ClassVar[bool] = False

    index: int | None = None
    timestamp: datetime | None = None
    party: Party | None = None
    own: bool = False
    restored: bool = False

    def __str__(self) -> str:
        return f"{self._who()}: {type(self).__name__}"

    def _who(self) -> str:
        return self.party.name if self.party is not None and self.party.name else "-"


@frozen(kw_only=True)
class ParticipantJoined(Event):
    """Somebody joined the conversation."""

    def __str__(self) -> str:
        return f"{self._who()} joined"


@frozen(kw_only=True)
class AgentConnected(ParticipantJoined):
    """An agent or a supervisor joined the conversation."""


@frozen(kw_only=True)
class ParticipantLeft(Event):
    """Somebody left the conversation. ``reason_code`` is the server's own, where it gives one."""

    reason_code: str | None = None

    def __str__(self) -> str:
        return f"{self._who()} left"


@frozen(kw_only=True)
class AgentDisconnected(ParticipantLeft):
    """An agent or a supervisor left the conversation."""


@frozen(kw_only=True)
class ParticipantTyping(Event):
    """Somebody started (``is_typing``) or stopped typing; ``text`` is the preview, where the server shows it."""

    ephemeral: ClassVar[bool] = True

    is_typing: bool = True
    text: str | None = field(default=None, repr=_length)

    def __str__(self) -> str:
        return f"{self._who()} {'is typing' if self.is_typing else 'stopped typing'}"


@frozen(kw_only=True)
class AgentTyping(ParticipantTyping):
    """An agent or a supervisor started or stopped typing."""


@frozen(kw_only=True)
class MessageReceived(Event):
    """A message, the visitor's own included. ``content_type`` is ``text``, ``url`` or what the sender gave."""

    text: str = field(default="", repr=_length)
    content_type: str = "text"

    def __str__(self) -> str:
        return f"{self._who()}: {self.text}"


@frozen(kw_only=True)
class PushUrl(Event):
    """An address that the other side wants the visitor to open."""

    url: str = field(default="", repr=_length)

    def __str__(self) -> str:
        return f"{self._who()} sent the address {self.url}"


@frozen(kw_only=True)
class FileUploaded(Event):
    """A file was put into the conversation."""

    file_id: str = field(default="", repr=_length)
    name: str = field(default="", repr=_length)
    size: int | None = None

    def __str__(self) -> str:
        return f"{self._who()} sent the file {self.name}"


@frozen(kw_only=True)
class FileDeleted(Event):
    """A file was taken out of the conversation."""

    file_id: str = field(default="", repr=_length)

    def __str__(self) -> str:
        return f"{self._who()} deleted a file"


@frozen(kw_only=True)
class NicknameUpdated(Event):
    """A participant changed its name; ``party.name`` and ``nickname`` are the new one."""

    nickname: str = field(default="", repr=_length)

    def __str__(self) -> str:
        return f"{self._who()} is now called {self.nickname}"


@frozen(kw_only=True)
class Notice(Event):
    """A notice of the server."""

    text: str = field(default="", repr=_length)
    data: Mapping[str, Any] = field(default=_NOTHING, repr=_keys)

    def __str__(self) -> str:
        return f"notice: {self.text}"


@frozen(kw_only=True)
class CustomNotice(Event):
    """A notice whose meaning the two sides agreed upon."""

    text: str = field(default="", repr=_length)
    data: Mapping[str, Any] = field(default=_NOTHING, repr=_keys)

    def __str__(self) -> str:
        return f"{self._who()} notice: {self.text}"


@frozen(kw_only=True)
class IdleAlert(Event):
    """The conversation will be closed unless somebody says something."""

    text: str = field(default="", repr=_length)


@frozen(kw_only=True)
class IdleClose(Event):
    """The conversation is closed because nobody said anything."""

    text: str = field(default="", repr=_length)


@frozen(kw_only=True)
class UnknownEvent(Event):
    """An event of a kind this version does not know, kept as it came. ``kind`` is the server's name of it."""

    kind: str = ""
    text: str | None = field(default=None, repr=_length)
    data: Mapping[str, Any] = field(default=_NOTHING, repr=_keys)

    def __str__(self) -> str:
        return f"{self._who()}: {self.kind}"


@frozen(kw_only=True)
class SessionEnded(Event):
    """The session is over. Announced once, as the last event (RP-15)."""

    reason: EndReason
    error: ErrorInfo | None = None

    def __str__(self) -> str:
        return f"the session has ended ({self.reason})"


@frozen(kw_only=True)
class ErrorReported(Event):
    """The server reported an error. By itself it does not mean that the session is over."""

    error: ErrorInfo = ErrorInfo()

    def __str__(self) -> str:
        return f"error {self.error.code}: {self.error.description}"


@frozen(kw_only=True)
class Interrupted(Event):
    """The link to the server broke. ``overdue`` when it has been down longer than the server surely waits."""

    overdue: bool = False

    def __str__(self) -> str:
        return "the connection is interrupted" + (" for longer than the server surely waits" if self.overdue else "")


@frozen(kw_only=True)
class Continued(Event):
    """The link to the server is back; ``blind_time`` (seconds) passed without knowing what happened."""

    blind_time: float = 0.0

    def __str__(self) -> str:
        return f"the connection is back after {self.blind_time:.1f} s"


@frozen(kw_only=True)
class ContinuityLost(Event):
    """Events above ``after`` and up to ``until`` (None: unknown how far) are missing here (RP-1)."""

    after: int
    until: int | None = None
    reason: LossReason = LossReason.NO_TRANSCRIPT

    @property
    def counts_anew(self) -> bool:
        """True where the server's indexes begin anew behind this."""
        return self.reason is LossReason.POSITION_RESET and self.until is None

    def __str__(self) -> str:
        return f"events after {self.after} up to {self.until or 'an unknown one'} are lost ({self.reason})"
