"""What a user sees of a chat is the same over every carrier: no test here asks which one it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_core import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    Continued,
    CustomNotice,
    EndReason,
    FileDeleted,
    FileNotAllowedError,
    FileUploaded,
    IdleAlert,
    IdleClose,
    Interrupted,
    MessageReceived,
    NicknameUpdated,
    NoSessionToRestore,
    Notice,
    PushUrl,
    RefusedError,
    SendRejectedError,
    SessionEnded,
    UnknownEvent,
)
from chat_gms import EventType
from chat_sandbox import ChatTimes, FilePolicy, Sandbox
from plugins.carriers import every_carrier, options, start

pytestmark = every_carrier


def test_a_whole_chat(carrier: str):
    """Both sides talk, type, send addresses and notices, rename themselves, and leave; all of it in order, once."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            data = {"FirstName": "Ada", "Level": 3}
            async with start(carrier, sandbox, username="Ada", subject="Invoice", user_data=data) as session:
                agent = await sandbox.next_chat()
                assert (agent.chat.nickname, agent.chat.subject) == ("Ada", "Invoice")
                assert agent.chat.user_data == {"FirstName": "Ada", "Level": "3", "source": "web"}
                await agent.join("Grace")
                assert (await session.wait_for(AgentConnected, timeout=5)).party.name == "Grace"
                assert [party.name for party in session.parties] == ["Ada", "Grace"]
                await agent.typing(text="He")
                assert (await session.wait_for(AgentTyping, timeout=5)).is_typing
                await agent.say("Hello")
                assert (await session.wait_for(MessageReceived, timeout=5)).text == "Hello"
                await session.send_typing(True, "Hi G")
                await agent.wait_for(lambda event: event.type == EventType.TYPING_STARTED and event.text == "Hi G")
                await session.send_typing(False)
                await agent.wait_for(lambda event: event.type == EventType.TYPING_STOPPED)
                receipt = await session.send_message("Hi Grace", until="echoed")
                assert await agent.hears() == "Hi Grace"
                assert agent.chat.events[receipt.index - 1].text == "Hi Grace"
                await session.send_message("https://example.com/a?b=1&c=%20", type="url")
                heard = await agent.wait_for(lambda event: event.type == EventType.MESSAGE)
                assert (heard.text, heard.message_type) == ("https://example.com/a?b=1&c=%20", "url")
                await session.update_nickname("Countess Ada")
                assert (await session.wait_for(NicknameUpdated, own=True, timeout=5)).nickname == "Countess Ada"
                await session.set_user_data({"Level": "gold", "List": [1, 2]})
                assert agent.chat.user_data["List"] == "[1,2]"
                assert await session.get_user_data("Level") == "gold"
                await session.send_custom_notice("ping")
                await agent.wait_for(lambda event: event.type == EventType.CUSTOM_NOTICE and event.text == "ping")
                await agent.custom_notice("pong")
                assert (await session.wait_for(CustomNotice, timeout=5)).text == "pong"
                await agent.push_url("https://example.com/help")
                assert (await session.wait_for(PushUrl, timeout=5)).url == "https://example.com/help"
                await agent.notice("be patient")
                assert (await session.wait_for(Notice, timeout=5)).text == "be patient"
                await agent.emit("Weather", "fine")
                unknown = await session.wait_for(UnknownEvent, timeout=5)
                assert (unknown.kind, unknown.text) == ("Weather", "fine")
                await agent.leave()
                assert (await session.wait_for(AgentDisconnected, timeout=5)).party.name == "Grace"
                transcript = await session.get_transcript()
                assert [event.index for event in transcript] == list(range(1, len(agent.chat.events) + 1))
            lasting = [event.index async for event in session.events() if event.index and not event.ephemeral]
            assert lasting == sorted(set(lasting))
            assert session.ended is not None
            assert (session.ended.reason, session.ended.error) == (EndReason.LEFT, None)
            assert agent.chat.ended

    asyncio.run(main())


