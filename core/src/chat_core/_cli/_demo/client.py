"""The visitor's process of the demo: started anew after each kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final, Literal

from chat_core._cli._demo.switch import ClientStage
from chat_core._cli._demo.words import DURING_THE_CUT, GREETING, VISITOR, WHILE_AWAY, say
from chat_core._cli.conversation import converse
from chat_core._launch.launchers import restore_session, start_session
from chat_core._model.events import MessageReceived
from chat_core._session.session import Session

__all__ = ["ClientProcess", "How", "be_the_client"]

#: ``play`` follows the fixed conversation, ``talk`` reads lines; each can be started and restored.
How = Literal["play", "play again", "talk", "talk again"]

#: Seconds in which the demo's client does what it is waited for.
DEADLINE: Final = 30.0


class ClientProcess:
    """A client in a process of its own. Its output is collected and passed on, or goes to the terminal as it is."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def begin(cls, how: How, url: str, state: str, *, switch: str | None = None) -> ClientProcess:
        """Start it. ``switch`` is the address at which the application may cut the network; without it, it is plain."""
        at_the_terminal = how.startswith("talk")
        manner = ("--plain",) if switch is None else ("--switch", switch)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "chat_core", "demo", "--client", how, "--url", url, "--state", state, *manner),
            stdin=None if at_the_terminal else asyncio.subprocess.DEVNULL,
            stdout=None if at_the_terminal else asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        return cls(process)

    @property
    def messages(self) -> list[str]:
        """The texts of the messages that it showed."""
        return [line.partition(": ")[2] for line in self._lines if line.startswith(("Grace: ", "Ada: "))]

    async def shows(self, text: str) -> None:
        """Wait until it has shown a line that holds a text.

        Raises:
            TimeoutError: it did not in time.
        """
        async with asyncio.timeout(DEADLINE):
            while not any(text in line for line in self._lines):
                self._changed.clear()
                await self._changed.wait()

    def kill(self) -> None:
        """Kill it, as ``kill -9`` does."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    async def ended(self, timeout: float | None = DEADLINE) -> int:
        """Wait until it has ended and return its status.

        Raises:
            TimeoutError: it did not in time.
        """
        async with asyncio.timeout(timeout):
            await self._reading
            return await self._process.wait()

    async def _read(self) -> None:
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n")
            self._lines.append(text.removeprefix("(earlier) "))
            say("  " + text)
            self._changed.set()


async def be_the_client(how: How, url: str, state: str, *, switch: str | None = None) -> int:
    """Hold the chat as the visitor and return the exit status."""
    common: Any = {
        "storage_options": {"directory": str(Path(state) / "state")},
        "max_offline_duration": 60.0,
        "profile": "demo",
    }
    pending = (
        restore_session(**common)
        if how.endswith("again")
        else start_session(server_url=url, username="Ada", subject="Invoice", **common)
    )
    async with pending as session:
        if how.startswith("talk"):
            stage = None if switch is None else await ClientStage.enter(switch, again=how.endswith("again"))
            return await converse(session, plain=stage is None, stage=stage)
        showing = asyncio.create_task(_show(session))
        if how == "play":
            await _hears(session, GREETING)
            await session.send_message(VISITOR[0])
            await _hears(session, DURING_THE_CUT[-1])
            await session.send_message(VISITOR[1])
            await asyncio.Event().wait()  # until it is killed
        await _hears(session, WHILE_AWAY[-1], after=0)
        await session.send_message(VISITOR[2], until="echoed")
        await session.leave()
        await showing
    return 0


async def _hears(session: Session, text: str, *, after: int | None = None) -> None:
    await session.wait_for(MessageReceived, lambda event: event.text == text, after=after, timeout=DEADLINE)


async def _show(session: Session) -> None:
    async for event in session.events():
        if not event.ephemeral:
            say(("(earlier) " if event.restored else "") + str(event))
