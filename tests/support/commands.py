"""``chat-core`` as a process whose lines are collected."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path


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
