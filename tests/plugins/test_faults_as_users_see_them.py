"""Every fault of the sandbox, and what the user of a chat sees of it: mostly nothing, and never a guess."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import chat_core
from chat_core import (
    AgentConnected,
    Continued,
    EndReason,
    Interrupted,
    MessageReceived,
    NoSessionToRestore,
    RefusedError,
    SendRejectedError,
    SessionEnded,
    SessionEndedError,
)
from chat_gms import Operation
from chat_sandbox import Agent, ChatTimes, Sandbox
from plugins.carriers import CARRIERS, QUICK, every_carrier, start

POLL = Operation.REQUEST_NOTIFICATIONS


async def begin(sandbox: Sandbox, session: Any) -> Agent:
    agent = await sandbox.next_chat()
    await agent.join()
    await session.wait_for(AgentConnected, timeout=5)
    return agent


async def talk(agent: Agent, session: Any, *texts: str) -> None:
    for text in texts:
        await agent.say(text)
    await session.wait_for(MessageReceived, lambda event: event.text == texts[-1], timeout=15)


async def seen(session: Any) -> list[str]:
    """Return what the user saw once the session is over, without the coming and going."""
    return [
        str(event) async for event in session.events() if isinstance(event, MessageReceived | Interrupted | Continued)
    ]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda faults: faults.hiccup(3, operation=POLL), id="statusCode 1 for three polls"),
        pytest.param(lambda faults: faults.overlap(2, count=3), id="overlapping events"),
        pytest.param(lambda faults: faults.double_events(3), id="events twice in one answer"),
        pytest.param(lambda faults: faults.omit("chatEnded", "alias", "userId", count=5), id="optional fields missing"),
        pytest.param(lambda faults: faults.omit("secureKey", count=5), id="secureKey missing"),
        pytest.param(
            lambda faults: faults.answer_http(429, 2, retry_after=0, operation=POLL), id="429 with Retry-After"
        ),
        pytest.param(lambda faults: faults.delay_answer(0.3, operation=POLL), id="a slow answer"),
    ],
)
def test_over_rest_the_user_sees_nothing_of(fault: Any):
    """Every message arrives once and in order, and no interruption is reported."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            async with start("rest", sandbox) as session:
                agent = await begin(sandbox, session)
                await talk(agent, session, "one", "two")
                fault(sandbox.faults)
                await talk(agent, session, "three", "four")
                await session.send_message("five", until="echoed")
                await talk(agent, session, "six")
            assert await seen(session) == [
                *("Agent: one", "Agent: two", "Agent: three", "Agent: four"),
                *("User: five", "Agent: six"),
            ]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, ""),
        (503, "busy"),
        (504, ""),
        (500, "<h1>no</h1>"),
        (408, ""),
        (200, "<html>hello"),
        (200, "Forbidden"),
        (200, ""),
    ],
)
def test_over_rest_a_failing_server_is_an_interruption(status: int, body: str):
    """It is said when it begins and when it is over; nothing is lost by it, and no message is sent twice."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            async with start("rest", sandbox) as session:
                agent = await begin(sandbox, session)
                sandbox.faults.answer_http(status, 2, body=body, operation=POLL)
                await session.wait_for(Interrupted, timeout=10)
                await agent.say("one")
                await session.wait_for(Continued, timeout=15)
                await session.send_message("two", until="echoed")
            texts = [event.text async for event in session.events() if isinstance(event, MessageReceived)]
            assert texts == ["one", "two"]

    asyncio.run(main())


@pytest.mark.parametrize(("status", "body"), [(502, ""), (200, "Forbidden"), (408, "")])
def test_over_rest_a_message_whose_answer_is_no_answer_is_settled(status: int, body: str):
    """RP-4: it is looked for, found absent, and sent again; it is there once."""

    async def main() -> None:
        async with Sandbox() as sandbox, start("rest", sandbox) as session:
            agent = await begin(sandbox, session)
            sandbox.faults.answer_http(status, body=body, operation=Operation.SEND_MESSAGE)
            await session.send_message("once", until="echoed")
            assert agent.chat.texts == ["once"]

    asyncio.run(main())


def test_over_rest_a_slow_answer_is_ambiguous_and_settled():
    """The answer comes after the time allowed; the message is not sent again."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            fast = {**QUICK, "request_timeout": 0.3}
            async with start("rest", sandbox, transport_options=fast) as session:
                agent = await begin(sandbox, session)
                sandbox.faults.delay_answer(1.0, operation=Operation.SEND_MESSAGE)
                await session.send_message("once", until="echoed")
                assert agent.chat.texts == ["once"]

    asyncio.run(main())


@pytest.mark.parametrize("chat_ended", [False, True])
def test_over_rest_statuscode_2_on_a_poll(chat_ended: bool):
    """Code 249 ends the session once, whatever chatEnded says; another code does only if chatEnded says so."""

    async def main(code: int) -> list[Any]:
        async with Sandbox() as sandbox:
            session = await start("rest", sandbox)
            agent = await begin(sandbox, session)
            sandbox.faults.refuse_next(POLL, code, "No.", chat_ended=chat_ended)
            if code != 249 and not chat_ended:
                await talk(agent, session, "still here")
                await session.leave()
            return [event async for event in session.events() if isinstance(event, SessionEnded)]

    (end,) = asyncio.run(main(249))
    assert (end.reason, end.error.code) == (EndReason.LOST, 249)
    (end,) = asyncio.run(main(52))
    assert end.reason is (EndReason.CLOSED if chat_ended else EndReason.LEFT)


