"""What a visitor feels, from what happened when: no I/O, no clock.

======================  ==========================================================  ===============================
figure                  from ... to                                                 fails
======================  ==========================================================  ===============================
``start_session``       the call, the session                                       it raised
``time to agent``       the call of start_session, the first agent who joined       the scenario failed before
``time to first reply`` the visitor's first message, the next message of an agent   the scenario failed before
``send to echo``        the call of send_message, the message in the transcript     rejected, expired, unknown, no echo
``blind time``          the link broke, it is back and nothing is missing           (lost events: ``continuity``)
``continuity``          counts losses only                                          each ``ContinuityLost``
``session``             the call of start_session, the end of the chat              lost, refused, the scenario failed
======================  ==========================================================  ===============================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from chat_core import (
    AgentConnected,
    Continued,
    ContinuityLost,
    EndReason,
    Event,
    MessageReceived,
    PartyType,
    SessionEnded,
)

__all__ = ["Figure", "Figures"]

START: Final = "start_session"
AGENT: Final = "time to agent"
REPLY: Final = "time to first reply"
ECHO: Final = "send to echo"
#: In place of ``send to echo`` where the transport has no transcript that could show the message.
ACCEPTED: Final = "send to accepted"
BLIND: Final = "blind time"
CONTINUITY: Final = "continuity"
SESSION: Final = "session"

_AGENTS: Final = frozenset({PartyType.AGENT, PartyType.SUPERVISOR})
_LOST: Final = frozenset({EndReason.LOST, EndReason.REFUSED})


@frozen(kw_only=True)
class Figure:
    """One figure of one chat.

    Attributes:
        name: which.
        seconds: how long it took, None where only the fact counts.
        reason: why it failed, None unless it did.
    """

    name: str
    seconds: float | None = None
    reason: str | None = None


class Figures:
    """Makes figures from one chat's course; all times are monotonic seconds.

    Args:
        tell: is given each figure when it is known.
        began: when start_session was called.
    """

    def __init__(self, tell: Callable[[Figure], object], *, began: float) -> None:
        self._tell = tell
        self._began = began
        self._first_message: float | None = None
        self._agent_came = False
        self._replied = False
        self._session_told = False

    def started(self, now: float) -> None:
        """The session is there."""
        self._tell(Figure(name=START, seconds=now - self._began))

    def not_started(self, now: float, reason: str) -> None:
        """There will be no session."""
        self._tell(Figure(name=START, seconds=now - self._began, reason=reason))

    def sending(self, now: float) -> None:
        """The visitor is about to send a message."""
        if self._first_message is None:
            self._first_message = now

    def sent(self, since: float, now: float, *, reason: str | None = None, settled: bool = True) -> None:
        """A message is in the transcript, or will not be (``reason``).

        Args:
            since: when it was to be sent.
            now: when its fate was known.
            reason: why it failed.
            settled: the transport has a transcript that shows messages.
        """
        self._tell(Figure(name=ECHO if settled else ACCEPTED, seconds=now - since, reason=reason))

    def saw(self, event: Event, now: float) -> None:
        """Something happened in the chat."""
        match event:
            case AgentConnected() if not self._agent_came:
                self._agent_came = True
                self._tell(Figure(name=AGENT, seconds=now - self._began))
            case MessageReceived() if self._first_message is not None and not self._replied and _by_an_agent(event):
                self._replied = True
                self._tell(Figure(name=REPLY, seconds=now - self._first_message))
            case Continued():
                self._tell(Figure(name=BLIND, seconds=event.blind_time))
            case ContinuityLost():
                self._tell(Figure(name=CONTINUITY, reason=f"ContinuityLost ({event.reason})"))
            case SessionEnded() if event.reason in _LOST:
                code = f", code {event.error.code}" if event.error is not None and event.error.code else ""
                self._end(now, f"SessionEnded ({event.reason}{code})")

    def ended(self, now: float, reason: str | None = None) -> None:
        """The chat is over; ``reason``: why its scenario failed.

        A scenario that failed while it waited would otherwise be missing from the figure that it waited for, and that
        figure would look the better the worse things are.
        """
        if reason is not None:
            if not self._agent_came:
                self._tell(Figure(name=AGENT, seconds=now - self._began, reason=f"no agent: {reason}"))
            if self._first_message is not None and not self._replied:
                self._tell(Figure(name=REPLY, seconds=now - self._first_message, reason=f"no reply: {reason}"))
        self._end(now, reason)

    def _end(self, now: float, reason: str | None) -> None:
        if not self._session_told:
            self._session_told = True
            self._tell(Figure(name=SESSION, seconds=now - self._began, reason=reason))


def _by_an_agent(event: MessageReceived) -> bool:
    return not event.own and event.party is not None and event.party.type in _AGENTS
