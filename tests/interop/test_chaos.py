"""RP-1 to RP-4: chats through a proxy that does what networks do, judged by what stands on CometD's own server."""

from __future__ import annotations

import asyncio

from support.chaos import on_the_java_server
from support.counterparts import require


def test_rp01_rp02_rp03_rp04_fifty_chats_in_chaos_on_the_java_server():
    """Ten messages each way, five random faults each, both carriers: lost, doubled, misordered, wrong outcomes: 0."""
    require("java")
    counts = asyncio.run(on_the_java_server(chats=50, each=10, seed=1))
    print(counts)  # noqa: T201 - the counts are the result
    assert counts["trouble"] == []
    assert counts["messages out"] == counts["messages in"] == 550
    # It was no calm sea: faults struck in most chats, each kind among them.
    assert counts["faults"] >= 100
    assert min(counts["faults by kind"].values()) >= 5
    assert counts["interruptions"] >= 20
    assert counts["sent again"] >= 5
