"""The application against the sandbox, as whoever sits at the keyboard finds it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual import events

from chat_core import restore_session
from chat_core._cli._tui.app import ChatApp
from chat_core._cli._tui.line import TypedLine
from chat_core._cli._tui.rows import Rows
from chat_core._cli.ending import farewell, status
from chat_core._cli.logs import LogLines
from chat_sandbox import Agent, Sandbox
from plugins.carriers import every_carrier, start
from support.applications import Driven, driven
from support.backend import Backend, FakeTransport
from support.sessions import open_session

Part = Callable[[Driven, Agent, Sandbox], Awaitable[None]]


def play(part: Part, carrier: str = "cometd-websocket", **options: Any) -> Any:
    """Hold a chat with an agent, in the application; returns the session."""

    async def main() -> Any:
        async with Sandbox() as sandbox, start(carrier, sandbox, username="Ada", **options) as session:
            agent = await sandbox.next_chat(timeout=15)
            await agent.join("Grace")
            async with driven(session) as chat:
                await part(chat, agent, sandbox)
            return session

    return asyncio.run(main())


def line_of(chat: Driven) -> TypedLine:
    return chat.app.query_one(TypedLine)


@every_carrier
def test_messages_go_both_ways_and_each_sees_the_other_type(carrier: str):
    """Typing is told by notices, never by the text itself."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del sandbox
        await agent.typing()
        await chat.shows("Grace is typing …")
        await agent.say("How can I help?")
        await chat.shows("Grace ┃ How can I help?")
        await chat.until(lambda: "is typing" not in chat.screen)
        await chat.pilot.press("H", "i")
        await chat.shows("they see that you type")
        started = await agent.wait_for(
            lambda event: event.type == "TypingStarted" and event.party == agent.chat.visitor
        )
        assert not started.text
        await chat.pilot.press("enter")
        await agent.hears("Hi", timeout=15)
        await chat.shows(r"Ada ┃ Hi +✓✓ echoed")
        await chat.until(lambda: "they see" not in chat.screen)
        await chat.until(lambda: any(event.type == "TypingStopped" for event in agent.chat.events))

    play(part, carrier)


def test_what_is_written_into_a_cut_waits_and_is_sent_in_order():
    """The interruption and the blind time stand in the conversation, the waiting messages above the line."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        await chat.shows("Grace joined")
        await sandbox.faults.cut()
        await chat.shows("○ the connection is interrupted")
        await chat.types("one")
        await chat.types("two")
        await chat.shows(r"○ interrupted for \d+ s, 2 waiting")
        await chat.shows(r"one +○ queued\n.*two +○ queued")
        await sandbox.faults.mend()
        await chat.shows(r"● the connection is back after \d+\.\d s")
        await chat.shows(r"one +✓✓ echoed\n.*two +✓✓ echoed")
        await chat.shows("● connected")
        assert agent.chat.texts == ["one", "two"]

    play(part)


def test_up_and_down_bring_back_what_was_sent():
    """And the line that was being written."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del agent, sandbox
        line = line_of(chat)
        for text in ("first", "second", "second"):
            await chat.types(text)
        await chat.writes("draft")
        for key, value in (("up", "second"), ("up", "first"), ("up", "first"), ("down", "second"), ("down", "draft")):
            await chat.pilot.press(key)
            assert line.value == value
        await chat.pilot.press("up", "!")
        assert line.value == "second!"

    play(part)


def test_a_pasted_text_stays_whole():
    """Its lines become one, its cells are a blank apart, and what a terminal would obey becomes visible."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del agent, sandbox
        await chat.writes("say: ")
        chat.app.post_message(events.Paste("one\ntwo\x1b[2J\r\nthree"))
        await chat.until(lambda: line_of(chat).value == "say: one two\\x1b[2J three")
        chat.app.post_message(events.Paste(" 1\tEngine\t192"))
        await chat.until(lambda: line_of(chat).value.endswith("three 1 Engine 192"))

    play(part)


def test_markup_and_control_sequences_are_shown_not_obeyed():
    """In messages, names, addresses, typing previews and what the visitor writes."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del sandbox
        await agent.leave()
        await agent.join("[b]E\x1b[31mve")
        await agent.say("[red]no colour[/red] \x1b[2J [@click=app.bell]x[/]")
        await agent.push_url("https://[link=x]y[/link]")
        await agent.typing(text="[blink]\x07")
        for text in (
            r"[b]E\x1b[31mve joined",
            r"[red]no colour[/red] \x1b[2J [@click=app.bell]x[/]",
            "https://[link=x]y[/link]",
            r"[b]E\x1b[31mve is typing … [blink]\x07",
        ):
            await chat.until(lambda text=text: text in chat.screen)
        await chat.types("[i]mine[/i]")
        await chat.until(lambda: "Ada ┃ [i]mine[/i]" in chat.screen)
        await chat.pilot.press("f2")
        await chat.until(lambda: "MessageReceived    Ada (client 1) text='[i]mine[/i]'" in chat.screen)
        await chat.shows(r"→1 +[\d:]{8} Receipt 1 +echoed at #\d+")
        assert not {"\x1b", "\x07"} & set(chat.screen)

    play(part)


