"""Tells the story of one seed: ``python tests/support/simulation/run.py SEED``, or runs many: ``FIRST LAST``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from support.simulation.world import ViolationError, run_world


def main(first: int, last: int | None = None) -> int:
    """Run and print."""
    if last is None:
        for at, what in run_world(first).story:
            print(f"{at:9.3f} {what}")  # noqa: T201 - this is a command
        return 0
    broken = 0
    began = time.perf_counter()
    for seed in range(first, last):
        try:
            run_world(seed)
        except (ViolationError, Exception) as error:  # noqa: BLE001 - whatever happened is told with its seed
            broken += 1
            print(f"seed {seed}: {type(error).__name__}: {error}")  # noqa: T201
    each = (time.perf_counter() - began) / (last - first) * 1000
    print(f"{last - first} worlds, {broken} broken, {each:.1f} ms each")  # noqa: T201
    return broken > 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
