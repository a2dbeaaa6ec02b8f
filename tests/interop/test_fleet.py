"""A fleet of processes on a real Redis or Valkey: killed, stopped, ended, and with a Redis that fails.

CI runs this alone: how soon a session lives elsewhere is counted in seconds. On a machine that does other things as
well there are fewer sessions, and what it holds up is allowed for.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from support import fleets
from support.redis_server import RedisServer

ALONE = os.environ.get("CI") == "true"
LEASE = 4.0 if ALONE else 8.0


@pytest.mark.parametrize(
    ("server", "carrier", "sessions"),
    [("redis", "cometd-websocket", 60 if ALONE else 24), ("valkey", "rest", 12)],
)
def test_rp1_rp2_rp4_rp14_sessions_outlive_their_workers(server: str, carrier: str, sessions: int):
    """One is killed, one is stopped for longer than the lease, one is ended: nothing is lost, doubled or sent stale."""
    counts = asyncio.run(fleets.kill_and_stop(carrier, RedisServer(server), sessions=sessions, lease=LEASE, pause=1.5))
    assert counts["sessions"] == sessions
    assert counts["sessions stopped"] > 0
    assert counts["changes of owner"] > sessions // 2


def test_rp6_a_redis_that_fails_for_less_than_the_lease_disturbs_no_session():
    """Restarted, paused for 5 s, full: sessions go on, the state is saved afterwards, each user is told once."""
    server = RedisServer(keeps=True)
    counts = asyncio.run(fleets.trouble_with_redis(server, sessions=6, lease=12.0, pause=0.5))
    assert counts["sessions"] == 6
