"""The chat service API of the browser library, sections 2.1 to 2.3 and 2.6: commands, leaving, the end.

A test's name carries the section that states the fact; ``docs/browser-names.md`` says what differs, and why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chat_core import (
    DeleteUserDataCommand,
    GetUserDataCommand,
    OptionError,
    RefusedError,
    SendMessageCommand,
    SessionEndedError,
    TypingCommand,
    UserDataCommand,
)
from chat_core.compat.genesys import BrowserSession, startSession
from support.browser import Link, Shelf, chat, failure, told
from support.clock import run_virtually

COMMANDS: dict[str, Callable[[BrowserSession], Any]] = {
    "sendMessage": lambda session: session.sendMessage("x"),
    "sendTyping": lambda session: session.sendTyping(),
    "getTranscript": lambda session: session.getTranscript(),
    "setUserData": lambda session: session.setUserData({"a": "b"}),
    "getUserData": lambda session: session.getUserData("a"),
    "deleteUserData": lambda session: session.deleteUserData("a"),
    "leave": lambda session: session.leave(),
}


# 2.1 General rules


def test_s2_1_arguments_are_one_object():
    """Not positional; what is no object is a TypeError at the call."""

    async def script(session: BrowserSession, link: Link) -> None:
        for call in (session.sendTyping, session.getTranscript):
            with pytest.raises(TypeError, match="takes one object with named properties"):
                call(1)  # type: ignore[operator]

    chat(script)


@pytest.mark.parametrize("name", ["sendMessage", "sendTyping", "setUserData", "deleteUserData", "leave"])
def test_s2_1_done_is_a_bare_acknowledgement(name: str):
    """It has no value."""

    async def script(session: BrowserSession, link: Link) -> None:
        assert await told(COMMANDS[name](session)) == (None,)

    chat(script)


def test_s2_1_fail_gets_code_and_description():
    """Of a command that the server refuses."""

    async def script(session: BrowserSession, link: Link) -> Any:
        link.faults.append(("before", RefusedError("words", code=51)))
        return await failure(session.setUserData({"a": "b"}))

    event = chat(script)
    assert (event.error.code, event.error.description) == (51, "words")


@pytest.mark.parametrize("end", ["leave", "agent"])
@pytest.mark.parametrize("name", COMMANDS)
def test_s2_1_after_the_end_every_command_throws(name: str, end: str):
    """At the call, a TypeError as in the browser, whoever ended the chat; it is chat_core's own error as well."""

    async def script(session: BrowserSession, link: Link) -> None:
        if end == "leave":
            await session.leave()
        else:
            link.backend.end()
            await asyncio.sleep(1)
        with pytest.raises(TypeError, match=f"{name} was not sent: the session has ended") as caught:
            COMMANDS[name](session)
        assert isinstance(caught.value, SessionEndedError)

    chat(script)


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.sendMessage(5),
        lambda session: session.sendMessage({"message": 5}),
        lambda session: session.sendMessage({"message": "x", "type": "html"}),
        lambda session: session.sendMessage({"text": "x"}),
        lambda session: session.sendTyping({"isTyping": "yes"}),
        lambda session: session.sendTyping({"typedText": 5}),
        lambda session: session.getTranscript({"fromIndex": -1}),
        lambda session: session.getTranscript({"fromIndex": "1"}),
        lambda session: session.setUserData("x"),
        lambda session: session.getUserData(5),
        lambda session: session.getUserData(["a"]),
        lambda session: session.deleteUserData(None),
        lambda session: session.onMessageReceived("x"),
    ],
)
def test_s2_1_wrong_arguments_throw_at_the_call(call: Callable[[BrowserSession], Any]):
    """A TypeError, which is an OptionError as well; nothing is sent."""

    async def script(session: BrowserSession, link: Link) -> None:
        with pytest.raises(TypeError) as caught:
            call(session)
        assert isinstance(caught.value, OptionError)
        assert link.backend.commands == []

    chat(script)


# 2.2 Commands


@pytest.mark.parametrize(
    ("given", "text", "kind"),
    [
        ("one", "one", "text"),
        ({"message": "two"}, "two", "text"),
        ({"message": "three", "type": "text"}, "three", "text"),
        ({"message": "https://x/", "type": "url"}, "https://x/", "url"),
    ],
)
def test_s2_2_send_message_takes_a_text_or_message_and_type(given: Any, text: str, kind: str):
    """A text alone has the type 'text'."""

    async def script(session: BrowserSession, link: Link) -> Any:
        await session.sendMessage(given)
        return link.backend.commands

    assert chat(script)[0] == SendMessageCommand(text=text, type=kind)


