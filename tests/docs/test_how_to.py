"""The how-to pages: every file that they show is written, every command typed, and what it prints compared."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chat_sandbox import Sandbox
from chat_sandbox.blocking import Sandbox as BlockingSandbox
from support import walkthrough

PAGES = Path(__file__).parents[2] / "docs" / "how-to"


def listing(page: str, name: str) -> str:
    """Return a file that a page shows."""
    (text,) = (
        step.text
        for step in walkthrough.steps((PAGES / page).read_text("utf-8"))
        if isinstance(step, walkthrough.File) and step.name == name
    )
    return text


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_everything_on_the_page_works_as_printed(page: Path, tmp_path: Path):
    """In an empty folder, with the servers on ports that are free."""
    text = walkthrough.with_free_ports(page.read_text("utf-8"))
    binaries = Path(sys.executable).parent
    walkthrough.do(text, tmp_path, {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"})


def test_the_bot_goes_through_with_its_errand_though_it_dies(tmp_path: Path):
    """What it was asked while it was away it answers afterwards; its question it asks once."""
    (tmp_path / "bot.py").write_text(listing("bot.md", "bot.py"), "utf-8")
    with BlockingSandbox() as sandbox:

        def begin() -> subprocess.Popen[str]:
            command = [sys.executable, "bot.py", sandbox.cometd_url]
            return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)

        bot = begin()
        try:
            agent = sandbox.next_chat(timeout=30)
            agent.join("Grace")
            agent.hears("Where is my order?", timeout=30)
            agent.say("May I have your name?")
            agent.hears("Ada Lovelace", timeout=30)
            bot.kill()
            bot.communicate()
            agent.say("And the order's number?")
            bot = begin()
            agent.hears("It is 17", timeout=30)
            agent.say("It will be with you tomorrow.")
            assert bot.communicate(timeout=30)[0] == "It will be with you tomorrow.\n"
        finally:
            bot.kill()
        assert agent.chat.texts.count("Where is my order?") == 1


def test_what_comes_while_the_bridge_opens_a_chat_waits_for_that_chat(tmp_path: Path):
    """Two messages at once open one chat; after its end the next one opens another."""
    made: dict[str, Any] = {}
    exec(listing("bridge.md", "bridge.py"), made)
    told: list[str] = []

    async def deliver(person: str, text: str) -> None:
        told.append(f"{person}: {text}")

    async def main() -> None:
        async with Sandbox() as sandbox:
            bridge = made["Bridge"](sandbox.cometd_url, deliver, directory=str(tmp_path / "state"))
            await asyncio.gather(bridge.received("ada", "One"), bridge.received("ada", "Two"))
            (first,) = sandbox.chats
            assert sorted(first.texts) == ["One", "Two"]
            agent = await sandbox.next_chat()
            await agent.join("Grace")
            await agent.end()
            async with asyncio.timeout(30):
                while bridge._chats:
                    await asyncio.sleep(0.01)
            await bridge.received("ada", "Three")
            assert [chat.texts for chat in sandbox.chats] == [first.texts, ["Three"]]
            await bridge.close()
        assert told == []

    asyncio.run(main())


def test_what_the_messenger_did_not_take_comes_again(tmp_path: Path):
    """With the next message of that person."""
    made: dict[str, Any] = {}
    exec(listing("bridge.md", "bridge.py"), made)
    told: list[str] = []
    problems: list[Any] = []

    async def deliver(person: str, text: str) -> None:
        if not problems:
            raise OSError("the messenger is away")
        told.append(f"{person}: {text}")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with Sandbox() as sandbox:
            bridge = made["Bridge"](sandbox.cometd_url, deliver, directory=str(tmp_path / "state"))
            await bridge.received("ada", "One")
            agent = await sandbox.next_chat()
            await agent.join("Grace")
            await agent.say("Hello")
            async with asyncio.timeout(30):
                while not problems:
                    await asyncio.sleep(0.01)
                await bridge.received("ada", "Two")
                while not told:
                    await asyncio.sleep(0.01)
            assert told == ["ada: Hello"]
            assert agent.chat.texts == ["One", "Hello", "Two"]
            await bridge.close()

    asyncio.run(main())


def test_the_bridge_says_what_was_not_delivered(tmp_path: Path):
    """With the reason, to whoever wrote it."""
    made: dict[str, Any] = {}
    exec(listing("bridge.md", "bridge.py"), made)
    told: list[str] = []

    async def deliver(person: str, text: str) -> None:
        told.append(f"{person}: {text}")

    async def main() -> None:
        bridge = made["Bridge"]("http://127.0.0.1:9/genesys/cometd", deliver, directory=str(tmp_path / "state"))
        await bridge.received("ada", "Hello")

    asyncio.run(main())
    (said,) = told
    assert said.startswith("ada: (not delivered: the server at http://127.0.0.1:9/genesys/cometd cannot be reached")
