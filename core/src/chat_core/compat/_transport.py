"""A transport written for the browser library, as ``chat_core`` needs it."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, ClassVar, Final

from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import (
    Batch,
    Command,
    DeleteUserDataCommand,
    Ended,
    GetUserDataCommand,
    Incoming,
    LeaveCommand,
    Opened,
    Reply,
    SendMessageCommand,
    StartRequest,
    TypingCommand,
    UserDataCommand,
)
from chat_core._model.errors import AmbiguousError, ChatError, ErrorCode, RefusedError, UnsupportedCommandError
from chat_core._model.events import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    EndReason,
    ErrorInfo,
    ErrorReported,
    Event,
    MessageReceived,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantTyping,
    Party,
    PartyType,
)

__all__ = ["COMMANDS", "BrowserTransport", "adapted", "is_browser_transport"]

COMMANDS: Final = (
    "init",
    "startSession",
    "sendMessage",
    "sendTyping",
    "getTranscript",
    "leaveSession",
    "setUserData",
    "getUserData",
    "deleteUserData",
)
_EVENTS: Final = ("AgentConnected", "AgentDisconnected", "AgentTyping", "MessageReceived", "SessionEnded", "Error")
_REASONS: Final = {1: EndReason.LEFT, 2: EndReason.CLOSED, 3: EndReason.LOST}
_PARTIES: Final = {"agent": PartyType.AGENT, "client": PartyType.CLIENT, "external": PartyType.EXTERNAL}


def is_browser_transport(given: Any) -> bool:
    """Say whether a ``transport`` option has the browser library's methods rather than ``chat_core``'s."""
    return all(callable(_get(given, name)) for name in COMMANDS)


def adapted(theirs: Any) -> BrowserTransport:
    """Return the transport under ``chat_core``'s contract; a saved session knows it by the name of its own class."""
    kind = type(theirs)
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    made: BrowserTransport = type(kind.__name__, (BrowserTransport,), names)(theirs)
    return made


class BrowserTransport:
    """Passes commands on, with one object each, and takes what the callbacks are given.

    Its methods return an object with ``done`` and ``fail``, an awaitable, or the outcome itself. They are called on
    the event loop; what they call back may come from any thread.

    Args:
        theirs: the transport, or a mapping of its functions.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.POSITION,
            Capability.PUSH,
            Capability.TYPING,
            Capability.TYPING_PREVIEW,
            Capability.SET_USER_DATA,
            Capability.GET_USER_DATA,
            Capability.DELETE_USER_DATA,
        }
    )

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs
        self._session_id = ""
        #: The highest index seen.
        self._highest = 0
        self._queue: asyncio.Queue[Incoming | None] = asyncio.Queue()
        self._closed = False

    async def start(self, request: StartRequest) -> Opened:
        """Begin a chat."""
        await self._init()
        data = dict(request.user_data)
        given = {"username": request.username, "userData": data, "source": data.get("source")}
        event = await self._ask("startSession", {**given, "subject": request.subject})
        return self._opened(_get(event, "sessionId"))

    async def resume(self, saved: Mapping[str, Any]) -> Opened:
        """Take a chat up: its transcript is asked for from the beginning."""
        await self._init()
        opened = self._opened(saved.get("session_id"))
        try:
            batch = await self.fetch(1)
        except RefusedError as error:
            error.session_unknown = error.code == ErrorCode.SESSION_UNKNOWN
            raise
        return Opened(session_id=opened.session_id, batch=batch)

    async def fetch(self, position: int) -> Batch:
        """Ask for the transcript. Some count from 0 and some from 1: one too many is asked for, and left out."""
        event = await self._ask("getTranscript", {"sessionId": self._session_id, "fromIndex": position - 1})
        if _get(event, "transcript") is None:
            raise AmbiguousError("the transport's answer to getTranscript has no transcript")
        batch = self._batch(event)
        events = tuple(one for one in batch.events if one.index is None or one.index >= position)
        return Batch(events=events, next_position=max(position, self._highest + 1))

    async def send(self, command: Command) -> Reply:
        """Pass a command on."""
        session = {"sessionId": self._session_id}
        match command:
            case SendMessageCommand(text=text, type=kind):
                await self._ask("sendMessage", {**session, "message": text, "type": kind})
            case TypingCommand(is_typing=typing, text=text):
                await self._ask("sendTyping", {**session, "isTyping": typing} | ({"typedText": text} if text else {}))
            case LeaveCommand():
                if self._session_id:
                    batch = self._batch(await self._ask("leaveSession", session))
                    # The server does not announce an end that the visitor asked for.
                    self._queue.put_nowait(Ended(reason=EndReason.LEFT, batch=batch))
            case UserDataCommand(user_data=data):
                await self._ask("setUserData", {**session, "userData": dict(data)})
            case GetUserDataCommand(key=key):
                found = _get(await self._ask("getUserData", {**session, "keys": [key]}), "userData")
                if found is None:
                    raise AmbiguousError("the transport's answer to getUserData has no userData")
                value = _get(found, key)
                return Reply(data={} if value is None else {key: value})
            case DeleteUserDataCommand(key=key):
                await self._ask("deleteUserData", {**session, "keys": [key]})
            case _:
                raise UnsupportedCommandError(f"the transport does not know {type(command).__name__}")
        return Reply()

    async def incoming(self) -> AsyncIterator[Incoming]:
        """Yield what its callbacks were given."""
        while (item := await self._queue.get()) is not None:
            yield item

    def saved(self) -> Mapping[str, Any]:
        """Return the session's id, which is all that its commands need."""
        return {"session_id": self._session_id}

    async def aclose(self) -> None:
        """Take nothing more; there is no method to tell it so."""
        self._closed = True
        self._queue.put_nowait(None)

    async def _init(self) -> None:
        loop = asyncio.get_running_loop()
        for name in _EVENTS:
            register = _get(self._theirs, f"on{name}")
            if callable(register):
                register(functools.partial(self._called_back, loop, name))
        await self._ask("init")

    def _opened(self, session_id: Any) -> Opened:
        if not isinstance(session_id, str) or not session_id:
            raise AmbiguousError("the transport's answer to startSession has no sessionId")
        self._session_id = session_id
        return Opened(session_id=session_id)

    async def _ask(self, name: str, *arguments: Any) -> Any:
        """Call a method and wait for ``done`` or ``fail``."""
        try:
            result = _get(self._theirs, name)(*arguments)
            if callable(done := _get(result, "done")) and not inspect.isawaitable(result):
                result = _settled(done, _get(result, "fail"))
            return await result if inspect.isawaitable(result) else result
        except ChatError:
            raise
        except Exception as error:
            raise AmbiguousError(f"the transport's {name} raised {type(error).__name__}", code=0) from error

    def _called_back(self, loop: asyncio.AbstractEventLoop, name: str, raw: Any = None) -> None:
        if not self._closed:  # nobody can tell the transport to stop, and the loop may be gone
            loop.call_soon_threadsafe(self._receive, name, raw)

    def _receive(self, name: str, raw: Any) -> None:
        if name == "SessionEnded":
            reason = _REASONS.get(_get(_get(raw, "reason"), "id"), EndReason.CLOSED)
            self._queue.put_nowait(Ended(reason=reason))
        else:
            self._queue.put_nowait(Batch(events=(self._event(name, raw),)))

    def _batch(self, answer: Any) -> Batch:
        entries = _get(answer, "transcript") or []
        return Batch(events=tuple(self._event(_get(raw, "type"), raw) for raw in entries))

    def _event(self, name: Any, raw: Any) -> Event:
        """Read an event; one that cannot be read becomes an error without a code, as in the browser library."""
        try:
            event = _read(name, raw)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            text = f"Transport error in {name} event ({type(error).__name__}: {error})"
            return ErrorReported(error=ErrorInfo(description=text))
        self._highest = max(self._highest, event.index or 0)
        return event


