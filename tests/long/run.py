"""Runs that take too long for CI: ``python tests/long/run.py NAME [--seed N]``, at most 60 minutes each.

Each writes date, commit, seed and counts to ``docs/measured/NAME.json``, which the docs print, and fails if anything
was not as promised.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

sys.path.insert(0, str(ROOT / "tests" / "long"))

import mutation  # noqa: E402 - found through the lines above

from support import bars, chaos, fleets, kills, load, locusts, soak, storm  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402
from support.simulation.many import run_worlds  # noqa: E402 - as above

MINUTES = 60
MEASURED = ROOT / "docs" / "measured"


async def _kill(seed: int) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as state:
        for number, carrier in enumerate(("cometd-websocket", "cometd-long-polling", "rest")):
            place = Path(state) / carrier
            counts[carrier] = await kills.on_the_sandbox(carrier, place, kills=[68, 66, 66][number], seed=seed + number)
        counts["java"] = await kills.on_the_java_server(Path(state) / "java", kills=200, seed=seed)
    return counts


async def _restart(sessions: int) -> dict[str, Any]:
    counts = await storm.storm(sessions, [0.0, 1.5], gap=20.0, pause=10.0, patience=90.0, tries=2)
    buckets = counts.pop("buckets")
    what = "back per 100 ms; dashed: three times the mean"
    titles = {outage: f"{sessions} sessions, {outage}: {what}" for outage in buckets}
    plots = {titles[outage]: {name: series[name] for name in storm.CARRIERS} for outage, series in buckets.items()}
    lines = {
        titles[outage]: storm.BAR * counts[f"outage {number}"]["all"]["mean of a bucket"]
        for number, outage in enumerate(buckets, 1)
    }
    drawn = bars.bars(plots, lines, step=storm.BUCKET, most=80)
    (MEASURED / "restart.svg").write_text(drawn, "utf-8")
    return counts


async def _fleet(sessions: int) -> dict[str, Any]:
    counts = {}
    for server, carrier in (("redis", "cometd-websocket"), ("valkey", "rest")):
        ran = fleets.kill_and_stop(carrier, RedisServer(server), sessions=sessions, lease=12.0, pause=10.0)
        counts[f"{server}, {carrier}"] = await ran
    failing = fleets.trouble_with_redis(RedisServer(keeps=True), sessions=100, lease=12.0, pause=2.0)
    counts["a Redis that fails"] = await failing
    return counts


def _soak(sessions: int, minutes: float) -> soak.Plan:
    return soak.Plan(
        sessions=sessions,
        seconds=60 * minutes,
        warm_up=min(600.0, 60 * minutes / 3),
        life=min(120.0, 6 * minutes),
        gap=8.0,
        trouble=15.0,
        step=5.0,
    )


async def _chaos(seed: int) -> dict[str, Any]:
    counts = await chaos.on_the_java_server(chats=1000, each=50, seed=seed, at_once=100, faults=10)
    trouble = counts.pop("trouble")
    assert trouble == [], "\n".join(trouble)
    return counts


#: Name, what it does, and the function that is given a seed and returns counts.
RUNS: dict[str, tuple[str, Callable[[int], Awaitable[dict[str, Any]]]]] = {
    "chaos-java": (
        "1,000 chats through fault proxies on CometD's Java server, at most 100 at a time, 50 messages each way",
        _chaos,
    ),
    "kills": ("200 kills on the sandbox and 200 on CometD's Java server, each followed by a restore", _kill),
    "locust": (
        "Locust, one master and two workers, 500 chats at once, through one loss of all connections",
        lambda _: locusts.drive(500, 180.0, thought=30.0),
    ),
    "rest-sessions": (
        "1,000 REST sessions in one process for five minutes",
        lambda seed: load.rest_sessions(1000, 300.0, seed=seed),
    ),
    "restart": ("1,000 sessions on three carriers through restarts of their server", lambda _: _restart(1000)),
    "fleet": (
        "300 sessions on three workers, on Redis and Valkey: one killed, one stopped for longer than the lease, ended",
        lambda _: _fleet(300),
    ),
    "soak": (
        "200 sessions at a time on three carriers for most of an hour, with faults",
        lambda seed: soak.soak(_soak(200, 57.0), seed=seed),
    ),
    "simulation": (
        "100,000 seeded worlds with the whole client, on three carriers",
        lambda seed: asyncio.to_thread(run_worlds, 100_000, seed=seed),
    ),
    "mutation": ("mutants of the modules that keep the promises, against their tests", lambda _: mutation.mutate()),
}
#: The run that may be made for some modules at a time, since all of them take longer than an hour on a busy machine.
BY_MODULE = "mutation"


def main() -> int:
    """Run one and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RUNS, help="; ".join(f"{name}: {what}" for name, (what, _) in RUNS.items()))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", metavar="MODULE", help=f"of {BY_MODULE}, such as outbox.py")
    given = parser.parse_args()
    what, run = RUNS[given.name]
    if given.only:
        if given.name != BY_MODULE:
            parser.error(f"--only is for {BY_MODULE}")
        run = lambda _: mutation.mutate(tuple(given.only))  # noqa: E731
    began = dt.datetime.now(dt.UTC)

    async def bounded() -> dict[str, Any]:
        async with asyncio.timeout(MINUTES * 60):
            return await run(given.seed)

    counts = asyncio.run(bounded())
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    place = MEASURED / f"{given.name}.json"
    if given.name == BY_MODULE:
        counts = {
            name: {"commit": commit, **count} if isinstance(count, dict) else count for name, count in counts.items()
        }
        if given.only and place.exists():
            counts = mutation.merged(json.loads(place.read_text("utf-8"))["counts"], counts)
    report = {
        "what": what,
        "date": began.date().isoformat(),
        "minutes": round((dt.datetime.now(dt.UTC) - began).total_seconds() / 60, 1),
        "commit": commit,
        "python": platform.python_version(),
        "seed": given.seed,
        "counts": counts,
    }
    place.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    print(json.dumps(report, indent=2))  # noqa: T201 - this is a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
