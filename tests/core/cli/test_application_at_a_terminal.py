"""The commands with a terminal and the extra ``tui``: an application, driven by the bytes that its keys send."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from chat_sandbox import Sandbox
from support.commands import AtTerminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")

F3, F4, CTRL_C, CTRL_D, ENTER = "\x1bOR", "\x1bOS", "\x03", "\x04", "\r"
OTHER_SCREEN, BACK = "\x1b[?1049h", "\x1b[?1049l"


def test_the_demo_heals_a_cut_and_survives_a_kill(tmp_path: Path):
    """F3 cuts the network and mends it, F4 kills the client; the terminal is itself again afterwards."""

    async def main() -> str:
        demo = await AtTerminal.begin(tmp_path, "demo")
        await demo.shows("Hello, Grace here. How can I help?")
        demo.press(F3)
        await demo.shows("the connection is interrupted")
        demo.press("Written in a tunnel." + ENTER)
        await demo.shows("queued")
        demo.press(F3)
        await demo.shows("You said: Written in a tunnel.")
        demo.press(F4)
        await demo.shows("*** the client was killed")
        await demo.shows("taken up again; what follows is new")
        await demo.shows("Your invoice is corrected.")
        demo.press("No, thank you!" + ENTER)
        await demo.shows("You said: No, thank you!")
        demo.press(CTRL_D)
        assert await demo.ended() == 0, demo.shown
        return demo.shown

    shown = asyncio.run(main())
    assert shown.count(OTHER_SCREEN) == 2
    assert shown.rstrip().endswith("the session has ended (left)")
    assert shown.rindex(BACK) < shown.rindex("the session has ended (left)")
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor


@pytest.mark.parametrize("how", ["key", "signal", "hang-up"])
def test_talk_is_given_up_and_restored(tmp_path: Path, how: str):
    """By Ctrl-C, by SIGTERM, by a terminal that is closed; the last line says how to come back."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            talk = await AtTerminal.begin(tmp_path, "talk", sandbox.cometd_url, "--name", "Ada", "--verbose")
            agent = await sandbox.next_chat(timeout=30)
            await agent.join("Grace")
            await agent.say("Hi \x1b]0;evil\x07 there")
            await talk.shows("Hi \\x1b]0;evil\\x07 there")
            if how == "key":
                talk.press(CTRL_C)
            elif how == "signal":
                talk.process.send_signal(signal.SIGTERM)
            else:
                talk.hang_up()
            status = await talk.ended()
            assert not agent.chat.ended
            if how != "hang-up":
                assert status == 0, talk.shown
                assert talk.shown.rstrip().endswith("'chat-core restore' takes it up again")
                assert "log:" not in talk.shown
            restore = await AtTerminal.begin(tmp_path, "restore")
            await restore.shows("there")
            restore.press("/leave" + ENTER)
            assert await restore.ended() == 0, restore.shown
            assert agent.chat.ended

    asyncio.run(main())


@pytest.mark.parametrize(("arguments", "environment"), [(["--plain"], {}), ([], {"TERM": "dumb"})])
def test_lines_are_plain_where_they_are_asked_for(tmp_path: Path, arguments: list[str], environment: dict[str, str]):
    """And on a terminal that cannot be drawn upon."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            talk = await AtTerminal.begin(tmp_path, "talk", sandbox.cometd_url, *arguments, **environment)
            agent = await sandbox.next_chat(timeout=30)
            await agent.join("Grace")
            await talk.shows("Grace joined\n")
            talk.type("/leave")
            assert await talk.ended() == 0, talk.shown
            assert "\x1b" not in talk.shown

    asyncio.run(main())
