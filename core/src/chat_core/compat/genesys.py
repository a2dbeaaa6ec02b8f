"""The browser library's own names: ``startSession({...})``, ``.done``, ``.fail``, ``session.onMessageReceived``.

For code that is ported from JavaScript. A launch and every command start at the call, as in the browser, so an event
loop must be running; wrong arguments and commands after the end raise at the call. New code is better served by
``chat_core`` itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

from chat_core._launch.launchers import Options, restore_session, start_session
from chat_core._model.errors import ChatError, OptionTypeError, SessionEndedError
from chat_core._model.events import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    Continued,
    ErrorReported,
    Interrupted,
    MessageReceived,
    SessionEnded,
)
from chat_core._session.pending import Pending
from chat_core._session.session import Session
from chat_core.compat._dispatch import Dispatcher
from chat_core.compat._events import BrowserObject, raw
from chat_core.compat._promise import Promise
from chat_core.compat._transport import adapted, is_browser_transport

__all__ = ["BrowserObject", "BrowserSession", "EndedError", "Promise", "restoreSession", "startSession"]

#: The API page's names, and ours. The other options of ``chat_core`` are understood under their own names.
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
#: What the names of older versions of the library became.
_OLDER: Final[Mapping[str, str]] = MappingProxyType(
    {"chatServerUrl": "serverUrl", "cookieMaxAge": "maxOfflineDuration", "source": "userData: {'source': ...}"}
)
_OWN: Final = frozenset(Options.__annotations__)


def startSession(options: Mapping[str, Any] | None = None) -> Promise:  # noqa: N802 - the browser library's name
    """Start a chat session; returns at once an object with ``done`` and ``fail``.

    Args:
        options: ``serverUrl``, ``username``, ``subject``, ``userData``, ``transport``, ``stateStorage``,
            ``maxOfflineDuration`` (seconds), ``disableWebSockets``, ``logger``, as on the API page ("startSession");
            ``transport`` may be one that was written for the browser library. ``chat_core``'s other options under their own names. None stands for undefined.

    Raises:
        OptionTypeError: there is no such option; whatever else is wrong goes to ``fail``.
        RuntimeError: no event loop is running.
    """
    return _launch(start_session, options, _START, "startSession")


def restoreSession(options: Mapping[str, Any] | None = None) -> Promise:  # noqa: N802 - the browser library's name
    """Take the saved chat session up; ``fail`` gets an event without ``error`` when there is none.

    Args:
        options: ``transport``, ``stateStorage``, ``maxOfflineDuration`` (seconds), ``disableWebSockets``, ``logger``,
            as on the API page ("restoreSession"); ``chat_core``'s other options under their own names. The others of
            ``startSession`` are taken as ``restore_session`` takes them, so that one object serves both.

    Raises:
        OptionTypeError: there is no such option; whatever else is wrong goes to ``fail``.
        RuntimeError: no event loop is running.
    """
    return _launch(restore_session, options, _START, "restoreSession")


def _launch(
    launcher: Callable[..., Pending[Session]], options: Mapping[str, Any] | None, names: Mapping[str, str], what: str
) -> Promise:
    given: dict[str, Any] = {}
    for name, value in _properties(options, (*names, *sorted(_OWN)), what).items():
        ours = names.get(name, name)
        if ours in given:
            raise OptionTypeError(f"{what} was given {ours} twice, as {name!r} too", advice="leave one of them out")
        given[ours] = value
    storage = given.get("state_storage")
    if isinstance(storage, Mapping) and {"read", "write"} <= storage.keys():
        # The API page's own form: {read: function, write: function}.
        given["state_storage"] = SimpleNamespace(read=storage["read"], write=storage["write"])

    transport = given.get("transport")
    if transport is not None and is_browser_transport(transport):
        given["transport"] = adapted(transport)

    async def run() -> BrowserSession:
        return BrowserSession(await launcher(**given))

    return Promise(run, name=what)


class EndedError(SessionEndedError, TypeError):
    """A command after the end. The browser library throws a TypeError at the call."""


class BrowserSession:
    """A session under the browser library's names.

    Attributes:
        session: the one of ``chat_core`` behind it.
    """

    def __init__(self, session: Session) -> None:
        self.session: Session = session
        self._dispatcher = Dispatcher(session)
        #: From the call of ``leave`` on, before any answer, nothing can be sent any more.
        self._left = False

    def __repr__(self) -> str:
        return f"<BrowserSession {self.session.id}>"

    def sendMessage(self, message: str | Mapping[str, Any]) -> Promise:  # noqa: N802
        """Send a text, or ``{"message": ..., "type": "text" | "url"}``. ``done`` is called without a value."""
        given = (
            {"message": message}
            if isinstance(message, str)
            else _properties(message, ("message", "type"), "sendMessage")
        )
        text = _text(given.get("message"), "message")
        kind: Any = given.get("type")
        kind = "text" if kind is None else kind
        if kind not in ("text", "url"):
            raise OptionTypeError(f"type must be 'url' or 'text', not {kind!r}")
        return self._command("sendMessage", lambda: self.session.send_message(text, kind))

    def sendTyping(self, options: Mapping[str, Any] | None = None) -> Promise:  # noqa: N802
        """Tell that the visitor types: ``{"isTyping": bool, "typedText": str}``; True where it is left out."""
        given = _properties(options, ("isTyping", "typedText"), "sendTyping")
        typing = given.get("isTyping")
        if not isinstance(typing, bool | None):
            raise OptionTypeError(f"isTyping must be True or False, not {type(typing).__name__}")
        preview = given.get("typedText")
        if preview is not None:
            preview = _text(preview, "typedText") or None
        return self._command("sendTyping", lambda: self.session.send_typing(typing is not False, preview))

    def getTranscript(self, options: Mapping[str, Any] | None = None) -> Promise:  # noqa: N802
        """Fetch the transcript: ``done`` gets an object whose ``transcript`` is a list. Nothing is played back.

        Args:
            options: ``{"fromIndex": number}``: entries with this index and above; 0, the default, means all of them.
        """
        given = _properties(options, ("fromIndex",), "getTranscript").get("fromIndex")
        start = 0 if given is None else given
        if isinstance(start, bool) or not isinstance(start, int):
            raise OptionTypeError(f"fromIndex must be a whole number, not {type(start).__name__}")
        if start < 0:
            raise OptionTypeError(f"fromIndex must be 0 or more, not {start}")

        async def run() -> BrowserObject:
            events = await self.session.get_transcript(max(1, start))
            return BrowserObject(transcript=[raw(event) for event in events])

        return self._promise("getTranscript", run)

    def leave(self) -> Promise:
        """Leave the chat. From the call on every command raises, whether or not the server confirms."""

        async def run() -> None:
            ended = await self.session.leave()
            if ended.error is not None:
                raise ChatError(ended.error.description, code=ended.error.code)

        promise = self._promise("leave", run)
        self._left = True
        return promise

    def setUserData(self, user_data: Mapping[str, Any]) -> Promise:  # noqa: N802
        """Merge entries into the session's data; the object is the data."""
        if not isinstance(user_data, Mapping):
            raise OptionTypeError(f"setUserData takes one object, not {type(user_data).__name__}")
        return self._command("setUserData", lambda: self.session.set_user_data(user_data))

    def getUserData(self, key: str) -> Promise:  # noqa: N802
        """Look one entry up: ``done`` gets an object whose ``userData`` holds it, and nothing when there is none."""
        _text(key, "key")

        async def run() -> BrowserObject:
            value = await self.session.get_user_data(key)
            return BrowserObject(userData=BrowserObject(**({} if value is None else {key: value})))

        return self._promise("getUserData", run)

    def deleteUserData(self, key: str) -> Promise:  # noqa: N802
        """Take one entry out of the session's data."""
        _text(key, "key")
        return self._command("deleteUserData", lambda: self.session.delete_user_data(key))

    def onAgentConnected(self, callback: Callable[..., Any]) -> None:  # noqa: N802
        """Call back for each agent that joined or joins: ``party``, ``index``, ``timestamp``, ``restored``."""
        self._dispatcher.add(AgentConnected, callback)

    def onAgentDisconnected(self, callback: Callable[..., Any]) -> None:  # noqa: N802
        """Call back for each agent that left or leaves: ``party``, ``index``, ``timestamp``, ``restored``."""
        self._dispatcher.add(AgentDisconnected, callback)

    def onAgentTyping(self, callback: Callable[..., Any]) -> None:  # noqa: N802
        """Call back when an agent starts or stops typing: ``party``, ``isTyping``, ``index``."""
        self._dispatcher.add(AgentTyping, callback)

    def onMessageReceived(self, callback: Callable[..., Any]) -> None:  # noqa: N802
        """Call back for each message, the visitor's own included.

        The event has ``content.text``, ``content.type.text`` or ``.url``, ``party.id``, ``.name``, ``.type.agent``,
        ``.client`` or ``.external``, ``timestamp`` (ms), ``index``, ``restored``. An address that the agent pushes is a
        message whose ``content.type`` is ``url``.
        """
        self._dispatcher.add(MessageReceived, callback)

    def onSessionEnded(self, callback: Callable[..., Any]) -> None:  # noqa: N802
        """Call back when the session is over: ``reason.leaveRequest``, ``.agent`` or ``.error``, ``restored``."""
        self._dispatcher.add(SessionEnded, callback)

    def onError(self, callback: Callable[..., Any]) -> None:  # noqa: N802
        """Call back for each error the server reports: ``error.code``, ``error.description``, ``restored``.

        It does not by itself mean that the session is over.
        """
        self._dispatcher.add(ErrorReported, callback)

    def onInterrupted(self, callback: Callable[..., Any]) -> None:  # noqa: N802
        """Call back when the connection breaks."""
        self._dispatcher.add(Interrupted, callback)

    def onContinued(self, callback: Callable[..., Any]) -> None:  # noqa: N802
        """Call back when the connection is back."""
        self._dispatcher.add(Continued, callback)

    def _command(self, name: str, make: Callable[[], Pending[Any]]) -> Promise:
        """Start a command whose ``done`` is a bare acknowledgement."""

        async def run() -> None:
            await make()

        return self._promise(name, run)

    def _promise(self, name: str, run: Callable[[], Coroutine[Any, Any, Any]]) -> Promise:
        if self._left or self.session.ended is not None:
            # The browser library throws at the call; it does not reject the promise.
            raise EndedError(f"{name} was not sent: the session has ended")
        return Promise(run, name=name)


def _properties(options: Any, known: Iterable[str], what: str) -> Mapping[str, Any]:
    """Return an options object; one that is missing counts as empty.

    Raises:
        OptionTypeError: it is none, or it has a property that nobody knows; the closest is named.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise OptionTypeError(f"{what} takes one object with named properties, not {type(options).__name__}")
    names = list(known)
    for name in options:
        if name not in names:
            close = (_OLDER.get(name) if "serverUrl" in names else None) or _closest(str(name), names)
            raise OptionTypeError(
                f"{what} has no option {name!r}",
                advice=f"did you mean {close!r}?" if close else f"known are {', '.join(names)}",
            )
    return options


def _closest(name: str, names: list[str]) -> str | None:
    """Return the name that was probably meant; letter case does not count, and of equals the first is taken."""
    folded: dict[str, str] = {}
    for known in names:
        folded.setdefault(known.replace("_", "").casefold(), known)
    close = difflib.get_close_matches(name.replace("_", "").casefold(), folded, n=1)
    return folded[close[0]] if close else None


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise OptionTypeError(f"{name} must be text, not {type(value).__name__}")
    return value