@every_carrier
@pytest.mark.parametrize("chat_ended", [False, True])
def test_statuscode_2_on_a_message(carrier: str, chat_ended: bool):
    """The message is rejected with the server's code and words; the chat is over if the answer says so."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            session = await start(carrier, sandbox)
            agent = await begin(sandbox, session)
            sandbox.faults.refuse_next(Operation.SEND_MESSAGE, 240, "Not now.", chat_ended=chat_ended, chat=agent.chat)
            with pytest.raises((SendRejectedError, SessionEndedError)) as caught:
                await session.send_message("x")
            if chat_ended:
                end = await session.wait_for(SessionEnded, timeout=5)
                assert end.reason is EndReason.CLOSED
            else:
                assert "Not now." in str(caught.value)
                assert caught.value.code == 240
                await session.send_message("y", until="echoed")
                await session.leave()

    asyncio.run(main())


@every_carrier
def test_events_without_an_index_take_the_place_where_they_came(carrier: str):
    """They are handed over once; what has an index stays in order and complete."""

    async def main() -> None:
        async with Sandbox() as sandbox, start(carrier, sandbox) as session:
            agent = await begin(sandbox, session)
            await talk(agent, session, "one")
            sandbox.faults.strip_index()
            await agent.say("two")
            await session.wait_for(MessageReceived, lambda event: event.text == "two", timeout=5)
            await talk(agent, session, "three")
            transcript = [event.text for event in await session.get_transcript() if isinstance(event, MessageReceived)]
            assert transcript == ["one", "two", "three"]

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS[:2])
def test_over_cometd_a_push_that_is_lost_is_fetched(carrier: str):
    """RP-1: the gap shows by the next event's index and is closed from the transcript."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            async with start(carrier, sandbox) as session:
                agent = await begin(sandbox, session)
                sandbox.faults.drop_push(2)
                await talk(agent, session, "one", "two", "three")
            assert await seen(session) == ["Agent: one", "Agent: two", "Agent: three"]

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS[:2])
def test_over_cometd_deliveries_may_come_twice_or_lack_fields(carrier: str):
    """Duplicates are suppressed by index, an absent chatEnded ends nothing."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            async with start(carrier, sandbox) as session:
                agent = await begin(sandbox, session)
                sandbox.faults.double_events(3)
                sandbox.faults.omit("chatEnded", "secureKey", "nextPosition", "alias", count=3)
                await talk(agent, session, "one", "two", "three", "four")
            assert await seen(session) == ["Agent: one", "Agent: two", "Agent: three", "Agent: four"]

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS[:2])
def test_over_cometd_a_forgotten_session_is_made_anew(carrier: str):
    """402: a new handshake, and the chat is taken up from where it was."""

    async def main() -> None:
        async with Sandbox() as sandbox, start(carrier, sandbox) as session:
            agent = await begin(sandbox, session)
            sandbox.faults.forget_sessions()
            await agent.say("one")
            await session.wait_for(MessageReceived, lambda event: event.text == "one", timeout=15)
            await session.send_message("two", until="echoed")
            assert agent.chat.texts == ["one", "two"]

    asyncio.run(main())


@every_carrier
def test_a_stalled_server_is_waited_for(carrier: str):
    """A server that accepts and does not answer loses nothing."""

    async def main() -> None:
        async with Sandbox() as sandbox, start(carrier, sandbox) as session:
            agent = await begin(sandbox, session)
            sandbox.faults.stall()
            await agent.say("one")
            sending = asyncio.create_task(session.send_message("two", until="echoed"))
            await asyncio.sleep(0.3)  # a time without answers, not a wait for one
            assert not sending.done()
            sandbox.faults.resume()
            await sending
            assert agent.chat.texts == ["one", "two"]

    asyncio.run(main())


def test_a_silent_visitor_is_removed_and_the_polls_prevent_it():
    """While the session polls it stays; detached for too long it is gone, and restoring says so."""

    async def main() -> None:
        async with Sandbox(times=ChatTimes(removal=0.6)) as sandbox:
            storage = Kept()
            session = await start("rest", sandbox, state_storage=storage)
            agent = await begin(sandbox, session)
            began = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() - began < 1.5:
                await talk(agent, session, "still there?")
            await session.detach()
            await agent.wait_for(lambda event: event.type == "ParticipantLeft", timeout=5)
            with pytest.raises(NoSessionToRestore):
                await chat_core.restore_session(state_storage=storage, transport="rest")

    asyncio.run(main())


@every_carrier
def test_a_start_that_is_refused_carries_code_and_words(carrier: str):
    """Nothing is left behind."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            sandbox.faults.refuse_chat = (240, "A new chat cannot be started at the moment.")
            with pytest.raises(RefusedError, match="cannot be started") as caught:
                await start(carrier, sandbox)
            assert caught.value.code == 240
            assert sandbox.chats == []

    asyncio.run(main())


def test_a_fault_befalls_what_it_was_meant_for():
    """One chat of two, after so many requests, of one operation."""

    async def main() -> None:
        async with Sandbox() as sandbox, start("rest", sandbox) as one, start("rest", sandbox, profile="two") as two:
            first, second = await begin(sandbox, one), await begin(sandbox, two)
            sandbox.faults.refuse_next(Operation.SEND_MESSAGE, 240, "Not now.", after=1, chat=second.chat)
            await one.send_message("a")
            await two.send_message("b")
            with pytest.raises(SendRejectedError):
                await two.send_message("c")
            await one.send_message("d")
            await two.send_message("e")
            assert (first.chat.texts, second.chat.texts) == (["a", "d"], ["b", "e"])

    asyncio.run(main())


class Kept:
    """A storage as a user writes one."""

    state: Any = None

    def read(self) -> Any:
        return self.state

    def write(self, state: Any) -> None:
        self.state = state
