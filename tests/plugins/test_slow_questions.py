"""RP-7: a server that takes its time over questions about the transcript is slow, not dead."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from chat_core import Interrupted, Session
from chat_sandbox import Agent
from chat_transport_cometd._exchange import Exchange
from plugins.test_promises import everything, hold_a_chat, losses, texts
from support.simulation.client import Client

#: Seconds that the server takes over each question: longer than a first one is waited for.
TAKES = 6.0


@pytest.fixture
def slow_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each question about the transcript be acknowledged late."""
    questions: set[str] = set()
    publish, receive = Exchange.publish, Exchange._received

    async def note(self: Exchange, message: dict[str, Any], **options: Any) -> Any:
        if "requestNotifications" in str(message):
            questions.add(message["id"])
        return await publish(self, message, **options)

    def delay(self: Exchange, arrived: Iterable[dict[str, Any]]) -> None:
        messages = list(arrived)
        late = [message for message in messages if message.get("id") in questions and "successful" in message]
        receive(self, [message for message in messages if message not in late])
        if late:
            asyncio.get_running_loop().call_later(TAKES, receive, self, late)

    monkeypatch.setattr(Exchange, "publish", note)
    monkeypatch.setattr(Exchange, "_received", delay)


both_carriers = pytest.mark.parametrize("carrier", ["cometd-websocket", "cometd-long-polling"])


@both_carriers
@pytest.mark.usefixtures("slow_questions")
def test_rp07_a_server_that_is_slow_with_each_question_loses_its_link_over_the_first_one_only(carrier: str):
    """The position is checked once a minute; over five minutes the link is given up once, and nothing is lost."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        del client
        await asyncio.sleep(300)
        await agent.say("still there")
        await agent.end()
        events = await everything(session)
        assert texts(events) == ["still there"]
        assert losses(events) == []
        assert sum(isinstance(event, Interrupted) for event in events) <= 1

    hold_a_chat(carrier, play)


@both_carriers
@pytest.mark.usefixtures("slow_questions")
def test_rp01_an_answer_counts_though_the_question_is_not_acknowledged_yet(carrier: str):
    """What was missed is there at once; that nobody acknowledged the question says nothing about it."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        await asyncio.sleep(150)
        client.sandbox.faults.drop_push()
        await agent.say("missed")
        await agent.say("seen")
        await asyncio.sleep(60)
        await agent.end()
        events = await everything(session)
        assert texts(events) == ["missed", "seen"]
        assert losses(events) == []

    hold_a_chat(carrier, play)