def _read(name: Any, raw: Any) -> Event:
    if name == "Error":
        return ErrorReported(error=_error(raw))
    theirs = _get(raw, "party")
    if theirs is None:
        raise ValueError("it has no party")
    kind = _PARTIES.get(str(_get(theirs, "type") or "agent").lower(), PartyType.UNKNOWN)
    party = Party(id=_whole(_get(theirs, "id")), name=str(_get(theirs, "name") or ""), type=kind)
    stamp = _get(raw, "timestamp")
    shared: dict[str, Any] = {
        "index": _whole(_get(raw, "index")) or None,
        "party": party,
        "own": kind is PartyType.CLIENT,
        "timestamp": None if stamp is None else dt.datetime.fromtimestamp(stamp / 1000, dt.UTC),
    }
    if name == "AgentTyping":
        # It is in no transcript, so its index may be that of the next event, which must not pass for a duplicate.
        shared["index"] = None
    agent = kind is PartyType.AGENT
    match name:
        case "AgentConnected":
            return AgentConnected(**shared) if agent else ParticipantJoined(**shared)
        case "AgentDisconnected":
            return AgentDisconnected(**shared) if agent else ParticipantLeft(**shared)
        case "AgentTyping":
            typing = _get(raw, "isTyping") is not False
            return AgentTyping(**shared, is_typing=typing) if agent else ParticipantTyping(**shared, is_typing=typing)
        case "MessageReceived":
            content = _get(raw, "content")
            text, given = _get(content, "text"), _get(content, "type")
            if not isinstance(text, str):
                raise TypeError("its content has no text")
            is_url = given == "url" or bool(_get(given, "url"))
            return MessageReceived(**shared, text=text, content_type="url" if is_url else "text")
    raise ValueError("there is no such event")


def _settled(done: Callable[..., Any], fail: Any) -> asyncio.Future[Any]:
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: ChatError | None) -> None:
        if not outcome.done():
            outcome.set_result(value) if error is None else outcome.set_exception(error)

    def failed(event: Any = None) -> None:
        info = _error(event)
        # Without a code, and where server or network are the cause, nobody can tell whether the command arrived.
        refused = info.code > 0 and not ErrorCode.SERVER_UNAVAILABLE <= info.code < ErrorCode.IN_USE_HERE
        kind = RefusedError if refused else AmbiguousError
        loop.call_soon_threadsafe(settle, None, kind(info.description, code=info.code))

    if callable(fail):
        fail(failed)
    done(lambda value=None: loop.call_soon_threadsafe(settle, value, None))
    return outcome


def _error(event: Any) -> ErrorInfo:
    error = _get(event, "error")
    description = _get(error, "description")
    return ErrorInfo(
        code=_whole(_get(error, "code")) or 0, description=str(description or "the transport gave no description")
    )


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _get(value: Any, name: str) -> Any:
    """Look a property up as JavaScript does, in a mapping or an object; what is not there is None."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
