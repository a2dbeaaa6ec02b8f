"""The demo with a terminal, in plain lines: whoever sits there is the visitor."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from support.commands import AtTerminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")


def test_the_gap_heals_and_the_session_is_restored(tmp_path: Path):
    """A line written into the cut is sent once the network is back; after the kill a new client shows everything."""

    async def main() -> str:
        demo = await AtTerminal.begin(tmp_path, "demo", "--plain")
        await demo.shows("Grace: Hello, Grace here. How can I help?\n")
        demo.type("My invoice is wrong.")
        await demo.shows("the connection is interrupted")
        demo.type("Written in a tunnel.")
        await demo.shows("*** the network is back\n")
        await demo.shows("Grace: You said: Written in a tunnel.\n")
        await demo.shows("*** the client is killed (kill -9)")
        await demo.shows("Grace: Anything else?\n")
        demo.type("No, thank you!")
        await demo.shows("Grace: You said: No, thank you!\n")
        demo.type("/leave")
        await demo.shows("the session has ended (left)\n")
        assert await demo.ended() == 0, demo.shown
        return demo.shown

    shown = asyncio.run(main())
    after_the_kill = shown.partition("*** a new client process restores the session\n")[2].splitlines()
    said = [line.removeprefix("(earlier) ") for line in after_the_kill if ": " in line and not line.startswith("***")]
    assert said == [
        "Grace: Hello, Grace here. How can I help?",
        "Ada: My invoice is wrong.",
        "Grace: You said: My invoice is wrong.",
        "Grace: Are you still there?",
        "Grace: I will wait.",
        "Ada: Written in a tunnel.",
        "Grace: You said: Written in a tunnel.",
        "Grace: Your invoice is corrected.",
        "Grace: Anything else?",
        "Ada: No, thank you!",
        "Grace: You said: No, thank you!",
    ]


def test_a_client_that_ends_ends_the_demo(tmp_path: Path):
    """Leaving before the cut is an orderly end as well, and leaves no process behind."""

    async def main() -> str:
        demo = await AtTerminal.begin(tmp_path, "demo", "--plain")
        await demo.shows("Grace: Hello, Grace here. How can I help?\n")
        demo.type("/leave")
        assert await demo.ended() == 0, demo.shown
        return demo.shown

    shown = asyncio.run(main())
    assert "the session has ended (left)" in shown
    assert "cut" not in shown
