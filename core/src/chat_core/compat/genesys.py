"""The browser library's own names: ``startSession({...})``, ``.done``, ``.fail``, ``session.onMessageReceived``.

For code that is ported from JavaScript. A launch starts at the call, as in the browser, so an event loop must be
running. New code is better served by ``chat_core`` itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

from chat_core._launch.launchers import Options, restore_session, start_session
from chat_core._model.errors import OptionError, OptionTypeError, SessionEndedError
from chat_core._model.events import (
    EndReason,
    ErrorReported,
    Event,
    MessageReceived,
    ParticipantTyping,
    Party,
    SessionEnded,
)
from chat_core._session.pending import FailEvent, Pending
from chat_core._session.session import Session

__all__ = ["BrowserSession", "restoreSession", "startSession"]

#: The API page's names, and ours. The others of ``chat_core`` are understood under their own names.
_START: Final[Mapping[str, str]] = MappingProxyType(
    {
        "serverUrl": "server_url",
        "username": "username",
        "subject": "subject",
        "userData": "user_data",
        "transport": "transport",
        "stateStorage": "state_storage",
        "maxOfflineDuration": "max_offline_duration",
        "disableWebSockets": "disable_websockets",
        "logger": "logger",
    }
)
_RESTORE: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: ours
        for name, ours in _START.items()
        if name in {"transport", "stateStorage", "maxOfflineDuration", "disableWebSockets", "logger"}
    }
)
_OWN: Final = frozenset(Options.__annotations__)


def startSession(options: Mapping[str, Any] | None = None) -> _Promise:  # noqa: N802 - the browser library's name
    """Start a chat session; returns at once an object with ``done`` and ``fail``."""
    return _launch(start_session, options, _START, "startSession")


def restoreSession(options: Mapping[str, Any] | None = None) -> _Promise:  # noqa: N802 - the browser library's name
    """Take the saved chat session up; ``fail`` gets an event without ``error`` when there is none."""
    return _launch(restore_session, options, _RESTORE, "restoreSession")


def _launch(
    launcher: Callable[..., Pending[Session]], options: Mapping[str, Any] | None, names: Mapping[str, str], what: str
) -> _Promise:
    if options is not None and not isinstance(options, Mapping):
        raise OptionTypeError(f"{what} takes one object with named properties, not {type(options).__name__}")
    given: dict[str, Any] = {}
    for name, value in (options or {}).items():
        if name in names:
            given[names[name]] = value
        elif name in _OWN:
            given[name] = value
        else:
            known = sorted({*names, *_OWN})
            close = difflib.get_close_matches(str(name), known, n=1)
            raise OptionError(
                f"{what} has no option {name!r}",
                advice=f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(names))}",
            )

    async def run() -> BrowserSession:
        return BrowserSession(await launcher(**given))

    return _Promise(Pending(run, name=what, eager=True))


class _Promise:
    """What launchers and commands return: ``done`` and ``fail``, chainable; can be awaited as well."""

    def __init__(self, pending: Pending[Any]) -> None:
        self._pending = pending

    def done(self, callback: Callable[[Any], object]) -> _Promise:
        """Call back with the result; for commands that have none, without an argument."""
        self._pending.done(callback)
        return self

    def fail(self, callback: Callable[[Any], object]) -> _Promise:
        """Call back with an event that has ``error.code`` and ``error.description``, or whose ``error`` is None."""

        def tell(event: FailEvent) -> object:
            return callback(event)

        self._pending.fail(tell)
        return self

    def __await__(self) -> Any:
        return self._pending.__await__()


class BrowserSession:
    """A session under the browser library's names. ``session`` is the one of ``chat_core`` behind it."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def sendMessage(self, message: str | Mapping[str, Any]) -> _Promise:  # noqa: N802
        """Send a text, or ``{"message": ..., "type": "text" | "url"}``."""
        if isinstance(message, Mapping):
            text, kind = message.get("message"), message.get("type", "text")
        else:
            text, kind = message, "text"
        return self._command(lambda: self.session.send_message(text, kind))  # type: ignore[arg-type] # checked there

    def sendTyping(self, options: Mapping[str, Any] | None = None) -> _Promise:  # noqa: N802
        """Tell that the visitor types: ``{"isTyping": bool, "typedText": str}``."""
        options = options or {}
        return self._command(
            lambda: self.session.send_typing(options.get("isTyping", True), options.get("typedText") or None)
        )

    def getTranscript(self, options: Mapping[str, Any] | None = None) -> _Promise:  # noqa: N802
        """Return ``{"transcript": [...]}`` from ``fromIndex`` on (0: all of it)."""
        start = max(1, int((options or {}).get("fromIndex", 0)))

        async def run() -> dict[str, Any]:
            return {"transcript": [_public(event) for event in await self.session.get_transcript(start)]}

        return self._command(lambda: Pending(run, name="getTranscript"))

    def leave(self) -> _Promise:
        """Leave the chat."""
        return self._command(self.session.leave)

    def setUserData(self, user_data: Mapping[str, Any]) -> _Promise:  # noqa: N802
        """Merge entries into the session's data."""
        return self._command(lambda: self.session.set_user_data(user_data))

    def getUserData(self, key: str) -> _Promise:  # noqa: N802
        """Return ``{"userData": {key: value}}``."""

        async def run() -> dict[str, Any]:
            return {"userData": {key: await self.session.get_user_data(key)}}

        return self._command(lambda: Pending(run, name="getUserData"))

    def deleteUserData(self, key: str) -> _Promise:  # noqa: N802
        """Take one entry out of the session's data."""
        return self._command(lambda: self.session.delete_user_data(key))

    def onAgentConnected(self, callback: Callable[[Any], object]) -> None:  # noqa: N802
        """Call back for each agent that joined or joins."""
        self.session.on_agent_connected(_adapted(callback))

    def onAgentDisconnected(self, callback: Callable[[Any], object]) -> None:  # noqa: N802
        """Call back for each agent that left or leaves."""
        self.session.on_agent_disconnected(_adapted(callback))

    def onAgentTyping(self, callback: Callable[[Any], object]) -> None:  # noqa: N802
        """Call back when an agent starts or stops typing."""
        self.session.on_agent_typing(_adapted(callback))

    def onMessageReceived(self, callback: Callable[[Any], object]) -> None:  # noqa: N802
        """Call back for each message, the visitor's own included."""
        self.session.on_message_received(_adapted(callback))

    def onSessionEnded(self, callback: Callable[[Any], object]) -> None:  # noqa: N802
        """Call back when the session is over."""
        self.session.on_session_ended(_adapted(callback))

    def onError(self, callback: Callable[[Any], object]) -> None:  # noqa: N802
        """Call back for each error the server reports. It does not by itself mean that the session is over."""
        self.session.on_error_reported(_adapted(callback))

    def onInterrupted(self, callback: Callable[[Any], object]) -> None:  # noqa: N802
        """Call back when the connection breaks."""
        self.session.on_interrupted(_adapted(callback))

    def onContinued(self, callback: Callable[[Any], object]) -> None:  # noqa: N802
        """Call back when the connection is back."""
        self.session.on_continued(_adapted(callback))

    def _command(self, make: Callable[[], Pending[Any]]) -> _Promise:
        if self.session.ended is not None:
            # The browser library throws at the call; it does not reject the promise.
            raise SessionEndedError("the session has ended")
        return _Promise(_eager(make()))


