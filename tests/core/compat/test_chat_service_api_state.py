"""The chat service API of the browser library, sections 3 to 5: error codes, saved state, transports."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chat_core import (
    ErrorCode,
    ErrorInfo,
    ErrorReported,
    NoSessionToRestore,
    RefusedError,
    StorageProvider,
)
from chat_core._storages.memory import MemoryStorage
from chat_core.compat.genesys import BrowserSession, restoreSession, startSession
from chat_sandbox import Sandbox, echo
from support.backend import Backend
from support.browser import Link, Shelf, chat, detached, failure
from support.clock import run_virtually

# 3 Error codes

CODES = [1, 2, 3, 50, 51, 52, 100, 101, 150, 200, 201, 0]


def test_s3_every_code_of_the_table_has_a_name():
    """No more and no fewer; 0 means that nobody gave a code."""
    assert sorted(CODES) == sorted(map(int, ErrorCode))


@pytest.mark.parametrize("code", CODES)
def test_s3_a_code_of_the_server_passes_unchanged(code: int):
    """In ``fail`` of a command and in ``onError``."""

    async def script(session: BrowserSession, link: Link) -> tuple[Any, Any]:
        errors: list[Any] = []
        session.onError(errors.append)
        link.faults.append(("before", RefusedError("words", code=code)))
        event = await failure(session.sendTyping())
        link.backend.add(lambda index: ErrorReported(index=index, error=ErrorInfo(code=code, description="words")))
        await asyncio.sleep(1)
        return event, errors[0]

    for event in chat(script):
        assert (event.error.code, event.error.description) == (code, "words")


def test_s3_an_error_event_does_not_end_the_session():
    """The chat server may be on its way to another instance; commands go on."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        ended: list[Any] = []
        session.onSessionEnded(ended.append)
        link.backend.add(lambda index: ErrorReported(index=index, error=ErrorInfo(code=100, description="restoring")))
        await asyncio.sleep(1)
        await session.sendMessage("still here")
        assert not ended
        return link.backend.texts

    assert chat(script) == ["still here"]


def test_s3_a_lost_connection_is_an_interruption_and_no_error():
    """Code 150 as an event is deprecated in favour of onInterrupted and onContinued."""

    async def script(session: BrowserSession, link: Link) -> list[str]:
        heard: list[str] = []
        session.onError(lambda: heard.append("error"))
        session.onInterrupted(lambda: heard.append("interrupted"))
        session.onContinued(lambda: heard.append("continued"))
        link.cut()
        await asyncio.sleep(5)
        link.mend()
        await asyncio.sleep(5)
        return heard

    assert chat(script) == ["interrupted", "continued"]


# 4 State


@pytest.mark.parametrize("end", ["leave", "agent"])
def test_s4_1_null_is_written_when_the_chat_ends(end: str):
    """Whoever ends it; it clears all that is stored."""
    shelf = Shelf()

    async def main() -> None:
        link = Link()
        session = await startSession({"transport": link, "stateStorage": shelf})
        if end == "leave":
            await session.leave()
        else:
            link.backend.end()
            await asyncio.sleep(10)
        await session.session.aclose()

    run_virtually(main())
    assert shelf.writes[0] is not None
    assert shelf.writes[-1] is None


def test_s4_1_reading_nothing_means_no_session():
    """A ``read`` that returns null."""

    async def main() -> Any:
        storage = {"read": lambda: None, "write": lambda state: None}
        return await failure(restoreSession({"transport": Link(), "stateStorage": storage}))

    assert not asyncio.run(main()).error


def test_s4_2_the_state_is_small_json():
    """So that a storage may write it as text; it holds the session's id and nothing of userData."""
    shelf, backend = Shelf(), Backend()

    async def main() -> None:
        await detached(shelf, backend, userData={"EmailAddress": "johndoe@example.co"})

    run_virtually(main())
    text = json.dumps(shelf.state)
    assert json.loads(text)["session_id"] == "chat-1"
    assert "johndoe" not in text
    assert len(text) < 1024


def test_s4_3_the_state_is_written_as_the_chat_goes_on():
    """There is no page that unloads: at the start, when events were handed over, and when the session is given up."""
    shelf = Shelf()

    async def main() -> None:
        link = Link()
        session = await startSession({"transport": link, "stateStorage": shelf})
        session.onMessageReceived(lambda: None)
        link.backend.agent_says("Hi")
        await asyncio.sleep(1)
        assert [state["delivered"] for state in shelf.writes[:2]] == [0, 2]
        await session.session.detach()

    run_virtually(main())
    assert shelf.writes[-1]["delivered"] == 2


@pytest.mark.parametrize(("seconds", "restored"), [(4.0, True), (6.0, False)])
def test_s4_4_max_offline_duration_is_the_longest_time_between_leaving_and_restoring(seconds: float, restored: bool):
    """After five seconds there is nothing to restore."""
    places: dict[str, Any] = {}

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        memory = StorageProvider(
            name="memory",
            summary="",
            factory=lambda context: MemoryStorage(
                context.profile, max_offline_duration=context.max_offline_duration, clock=loop.time, places=places
            ),
        )
        backend = Backend()
        await detached(memory, backend)
        await asyncio.sleep(seconds)
        try:
            session = await restoreSession({"transport": Link(backend), "stateStorage": memory})
        except NoSessionToRestore:
            return False
        await session.leave()
        return True

    assert run_virtually(main()) is restored


def test_s4_5_the_history_is_replayed_as_restored_before_what_is_new():
    """From its beginning, in order, each once."""

    async def main() -> list[tuple[str, bool]]:
        shelf, backend = Shelf(), Backend()
        session = await startSession({"transport": Link(backend), "stateStorage": shelf})
        session.onMessageReceived(lambda: None)
        for text in "ab":
            backend.agent_says(text)
        await asyncio.sleep(1)
        await session.session.detach()
        session = await restoreSession({"transport": Link(backend), "stateStorage": shelf})
        heard: list[tuple[str, bool]] = []
        session.onMessageReceived(lambda event: heard.append((event.content.text, event.restored)))
        backend.agent_says("c")
        await asyncio.sleep(1)
        await session.leave()
        return heard

    assert run_virtually(main()) == [("a", True), ("b", True), ("c", False)]


# 5.4 The built-in transport


@pytest.mark.parametrize("disabled", [False, True])
def test_s5_4_the_built_in_transport_speaks_cometd(disabled: bool):
    """To ``serverUrl``, over WebSocket unless that is forbidden, then by long polling."""

    async def main() -> list[str]:
        async with Sandbox(agent=echo) as sandbox:
            options = {"serverUrl": sandbox.cometd_url, "stateStorage": "memory", "disableWebSockets": disabled}
            session = await startSession({**options, "username": "Ada", "userData": {"FirstName": "Ada"}})
            heard: list[str] = []
            answered = asyncio.Event()

            def received(event: Any) -> None:
                heard.append(f"{event.party.name}: {event.content.text}")
                if event.party.type.agent:
                    answered.set()

            session.onMessageReceived(received)
            connected = asyncio.Event()
            session.onAgentConnected(connected.set)
            async with asyncio.timeout(10):
                await connected.wait()
                await session.sendMessage("Hello")
                await answered.wait()
                await session.leave()
            return heard

    assert asyncio.run(main()) == ["Ada: Hello", "Echo: Hello"]
