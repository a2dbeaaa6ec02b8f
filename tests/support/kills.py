"""``kill -9`` at random moments of a busy chat, each followed by a new process that restores it; and the counting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from attrs import Factory, define

from chat_sandbox import Sandbox
from support import kill_client
from support.counterparts import CometdJava, RemoteAgent
from support.kill_client import OWN, THEIRS

#: What may be handed over again (RP-2), and what the machine may need to write it down.
AGAIN = 0.2
WRITING = 0.8


class BusyAgent(Protocol):
    """The other side: the sandbox's agent, or a counterpart's."""

    async def join(self, name: str) -> None: ...
    async def say(self, text: str) -> None: ...


@define
class Life:
    """What one process printed, and when it was killed."""

    lines: list[dict[str, Any]] = Factory(list)
    killed_at: float = 0.0

    @property
    def new(self) -> dict[int, dict[str, Any]]:
        return {line["index"]: line for line in self.lines if "index" in line and not line["restored"]}


async def kill_rounds(
    agent_of: Any, options: dict[str, Any], state: Path, *, kills: int, seed: int, spread: float = 1.2
) -> dict[str, Any]:
    """Kill so often; returns counts.

    Args:
        agent_of: awaited once the first process has begun; returns the agent and a function that returns all texts.
        options: of the launcher.
        state: a directory of this chat's own.
        kills: how many.
        seed: of the moments.
        spread: seconds after which a process is killed, at most.

    Raises:
        AssertionError: something was lost, doubled or out of order.
    """
    chance = random.Random(seed)
    lives: list[Life] = []
    talking: asyncio.Task[None] | None = None
    texts: Any = None
    try:
        for round_ in range(kills + 1):
            last = round_ == kills
            process = await _begin(state, options, finish=last)
            life = Life()
            lives.append(life)
            reading = asyncio.create_task(_read(process, life))
            if talking is None:
                agent, texts = await agent_of()
                talking = asyncio.create_task(_talk(agent, chance.random()))
            await _ready(life, reading)
            if last:
                talking.cancel()
                async with asyncio.timeout(60):
                    await reading
                assert await process.wait() == 0, life.lines[-5:]
            else:
                await asyncio.sleep(chance.uniform(0.0, spread))
                life.killed_at = time.time()
                process.kill()
                await process.wait()
                await reading
    finally:
        if talking is not None:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
    return _count(lives, await texts())


async def on_the_sandbox(carrier: str, state: Path, *, kills: int, seed: int) -> dict[str, Any]:
    """Kill on a sandbox of this process's own."""
    async with Sandbox() as sandbox:

        async def agent_of() -> Any:
            agent = await sandbox.next_chat(timeout=20)

            async def texts() -> list[str]:
                return agent.chat.texts

            return agent, texts

        options: dict[str, Any] = {"server_url": sandbox.cometd_url, "transport": "cometd"}
        if carrier == "rest":
            pace = {"poll_quick": 0.05, "poll_slow": 0.2}
            options = {"server_url": sandbox.rest_url, "transport": "rest", "transport_options": pace}
        elif carrier == "cometd-long-polling":
            options["disable_websockets"] = True
        return await kill_rounds(agent_of, options, state, kills=kills, seed=seed)


async def on_the_java_server(state: Path, *, kills: int, seed: int) -> dict[str, Any]:
    """Kill on the CometD project's own server, over WebSocket."""
    with CometdJava("v31") as server:

        async def agent_of() -> Any:
            agent = await RemoteAgent.next_chat(server)
            return agent, agent.texts

        options = {"server_url": server.url, "transport": "cometd"}
        return await kill_rounds(agent_of, options, state, kills=kills, seed=seed)


async def _begin(state: Path, options: dict[str, Any], *, finish: bool) -> asyncio.subprocess.Process:
    given = {"state": str(state), "options": options, "finish": finish}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(Path(kill_client.__file__)), json.dumps(given)),
        stdout=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )


async def _read(process: asyncio.subprocess.Process, life: Life) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        with contextlib.suppress(ValueError):  # a line that was cut by the kill
            life.lines.append(json.loads(line))


async def _ready(life: Life, reading: asyncio.Task[None]) -> None:
    async with asyncio.timeout(30):
        while not any("ready" in line for line in life.lines):
            assert not reading.done(), f"the client ended: {life.lines}"
            await asyncio.sleep(0.005)  # its output is a pipe; nothing tells when a line was taken from it


async def _talk(agent: BusyAgent, seed: float) -> None:
    chance = random.Random(seed)
    await agent.join("Grace")
    number = 0
    while True:
        number += 1
        await agent.say(f"{THEIRS}{number}")
        await asyncio.sleep(chance.uniform(0.0, 0.1))


def _count(lives: list[Life], texts: list[str]) -> dict[str, Any]:
    sent = [text for text in texts if text.startswith(OWN)]
    said = [text for text in texts if text.startswith(THEIRS)]
    assert sent == [f"{OWN}{number}" for number in range(1, len(sent) + 1)], (
        "lost, doubled or out of order on the way out"
    )
    errors = [line for life in lives for line in life.lines if "error" in line]
    assert errors == [], errors
    handed: dict[int, str] = {}
    again: list[float] = []
    for number, life in enumerate(lives):
        indexes = [line["index"] for line in life.lines if "index" in line]
        assert indexes == sorted(set(indexes)), "doubled or out of order within one process"
        for line in life.lines:
            if line.get("restored"):
                assert handed.get(line["index"]) == line["text"], f"called restored, never handed over: {line}"
        for index, line in life.new.items():
            if index in handed:
                earlier = next(one for one in reversed(lives[:number]) if index in one.new)
                again.append(earlier.killed_at - earlier.new[index]["at"])
            handed[index] = line["text"]
    assert [handed[index] for index in sorted(handed)] == texts, "an event was lost"
    assert max(again, default=0.0) <= AGAIN + WRITING, f"handed over again after {max(again):.2f} s"
    return {
        "kills": len(lives) - 1,
        "messages out": len(sent),
        "messages in": len(said),
        "lost": 0,
        "sent twice": 0,
        "handed over again": len(again),
        "oldest of these, ms before the kill": round(1000 * max(again, default=0.0)),
    }
