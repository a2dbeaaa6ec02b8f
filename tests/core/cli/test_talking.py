"""``talk`` and ``restore`` hold a chat with a sandbox, through pipes, as a script would."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from chat_sandbox import Sandbox
from support.commands import Command


@pytest.mark.parametrize("carrier", [[], ["--no-websockets"]], ids=["websocket", "long-polling"])
def test_talk_kill_restore_leave(tmp_path: Path, carrier: list[str]):
    """``kill -9`` on a chatting process, then restore: what was said meanwhile arrives, in order, once."""

    async def main() -> tuple[list[str], Any]:
        async with Sandbox() as sandbox:
            data = ["--name", "Ada", "--subject", "Invoice", "--data", "Level=gold"]
            # Options of plugins: JSON where it is that, else text.
            talk = await Command.begin(
                *(tmp_path, "talk", sandbox.cometd_url, *data, *carrier, "--transport-option", "max_network_delay=9.5"),
                *("--transport-option", "service=customer-support"),
                *("--storage", "file", "--storage-option", f"directory={tmp_path / 'chat-core'}"),
            )
            agent = await sandbox.next_chat(timeout=15)
            await agent.join("Grace")
            await agent.say("Hi \x1b[31mred")
            await talk.shows("Grace: Hi \\x1b[31mred")
            talk.say("Hello")
            await agent.hears("Hello")
            await talk.shows("Ada: Hello")
            await asyncio.sleep(0.4)  # past the 200 ms within which the position is saved
            talk.process.send_signal(signal.SIGKILL)
            await talk.ended()
            await agent.say("one")
            await agent.say("two")
            restore = await Command.begin(tmp_path, "restore", *carrier)
            await restore.shows("Grace: two")
            restore.say("back")
            await agent.hears("back")
            restore.say("/leave")
            assert await restore.ended() == 0, restore.lines
            again = await Command.begin(tmp_path, "restore")
            assert await again.ended() == 1
            assert "there is no session to restore" in again.lines[0]
            return restore.lines, agent.chat

    lines, chat = asyncio.run(main())
    assert chat.texts == ["Hi \x1b[31mred", "Hello", "one", "two", "back"]
    assert (chat.subject, chat.user_data["Level"], chat.user_data["source"]) == ("Invoice", "gold", "web")
    assert lines == [
        "(earlier) Ada joined",
        "(earlier) Grace joined",
        "(earlier) Grace: Hi \\x1b[31mred",
        "(earlier) Ada: Hello",
        "Grace: one",
        "Grace: two",
        "Ada: back",
        "Ada left",
        "the session has ended (left)",
    ]


def test_detaching_keeps_the_chat_and_a_second_process_cannot_take_a_live_one(tmp_path: Path):
    """/detach and Ctrl-C give the chat up; a live owner is code 201; the end of the input leaves."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            talk = await Command.begin(tmp_path, "talk", sandbox.cometd_url)
            agent = await sandbox.next_chat(timeout=15)
            await talk.shows("joined")
            thief = await Command.begin(tmp_path, "restore")
            assert await thief.ended() == 1
            assert "held by another process" in thief.lines[0]
            talk.say("/detach")
            assert await talk.ended() == 0
            assert not agent.chat.ended
            second = await Command.begin(tmp_path, "restore")
            await second.shows("joined")
            second.process.send_signal(signal.SIGINT)
            assert await second.ended() == 0
            assert not agent.chat.ended
            third = await Command.begin(tmp_path, "restore", "--verbose")
            await third.shows("joined")
            third.say("/what")
            await third.shows("! there is no command /what; /help lists them")
            assert third.process.stdin is not None
            third.process.stdin.close()
            assert await third.ended() == 0
            assert agent.chat.ended

    asyncio.run(main())
