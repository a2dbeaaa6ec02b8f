"""Play a chat against the sandbox, in one command and without any server of your own.

The network is cut in the middle and the client is killed once; the reader sees the gap heal and the session
restored. With a terminal it is interactive; without one, or with --play, it plays a fixed conversation, checks
itself and exits with 1 if anything was lost, doubled or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from chat_core._cli.conversation import converse
from chat_core._cli.terminal import visible
from chat_core._launch.launchers import restore_session, start_session
from chat_core._model.errors import UnknownPluginError
from chat_core._model.events import MessageReceived

__all__ = ["add_arguments", "run"]

#: What the agent says, by the moment in which it does.
GREETING = "Hello, Grace here. How can I help?"
DURING_THE_CUT = ("Are you still there?", "I will wait.")
WHILE_AWAY = ("Your invoice is corrected.", "Anything else?")
VISITOR = ("My invoice is wrong.", "Sorry, my train went through a tunnel.", "No, thank you!")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--play", action="store_true", help="play the fixed conversation, also with a terminal")
    # The second and third process of the demo are started with these.
    parser.add_argument("--client", choices=["start", "restore"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--state", help=argparse.SUPPRESS)


def run(given: argparse.Namespace) -> int:
    """Play."""
    if given.client is not None:
        return asyncio.run(_client(given.client, given.url, given.state))
    try:
        import chat_sandbox  # noqa: PLC0415 - the demo alone needs it, and only if it is played
    except ImportError as error:
        raise UnknownPluginError("the demo needs the sandbox", advice="pip install chat-sandbox") from error
    if sys.stdin.isatty() and sys.stdout.isatty() and not given.play:
        return asyncio.run(_interactive(chat_sandbox))
    return asyncio.run(_play(chat_sandbox))


async def _interactive(sandbox: Any) -> int:
    _say("*** a sandbox plays the server; its agent echoes what you say. /leave ends the chat.")
    async with (
        sandbox.Sandbox(agent=sandbox.echo) as server,
        start_session(server_url=server.cometd_url, username="You", state_storage="memory", on_exit="leave") as session,
    ):
        return await converse(session)


async def _play(sandbox: Any) -> int:
    with tempfile.TemporaryDirectory() as state:
        async with sandbox.Sandbox() as server:
            _say("*** a sandbox plays the server; the client is a process of its own")
            client = await _Client.begin("start", server.cometd_url, state)
            agent = await server.next_chat(timeout=20)
            await agent.join("Grace")
            await agent.say(GREETING)
            await agent.hears(VISITOR[0])
            _say("*** the network is cut; the agent goes on talking")
            await server.faults.cut()
            for text in DURING_THE_CUT:
                await agent.say(text)
            await client.shows("the connection is interrupted")
            _say("*** the network is back")
            await server.faults.mend()
            await agent.hears(VISITOR[1], timeout=30)
            _say("*** the client is killed (kill -9); the agent goes on talking")
            client.kill()
            await client.ended()
            for text in WHILE_AWAY:
                await agent.say(text)
            _say("*** a new client process restores the session")
            client = await _Client.begin("restore", server.cometd_url, state)
            await agent.hears(VISITOR[2], timeout=30)
            status = await client.ended()
            said = agent.chat.texts
    wanted = [GREETING, VISITOR[0], *DURING_THE_CUT, VISITOR[1], *WHILE_AWAY, VISITOR[2]]
    if status != 0 or said != wanted or client.messages != wanted:
        _say("*** FAILED: something was lost, doubled or out of order")
        return 1
    _say(
        f"*** {len(wanted)} messages, none lost, none doubled, all in order, through a cut network and a killed client"
    )
    return 0


class _Client:
    """The process that holds the chat; its lines are shown as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def begin(cls, how: str, url: str, state: str) -> _Client:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "chat_core", "demo", "--client", how, "--url", url, "--state", state),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        return cls(process)

    @property
    def messages(self) -> list[str]:
        """The texts of the messages that it showed."""
        return [line.partition(": ")[2] for line in self._lines if line.startswith(("Grace: ", "Ada: "))]

    async def shows(self, text: str) -> None:
        """Wait until it has shown a line that holds a text."""
        async with asyncio.timeout(20):
            while not any(text in line for line in self._lines):
                self._changed.clear()
                await self._changed.wait()

    def kill(self) -> None:
        """Kill it, as ``kill -9`` does."""
        self._process.send_signal(signal.SIGKILL)

    async def ended(self) -> int:
        """Wait until it has ended and return its status."""
        async with asyncio.timeout(30):
            await self._reading
            return await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n").removeprefix("(earlier) ")
            self._lines.append(text)
            _say("  " + line.decode("utf-8", "replace").rstrip("\n"))
            self._changed.set()


async def _client(how: str, url: str, state: str) -> int:
    """Hold the chat as the visitor: the first process until it is killed, the second one to the end."""
    common: Any = {
        "storage_options": {"directory": str(Path(state) / "state")},
        "max_offline_duration": 60.0,
        "profile": "demo",
    }
    pending = (
        start_session(server_url=url, username="Ada", subject="Invoice", **common)
        if how == "start"
        else restore_session(**common)
    )
    async with pending as session:
        showing = asyncio.create_task(_show(session))
        if how == "start":
            await session.wait_for(MessageReceived, lambda event: event.text == GREETING, timeout=20)
            await session.send_message(VISITOR[0])
            await session.wait_for(MessageReceived, lambda event: event.text == DURING_THE_CUT[-1], timeout=30)
            await session.send_message(VISITOR[1])
            await asyncio.Event().wait()  # until it is killed
        await session.wait_for(MessageReceived, lambda event: event.text == WHILE_AWAY[-1], after=0, timeout=30)
        await session.send_message(VISITOR[2], until="echoed")
        await session.leave()
        await showing
    return 0


async def _show(session: Any) -> None:
    async for event in session.events():
        if not event.ephemeral:
            _say(("(earlier) " if event.restored else "") + str(event))


def _say(text: str) -> None:
    print(visible(text), flush=True)  # noqa: T201 - this is a command
