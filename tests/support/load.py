"""Many sessions in one process against a server in another, and what became of every message."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from attrs import Factory, define

import chat_core
from chat_core import ContinuityLost, Interrupted, MessageReceived
from support import load_server

#: Seconds within which a poll's answer must be with the reader, beyond the interval in force.
ALLOWANCE = 0.5


@define
class Seen:
    """What one session saw."""

    session_id: str
    quiet: bool
    texts: list[str] = Factory(list)
    delays: list[float] = Factory(list)
    interruptions: list[str] = Factory(list)


async def rest_sessions(
    count: int, seconds: float, *, seed: int, quick: float = 1.0, slow: float = 4.0
) -> dict[str, Any]:
    """Hold chats over REST, every second of them quiet; returns counts.

    Raises:
        AssertionError: an event was lost, doubled or late, or a connection was not to be had.
    """
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(load_server.__file__)), str(seconds), str(seed)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=64 * 1024 * 1024,
    )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        url = json.loads(await server.stdout.readline())["rest"]
        began = time.process_time()
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(count):
                # Sessions begin over some seconds, as visitors do, and so poll at different moments.
                later = number * min(10.0, seconds / 6) / count
                profile = f"load-{number}"
                hold = _hold(url, profile, quiet=number % 2 == 1, later=later, seconds=seconds, pace=(quick, slow))
                tasks.append(group.create_task(hold))
        used = time.process_time() - began
        server.stdin.close()
        said = json.loads(await server.stdout.readline())
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()
    seen = [task.result() for task in tasks]
    for one in seen:
        assert one.interruptions == [], one.interruptions
        assert one.texts == said[one.session_id][: len(one.texts)], "lost, doubled or out of order"
    messages = sum(len(one.texts) for one in seen)
    counts: dict[str, Any] = {
        "sessions": count,
        "seconds": seconds,
        "messages": messages,
        "client_cpu_seconds": round(used, 1),
    }
    for kind, interval in (("lively", quick), ("quiet", slow)):
        delays = sorted(delay for one in seen if one.quiet == (kind == "quiet") for delay in one.delays)
        late = sum(delay > interval + ALLOWANCE for delay in delays)
        counts[kind] = {
            "events": len(delays),
            "late": late,
            "median_ms": round(1000 * delays[len(delays) // 2]),
            "p99_ms": round(1000 * delays[int(len(delays) * 0.99)]),
        }
        assert late <= len(delays) * 0.01, counts
    return counts


async def _hold(
    url: str, profile: str, *, quiet: bool, later: float, seconds: float, pace: tuple[float, float]
) -> Seen:
    quick, slow = pace
    await asyncio.sleep(later)
    async with chat_core.start_session(
        server_url=url,
        transport="rest",
        transport_options={"poll_quick": quick, "poll_slow": slow},
        subject="quiet" if quiet else "lively",
        state_storage="memory",
        profile=profile,
        logger=lambda *_: None,
    ) as session:
        seen = Seen(session.id, quiet)

        async def read() -> None:
            async for event in session.events():
                if isinstance(event, MessageReceived):
                    seen.texts.append(event.text)
                    seen.delays.append(time.time() - float(event.text))
                elif isinstance(event, Interrupted | ContinuityLost):
                    seen.interruptions.append(str(event))

        reading = asyncio.create_task(read())
        await asyncio.sleep(seconds - later + slow + ALLOWANCE)
        await session.leave()
        await reading
    return seen
