"""The chat service API of the browser library, sections 2.4 and 2.5: callbacks and replay.

A test's name carries the section that states the fact; ``docs/browser-names.md`` says what differs, and why.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
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
    ParticipantJoined,
    Party,
    PartyType,
    PushUrl,
)
from chat_core.compat import _dispatch
from chat_core.compat.genesys import BrowserSession, restoreSession, startSession
from support.backend import AGENT, VISITOR, Backend
from support.browser import Link, Shelf, chat, detached
from support.clock import run_virtually

STAMP = dt.datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=dt.UTC)


# 2.4 Callbacks


def heard(on: str, make: Callable[[int], Any]) -> Any:
    """What a callback is given for an event of the server."""

    async def script(session: BrowserSession, link: Link) -> Any:
        events: list[Any] = []
        getattr(session, on)(events.append)
        link.backend.add(make)
        await asyncio.sleep(1)
        (event,) = events
        return event

    return chat(script)


def plain(event: Any) -> Any:
    """Return an event as nested dicts."""
    return {name: plain(value) for name, value in vars(event).items()} if hasattr(event, "__dict__") else event


GRACE = {"id": 2, "name": "Grace", "type": {"agent": True}}


@pytest.mark.parametrize(
    ("on", "kind"), [("onAgentConnected", AgentConnected), ("onAgentDisconnected", AgentDisconnected)]
)
def test_s2_4_agent_events(on: str, kind: Any):
    """``{party: {id, name, type}, index, timestamp, restored}``, times in milliseconds."""
    event = heard(on, lambda index: kind(index=index, party=AGENT, timestamp=STAMP))
    assert plain(event) == {"party": GRACE, "index": 2, "timestamp": 1767323045679, "restored": False}


def test_s2_4_agent_typing():
    """``{party, isTyping, index}``, neither restored nor timestamp."""
    event = heard("onAgentTyping", lambda index: AgentTyping(index=index, party=AGENT, is_typing=False))
    assert plain(event) == {"party": GRACE, "isTyping": False, "index": 2}


def test_s2_4_message_received():
    """``{content: {text, type}, timestamp, index, restored, party}``."""
    event = heard(
        "onMessageReceived", lambda index: MessageReceived(index=index, party=AGENT, timestamp=STAMP, text="Hi")
    )
    assert plain(event) == {
        "content": {"text": "Hi", "type": {"text": True}},
        "timestamp": 1767323045679,
        "index": 2,
        "restored": False,
        "party": GRACE,
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: MessageReceived(index=2, text="https://x/", content_type="url"),
        lambda: PushUrl(index=2, url="https://x/"),
    ],
)
def test_s2_4_an_address_is_a_message_of_the_type_url(make: Any):
    """Its text is the address, whether it was said or pushed."""
    event = heard("onMessageReceived", lambda index: make())
    assert plain(event.content) == {"text": "https://x/", "type": {"url": True}}


@pytest.mark.parametrize(
    ("kind", "name"), [(PartyType.AGENT, "agent"), (PartyType.CLIENT, "client"), (PartyType.EXTERNAL, "external")]
)
def test_s2_4_the_type_of_a_party_is_a_one_key_object(kind: PartyType, name: str):
    """So that ``if event.party.type.client`` works; the others are undefined."""
    party = Party(id=7, name="x", type=kind)
    event = heard("onMessageReceived", lambda index: MessageReceived(index=index, party=party, text="x"))
    assert plain(event.party.type) == {name: True}
    assert [one for one in ("agent", "client", "external") if event.party.type[one]] == [name]


def test_s2_4_the_visitors_own_messages_arrive_too():
    """Through the same callback, with the visitor as the party."""

    async def script(session: BrowserSession, link: Link) -> Any:
        events: list[Any] = []
        session.onMessageReceived(events.append)
        await session.sendMessage("Hello")
        await asyncio.sleep(1)
        return events

    (event,) = chat(script)
    assert (event.content.text, event.party.name, event.party.type.client) == ("Hello", VISITOR.name, True)


@pytest.mark.parametrize(
    ("reason", "name"), [(EndReason.CLOSED, "agent"), (EndReason.REFUSED, "error"), (EndReason.LOST, "error")]
)
def test_s2_4_session_ended(reason: EndReason, name: str):
    """``{reason: {leaveRequest | agent | error: true}, restored}``."""

    async def script(session: BrowserSession, link: Link) -> Any:
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        session.onSessionEnded(ended.set_result)
        link.backend.end(reason)
        return await ended

    assert plain(chat(script)) == {"reason": {name: True}, "restored": False}


def test_s2_4_error():
    """``{error: {code, description}, restored}``."""
    event = heard("onError", lambda index: ErrorReported(index=index, error=ErrorInfo(code=52, description="words")))
    assert plain(event) == {"error": {"code": 52, "description": "words"}, "restored": False}


def test_s2_4_the_visitors_own_joining_is_no_agent_event():
    """Only agents and supervisors connect."""

    async def script(session: BrowserSession, link: Link) -> list[Any]:
        events: list[Any] = []
        session.onAgentConnected(events.append)
        link.backend.add(lambda index: ParticipantJoined(index=index, party=VISITOR, own=True))
        await asyncio.sleep(1)
        return events

    assert chat(script) == []


def test_s2_4_callbacks_are_called_in_order_of_registration():
    """Several of one kind and of different kinds see one order of events; nothing is returned."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        order: list[str] = []
        assert session.onMessageReceived(lambda event: order.append(f"1 {event.content.text}")) is None  # type: ignore[func-returns-value]
        session.onAgentDisconnected(lambda: order.append("left"))
        session.onMessageReceived(lambda event: order.append(f"2 {event.content.text}"))
        backend = link.backend
        for event in (
            lambda index: MessageReceived(index=index, party=AGENT, text="a"),
            lambda index: AgentDisconnected(index=index, party=AGENT),
            lambda index: MessageReceived(index=index, party=AGENT, text="b"),
        ):
            backend.add(event, push=False)
        link.push(backend.answer(2))
        await asyncio.sleep(1)
        return order

    assert chat(script) == ["1 a", "2 a", "left", "1 b", "2 b"]


