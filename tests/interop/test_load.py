"""Many chats at once, against a server in another process."""

from __future__ import annotations

import asyncio
import os

from support.load import rest_sessions


def test_two_hundred_rest_sessions():
    """For a minute (10 s on a user's machine): no connection is missed, nothing is lost or doubled, and 99 % of events
    come within the polls' interval + 500 ms.
    """  # noqa: D205
    seconds = 60.0 if os.environ.get("CI") == "true" else 10.0
    counts = asyncio.run(rest_sessions(200, seconds, seed=1))
    assert counts["lively"]["events"] > seconds * 5
    assert counts["quiet"]["events"] > 20
