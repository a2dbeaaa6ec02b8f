"""The session object under the browser library's names: commands, events, and what is raised at the call."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chat_core import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    EndReason,
    ErrorInfo,
    ErrorReported,
    MessageReceived,
    NotSentError,
    OptionError,
    Party,
    PartyType,
    PushUrl,
    SendMessageCommand,
    SessionEnded,
    SessionEndedError,
    TypingCommand,
)
from chat_core.compat._events import BrowserObject, raw, to_browser
from chat_core.compat._promise import as_in_javascript
from chat_core.compat.genesys import BrowserSession, restoreSession, startSession
from support.backend import AGENT, ALL, VISITOR, Backend, FakeTransport
from support.clock import run_virtually

STAMP = dt.datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=dt.UTC)


class Link(FakeTransport):
    capabilities = ALL


class Shelf:
    blocking = False

    def __init__(self) -> None:
        self.state: Any = None

    def read(self) -> Any:
        return self.state

    def write(self, state: Any) -> None:
        self.state = state


def chat(script: Callable[[BrowserSession, Link], Coroutine[Any, Any, Any]]) -> Any:
    """Run a script in a chat; leaves it where the script does not."""

    async def main() -> Any:
        link = Link()
        session = await startSession({"transport": link, "stateStorage": Shelf()})
        try:
            return await script(session, link)
        finally:
            await session.session.aclose()

    return run_virtually(main())


async def told(promise: Any) -> tuple[Any, ...]:
    """The arguments that ``done`` was called with."""
    got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(*arguments: Any) -> None:
        got.set_result(arguments)

    promise.done(done).fail(lambda event: got.set_exception(event.exception))
    return await got


# Commands


def test_send_message_takes_a_text_or_an_object():
    """A text means type 'text'; ``done`` is a bare acknowledgement."""

    async def script(session: BrowserSession, link: Link) -> None:
        assert await told(session.sendMessage("one")) == (None,)
        assert await session.sendMessage({"message": "two"}) is None
        await session.sendMessage({"message": "https://x/", "type": "url"})
        sent = [one for one in link.backend.commands if isinstance(one, SendMessageCommand)]
        assert [(one.text, one.type) for one in sent] == [("one", "text"), ("two", "text"), ("https://x/", "url")]

    chat(script)


def test_messages_keep_their_order_though_nobody_waits():
    """Commands start at the call."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        for text in "abc":
            session.sendMessage(text)
        await session.sendMessage("d")
        return link.backend.texts

    assert chat(script) == ["a", "b", "c", "d"]


