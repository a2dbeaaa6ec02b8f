"""The sandbox without ``await``, and the fixtures made of it."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import chat_core
import chat_sandbox
from chat_core import blocking as chat
from chat_sandbox import blocking
from chat_sandbox.blocking import Sandbox


def start(sandbox: Sandbox) -> chat.Session:
    return chat.start_session(
        server_url=sandbox.cometd_url, username="Ada", state_storage="memory", logger=lambda *_: None
    )


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_agent_has_every_method_of_the_async_one():
    """With its arguments and its words."""
    assert public(blocking.Agent) - {"aio", "chat"} == public(chat_sandbox.Agent)
    for name in public(chat_sandbox.Agent):
        here, there = getattr(blocking.Agent, name), getattr(chat_sandbox.Agent, name)
        assert not inspect.iscoroutinefunction(here)
        assert inspect.signature(here) == inspect.signature(there)
        assert here.__doc__ == there.__doc__


def test_a_conversation_is_driven_without_await():
    """And the thread and its loop are gone afterwards."""
    with Sandbox() as sandbox:
        with start(sandbox) as session:
            agent = sandbox.next_chat()
            agent.join("Grace")
            agent.say("Hello")
            assert str(session.wait_for(chat_core.MessageReceived, timeout=5)) == "Grace: Hello"
            session.send_message("Hi")
            assert agent.hears("Hi") == "Hi"
            assert agent.chat.texts == ["Hello", "Hi"]
            sandbox.run(sandbox.faults.drop_connections)
            session.wait_for(chat_core.Continued, timeout=10)
            sandbox.restart()
            agent.end()
            assert session.wait_for(chat_core.SessionEnded, timeout=20, own=True).reason == "closed"
        assert sandbox.url
        assert len(sandbox.chats) == 1
    assert "chat-sandbox" not in {thread.name for thread in threading.enumerate()}


def test_an_agent_may_be_asked_for_before_there_is_a_chat():
    """Its first act waits for it; without a chat it says so."""
    with Sandbox() as sandbox:
        agent = sandbox.agent(timeout=0.05)
        with pytest.raises(TimeoutError, match="no chat began"):
            agent.join()
        with start(sandbox):
            agent.join()
            assert agent.chat is sandbox.chats[0]


def test_a_test_with_a_loop_of_its_own_awaits_the_same_methods():
    """And is told so when it does not: waiting there would hold up what it waits for."""

    async def main() -> None:
        with Sandbox() as sandbox:
            agent = sandbox.agent()
            async with chat_core.start_session(
                server_url=sandbox.cometd_url, state_storage="memory", logger=lambda *_: None
            ) as session:
                with pytest.raises(RuntimeError, match=r"await chat_agent\.aio\.join"):
                    agent.join("Grace")
                with pytest.raises(RuntimeError, match=r"await sandbox\.aio\.next_chat"):
                    sandbox.next_chat()
                with pytest.raises(RuntimeError, match=r"chat_agent\.aio\.join\(\) before"):
                    assert agent.chat
                await agent.aio.join("Grace")
                await session.send_message("Hi")
                assert await agent.aio.hears("Hi") == "Hi"
                assert agent.chat.texts == ["Hi"]
                with pytest.raises(AttributeError, match="async methods"):
                    assert agent.aio.chat
            async with chat_core.start_session(
                server_url=sandbox.rest_url, transport="rest", state_storage="memory", logger=lambda *_: None
            ):
                second = await sandbox.aio.next_chat()
                await second.join("Linus")

    asyncio.run(main())


def test_a_sandbox_that_cannot_listen_leaves_no_thread():
    """The error is the server's own."""
    with Sandbox() as sandbox:
        with pytest.raises(OSError, match="in use"), Sandbox(port=int(sandbox.url.rpartition(":")[2])):
            pass
        assert [thread.name for thread in threading.enumerate()].count("chat-sandbox") == 1


TESTS = """
import chat_core
import pytest
from chat_core import blocking
from chat_sandbox import echo
from chat_sandbox.pytest import chat_agent, sandbox

def start(sandbox):
    return blocking.start_session(server_url=sandbox.cometd_url, state_storage="memory", logger=lambda *_: None)

def test_one(sandbox, chat_agent):
    with start(sandbox) as session:
        chat_agent.join("Grace")
        chat_agent.say("What was said")
        event = session.wait_for(chat_core.MessageReceived, timeout=5)
        assert event.text == "What was expected", event

async def test_two(sandbox, chat_agent):
    async with chat_core.start_session(
        server_url=sandbox.cometd_url, state_storage="memory", logger=lambda *_: None
    ) as session:
        await chat_agent.aio.join("Grace")
        await session.wait_for(chat_core.AgentConnected, timeout=5)

class TestEcho:
    @pytest.fixture
    def sandbox_options(self):
        return {"agent": echo}

    def test_three(self, sandbox):
        with start(sandbox) as session:
            session.wait_for(chat_core.AgentConnected, timeout=5)

def test_four():
    assert repr(chat_core.MessageReceived(text="secret")).count("secret") == 0
"""
CONFTEST = """
import asyncio, inspect

def pytest_pyfunc_call(pyfuncitem):  # what a plugin for asynchronous tests does
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}))
        return True
"""


def test_the_fixtures_serve_plain_and_async_tests_and_show_what_was_said(tmp_path: Path):
    """In a project of its own; after a test events keep their text to themselves again."""
    (tmp_path / "test_mine.py").write_text(TESTS, "utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, "utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert "1 failed, 3 passed" in result.stdout, result.stdout + result.stderr
    assert "text='What was said'" in result.stdout