# 2.5 Replay


def test_s2_5_a_late_callback_is_told_the_past_before_its_registration_returns():
    """Of its kind, in order, then what comes; whether it is the first callback of the session or not."""

    async def script(session: BrowserSession, link: Link) -> Any:
        for text in "ab":
            link.backend.agent_says(text)
        await asyncio.sleep(1)
        logs: list[list[str]] = [[], []]
        for log in logs:
            session.onMessageReceived(lambda event, log=log: log.append(event.content.text))
            assert log == ["a", "b"]
        link.backend.agent_says("c")
        await asyncio.sleep(1)
        return logs

    assert chat(script) == [["a", "b", "c"], ["a", "b", "c"]]


def test_s2_5_a_callback_registered_by_a_callback_hears_each_event_once():
    """The event at hand among them."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        inner: list[str] = []
        session.onMessageReceived(
            lambda event: (
                event.content.text == "b" and session.onMessageReceived(lambda event: inner.append(event.content.text))
            )
        )
        for text in "abc":
            link.backend.agent_says(text)
            await asyncio.sleep(1)
        return inner

    assert chat(script) == ["a", "b", "c"]


def test_s2_5_the_past_is_there_after_the_end():
    """Callbacks may come when all is over."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        link.backend.agent_says("a")
        await session.leave()
        order: list[str] = []
        session.onMessageReceived(lambda: order.append("message"))
        session.onSessionEnded(lambda: order.append("end"))
        return order

    assert chat(script) == ["message", "end"]


