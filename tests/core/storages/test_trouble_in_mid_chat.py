"""A disk that fails in mid-chat: the chat goes on, the user is told once, the state is saved when it can be."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_core import AgentConnected, MessageReceived, SessionInUseError, StorageUnavailableError
from chat_core._storages import file as module
from chat_core._storages.file import FileStorage
from chat_sandbox import Sandbox


class Failing:
    """Stands in for ``os`` in the storage's module: writing fails while ``number`` is set."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.where = "open"

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if self.number is None or name != self.where:
            return function

        def fail(*_: Any) -> Any:
            assert self.number is not None
            raise OSError(self.number, os.strerror(self.number))

        return fail


Switch = Callable[[bool], None]


def _trouble(kind: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> Switch:
    failing = Failing()
    monkeypatch.setattr(module, "os", failing)
    failing.where = "write" if kind == "disk full" else "open"
    number = {"disk full": errno.ENOSPC, "read-only": errno.EROFS, "permission denied": errno.EACCES}.get(kind)

    def switch(on: bool) -> None:
        if number is not None:
            failing.number = number if on else None
        elif on:
            shutil.rmtree(place)
            place.write_text("a file where the directory was")
        else:
            place.unlink()

    return switch


@pytest.mark.parametrize("kind", ["disk full", "read-only", "permission denied", "directory removed"])
def test_rp06_the_chat_goes_on_and_the_state_is_saved_when_it_can_be(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Messages both ways meanwhile; one warning; afterwards the state is whole and the session can be restored."""
    place = tmp_path / "state"
    switch = _trouble(kind, place, monkeypatch)
    lines: list[str] = []

    def log(*arguments: Any) -> None:
        lines.append(" ".join(map(str, arguments)))

    def warnings() -> int:
        return len([line for line in lines if "cannot be saved" in line])

    options: dict[str, Any] = {
        "storage_options": {"directory": str(place)},
        "max_offline_duration": math.inf,
        "logger": log,
    }

    async def hear(session: Any, text: str) -> None:
        await session.wait_for(MessageReceived, lambda event: event.text == text, timeout=10)
        await asyncio.sleep(0)

    async def main() -> None:
        async with Sandbox() as sandbox:
            session = await chat_core.start_session(server_url=sandbox.cometd_url, **options)
            reader = asyncio.create_task(_read(session))
            agent = await sandbox.next_chat()
            await agent.join()
            await session.wait_for(AgentConnected, timeout=5)
            switch(True)
            await agent.say("one")
            await hear(session, "one")
            await session.send_message("two", until="echoed")
            await _until(lambda: warnings() == 1)
            await agent.say("three")
            await hear(session, "three")
            await session.send_message("four", until="echoed")
            assert warnings() == 1, lines
            switch(False)
            await agent.say("five")
            await hear(session, "five")
            last = len(agent.chat.events)
            await _until(lambda: _saved(place) == last)
            await session.detach()
            await reader
            async with chat_core.restore_session(**options) as session:
                events = [event async for event in _upto(session, last)]
                assert [event.text for event in events] == ["one", "two", "three", "four", "five"]
                assert all(event.restored for event in events)

    asyncio.run(main())


def test_rp14_a_removed_directory_does_not_let_two_owners_in(tmp_path: Path):
    """Whoever takes the profile in a new directory keeps it; the old owner is told instead of writing over it."""
    place = tmp_path / "state"
    first, second = FileStorage("p", directory=place), FileStorage("p", directory=place)
    first.acquire()
    first.write({"version": 1, "delivered": 1})
    shutil.rmtree(place)
    first.write({"version": 1, "delivered": 2})
    assert second.read() == {"version": 1, "delivered": 2}
    with pytest.raises(SessionInUseError):
        second.acquire()
    shutil.rmtree(place)
    program = (
        "import sys, time; from chat_core._storages.file import FileStorage\n"
        "storage = FileStorage('p', directory=sys.argv[1]); storage.acquire(); storage.write({'version': 1})\n"
        "print('owned', flush=True); sys.stdin.read()"
    )
    with _process(program, str(place)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "owned\n"
        with pytest.raises(StorageUnavailableError, match="another session has the profile 'p' there now"):
            first.write({"version": 1, "delivered": 3})
    first.release()


def _process(program: str, *arguments: str) -> Any:
    import subprocess
    import sys

    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _saved(place: Path) -> int:
    state = FileStorage("default", directory=place, max_offline_duration=math.inf).read()
    return -1 if state is None else int(state["delivered"])


async def _read(session: Any) -> None:
    async for _ in session.events():
        pass


async def _upto(session: Any, index: int) -> Any:
    async for event in session.events():
        if isinstance(event, MessageReceived):
            yield event
        if event.index == index:
            return


async def _until(condition: Callable[[], bool]) -> None:
    """Look again and again: the disk tells nobody when it was written to."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
