"""Many worlds, in as many processes as there are cores."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from support.simulation.world import run_world

__all__ = ["run_worlds"]

#: Worlds that one process runs before it says what came of them.
SLICE = 250


def _run_slice(first: int, last: int) -> dict[str, int]:
    counts = {"worlds": 0, "processes": 0, "faults": 0, "inbound": 0, "outbound": 0, "requests": 0}
    for seed in range(first, last):
        outcome = run_world(seed)
        counts["worlds"] += 1
        counts["processes"] += outcome.lives
        counts["faults"] += outcome.faults
        counts["inbound"] += outcome.inbound
        counts["outbound"] += outcome.outbound
        counts["requests"] += outcome.requests
    return counts


def run_worlds(count: int, *, seed: int) -> dict[str, Any]:
    """Run the worlds from a seed on; returns counts.

    Raises:
        ViolationError: a promise was broken; its notes name the seed and tell the story.
    """
    begins = range(seed, seed + count, SLICE)
    ends = [min(begin + SLICE, seed + count) for begin in begins]
    total: dict[str, Any] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for counts in pool.map(_run_slice, begins, ends):
            for name, value in counts.items():
                total[name] = total.get(name, 0) + value
    return {**total, "broken promises": 0}