@pytest.mark.parametrize(
    ("given", "typing", "text"),
    [
        ((), True, None),
        (({},), True, None),
        (({"isTyping": True},), True, None),
        (({"isTyping": False},), False, None),
        (({"isTyping": True, "typedText": "Hel"},), True, "Hel"),
        (({"isTyping": True, "typedText": ""},), True, None),
    ],
)
def test_s2_2_send_typing_without_an_argument_means_typing(given: Any, typing: bool, text: str | None):
    """The typed text is sent where it is not empty."""

    async def script(session: BrowserSession, link: Link) -> Any:
        await session.sendTyping(*given)
        return link.backend.commands

    assert chat(script)[0] == TypingCommand(is_typing=typing, text=text)


@pytest.mark.parametrize(
    ("given", "texts"),
    [((), "abc"), (({"fromIndex": 0},), "abc"), (({"fromIndex": 1},), "abc"), (({"fromIndex": 3},), "bc")],
)
def test_s2_2_get_transcript_answers_with_the_entries_from_an_index_on(given: Any, texts: str):
    """All of them by default; each entry names its kind."""

    async def script(session: BrowserSession, link: Link) -> Any:
        for text in "abc":
            link.backend.agent_says(text)
        (event,) = await told(session.getTranscript(*given))
        return event

    entries = chat(script).transcript
    assert [one.content.text for one in entries if one.type == "MessageReceived"] == list(texts)


def test_s2_2_get_transcript_causes_no_playback():
    """The callbacks hear each message once."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        heard: list[str] = []
        session.onMessageReceived(lambda event: heard.append(event.content.text))
        link.backend.agent_says("a")
        await session.getTranscript()
        await asyncio.sleep(1)
        return heard

    assert chat(script) == ["a"]


def test_s2_2_user_data_is_set_read_and_deleted():
    """What is set is the object itself, without the defaults of a start; the others take one key."""

    async def script(session: BrowserSession, link: Link) -> Any:
        await session.setUserData({"FirstName": "Ada"})
        (there,) = await told(session.getUserData("FirstName"))
        await session.deleteUserData("FirstName")
        (gone,) = await told(session.getUserData("FirstName"))
        assert "FirstName" in there.userData
        assert "FirstName" not in gone.userData
        return there.userData.FirstName, list(link.backend.commands)

    assert chat(script) == (
        "Ada",
        [
            UserDataCommand(user_data={"FirstName": "Ada"}),
            GetUserDataCommand(key="FirstName"),
            DeleteUserDataCommand(key="FirstName"),
            GetUserDataCommand(key="FirstName"),
        ],
    )


def test_s2_2_a_command_that_the_transport_lacks_rejects():
    """With code 1, unknown command, and its name."""

    class Plain(Link):
        capabilities = frozenset()

    async def main() -> list[Any]:
        session = await startSession({"transport": Plain(), "stateStorage": Shelf()})
        names = ("sendTyping", "getTranscript", "setUserData", "deleteUserData")
        events = [await failure(COMMANDS[name](session)) for name in names]
        await session.leave()
        return events

    for event in run_virtually(main()):
        assert event.error.code == 1
        assert "does not offer" in event.error.description


# 2.3 leave()


def test_s2_3_leaving_makes_the_session_inactive_before_any_answer():
    """Every other command throws from the call on, a second ``leave`` too."""

    async def script(session: BrowserSession, link: Link) -> None:
        promise = session.leave()
        for call in COMMANDS.values():
            with pytest.raises(TypeError, match="has ended"):
                call(session)
        await promise

    chat(script)


def test_s2_3_the_rest_then_the_end_then_done():
    """What came with leaving is told first, then SessionEnded with leaveRequest, then the promise settles."""

    async def script(session: BrowserSession, link: Link) -> list[Any]:
        order: list[Any] = []
        session.onMessageReceived(lambda event: order.append((event.content.text, event.restored)))
        session.onSessionEnded(lambda event: order.append((vars(event.reason), event.restored)))
        promise = session.leave().done(lambda: order.append("done"))
        link.backend.agent_says("Goodbye")
        await promise
        return order

    assert chat(script) == [("Goodbye", False), ({"leaveRequest": True}, False), "done"]


def test_s2_3_a_leave_that_fails_rejects_and_the_session_stays_inactive():
    """``fail`` gets the reason; the end is announced all the same, as everywhere in chat_core (RP-15)."""

    async def script(session: BrowserSession, link: Link) -> list[Any]:
        order: list[Any] = []
        session.onSessionEnded(lambda event: order.append(vars(event.reason)))
        link.cut()
        event = await failure(session.leave())
        order.append(event.error.code)
        with pytest.raises(TypeError, match="has ended"):
            session.sendMessage("x")
        return order

    assert chat(script) == [{"leaveRequest": True}, 150]


# 2.6 Order inside


def test_s2_6_the_session_is_inactive_before_the_callbacks_hear_of_the_end():
    """A command in onSessionEnded throws."""

    async def script(session: BrowserSession, link: Link) -> list[Exception]:
        caught: list[Exception] = []

        def ended() -> None:
            try:
                session.sendMessage("x")
            except TypeError as error:
                caught.append(error)

        session.onSessionEnded(ended)
        link.backend.end()
        await asyncio.sleep(1)
        return caught

    assert len(chat(script)) == 1
