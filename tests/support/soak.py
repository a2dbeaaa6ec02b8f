"""Sessions on every carrier for a long time, against a server that keeps going wrong: does anything stay behind?

A session's log grows with what was said, by design, to 10,000 events or 16 MiB. So that this is no slope, sessions are
replaced by new ones after a while, each at a moment of its own: from then on the sum of all logs stays about the same.
What is measured is this process, after a collection: the memory in use, which is what Python's allocator and the C
library's have given away. The resident memory is told beside it, and not judged: allocators take it in pieces of up to
a MiB when use is higher than ever before, and rarely give one back, so it follows the highest of many random peaks, and
rises for hours where nothing is kept.

Nothing is kept here of a session that is over: the server compares what was said.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from attrs import Factory, define, frozen

import chat_core
from chat_core import ChatError, ContinuityLost, MessageReceived, SessionEnded
from support import soak_server
from support.slope import Slope, slope_of

CARRIERS = ("cometd-websocket", "cometd-long-polling", "rest")
#: Bytes of a block of Python's allocator, on average, about.
BLOCK = 100.0
IN_USE = "memory in use, KiB per session and hour"
#: Seconds for sockets of closed sessions to be gone.
CLOSING = 10.0


@frozen(kw_only=True)
class Plan:
    """How long, and how busy.

    Attributes:
        sessions: at a time.
        seconds: altogether, without the end.
        warm_up: seconds whose samples do not count; caches and pools fill.
        life: seconds that a session lives on average.
        gap: seconds between two messages, each way, in each chat, on average.
        trouble: seconds between two faults on average.
        step: seconds between two samples.
        leak: bytes per session and hour below which the interval of the slope may lie, should it not hold 0.
        judged: it is long enough for a slope of the memory to be told from noise.
    """

    sessions: int
    seconds: float
    warm_up: float
    life: float
    gap: float
    trouble: float
    step: float
    leak: float = 1024.0
    judged: bool = True


@define
class _Sample:
    at: float
    resident: float
    used: float
    tasks: int
    files: int


@define
class _Run:
    plan: Plan
    addresses: dict[str, str]
    server: asyncio.subprocess.Process
    chance: random.Random
    until: float
    counts: Counter[str] = Factory(Counter)
    wrong: list[str] = Factory(list)

    def tell(self, line: str) -> None:
        assert self.server.stdin is not None
        self.server.stdin.write(line.encode() + b"\n")


async def soak(plan: Plan, *, seed: int) -> dict[str, Any]:
    """Hold sessions, each replaced when its life is over; returns counts and slopes.

    Raises:
        AssertionError: memory grows, a task or a file was left, a message was lost or doubled.
    """
    files = _files()
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(soak_server.__file__)), str(plan.gap), str(plan.trouble), str(seed)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 * 1024 * 1024,
    )
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        addresses = json.loads(await server.stdout.readline())
        tasks, with_server, before = len(asyncio.all_tasks()), _files(), _objects()
        began, used = time.monotonic(), time.process_time()
        run = _Run(plan, addresses, server, random.Random(seed), began + plan.seconds)
        samples: list[_Sample] = []
        sampling = asyncio.create_task(_sample(plan.step, samples))
        async with asyncio.TaskGroup() as group:
            for number in range(plan.sessions):
                group.create_task(_slot(run, number))
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        used, seconds = time.process_time() - used, time.monotonic() - began
        left = await _left(tasks, with_server, before)
        server.stdin.close()
        said = json.loads(await server.stdout.readline())
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()
    assert run.wrong + said["wrong"] == [], (run.wrong + said["wrong"])[:5]
    assert left == {"tasks": 0, "files": 0, "objects": {}}, left
    assert _files() <= files + 1, "the pipes to the server were left"
    counted = (sample for sample in samples if sample.at < run.until)
    steady = [sample for sample in counted if sample.at - began >= plan.warm_up or not plan.judged]
    counts: dict[str, Any] = {
        "sessions at a time": plan.sessions,
        "seconds": round(seconds),
        "share of a processor": round(used / seconds, 2),
        **dict(run.counts),
        "messages": said["messages"],
        "lost, doubled or out of order": 0,
        "faults": said["faults"],
        "tasks, sockets and sessions left": 0,
        "tasks, at most": max(sample.tasks for sample in samples),
        "files, at most": max(sample.files for sample in samples),
        "resident memory, MiB, on average": round(sum(one.resident for one in steady) / len(steady) / 2**20, 1),
    }
    series = {
        IN_USE: [(one.at, one.used) for one in steady],
        "resident memory, KiB per session and hour": [(one.at, one.resident) for one in steady],
    }
    scale = 3600 / plan.sessions
    slopes = {name: slope_of(values) for name, values in series.items()} if plan.judged else {}
    for name, slope in slopes.items():
        counts[name] = {
            "slope": round(slope.value * scale / 1024, 1),
            "95 % from": round(slope.low * scale / 1024, 1),
            "95 % to": round(slope.high * scale / 1024, 1),
        }
    if plan.judged:
        assert is_flat(slopes[IN_USE], scale, plan.leak), counts
    return counts


def is_flat(slope: Slope, scale: float, leak: float = 1024.0) -> bool:
    """Say whether the interval holds 0, or lies below what is allowed."""
    return slope.low <= 0 or slope.high * scale < leak


async def _slot(run: _Run, number: int) -> None:
    """Hold one session after another, on one carrier."""
    carrier = CARRIERS[number % 3]
    await asyncio.sleep(run.chance.uniform(0.0, run.plan.warm_up / 4))
    while time.monotonic() < run.until:
        try:
            await _live(run, carrier, f"soak-{number}")
        except (ChatError, TimeoutError) as error:
            # What a fault does to a start, the user is told; nothing was begun that could be lost.
            run.counts["starts that a fault befell"] += 1
            if isinstance(error, chat_core.SendError):
                run.wrong.append(f"{carrier}: {error!r}")
            await asyncio.sleep(0.5)


async def _live(run: _Run, carrier: str, profile: str) -> None:
    plan = run.plan
    is_rest = carrier == "rest"
    over = min(time.monotonic() + run.chance.uniform(0.5, 1.5) * plan.life, run.until)
    heard = 0

    async def read() -> None:
        nonlocal heard
        async for event in session.events():
            match event:
                case MessageReceived(own=False):
                    heard += 1
                    if event.text != f"a-{heard}":
                        run.wrong.append(f"{carrier}: {event.text} in place of a-{heard}")
                case ContinuityLost():
                    run.wrong.append(f"{carrier}: {event}")
                case SessionEnded(reason=reason) if reason != "left":
                    run.wrong.append(f"{carrier}: {event}")

    async with chat_core.start_session(
        server_url=run.addresses["rest" if is_rest else "cometd"],
        transport="rest" if is_rest else "cometd",
        disable_websockets=carrier == "cometd-long-polling",
        state_storage="memory",
        profile=profile,
        logger=lambda *_: None,
    ) as session:
        run.counts["sessions, one after another"] += 1
        reading = asyncio.create_task(read())
        sent = 0
        while time.monotonic() < over and session.ended is None:
            sent += 1
            await session.send_message(f"v-{sent}")
            await asyncio.sleep(run.chance.uniform(0.0, 2 * plan.gap))
        await session.leave()
        await reading
    run.tell(f"{session.id} {sent} {heard}")


async def _sample(step: float, samples: list[_Sample]) -> None:
    while True:
        await asyncio.sleep(step)
        gc.collect()
        samples.append(_Sample(time.monotonic(), _resident(), _in_use(), len(asyncio.all_tasks()), _files()))


async def _left(tasks: int, files: int, objects: Counter[str]) -> dict[str, Any]:
    """Return what is left of all the sessions, after a while for sockets to close."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSING):
            while len(asyncio.all_tasks()) > tasks or _files() > files:
                await asyncio.sleep(0.05)
    ours = dict(_objects() - objects)
    return {"tasks": len(asyncio.all_tasks()) - tasks, "files": _files() - files, "objects": ours}


def _objects() -> Counter[str]:
    """Count what belongs to sessions, of this run and of whatever was done in this process before."""
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one).__module__ in _PER_SESSION)


#: Where classes are whose objects belong to a session.
_PER_SESSION = frozenset(
    {
        "chat_core._session.engine",
        "chat_core._session.flow",
        "chat_core._session.log",
        "chat_core._session.outbox",
        "chat_core._session.session",
        "chat_gms.http",
        "chat_transport_cometd._link",
        "chat_transport_cometd._transport",
        "chat_transport_rest._transport",
    }
)


def _files() -> int:
    """Return how many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the directory itself is one of them, always


class _Mallinfo(ctypes.Structure):
    """What the C library's ``mallinfo2`` returns."""

    _fields_: ClassVar = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    ]


def _in_use() -> float:
    """Return the bytes that allocators have given away: Python's for what is small, the C library's for the rest.

    Python's takes its own room from the system directly, so nothing counts twice. Without glibc 2.33 it is the first
    alone.
    """
    small = sys.getallocatedblocks() * BLOCK
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is None:
        return small
    mallinfo.restype = _Mallinfo
    info = mallinfo()
    return small + float(info.uordblks + info.hblkhd)


def _resident() -> float:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))
