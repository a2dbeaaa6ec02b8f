"""RP-1, RP-4: CometD's deliveries do not say what they answer, and none is taken for the answer to something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import chat_core
from chat_core import AmbiguousError, ChatError, MessageReceived, SendMessageCommand
from chat_gms import Envelope
from chat_sandbox._backend.chats import Chat
from chat_sandbox._http.cometd import CometdView
from plugins.test_promises import everything, hold_a_chat, losses, texts
from support.simulation.client import Client
from support.simulation.loop import run_seeded

CARRIERS = "cometd-websocket", "cometd-long-polling"


@asynccontextmanager
async def a_chat(carrier: str) -> AsyncIterator[tuple[Client, chat_core.Session, Any]]:
    """A chat with its agent."""
    async with Client(carrier) as client:
        session = await chat_core.start_session(**client.options())
        agent = await client.sandbox.next_chat()
        await agent.join("Grace")
        yield client, session, agent


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("offset", [0.15, 0.2, 0.24, 0.25, 0.26, 0.28])
def test_rp01_the_answer_to_another_command_is_not_taken_for_the_transcript(carrier: str, offset: float):
    """It has no events and a position beyond the gap, about when the gap's transcript is asked for."""

    async def play(client: Client, session: chat_core.Session, agent: Any) -> None:
        await asyncio.sleep(20)
        client.sandbox.faults.drop_push()
        await agent.say("missed")
        await agent.say("seen")
        await asyncio.sleep(offset)
        await session.set_user_data({"k": "v"})
        await asyncio.sleep(60)
        await agent.say("later")
        await agent.end()
        events = await everything(session)
        assert texts(events) == ["missed", "seen", "later"]
        assert losses(events) == []

    hold_a_chat(carrier, play)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("beside", [0.0, 0.005, 0.01, 0.02])
@pytest.mark.parametrize("offset", [0.22, 0.24, 0.25])
def test_rp01_nor_is_it_when_what_an_agent_says_was_taken_for_the_command_s_outcome(
    carrier: str, offset: float, beside: float
):
    """Nobody waits for the command's own answer any more when that comes."""

    async def play(client: Client, session: chat_core.Session, agent: Any) -> None:
        await asyncio.sleep(20)
        client.sandbox.faults.drop_push()
        await agent.say("missed")
        await agent.say("seen")
        await asyncio.sleep(offset)
        changing = asyncio.ensure_future(_outcome(session.set_user_data({"k": "v"})))
        await asyncio.sleep(beside)
        await agent.say("beside")
        await changing
        await asyncio.sleep(60)
        await agent.say("later")
        await agent.end()
        events = await everything(session)
        assert texts(events) == ["missed", "seen", "beside", "later"]
        assert losses(events) == []

    hold_a_chat(carrier, play)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("seconds", [3.5, 5.0, 8.0])
def test_rp04_a_server_that_takes_its_time_over_the_transcript_settles_a_message_all_the_same(
    carrier: str, seconds: float, monkeypatch: pytest.MonkeyPatch
):
    """Its answer comes when it is asked for the second time already, and from another event."""
    send = CometdView._send
    slow = False

    def late(*given: Any) -> None:
        if slow and "requestNotifications" in given[3:]:
            asyncio.get_running_loop().call_later(seconds, send, *given)
        else:
            send(*given)

    monkeypatch.setattr(CometdView, "_send", late)

    async def chat() -> None:
        nonlocal slow
        async with a_chat(carrier) as (client, session, agent):
            for number in range(20):
                await agent.say(str(number))
            await asyncio.sleep(20)
            slow = True
            lose_the_next_message(session)
            receipt = await asyncio.wait_for(_outcome(session.send_message("hello")), 60)
            assert isinstance(receipt, chat_core.Receipt)
            assert client.sandbox.chats[0].texts.count("hello") == 1
            slow = False
            await agent.end()
            await everything(session)

    run_seeded(chat(), seed=1)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_rp04_nor_for_the_one_in_which_a_message_is_looked_for(carrier: str):
    async def chat(offset: float) -> None:
        async with a_chat(carrier) as (client, session, agent):
            await asyncio.sleep(20)
            client.sandbox.faults.lose_answer("sendMessage")
            sending = asyncio.ensure_future(_outcome(session.send_message("once")))
            await asyncio.sleep(offset)
            await _outcome(session.set_user_data({"back": "yes"}))
            await sending
            await asyncio.sleep(30)
            assert client.sandbox.chats[0].texts == ["once"]
            await agent.end()
            seen = [event for event in await everything(session) if isinstance(event, MessageReceived)]
            assert [event.text for event in seen if event.own] == ["once"]

    for seed in range(4):
        for offset in range(2000, 2120, 20):
            run_seeded(chat(offset / 1000), seed=seed)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("other", ["typing", "user data"])