def _eager(pending: Pending[Any]) -> Pending[Any]:
    """Start a command at the call, as the browser's library does."""

    async def run() -> Any:
        return await pending

    return Pending(run, name=f"{pending!r}", eager=True)


def _adapted(callback: Callable[[Any], object]) -> Callable[[Event], Any]:
    def tell(event: Event) -> object:
        return callback(_public(event))

    return tell


def _public(event: Event) -> SimpleNamespace:
    """Return an event in the browser library's shape."""
    shape: dict[str, Any] = {"index": event.index, "restored": event.restored}
    if event.timestamp is not None:
        shape["timestamp"] = int(event.timestamp.timestamp() * 1000)
    if event.party is not None:
        shape["party"] = _party(event.party, typed=isinstance(event, MessageReceived))
    if isinstance(event, MessageReceived):
        shape["content"] = SimpleNamespace(text=event.text, type=SimpleNamespace(**{_kind(event.content_type): True}))
    if isinstance(event, ParticipantTyping):
        shape["isTyping"] = event.is_typing
    if isinstance(event, SessionEnded):
        shape = {"restored": event.restored, "reason": SimpleNamespace(**{_REASONS[event.reason]: True})}
    if isinstance(event, ErrorReported):
        shape["error"] = event.error
    return SimpleNamespace(**shape)


_REASONS: Final = {
    EndReason.LEFT: "leaveRequest",
    EndReason.CLOSED: "agent",
    EndReason.IDLE: "agent",
    EndReason.REFUSED: "error",
    EndReason.LOST: "error",
}


def _kind(content_type: str) -> str:
    return "url" if content_type == "url" else "text"


def _party(party: Party, *, typed: bool) -> SimpleNamespace:
    shape: dict[str, Any] = {"id": party.id, "name": party.name}
    if typed:
        shape["type"] = SimpleNamespace(**{str(party.type): True})
    return SimpleNamespace(**shape)
