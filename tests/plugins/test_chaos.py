"""RP-1 to RP-4: chats over REST through a proxy that does what networks do, judged by the sandbox's transcript."""

from __future__ import annotations

import asyncio

from support.chaos import on_the_sandbox


def test_rp01_rp02_rp03_rp04_chats_in_chaos_over_rest():
    """Fifteen chats, ten messages each way, five random faults each: lost, doubled, misordered, wrong outcomes: 0."""
    counts = asyncio.run(on_the_sandbox(("rest",), chats=15, each=10, seed=1))
    print(counts)  # noqa: T201 - the counts are the result
    assert counts["trouble"] == []
    assert counts["messages out"] == counts["messages in"] == 165
    assert counts["faults"] >= 30
    assert min(counts["faults by kind"].values()) >= 1
    assert counts["sent again"] >= 1
