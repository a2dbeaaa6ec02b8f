"""RP-1, RP-4: CometD's deliveries do not say what they answer, and none is taken for the answer to something else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import chat_core
from chat_core import ChatError, MessageReceived
from plugins.test_promises import everything, hold_a_chat, losses, texts
from support.simulation.client import Client
from support.simulation.loop import run_seeded

CARRIERS = "cometd-websocket", "cometd-long-polling"


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
def test_rp04_nor_for_the_one_in_which_a_message_is_looked_for(carrier: str):
    async def chat(offset: float) -> None:
        async with Client(carrier) as client:
            session = await chat_core.start_session(**client.options())
            agent = await client.sandbox.next_chat()
            await agent.join("Grace")
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
        async with Client(carrier) as client:
            session = await chat_core.start_session(**client.options())
            agent = await client.sandbox.next_chat()
            await agent.join("Grace")
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
        async with Client(carrier) as client:
            session = await chat_core.start_session(**client.options())
            agent = await client.sandbox.next_chat()
            await agent.join("Grace")
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


async def _outcome(command: Any) -> object:
    try:
        return await command
    except ChatError as error:
        return error
