"""The measurements, without what differs between clients. Needs only Python: a peer may have its own environment."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import statistics
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

CHANNEL = "/service/chatV2/customer-support"
#: Bursts that follow one another; a single one is over too soon to say much.
BURSTS = 5
#: Messages that are sent before any counts.
WARM_UP = 50
#: Seconds after which a client over long polling has closed the connection that nobody uses: the peer does so after 15.
SETTLES = {"ws": 2.0, "lp": 20.0, "rest": 40.0}
#: Returns what is free to the system: of glibc, which Linux has mostly.
_give_back = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)
REQUEST = {"operation": "requestChat", "nickname": "Ada"}


class Trigger:
    """Lets the server's agent act, over the control port."""

    def __init__(self, control: str) -> None:
        self._control = control

    async def __call__(self, chat: str, action: str, **body: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._post, chat, action, body)

    def _post(self, chat: str, action: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(f"{self._control}/agent/{chat}/{action}", json.dumps(body).encode())
        urllib.request.urlopen(request, timeout=60).read()


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median and how far it spreads."""
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "p10": ordered[len(ordered) // 10],
        "p90": ordered[len(ordered) * 9 // 10],
    }


def resident() -> int:
    """Return the bytes of this process that are in memory, garbage and what is free in it aside.

    How much is free and yet not returned to the system depends on what there was once, thus on how fast sessions were
    opened: over TLS it can be as much as they take.
    """
    gc.collect()
    _give_back(0)
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def say(number: int, key: str) -> dict[str, str]:
    """Return the publication of a message."""
    text = f"{number} {'x' * 60}"
    return {"operation": "sendMessage", "message": text, "messageType": "text", "secureKey": key}


async def time_bursts(
    begin: Callable[[], Coroutine[Any, Any, object]], texts: AsyncIterator[str], n: int
) -> dict[str, Any]:
    """Measure how quickly numbered texts come, each burst from its first one to its last; ``begin`` begins one."""
    wall = cpu = 0.0
    for _ in range(BURSTS):
        beginning = asyncio.create_task(begin())
        seen = 0
        first = used = 0.0
        async for text in texts:
            if seen == 0:
                first, used = time.perf_counter(), time.process_time()
            assert text.startswith(f"{seen} "), text
            seen += 1
            if seen == n:
                break
        wall += time.perf_counter() - first
        cpu += time.process_time() - used
        await beginning
    return {"per_s": BURSTS * (n - 1) / wall, "cpu_us": cpu / (BURSTS * (n - 1)) * 1e6}


async def time_echoes(once: Callable[[int], Awaitable[float]], n: int) -> dict[str, Any]:
    """Measure messages one after the other; ``once`` sends one and returns the seconds to its echo."""
    for number in range(WARM_UP):
        await once(number)
    cpu = time.process_time()
    times = [await once(WARM_UP + number) * 1e3 for number in range(n)]
    return {**quantiles(times), "cpu_us": (time.process_time() - cpu) / n * 1e6}


async def time_chats(once: Callable[[], Awaitable[tuple[float, float]]], n: int) -> dict[str, Any]:
    """Measure chats one after the other; ``once`` holds one and returns the seconds of its start and of its end."""
    for _ in range(5):
        await once()
    chats = [await once() for _ in range(n)]
    return {name: quantiles([chat[place] * 1e3 for chat in chats]) for place, name in enumerate(("start", "close"))}


async def weigh(
    start: Callable[[int], Awaitable[Any]], end: Callable[[Any], Awaitable[object]], n: int, *, carrier: str
) -> dict[str, Any]:
    """Measure memory and processor of sessions in which nothing happens, once they have settled."""
    warm = await start(-1)
    before = resident()
    began, cpu = time.perf_counter(), time.process_time()
    sessions: list[Any] = []
    for first in range(0, n, 20):
        sessions += await asyncio.gather(*(start(number) for number in range(first, min(first + 20, n))))
    opened, opening = time.perf_counter() - began, time.process_time() - cpu
    await asyncio.sleep(SETTLES[carrier])
    kib = (resident() - before) / n / 1024
    cpu = time.process_time()
    await asyncio.sleep(10)
    share = (time.process_time() - cpu) / 10
    for first in range(0, n, 50):
        await asyncio.gather(*(end(session) for session in sessions[first : first + 50]))
    await end(warm)
    return {"kib": kib, "share": share, "open_s": opened, "open_cpu_ms": opening / n * 1e3}


def pick_loop(words: Sequence[str]) -> None:
    """Use uvloop where it was asked for."""
    if "uvloop" in words:
        import uvloop  # noqa: PLC0415 - an extra

        uvloop.install()


def finish(result: dict[str, Any]) -> None:
    """Print what was measured."""
    sys.stdout.write(json.dumps(result) + "\n")
