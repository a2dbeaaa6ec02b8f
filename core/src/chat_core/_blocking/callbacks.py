"""The second way to read a session: an ``on_...`` method for each kind of event, a thread for each callback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from chat_core._model.events import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    Continued,
    ContinuityLost,
    CustomNotice,
    ErrorReported,
    Event,
    FileDeleted,
    FileUploaded,
    IdleAlert,
    IdleClose,
    Interrupted,
    MessageReceived,
    NicknameUpdated,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantTyping,
    PushUrl,
    SessionEnded,
    UnknownEvent,
)
from chat_core._session import subscriptions

if TYPE_CHECKING:
    from chat_core._blocking.portal import Portal

__all__ = ["Callbacks", "Subscription"]

E = TypeVar("E", bound=Event)

#: What it raises is logged and hurts nobody (RP-12).
Callback: TypeAlias = Callable[[E], object]


class Subscription(Generic[E]):
    """A callback's place in a session. Call it like the callback; ``cancel`` ends it.

    Attributes:
        callback: what is called, in a thread of this subscription's own.
    """

    def __init__(
        self, portal: Portal, callback: Callable[[E], object], subscription: subscriptions.Subscription[E]
    ) -> None:
        self.callback = callback
        self._portal = portal
        self._subscription = subscription
        functools.update_wrapper(self, callback, assigned=("__doc__", "__name__", "__qualname__", "__module__"))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.callback(*args, **kwargs)

    def __repr__(self) -> str:
        return repr(self._subscription)

    @property
    def active(self) -> bool:
        """True while events may still be handed over."""
        return self._subscription.active

    def cancel(self) -> None:
        """Call back no more. A callback that is running goes on to its end."""

        async def cancel() -> None:
            self._subscription.cancel()

        self._portal.call(cancel)


class Callbacks:
    """The ``on_...`` methods of a session.

    Each takes a plain callable and returns a ``Subscription``, which can be called like the callable itself (so each
    method serves as a decorator) and cancelled. A subscription sees the past first, then what comes, one event after
    the other, in a thread of its own; so a callback may call any method of the session. ``own=False`` leaves out what
    the visitor itself caused.
    """

    _subscribe: Callable[..., Subscription[Any]]

    def on_event(self, callback: Callback[Event], *, own: bool = True) -> Subscription[Event]:
        """Call back for everything, in order."""
        return self._subscribe(Event, callback, own=own)

    def on_participant_joined(
        self, callback: Callback[ParticipantJoined], *, own: bool = True
    ) -> Subscription[ParticipantJoined]:
        """Call back when somebody joins, agents included."""
        return self._subscribe(ParticipantJoined, callback, own=own)

    def on_participant_left(
        self, callback: Callback[ParticipantLeft], *, own: bool = True
    ) -> Subscription[ParticipantLeft]:
        """Call back when somebody leaves, agents included."""
        return self._subscribe(ParticipantLeft, callback, own=own)

    def on_agent_connected(
        self, callback: Callback[AgentConnected], *, own: bool = True
    ) -> Subscription[AgentConnected]:
        """Call back when an agent or supervisor joins."""
        return self._subscribe(AgentConnected, callback, own=own)

    def on_agent_disconnected(
        self, callback: Callback[AgentDisconnected], *, own: bool = True
    ) -> Subscription[AgentDisconnected]:
        """Call back when an agent or supervisor leaves."""
        return self._subscribe(AgentDisconnected, callback, own=own)

    def on_participant_typing(
        self, callback: Callback[ParticipantTyping], *, own: bool = True
    ) -> Subscription[ParticipantTyping]:
        """Call back when somebody starts or stops typing, agents included."""
        return self._subscribe(ParticipantTyping, callback, own=own)

    def on_agent_typing(self, callback: Callback[AgentTyping], *, own: bool = True) -> Subscription[AgentTyping]:
        """Call back when an agent or supervisor starts or stops typing."""
        return self._subscribe(AgentTyping, callback, own=own)

    def on_message_received(
        self, callback: Callback[MessageReceived], *, own: bool = True
    ) -> Subscription[MessageReceived]:
        """Call back when a message is there, the visitor's own included unless ``own=False``."""
        return self._subscribe(MessageReceived, callback, own=own)

    def on_push_url(self, callback: Callback[PushUrl], *, own: bool = True) -> Subscription[PushUrl]:
        """Call back when the other side wants the visitor to open an address."""
        return self._subscribe(PushUrl, callback, own=own)

    def on_file_uploaded(self, callback: Callback[FileUploaded], *, own: bool = True) -> Subscription[FileUploaded]:
        """Call back when a file was put into the conversation."""
        return self._subscribe(FileUploaded, callback, own=own)

    def on_file_deleted(self, callback: Callback[FileDeleted], *, own: bool = True) -> Subscription[FileDeleted]:
        """Call back when a file was taken out of the conversation."""
        return self._subscribe(FileDeleted, callback, own=own)

    def on_nickname_updated(
        self, callback: Callback[NicknameUpdated], *, own: bool = True
    ) -> Subscription[NicknameUpdated]:
        """Call back when a participant changed its name."""
        return self._subscribe(NicknameUpdated, callback, own=own)

    def on_notice(self, callback: Callback[Notice], *, own: bool = True) -> Subscription[Notice]:
        """Call back when the server gives a notice."""
        return self._subscribe(Notice, callback, own=own)

    def on_custom_notice(self, callback: Callback[CustomNotice], *, own: bool = True) -> Subscription[CustomNotice]:
        """Call back when a custom notice arrives."""
        return self._subscribe(CustomNotice, callback, own=own)

    def on_idle_alert(self, callback: Callback[IdleAlert], *, own: bool = True) -> Subscription[IdleAlert]:
        """Call back when the conversation is about to be closed for idleness."""
        return self._subscribe(IdleAlert, callback, own=own)

    def on_idle_close(self, callback: Callback[IdleClose], *, own: bool = True) -> Subscription[IdleClose]:
        """Call back when the conversation is closed for idleness."""
        return self._subscribe(IdleClose, callback, own=own)

    def on_unknown_event(self, callback: Callback[UnknownEvent], *, own: bool = True) -> Subscription[UnknownEvent]:
        """Call back when an event arrives that this version does not know."""
        return self._subscribe(UnknownEvent, callback, own=own)

    def on_session_ended(self, callback: Callback[SessionEnded], *, own: bool = True) -> Subscription[SessionEnded]:
        """Call back when the session is over."""
        return self._subscribe(SessionEnded, callback, own=own)

    def on_error_reported(self, callback: Callback[ErrorReported], *, own: bool = True) -> Subscription[ErrorReported]:
        """Call back when the server reports an error."""
        return self._subscribe(ErrorReported, callback, own=own)

    def on_interrupted(self, callback: Callback[Interrupted], *, own: bool = True) -> Subscription[Interrupted]:
        """Call back when the link breaks."""
        return self._subscribe(Interrupted, callback, own=own)

    def on_continued(self, callback: Callback[Continued], *, own: bool = True) -> Subscription[Continued]:
        """Call back when the link is back."""
        return self._subscribe(Continued, callback, own=own)

    def on_continuity_lost(
        self, callback: Callback[ContinuityLost], *, own: bool = True
    ) -> Subscription[ContinuityLost]:
        """Call back when events are missing."""
        return self._subscribe(ContinuityLost, callback, own=own)