def test_every_letter_arrives(carrier: str):
    """Brackets, ampersands, emoji, newlines and right-to-left text go through both ways."""
    texts = [
        "a[b]=c&d=e+f%20",
        "\U0001f600 naïve 漢字",
        "one\ntwo\r\nthree\ttab",
        "שלום",
        ' "quoted" \\ ',
        "x" * 10_000,
    ]

    async def main() -> None:
        async with Sandbox() as sandbox, start(carrier, sandbox, user_data={"k[1]": "v&w"}) as session:
            agent = await sandbox.next_chat()
            await agent.join()
            for text in texts:
                await session.send_message(text, until="echoed")
                await agent.say(text)
                assert (await session.wait_for(MessageReceived, timeout=5)).text == text
            assert agent.chat.texts == [text for text in texts for _ in range(2)]

    asyncio.run(main())


def test_the_agent_ends_the_chat(carrier: str):
    """What was said last arrives before the end; nothing can be sent after it."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            session = await start(carrier, sandbox)
            agent = await sandbox.next_chat()
            await agent.join()
            await agent.say("Bye")
            await agent.end()
            events = [event async for event in session.events()]
            assert [str(event) for event in events if isinstance(event, MessageReceived)] == ["Agent: Bye"]
            assert [type(event) for event in events].count(SessionEnded) == 1
            assert events[-1].reason is EndReason.CLOSED
            with pytest.raises(chat_core.SessionEndedError):
                await session.send_message("too late")

    asyncio.run(main())


def test_a_restored_session_goes_on_where_it_was(carrier: str):
    """What came meanwhile is new, what was there is restored; each once."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            storage = chat_core_memory()
            first = await start(carrier, sandbox, state_storage=storage)
            agent = await sandbox.next_chat()
            await agent.join()
            await agent.say("one")
            await first.wait_for(MessageReceived, timeout=5)
            await first.checkpoint()
            await first.detach()
            await agent.say("two")
            given = options(carrier, sandbox)
            del given["server_url"]
            async with chat_core.restore_session(state_storage=storage, **given) as session:
                assert session.id == first.id
                assert (await session.wait_for(MessageReceived, timeout=5)).text == "two"
                await session.send_message("three", until="echoed")
                messages = [event async for event in upto(session, "three")]
                assert [(event.text, event.restored) for event in messages] == [
                    ("one", True),
                    ("two", False),
                    ("three", False),
                ]
            with pytest.raises(NoSessionToRestore):
                await chat_core.restore_session(state_storage=storage, **given)

    asyncio.run(main())


def test_files(carrier: str, tmp_path: Path):
    """Limits, a file each way, to a path and in pieces, and one taken out again."""
    path = tmp_path / "Rechnung ä.pdf"
    path.write_bytes(bytes(range(256)) * 5000)

    async def main() -> None:
        policy = FilePolicy(max_files=2, max_file_size=2_000_000)
        async with Sandbox(files=policy) as sandbox, start(carrier, sandbox) as session:
            agent = await sandbox.next_chat()
            await agent.join("Grace")
            limits = await session.file_limits()
            assert (limits.max_files, limits.max_file_size, limits.used_files) == (2, 2_000_000, 0)
            assert "pdf" in limits.file_types
            assert not limits.needs_agent
            progress: list[tuple[int, int | None]] = []
            file_id = await session.send_file(
                path, description="the bill", progress=lambda *report: progress.append(report)
            )
            uploaded = await session.wait_for(FileUploaded, own=True, timeout=5)
            assert (uploaded.file_id, uploaded.name, uploaded.size) == (file_id, "Rechnung ä.pdf", 1_280_000)
            stored = agent.chat.files.by_id[file_id]
            assert (stored.content, stored.description) == (path.read_bytes(), "the bill")
            assert stored.content_type == "application/pdf"
            assert progress[-1] == (1_280_000, 1_280_000)
            assert (await session.file_limits()).used_files == 1
            with pytest.raises(FileNotAllowedError, match="type exe"):
                await session.send_file(b"MZ", name="setup.exe")
            with pytest.raises(FileNotAllowedError, match="2000001 bytes"):
                await session.send_file(b"x" * 2_000_001, name="large.txt")

            theirs = await agent.send_file("answer.json", b'{"a": 1}', content_type="application/json")
            received = await session.wait_for(FileUploaded, timeout=5)
            assert (received.file_id, received.name, str(received)) == (
                theirs.id,
                "answer.json",
                "Grace sent the file answer.json",
            )
            place = await session.download_file(received.file_id, to=tmp_path / "answer.json")
            assert place.read_bytes() == b'{"a": 1}'
            pieces = [piece async for piece in await session.download_file(file_id)]
            assert b"".join(pieces) == path.read_bytes()
            await session.delete_file(file_id)
            assert (await session.wait_for(FileDeleted, own=True, timeout=5)).file_id == file_id
            with pytest.raises(RefusedError, match="There is no such file"):
                await session.download_file(file_id, to=tmp_path / "gone.pdf")
            with pytest.raises(RefusedError, match="There is no such file"):
                await session.delete_file(file_id)
            assert not (tmp_path / "gone.pdf").exists()
            await session.send_message("still here", until="echoed")

    asyncio.run(main())


