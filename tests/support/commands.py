"""``chat-core`` as a process whose lines are collected."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest

with contextlib.suppress(ImportError):  # there are none on Windows
    import fcntl
    import termios


class Command:
    """A running command whose lines are collected."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def begin(cls, state: Path, *arguments: str) -> Command:
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "chat_core", *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "XDG_STATE_HOME": str(state)},
            )
        )

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))
            self._changed.set()

    async def shows(self, text: str) -> None:
        async with asyncio.timeout(15):
            while not any(text in line for line in self.lines):
                self._changed.clear()
                await self._changed.wait()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")

    async def ended(self) -> int:
        async with asyncio.timeout(15):
            await self._reading
            return await self.process.wait()


def _own_terminal() -> None:
    """Make standard input the session's terminal, so that closing it hangs up."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class AtTerminal:
    """A command with a terminal: what it shows is read and what is typed goes to it as from a keyboard."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process = process
        self.shown = ""
        self._master = master
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    @classmethod
    async def begin(cls, state: Path, *arguments: str, **environment: str) -> AtTerminal:
        try:
            master, slave = os.openpty()
        except OSError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"there is no pseudo-terminal to be had: {error}")
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "chat_core", *arguments),
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(state), **environment},
                start_new_session=True,
                preexec_fn=_own_terminal,
            )
        finally:
            os.close(slave)
        return cls(process, master)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # nobody has the other end open any more
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.shown += data.decode("utf-8", "replace").replace("\r\n", "\n")
        self._changed.set()

    async def shows(self, text: str, *, times: int = 1) -> None:
        try:
            async with asyncio.timeout(30):
                while self.shown.count(text) < times:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{text!r} was not shown {times} times:\n{self.shown}") from None

    def type(self, line: str) -> None:
        self.press(line + "\n")

    def press(self, keys: str) -> None:
        """Send what keys send."""
        os.write(self._master, keys.encode())

    def hang_up(self) -> None:
        """Close the terminal, as a window is closed."""
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        self._master = -1

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            status = await self.process.wait()
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
        return status