def test_commands_are_carried_out_and_answered():
    """The same ones as in plain lines."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del sandbox
        await chat.types("/help")
        await chat.shows("» /leave +leave the chat")
        await chat.types("/dance")
        await chat.shows("! there is no command /dance")
        await chat.types("/nick Countess")
        await chat.shows("Countess is now called Countess")
        await chat.types("/url https://example.com/")
        await agent.hears("https://example.com/")
        await chat.shows(r"Countess ┃ https://example.com/ +✓✓ echoed")
        await agent.send_file("bill.txt", b"12 EUR")
        await chat.shows("sent the file bill.txt \\(/save ")

    play(part)


def test_a_refused_message_says_why():
    """Beside the message, and once."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del agent
        # Twice: while a typing notice is on its way too, nobody can tell which of the two was refused at first.
        sandbox.faults.refuse_next("sendMessage", 7, "such words are refused", count=2)
        await chat.types("Rude words")
        await chat.shows(r"Ada ┃ Rude words +✗ rejected\n +┃ .*refused")
        await chat.types("Kind words")
        await chat.shows("Kind words +✓✓ echoed")
        assert chat.screen.count("refused") == 1

    play(part)


def test_when_the_other_side_ends_the_chat_the_line_is_closed():
    """It says how to leave, and Ctrl-C does."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del sandbox
        await chat.shows("Grace joined")
        await agent.end()
        await chat.shows("■ the session has ended")
        await chat.shows("The chat is over; Ctrl-C closes the window")
        assert line_of(chat).disabled
        await chat.pilot.press("f2")
        await chat.shows("SessionEnded")
        await chat.pilot.press("ctrl+c")
        await chat.until(lambda: not chat.app.is_running)
        assert chat.app.last_words.startswith("the session has ended")

    session = play(part)
    assert status(session) == 0


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q", "/detach"])
def test_giving_up_keeps_the_chat_and_says_how_to_come_back(key: str, tmp_path: Path):
    """As with plain lines; what was shown counts as delivered."""

    async def main() -> None:
        options = {"storage_options": {"directory": str(tmp_path)}, "max_offline_duration": 60.0, "profile": "work"}
        async with Sandbox() as sandbox:
            async with start("cometd-websocket", sandbox, state_storage="file", on_exit="detach", **options) as session:
                agent = await sandbox.next_chat(timeout=15)
                await agent.join("Grace")
                await agent.say("Hello")
                async with driven(session) as chat:
                    await chat.shows("Hello")
                    await (chat.types(key) if key.startswith("/") else chat.pilot.press(key))
                    await chat.until(lambda: not chat.app.is_running)
                    assert chat.app.last_words == (
                        "the chat goes on without you; 'chat-core restore --profile work' takes it up again"
                    )
            assert not agent.chat.ended
            await agent.say("Still there?")
            async with restore_session(on_exit="leave", **options) as session, driven(session) as chat:
                await chat.shows("taken up again; what follows is new")
                await chat.shows(r"─\n.* Grace ┃ Still there\?")

    asyncio.run(main())


@pytest.mark.parametrize("how", ["ctrl+d", "/leave"])
def test_leaving_closes_the_window(how: str):
    """The key does so on an empty line only; within one it deletes, as in a shell."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del sandbox
        await chat.shows("Grace joined")
        if how == "ctrl+d":
            await chat.writes("ab")
            await chat.pilot.press("home", "ctrl+d", "ctrl+d")
            assert line_of(chat).value == ""
            assert chat.app.is_running
            await chat.pilot.press("ctrl+d")
        else:
            await chat.types(how)
        await chat.until(lambda: not chat.app.is_running)
        assert chat.app.last_words == "the session has ended (left)"
        assert agent.chat.ended

    play(part)


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+d"])
def test_what_still_waits_at_the_end_is_named_afterwards(key: str):
    """Nobody else will send it, and the window in which it stood is gone."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        await sandbox.faults.cut()
        await chat.shows("interrupted for")
        await chat.types("one")
        await chat.types("two")
        await chat.shows("two +○ queued")
        await chat.pilot.press(key)
        await chat.until(lambda: not chat.app.is_running)
        assert chat.app.last_words.splitlines()[1:] == ["! never sent: one", "! never sent: two"]
        assert agent.chat.texts == []

    play(part, on_exit="detach")


def test_what_fails_inside_closes_the_window_and_is_kept_for_whoever_ran_it(monkeypatch: pytest.MonkeyPatch):
    """So that it is raised where the terminal is itself again."""

    async def main() -> None:
        session = await open_session(FakeTransport(Backend()))
        app = ChatApp(session)
        monkeypatch.setattr(app, "_show", lambda _: 1 / 0)
        async with session, app.run_test() as pilot:
            while app.is_running:
                await pilot.pause(0.02)
        assert isinstance(app.failure, ZeroDivisionError)

    asyncio.run(main())


def test_the_keys_that_harm_the_server_are_the_demos():
    """Without a stage they do nothing, and the footer does not name them."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del agent, sandbox
        await chat.shows("Grace joined")
        await chat.pilot.press("f3", "f4")
        assert chat.app.is_running
        assert "network" not in chat.screen
        assert "kill" not in chat.screen
        await chat.pilot.press("f2")
        await chat.shows("Inspector ─")
        await chat.pilot.press("f2")
        await chat.until(lambda: "Inspector ─" not in chat.screen)

    play(part)