def test_an_idle_chat_is_warned_and_closed(carrier: str):
    """The alert and the close arrive as events of their own, then the end."""

    async def main() -> None:
        times = ChatTimes(idle_alert=0.3, idle_close=0.3)
        async with Sandbox(times=times) as sandbox:
            session = await start(carrier, sandbox)
            await session.wait_for(IdleAlert, timeout=5)
            await session.wait_for(IdleClose, timeout=5)
            assert (await session.wait_for(SessionEnded, timeout=5)).reason is EndReason.CLOSED

    asyncio.run(main())


def test_a_cut_network_is_noticed_and_healed(carrier: str):
    """What is said meanwhile arrives afterwards, and what was typed meanwhile is sent then; each once."""

    async def main() -> None:
        async with Sandbox() as sandbox, start(carrier, sandbox) as session:
            agent = await sandbox.next_chat()
            await agent.join()
            await session.wait_for(AgentConnected, timeout=5)
            await sandbox.faults.cut()
            await session.wait_for(Interrupted, timeout=10)
            await agent.say("one")
            sending = asyncio.create_task(session.send_message("two", until="echoed"))
            await agent.say("three")
            await asyncio.sleep(0)
            await sandbox.faults.mend()
            assert (await session.wait_for(Continued, timeout=15)).blind_time > 0
            await sending
            await session.wait_for(MessageReceived, lambda event: event.text == "three", after=0, timeout=5)
            assert sorted(agent.chat.texts) == ["one", "three", "two"]

    asyncio.run(main())


def test_a_lost_answer_is_settled_without_a_guess(carrier: str):
    """RP-4: the message arrived, its answer did not; it is found in the transcript and not sent again."""

    async def main() -> None:
        async with Sandbox() as sandbox, start(carrier, sandbox) as session:
            agent = await sandbox.next_chat()
            await agent.join()
            sandbox.faults.lose_answer()
            receipt = await session.send_message("once", until="echoed")
            assert agent.chat.texts == ["once"]
            assert agent.chat.events[receipt.index - 1].text == "once"

    asyncio.run(main())


def test_a_refused_message_says_why(carrier: str):
    """The server's code and words arrive; the chat goes on."""

    async def main() -> None:
        async with Sandbox(max_message_length=5) as sandbox, start(carrier, sandbox) as session:
            with pytest.raises(SendRejectedError, match="too long") as caught:
                await session.send_message("much too long")
            assert caught.value.code == 204
            await session.send_message("short", until="echoed")

    asyncio.run(main())


def test_alias_and_server_may_change_in_mid_chat(carrier: str):
    """Another server answers, everybody leaves and is back: the chat goes on and nothing is lost."""

    async def main() -> None:
        async with Sandbox() as sandbox, start(carrier, sandbox) as session:
            agent = await sandbox.next_chat()
            await agent.join("Grace")
            await agent.say("one")
            agent.chat.fail_over()
            left = await session.wait_for(AgentDisconnected, timeout=5)
            assert left.reason_code == "8"
            assert (await session.wait_for(AgentConnected, timeout=5)).party.name == "Grace"
            agent.chat.change_alias()
            await session.send_message("two", until="echoed")
            await agent.say("three")
            await session.wait_for(MessageReceived, lambda event: event.text == "three", timeout=5)
            assert agent.chat.texts == ["one", "two", "three"]

    asyncio.run(main())


def chat_core_memory() -> Any:
    """Return a storage as a user writes one: any object that reads and writes."""

    class Storage:
        state: Any = None

        def read(self) -> Any:
            return self.state

        def write(self, state: Any) -> None:
            self.state = state

    return Storage()


async def upto(session: Any, text: str) -> Any:
    """Yield the messages up to one."""
    async for event in session.events():
        if isinstance(event, MessageReceived):
            yield event
            if event.text == text:
                return
