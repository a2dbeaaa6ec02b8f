"""The commands that are typed into a chat."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat_core import FileUploaded
from chat_core._cli.lines import After, Lines
from chat_sandbox import Sandbox
from plugins.carriers import start
from support.commands import Command


def test_each_command_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Files both ways, addresses, names, typing; what is wrong is said and nothing is sent."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bill.txt").write_text("12 EUR")

    async def main() -> None:
        said: list[str] = []
        async with Sandbox() as sandbox, start("rest", sandbox) as session:
            lines = Lines(session, said.append)
            agent = await sandbox.next_chat()
            await agent.join("Grace")
            for typed in ("Hello", " /not a command", "/url https://example.com/", "/nick Ada", "/typing Hel", ""):
                assert await lines.take(typed) is After.GO_ON
            await lines.take("/file bill.txt")
            assert agent.chat.texts == ["Hello", " /not a command", "https://example.com/"]
            kinds = [(event.type, event.text) for event in agent.chat.events[-3:]]
            assert kinds == [("NicknameUpdated", "Ada"), ("TypingStarted", "Hel"), ("FileUploaded", "bill.txt")]
            assert said == ["... 100 % of bill.txt"]
            said.clear()
            for name in ("../../etc/answer.txt", "..\\..answer2.txt"):
                await agent.send_file(name, b"yes")
                event = await session.wait_for(FileUploaded, timeout=5)
                hint = lines.offer(event)
                await lines.take(hint.removesuffix(" fetches it"))
            assert said == ["saved as answer.txt", "saved as answer2.txt"]
            assert (tmp_path / "answer.txt").read_bytes() == b"yes"
            said.clear()
            for wrong in ("/dance", "/file", "/leave now", "/save 999", "/file nowhere.txt", "/nick"):
                assert await lines.take(wrong) is After.GO_ON
            assert [line.partition(":")[0] for line in said] == [
                "! there is no command /dance; /help lists them; a line beginning with a blank is sent as it is",
                "! write /file PATH",
                "! write /leave",
                "! not done",
                "! not done",
                "! write /nick NAME",
            ]
            said.clear()
            await lines.take("/help")
            assert [line.split()[0] for line in said] == [
                *("/file", "/save", "/url", "/nick", "/typing", "/detach", "/leave", "/help")
            ]
            assert await lines.take("/detach") is After.DETACH
            assert await lines.take("/leave") is After.LEAVE

    asyncio.run(main())


def test_talk_over_rest(tmp_path: Path):
    """``talk --transport rest`` holds a chat and takes the commands from its input."""
    (tmp_path / "bill.txt").write_text("12 EUR")

    async def main() -> list[str]:
        async with Sandbox() as sandbox:
            talk = await Command.begin(tmp_path, "talk", sandbox.rest_url, "--transport", "rest", "--name", "Ada")
            agent = await sandbox.next_chat(timeout=15)
            await agent.join("Grace")
            await talk.shows("Grace joined")
            talk.say(f"/file {tmp_path / 'bill.txt'}")
            await talk.shows("Ada sent the file bill.txt")
            await agent.send_file("answer.txt", b"yes")
            await talk.shows("Grace sent the file answer.txt (/save ")
            talk.say("/leave")
            assert await talk.ended() == 0, talk.lines
            return talk.lines

    assert asyncio.run(main())[-1] == "the session has ended (left)"