def test_a_callback_without_parameters_is_called():
    """As ``function () {...}`` is in JavaScript."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        called: list[str] = []
        promise = session.sendMessage("one").done(lambda: called.append("done"))
        session.onMessageReceived(lambda: called.append("message"))
        await promise
        await asyncio.sleep(1)
        return called

    assert sorted(chat(script)) == ["done", "message"]


def test_async_callbacks_are_awaited():
    """Of promises and of events."""

    async def script(session: BrowserSession, link: Link) -> set[str]:
        called: set[str] = set()

        async def done() -> None:
            await asyncio.sleep(0)
            called.add("done")

        async def received(event: Any) -> None:
            await asyncio.sleep(0)
            called.add(event.content.text)

        session.onMessageReceived(received)
        session.sendMessage("one").done(done)
        await asyncio.sleep(1)
        return called

    assert chat(script) == {"done", "one"}


def test_a_command_that_fails_gives_code_and_description():
    """``fail`` as for the launchers."""

    async def script(session: BrowserSession, link: Link) -> Any:
        link.faults.append(("before", NotSentError("no link", code=150)))
        event: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        session.sendTyping().fail(event.set_result)
        return await event

    event = chat(script)
    assert (event.error.code, event.error.description) == (150, "no link")


@pytest.mark.parametrize(
    ("options", "typing", "text"),
    [
        (None, True, None),
        ({}, True, None),
        ({"isTyping": True, "typedText": "Hel"}, True, "Hel"),
        ({"isTyping": False, "typedText": ""}, False, None),
    ],
)
def test_send_typing(options: Any, typing: bool, text: str | None):
    """No argument means that the visitor types; an empty preview is not sent."""

    async def script(session: BrowserSession, link: Link) -> None:
        assert await told(session.sendTyping(options)) == (None,)
        assert link.backend.commands == [TypingCommand(is_typing=typing, text=text)]

    chat(script)


@pytest.mark.parametrize(("options", "texts"), [(None, "abc"), ({"fromIndex": 0}, "abc"), ({"fromIndex": 3}, "bc")])
def test_get_transcript_is_not_played_back(options: Any, texts: str):
    """``done`` gets the entries from an index on, 0 meaning all; the callbacks get nothing a second time."""

    async def script(session: BrowserSession, link: Link) -> Any:
        received: list[str] = []
        session.onMessageReceived(lambda event: received.append(event.content.text))
        for text in "abc":
            link.backend.agent_says(text)
        await asyncio.sleep(1)
        (event,) = await told(session.getTranscript(options))
        await asyncio.sleep(1)
        assert received == ["a", "b", "c"]
        return event

    event = chat(script)
    messages = [entry for entry in event.transcript if entry.type == "MessageReceived"]
    assert [entry.content.text for entry in messages] == list(texts)
    assert event["transcript"] is event.transcript


def test_user_data():
    """Set takes the data itself, get one key; what is not there is not in the answer."""

    async def script(session: BrowserSession, link: Link) -> None:
        assert await told(session.setUserData({"FirstName": "Ada"})) == (None,)
        (event,) = await told(session.getUserData("FirstName"))
        assert event.userData.FirstName == "Ada"
        event = await session.getUserData("LastName")
        assert event.userData.LastName is None
        assert "LastName" not in event.userData
        event = asyncio.get_running_loop().create_future()
        session.deleteUserData("FirstName").fail(event.set_result)
        assert "does not offer delete_user_data" in (await event).error.description

    chat(script)


def test_wrong_arguments_raise_at_the_call():
    """A TypeError or an OptionError, as the browser library throws; nothing is sent."""

    async def script(session: BrowserSession, link: Link) -> None:
        calls: list[tuple[Callable[[], Any], type[Exception], str]] = [
            (lambda: session.sendMessage(5), TypeError, "sendMessage takes one object"),  # type: ignore[arg-type]
            (lambda: session.sendMessage({"message": 5}), TypeError, "message must be text, not int"),
            (lambda: session.sendMessage({"message": "x", "type": "html"}), OptionError, "must be 'url' or 'text'"),
            (lambda: session.sendMessage({"mesage": "x"}), OptionError, "did you mean 'message'"),
            (lambda: session.sendMessage({"message": "x", "type": []}), OptionError, "must be 'url' or 'text'"),
            (lambda: session.sendTyping({"isTyping": 1}), TypeError, "isTyping must be True or False, not int"),
            (lambda: session.sendTyping({"typedText": 1}), TypeError, "typedText must be text"),
            (lambda: session.sendTyping({"typing": True}), OptionError, "did you mean 'isTyping'"),
            (lambda: session.getTranscript({"fromIndex": -1}), OptionError, "fromIndex must be 0 or more, not -1"),
            (lambda: session.getTranscript({"fromIndex": "0"}), TypeError, "fromIndex must be a whole number"),
            (lambda: session.getTranscript({"fromIndex": True}), TypeError, "fromIndex must be a whole number"),
            (lambda: session.setUserData("x"), TypeError, "setUserData takes one object"),  # type: ignore[arg-type]
            (lambda: session.getUserData(5), TypeError, "key must be text"),  # type: ignore[arg-type]
            (lambda: session.deleteUserData(None), TypeError, "key must be text"),  # type: ignore[arg-type]
            (lambda: session.onError(None), TypeError, "a callback must be callable, not None"),  # type: ignore[arg-type]
        ]
        for call, error, text in calls:
            with pytest.raises(error, match=text):
                call()
        assert link.backend.commands == []

    chat(script)


# The end

COMMANDS: list[Callable[[BrowserSession], Any]] = [
    lambda session: session.sendMessage("x"),
    lambda session: session.sendTyping(),
    lambda session: session.getTranscript(),
    lambda session: session.leave(),
    lambda session: session.setUserData({}),
    lambda session: session.getUserData("x"),
    lambda session: session.deleteUserData("x"),
]


def test_after_leave_every_command_raises_at_once():
    """From the call on, before any answer; SessionEnded comes first, then ``done``."""

    async def script(session: BrowserSession, link: Link) -> list[Any]:
        order: list[Any] = []
        session.onSessionEnded(order.append)
        promise = session.leave().done(lambda: order.append("done"))
        for command in COMMANDS:
            with pytest.raises(SessionEndedError):
                command(session)
        await promise
        await asyncio.sleep(1)
        for command in COMMANDS:
            with pytest.raises(SessionEndedError):
                command(session)
        return order

    order = chat(script)
    (ended,) = [one for one in order if one != "done"]
    assert ended.reason.leaveRequest is True
    assert not ended.reason.agent
    assert ended.restored is False
    assert "done" in order


def test_after_the_agents_end_every_command_raises():
    """The reason tells whose end it was."""

    async def script(session: BrowserSession, link: Link) -> Any:
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        session.onSessionEnded(ended.set_result)
        link.backend.end()
        event = await ended
        for command in COMMANDS:
            with pytest.raises(SessionEndedError):
                command(session)
        return event

    assert chat(script).reason.agent is True


def test_a_leave_that_the_server_does_not_confirm_fails():
    """The session stays inactive all the same."""

    async def script(session: BrowserSession, link: Link) -> Any:
        link.up = False
        event: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        session.leave().done(lambda: event.set_result(None)).fail(event.set_result)
        failed = await event
        with pytest.raises(SessionEndedError):
            session.sendMessage("x")
        return failed

    event = chat(script)
    assert event is not None
    assert event.error.description


# Events


def test_what_happened_before_a_callback_came_is_told_first():
    """A callback that is registered late misses nothing; several are all told."""

    async def script(session: BrowserSession, link: Link) -> Any:
        link.backend.agent_joins()
        link.backend.agent_says("Hi")
        await session.sendMessage("Hello")
        await asyncio.sleep(1)
        first: list[Any] = []
        second: list[Any] = []
        agents: list[Any] = []
        assert session.onMessageReceived(first.append) is None  # type: ignore[func-returns-value]
        session.onMessageReceived(second.append)
        session.onAgentConnected(agents.append)
        await asyncio.sleep(1)
        link.backend.agent_says("Bye")
        await asyncio.sleep(1)
        assert [event.content.text for event in first] == [event.content.text for event in second]
        return first, agents

    messages, (agent,) = chat(script)
    assert [(one.content.text, one.party.name, one.index) for one in messages] == [
        ("Hi", "Grace", 3),
        ("Hello", "Ada", 4),
        ("Bye", "Grace", 5),
    ]
    assert messages[0].party.type.agent
    assert not messages[0].party.type.client
    assert messages[1].party.type.client
    assert (agent.party.id, agent.party.name, agent.index, agent.restored) == (2, "Grace", 2, False)


def test_replayed_events_are_marked():
    """``restored`` is true for what an earlier page surely had."""

    async def main() -> list[Any]:
        shelf, backend = Shelf(), Backend()
        session = await startSession({"transport": Link(backend), "stateStorage": shelf})
        session.onMessageReceived(lambda: None)
        backend.agent_says("before")
        await asyncio.sleep(1)
        await session.session.detach()
        backend.agent_says("meanwhile", push=False)
        session = await restoreSession({"transport": Link(backend), "stateStorage": shelf})
        events: list[Any] = []
        session.onMessageReceived(events.append)
        await asyncio.sleep(1)
        await session.leave()
        return events

    events = run_virtually(main())
    assert [(event.content.text, event.restored) for event in events] == [("before", True), ("meanwhile", False)]


def test_interruptions_typing_errors_and_goodbyes_have_their_callbacks():
    """One each."""

    async def script(session: BrowserSession, link: Link) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        session.onInterrupted(lambda event: seen.setdefault("interrupted", event))
        session.onContinued(lambda event: seen.setdefault("continued", event))
        session.onAgentTyping(lambda event: seen.setdefault("typing", event))
        session.onError(lambda event: seen.setdefault("error", event))
        session.onAgentDisconnected(lambda event: seen.setdefault("gone", event))
        backend = link.backend
        backend.add(lambda index: AgentTyping(index=index, party=AGENT, is_typing=True))
        backend.add(lambda index: ErrorReported(index=index, error=ErrorInfo(code=100, description="moved")))
        backend.add(lambda index: AgentDisconnected(index=index, party=AGENT, timestamp=STAMP))
        await asyncio.sleep(1)
        link.cut()
        await asyncio.sleep(1)
        link.mend()
        await asyncio.sleep(1)
        return seen

    seen = chat(script)
    assert set(seen) == {"interrupted", "continued", "typing", "error", "gone"}
    assert seen["typing"].isTyping is True
    assert (seen["error"].error.code, seen["error"].error.description) == (100, "moved")
    assert seen["gone"].timestamp == 1767323045679
    assert seen["continued"].blindTime > 0


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (MessageReceived(index=1, text="x"), {"party", "index", "timestamp", "restored", "content"}),
        (AgentDisconnected(index=1), {"party", "index", "timestamp", "restored"}),
        (AgentTyping(index=1), {"party", "isTyping", "index"}),
        (ErrorReported(), {"error", "restored"}),
        (SessionEnded(reason=EndReason.LOST), {"reason", "restored"}),
    ],
)
def test_event_objects_have_the_browsers_properties(event: Any, names: set[str]):
    """No more and no fewer."""
    assert set(vars(to_browser(event))) == names


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (EndReason.LEFT, "leaveRequest"),
        (EndReason.CLOSED, "agent"),
        (EndReason.IDLE, "agent"),
        (EndReason.REFUSED, "error"),
        (EndReason.LOST, "error"),
    ],
)
def test_every_reason_of_an_end_has_a_name(reason: EndReason, name: str):
    """One of the browser library's three."""
    assert vars(to_browser(SessionEnded(reason=reason)).reason) == {name: True}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (PartyType.CLIENT, "client"),
        (PartyType.AGENT, "agent"),
        (PartyType.SUPERVISOR, "agent"),
        (PartyType.EXTERNAL, "external"),
        (PartyType.UNKNOWN, "external"),
    ],
)
def test_every_party_has_one_of_the_browsers_types(kind: PartyType, name: str):
    """A one-key object."""
    event = to_browser(MessageReceived(party=Party(id=1, name="x", type=kind), text=""))
    assert vars(event.party.type) == {name: True}