def test_rp04_another_command_that_is_refused_refuses_no_message(carrier: str, other: str):
    """And what is refused is told as that, also beside another command: at once, or when it was tried alone."""

    async def chat(offset: float, refused: str) -> None:
        async with a_chat(carrier) as (client, session, agent):
            await asyncio.sleep(20)
            client.sandbox.faults.refuse_next(refused, 100, "not wanted", count=2)
            beside = session.send_typing() if other == "typing" else session.set_user_data({"a": "b"})
            besides = asyncio.ensure_future(_outcome(beside))
            await asyncio.sleep(offset)
            told = await _outcome(session.send_message("hello"))
            await besides
            await asyncio.sleep(30)
            if refused == "sendMessage":
                assert isinstance(told, chat_core.SendRejectedError)
                assert client.sandbox.chats[0].texts == []
            else:
                assert isinstance(told, chat_core.Receipt)
                assert told.state == "echoed"
                assert client.sandbox.chats[0].texts == ["hello"]
            await agent.end()
            assert losses(await everything(session)) == []

    operation = "startTyping" if other == "typing" else "updateData"
    for seed in range(5):
        for offset in (0.0, 0.005, 0.01):
            for refused in (operation, "sendMessage"):
                run_seeded(chat(offset, refused), seed=seed)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_rp01_rp04_a_refused_message_refuses_no_transcript(carrier: str):
    async def chat(offset: float) -> None:
        async with a_chat(carrier) as (client, session, agent):
            await asyncio.sleep(20)
            client.sandbox.faults.refuse_next("sendMessage", 41, "no such words", count=2)
            client.sandbox.faults.drop_push()
            await agent.say("missed")
            await agent.say("seen")
            await asyncio.sleep(offset)
            told = await _outcome(session.send_message("hello"))
            assert isinstance(told, chat_core.SendRejectedError)
            await asyncio.sleep(30)
            await agent.end()
            events = await everything(session)
            assert texts(events) == ["missed", "seen"]
            assert losses(events) == []

    for seed in range(4):
        for offset in (0.2, 0.24, 0.25, 0.26, 0.27):
            run_seeded(chat(offset), seed=seed)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_rp04_a_command_whose_caller_gave_up_refuses_no_message(carrier: str):
    async def chat(given_up: float, offset: float) -> None:
        async with a_chat(carrier) as (client, session, agent):
            await asyncio.sleep(20)
            client.sandbox.faults.refuse_next("updateData", 100, "not wanted")
            beside = asyncio.ensure_future(_outcome(session.set_user_data({"a": "b"})))
            await asyncio.sleep(given_up)
            beside.cancel()
            await asyncio.sleep(offset)
            told = await _outcome(session.send_message("hello"))
            assert isinstance(told, chat_core.Receipt)
            assert client.sandbox.chats[0].texts == ["hello"]
            await agent.end()
            await everything(session)

    for seed in range(3):
        for given_up in (0.001, 0.01, 0.03, 0.05, 0.09):
            for offset in (0.0, 0.01):
                run_seeded(chat(given_up, offset), seed=seed)


def lose_the_next_message(session: chat_core.Session) -> None:
    """It never arrives, and nobody knows."""
    transport: Any = session._engine.transport._transport
    send = transport.send

    async def lose(command: object) -> object:
        if not isinstance(command, SendMessageCommand):
            return await send(command)
        transport.send = send
        raise AmbiguousError("no answer")

    transport.send = lose


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("typing", [False, True])
def test_rp01_rp04_a_transcript_whose_anchor_the_server_leaves_out_is_an_answer(
    carrier: str, typing: bool, monkeypatch: pytest.MonkeyPatch
):
    """Nothing stands behind it either, so the answer has no events; beside other commands another anchor is taken."""

    def transcript(chat: Chat, position: int) -> Envelope:
        return chat.envelope([event for event in chat.events[max(position, 1) - 1 :] if event.type != "Notice"])

    monkeypatch.setattr(Chat, "transcript", transcript)

    async def chat() -> None:
        async with a_chat(carrier) as (client, session, agent):
            await agent.notice("pushed, and not kept")
            await asyncio.sleep(20)
            lose_the_next_message(session)
            sending = asyncio.ensure_future(_outcome(session.send_message("hello")))
            for _ in range(60 if typing else 1):
                if typing:
                    await _outcome(session.send_typing())
                await asyncio.sleep(0.5)
            receipt = await asyncio.wait_for(sending, 60)
            assert isinstance(receipt, chat_core.Receipt)
            assert client.sandbox.chats[0].texts == ["hello"]
            await agent.end()
            assert losses(await everything(session)) == []

    run_seeded(chat(), seed=1)


@pytest.mark.parametrize("every", [1.0, 1.9, 5.0])
def test_rp07_that_there_is_no_such_chat_is_certain_whatever_was_asked(every: float):
    """Also beside a visitor who types, where the server does not say besides that the chat has ended."""

    async def chat() -> None:
        async with a_chat("cometd-websocket") as (client, session, _):
            await asyncio.sleep(20)
            for operation in ("requestNotifications", "startTyping", "sendMessage"):
                client.sandbox.faults.refuse_next(operation, 249, "no such chat", count=10**6, chat_ended=False)
            sending = asyncio.ensure_future(_outcome(session.send_message("hello")))
            async with asyncio.timeout(60):
                while session.ended is None:
                    await _outcome(session.send_typing())
                    await asyncio.sleep(every)
            assert session.ended.reason == "lost"
            assert isinstance(await sending, ChatError)
            await session.leave()

    run_seeded(chat(), seed=1)


async def _outcome(command: Any) -> object:
    try:
        return await command
    except ChatError as error:
        return error
