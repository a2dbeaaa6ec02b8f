"""RP-8 seen from the server, in a process of its own: how sessions come back after a restart."""

from __future__ import annotations

import asyncio

from support.storm import storm


def test_rp08_a_restart_under_two_hundred_sessions():
    """All resume, nothing is lost or doubled, one attempt per session is under way, and no 100 ms see more than three
    times the mean; then the same behind an outage of a second.
    """  # noqa: D205
    counts = asyncio.run(storm(200, [0.0, 1.0]))
    for name, outage in counts.items():
        if name.startswith("outage"):
            print(name, {key: value for key, value in outage["all"].items() if key != "buckets"})  # noqa: T201
