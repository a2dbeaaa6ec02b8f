"""RP-2, RP-4, RP-5, RP-6: ``kill -9`` at random moments of a busy chat loses nothing and sends nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.counterparts import require
from support.kills import on_the_java_server, on_the_sandbox


@pytest.mark.parametrize(("carrier", "kills"), [("cometd-websocket", 8), ("cometd-long-polling", 6), ("rest", 6)])
def test_rp02_rp04_rp05_kills_on_the_sandbox(carrier: str, kills: int, tmp_path: Path):
    """Twenty kills over the three carriers; the counts are printed."""
    print(carrier, asyncio.run(on_the_sandbox(carrier, tmp_path, kills=kills, seed=kills)))  # noqa: T201


def test_rp02_rp04_rp05_kills_on_the_java_server(tmp_path: Path):
    """Five kills on CometD's own server."""
    require("java")
    print("java", asyncio.run(on_the_java_server(tmp_path, kills=5, seed=5)))  # noqa: T201