def test_content_types():
    """``{text: true}`` or ``{url: true}``; the address of a url message is its text."""
    assert vars(to_browser(MessageReceived(text="x", content_type="text/plain")).content.type) == {"text": True}
    event = to_browser(MessageReceived(text="https://x/", content_type="url"))
    assert (vars(event.content.type), event.content.text) == ({"url": True}, "https://x/")


def test_transcript_entries_name_their_kind():
    """As transports do."""
    events = [
        MessageReceived(),
        AgentDisconnected(),
        AgentConnected(),
        ErrorReported(),
        PushUrl(url="x"),
        SessionEnded(reason=EndReason.LEFT),
    ]
    assert [raw(event).type for event in events] == [
        "MessageReceived",
        "AgentDisconnected",
        "AgentConnected",
        "Error",
        "MessageReceived",
        "SessionEnded",
    ]


def test_objects_are_as_in_javascript():
    """By attribute or by item; what is not there is None; the repr shows no text; Python's protocols work."""
    event = to_browser(MessageReceived(text="TOPSECRET", party=VISITOR))
    assert event["content"]["text"] == "TOPSECRET"
    assert event.nothing is None
    assert event["nothing"] is None
    assert "content" in event
    assert "nothing" not in event
    assert "TOPSECRET" not in repr(event) + str(event) + repr(event.content)
    assert copy.deepcopy(event) == event
    assert not hasattr(BrowserObject(), "__iter__")


def test_callbacks_take_what_they_ask_for():
    """None or one; a builtin that does not tell gets one; two are an error when it is called."""

    class Silent:
        @property
        def __signature__(self) -> Any:
            raise ValueError("no signature")

        def __call__(self, value: Any) -> Any:
            return value

    assert as_in_javascript(lambda: "none")(1) == "none"
    assert as_in_javascript(lambda value: value)(1) == 1
    assert as_in_javascript(lambda *values: values)(1) == (1,)
    assert as_in_javascript(lambda value=5: value)(1) == 1
    assert as_in_javascript(Silent())(1) == 1
    assert as_in_javascript(5) == 5
    with pytest.raises(TypeError):
        as_in_javascript(lambda one, two: None)(1)
