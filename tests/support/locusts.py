"""Locust as its users start it, one master and some workers, against a sandbox; and what came of it.

Locust patches the process that imports it, so it runs in processes of its own and never here.
"""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from support import locust_server

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
#: Every figure that a report holds after a run with an interruption.
FIGURES = ("start_session", "time to agent", "time to first reply", "send to echo", "blind time", "session")


def require() -> None:
    """Skip where Locust is not installed on a user's machine, fail in CI."""
    if importlib.util.find_spec("locust") is None:
        reason = "locust is not installed (pip install locust)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def command(*arguments: object, file: Path = LOCUSTFILE) -> list[str]:
    """Return Locust's command line."""
    return [sys.executable, "-m", "locust", "-f", str(file), *map(str, arguments)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def figures(prefix: Path) -> dict[str, dict[str, str]]:
    """Read the statistics of Locust's CSV files, by name; the sum of all is under ``Aggregated``."""
    with Path(f"{prefix}_stats.csv").open(encoding="utf-8", newline="") as file:
        return {row["Name"]: row for row in csv.DictReader(file)}


def failures(prefix: Path) -> dict[str, set[str]]:
    """Read the reasons of failures of Locust's CSV files, by name."""
    found: dict[str, set[str]] = {}
    with Path(f"{prefix}_failures.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["Name"], set()).add(row["Error"])
    return found


async def drive(
    users: int, seconds: float, *, workers: int = 2, thought: float = 1.0, enough: int = 0
) -> dict[str, Any]:
    """Have so many users chat for so long, through one loss of all connections; returns counts.

    Args:
        users: how many, and how many at once at least before an agent comes.
        seconds: how long, at most.
        workers: Locust's.
        thought: seconds before a visitor's next message, about.
        enough: end when so many chats are over.

    Raises:
        AssertionError: a figure is missing or failed, a process failed, or a chat was not left.
    """
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(locust_server.__file__)), str(users)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=64 * 1024 * 1024,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        with tempfile.TemporaryDirectory() as place:
            url = (await server.stdout.readline()).decode().strip()
            prefix, page = Path(place) / "load", Path(place) / "load.html"
            output = await _run_locust(
                users=users,
                seconds=seconds,
                workers=workers,
                thought=thought,
                enough=enough,
                url=url,
                prefix=prefix,
                page=page,
            )
            found, failed, html = figures(prefix), failures(prefix), page.read_text("utf-8")
            server.stdin.close()
            seen = json.loads(await server.stdout.readline())
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()
    assert failed == {}, failed
    assert set(FIGURES) <= set(found), output
    assert all(name in html for name in FIGURES)
    assert seen["most at once"] >= users, seen
    assert seen["not left"] == 0, seen
    assert len(seen["by worker"]) == workers, (seen, output)
    assert int(found["blind time"]["Request Count"]) >= users / 2, found["blind time"]
    return {
        "users": users,
        "workers": workers,
        "seconds": seconds,
        **seen,
        **{name: _short(found[name]) for name in FIGURES},
    }


async def _run_locust(
    *,
    users: int,
    seconds: float,
    workers: int,
    thought: float,
    enough: int,
    url: str,
    prefix: Path,
    page: Path,
) -> str:
    port = free_port()
    master = command(
        *("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", workers),
        *("--headless", "--only-summary", "--host", url, "-u", users, "-r", 100, "-t", f"{seconds:g}s"),
        *("--csv", prefix, "--html", page, "--chat-failure-ratio", 0, "--stop-timeout", 0),
    )
    worker = command("--worker", "--master-host", "127.0.0.1", "--master-port", port)
    processes = [
        await asyncio.create_subprocess_exec(
            *line,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "THOUGHT": str(thought), "ENOUGH": str(enough)},
        )
        for line in (master, *[worker] * workers)
    ]
    try:
        async with asyncio.timeout(seconds + 90):
            outputs = [(await process.communicate())[0].decode() for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    everything = "\n".join(outputs)
    assert [process.returncode for process in processes] == [0] * (workers + 1), everything
    assert "Traceback" not in everything, everything
    return everything


def _short(row: dict[str, str]) -> dict[str, Any]:
    return {
        "count": int(row["Request Count"]),
        "failed": int(row["Failure Count"]),
        "median ms": round(float(row["Median Response Time"])),
        "95 % within, ms": round(float(row["95%"])),
    }


def run(*arguments: object, file: Path, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run Locust to its end, without a web page."""
    return subprocess.run(
        command("--headless", "--only-summary", *arguments, file=file),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


def inside(script: str, *arguments: object, timeout: float = 120.0) -> tuple[dict[str, Any], str]:
    """Run a script that uses Locust as a library; returns what it said it found, and all its output.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{done.returncode}: {output}"
    (found,) = [line.removeprefix("FOUND ") for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    return json.loads(found), output