def test_the_demos_keys_cut_and_mend_and_kill():
    """Each asks the stage, which is told to the visitor first; the footer says what the key does now."""

    class Stage:
        notes = ("a sandbox plays the server",)
        farewell = "the demo is over"

        def __init__(self) -> None:
            self.done: list[str] = []

        async def cut(self) -> None:
            self.done.append("cut")

        async def mend(self) -> None:
            self.done.append("mend")

        def kill(self) -> None:
            self.done.append("kill")

    async def main() -> None:
        stage = Stage()
        session = await open_session(FakeTransport(Backend()))
        async with driven(session, stage=stage) as chat:
            await chat.shows("» a sandbox plays the server")
            await chat.pilot.press("f3")
            await chat.shows("» the network is cut")
            await chat.shows("F3 Mend network  F4 kill -9")
            await chat.pilot.press("f3")
            await chat.shows("F3 Cut network  F4 kill -9")
            await chat.pilot.press("f4")
            assert stage.done == ["cut", "mend", "kill"]
            await chat.pilot.press("ctrl+c")
            await chat.until(lambda: not chat.app.is_running)
            assert chat.app.last_words == "the demo is over"

    asyncio.run(main())


def test_what_verbose_logs_goes_to_the_inspector():
    """From any thread; the terminal is not written upon."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del agent, sandbox
        await chat.pilot.press("f2")
        log = LogLines()
        with log.taken_over(chat.app.log_line):
            await asyncio.to_thread(log, "looked", "\x1b[31m", 7)
        await chat.shows(r"log +looked \\x1b\[31m 7")

    play(part)


def test_the_line_and_the_panes_are_reached_by_the_keyboard():
    """Tab goes round; the scrolling keys scroll the conversation while the line has the focus."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del sandbox
        for number in range(40):
            await agent.say(f"message {number}.")
        await chat.shows("message 39\\.")
        await chat.pilot.press("ctrl+home")
        await chat.shows("Grace joined")
        await agent.say("something new")
        await chat.shows("▼ 1 below, \\^End shows them")
        await chat.pilot.press("ctrl+end")
        await chat.shows("something new")
        await chat.pilot.press("f2")
        await chat.shows("Inspector ─")
        for name in ("conversation", "log"):
            await chat.pilot.press("tab")
            await chat.until(lambda name=name: isinstance(chat.app.focused, Rows) and chat.app.focused.id == name)
        await chat.pilot.press("ctrl+home")
        await chat.shows("#1 ")
        await chat.pilot.press("tab")
        await chat.until(lambda: chat.app.focused is line_of(chat))

    play(part)


def test_thousands_of_events_do_not_make_it_crawl():
    """They are shown within seconds of work, and the keyboard is looked at in between."""

    async def main() -> None:
        desk = Backend()
        session = await open_session(FakeTransport(desk))
        async with driven(session) as chat:
            await chat.shows("joined")
            began = time.process_time()
            for number in range(3_000):
                desk.agent_says(f"message {number}, {'long ' * (number % 40)}")
            await chat.writes("still here")
            assert line_of(chat).value == "still here"
            await chat.shows("message 2999,", within=120)
            await chat.pilot.press("f2")
            await chat.shows("#3001 ")
            await chat.pilot.resize_terminal(100, 30)
            await chat.shows("message 2999,")
            assert time.process_time() - began < 30

    asyncio.run(main())


def test_what_is_kept_in_memory_cannot_be_taken_up_again():
    """So nobody is told to restore it."""

    async def part(chat: Driven, agent: Agent, sandbox: Sandbox) -> None:
        del agent, sandbox
        assert "restore" not in farewell(chat.app._session)

    play(part)