def test_s2_5_what_is_too_much_to_remember_is_read_again(monkeypatch: pytest.MonkeyPatch):
    """A late callback is complete all the same, a moment later."""
    monkeypatch.setattr(_dispatch, "MAX_EVENTS", 2)

    async def script(session: BrowserSession, link: Link) -> list[str]:
        session.onSessionEnded(lambda: None)
        for text in "abc":
            link.backend.agent_says(text)
        await asyncio.sleep(1)
        late: list[str] = []
        session.onMessageReceived(lambda event: late.append(event.content.text))
        await asyncio.sleep(1)
        return late

    assert chat(script) == ["a", "b", "c"]


def test_s2_5_of_typing_the_newest_is_remembered():
    """Of each party; the browser library remembers all of it for ever."""

    async def script(session: BrowserSession, link: Link) -> list[bool]:
        session.onSessionEnded(lambda: None)
        for typing in (True, False, True):
            link.backend.add(lambda index, typing=typing: AgentTyping(index=index, party=AGENT, is_typing=typing))
        await asyncio.sleep(1)
        late: list[bool] = []
        session.onAgentTyping(lambda event: late.append(event.isTyping))
        return late

    assert chat(script) == [True]


def test_s2_5_what_nobody_was_told_does_not_count_as_delivered():
    """Before the first callback is registered nothing is: after a restore it is new."""

    async def main() -> list[bool]:
        shelf, backend = Shelf(), Backend()
        backend.agent_says("a")
        await detached(shelf, backend)
        session = await restoreSession({"transport": Link(backend), "stateStorage": shelf})
        events: list[bool] = []
        session.onMessageReceived(lambda event: events.append(event.restored))
        await session.leave()
        return events

    assert run_virtually(main()) == [False]


def test_s2_5_an_exception_in_a_callback_hurts_nobody():
    """It is logged, and the next callback is called (RP-12); the browser library lets it through."""
    lines: list[tuple[Any, ...]] = []

    async def main() -> list[str]:
        link, told = Link(), []
        options = {"transport": link, "stateStorage": Shelf(), "logger": lambda *args: lines.append(args)}
        session = await startSession(options)

        def bad(event: Any) -> None:
            raise ZeroDivisionError

        async def late_and_bad() -> None:
            raise ZeroDivisionError

        session.onMessageReceived(bad)
        session.onMessageReceived(lambda: late_and_bad())  # noqa: PLW0108 - not seen to be async
        session.onMessageReceived(lambda event: told.append(event.content.text))
        link.backend.agent_says("a")
        await asyncio.sleep(1)
        await session.leave()
        return told

    assert run_virtually(main()) == ["a"]
    assert [line[1].rpartition(".")[2] for line in lines if line[0] == "a callback failed"] == ["bad", "<lambda>"]


def test_s2_5_a_callback_may_return_a_promise():
    """As an arrow function does; nobody waits for it, and leaving from a callback comes to its end."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        session.onMessageReceived(lambda event: event.party.type.agent and session.sendMessage("Thanks"))
        session.onAgentDisconnected(lambda: session.leave())  # noqa: PLW0108 - as it is ported
        ended = asyncio.Event()
        session.onSessionEnded(ended.set)
        link.backend.agent_says("a")
        await asyncio.sleep(1)
        link.backend.add(lambda index: AgentDisconnected(index=index, party=AGENT))
        async with asyncio.timeout(5):
            await ended.wait()
        return link.backend.texts

    assert chat(script) == ["a", "Thanks"]


def test_s2_5_an_async_callback_may_wait_for_what_comes_later():
    """It holds up nobody else."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        order: list[str] = []
        second = asyncio.Event()

        async def patient(event: Any) -> None:
            await second.wait()
            order.append(f"patient {event.content.text}")

        session.onMessageReceived(patient)
        session.onMessageReceived(lambda event: event.content.text == "b" and second.set())
        for text in "ab":
            link.backend.agent_says(text)
        await asyncio.sleep(1)
        return order

    assert chat(script) == ["patient a", "patient b"]
