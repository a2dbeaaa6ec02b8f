"""What becomes of a chat that goes wrong: reasons in Locust's figures, and no word of what was said."""

from __future__ import annotations

import re

import pytest

from chat_gms import EventType
from chat_sandbox import Agent, echo
from chat_sandbox.blocking import Sandbox
from support import locusts


@pytest.fixture(autouse=True)
def with_locust():
    locusts.require()


TEXT = "canary-in-a-message"

SCRIPT = f"""
from support.locust_inside import *
import asyncio, logging
from locust import SequentialTaskSet, constant, task
from locust.exception import StopUser
from chat_core import AgentConnected, AmbiguousError, ContinuityLost, MessageReceived, RefusedError, Reply
from chat_core import SendMessageCommand, SendUnknownError
from support.backend import ALL, FakeTransport
from chat_load_locust import ChatUser, scenario

logging.basicConfig(level=logging.DEBUG)


class Once(ChatUser):
    abstract = True
    host = URL
    fixed_count = 1
    wait_time = constant(3600)

    def start_options(self):
        return {{"subject": type(self).__name__}}


class Refused(Once):
    @scenario
    async def play(self, session):
        await session.send_message({TEXT!r})


class Quoting(Once):
    @scenario
    async def play(self, session):
        await session.wait_for(AgentConnected)
        await session.send_message({TEXT!r})
        answer = await session.wait_for(MessageReceived)
        {{}}[answer.text]  # QUOTE


class Forgotten(Once):
    @scenario
    async def play(self, session):
        while True:
            await session.send_message({TEXT!r})
            await asyncio.sleep(0.05)


class Alone(Once):
    @scenario
    async def play(self, session):
        await session.wait_for(AgentConnected, timeout=0.2)  # WAIT


class Deaf(FakeTransport):
    capabilities = ALL

    async def send(self, command):
        if isinstance(command, SendMessageCommand):
            return Reply()
        return await super().send(command)


class Unheard(Once):
    echo_timeout = 0.2

    def start_options(self):
        return {{"transport": Deaf()}}

    @scenario
    async def play(self, session):
        await session.send_message({TEXT!r})


class Unknown(Once):
    def start_options(self):
        link = FakeTransport()
        link.capabilities = ALL
        link.faults = [("before", AmbiguousError("no answer"))]
        return {{"transport": link}}

    @scenario
    async def play(self, session):
        try:
            await session.send_message({TEXT!r}, resend="never")
        except SendUnknownError:
            pass


class Lossy(Once):
    def start_options(self):
        self.link = FakeTransport()
        self.link.capabilities = ALL
        self.link.fetch_faults = [RefusedError("no") for _ in range(99)]
        return {{"transport": self.link}}

    @scenario
    async def play(self, session):
        self.link.backend.agent_says({TEXT!r}, push=False)
        self.link.backend.agent_says({TEXT!r})
        await session.wait_for(ContinuityLost)


class Cancelled(Once):
    @scenario
    async def play(self, session):
        await session.wait_for(AgentConnected)
        never = asyncio.get_running_loop().create_future()
        never.cancel()
        await never


class Nowhere(Once):
    host = "http://127.0.0.1:9/genesys/cometd"

    @scenario
    async def play(self, session):
        raise NotImplementedError


class Wrong(Once):
    def start_options(self):
        return {{"transport_options": {{"no_such_option": 1}}}}

    @scenario
    async def play(self, session):
        raise NotImplementedError


class Done(Once):
    @scenario
    async def play(self, session):
        raise StopUser


async def in_tasks(session):
    await session.send_message({TEXT!r}, until="echoed")


class Listed(Once):
    tasks = {{in_tasks: 2}}


class InTurn(Once):
    @task
    class Turns(SequentialTaskSet):
        wait_time = constant(0)

        @scenario
        async def first(self, session):
            await self.user.say(session)

        @scenario
        async def second(self, session):
            await self.user.say(session)
            raise StopUser

    async def say(self, session):
        await session.send_message({TEXT!r}, until="echoed")


classes = Once.__subclasses__()
load = Load(*classes)
load.start(13)
until(lambda: load.count("session") == 12 and load.runner.user_count == 11)
until(lambda: sum(name == "start_session" and reason is not None for name, reason, _ in load.figures) == 2)
load.stop()
say(reasons=load.reasons(), failed=load.failed, told=load.count("send to echo"))
"""


def line_of(mark: str) -> int:
    return 1 + SCRIPT[: SCRIPT.index(mark)].count("\n")


def test_every_outcome_has_its_reason_and_no_text_is_shown():
    """In figures, logs and errors; chats that end well have none."""

    async def play(agent: Agent) -> None:
        match agent.chat.subject:
            case "Refused":
                faults = sandbox.faults
                faults.refuse_next("sendMessage", 210, f"too long: {TEXT}", count=5, chat=agent.chat)
            case "Forgotten":
                await agent.join("Grace")
                await agent.wait_for(lambda event: event.type == EventType.MESSAGE)
                sandbox._sandbox.forget_chat(agent.chat)
            case "Alone":
                pass
            case _:
                await echo(agent)

    with Sandbox(agent=play) as sandbox:
        found, output = locusts.inside(SCRIPT, sandbox.cometd_url)
        assert all(chat.ended for chat in sandbox.chats if chat.subject != "Forgotten")
    reasons = found["reasons"]
    assert found["failed"] == []
    assert re.fullmatch(r"ConnectError \(local 100\): .*127\.0\.0\.1:9.*", reasons["start_session"][0])
    assert re.fullmatch(r"OptionError \(local 3\): .*no_such_option.*", reasons["start_session"][1])
    del reasons["start_session"]
    assert reasons == {
        "continuity": ["ContinuityLost (fetch refused)"],
        "send to echo": [
            "SendRejectedError (gms 210)",
            "SendRejectedError (gms 249)",
            "SendUnknownError (local 150)",
            "not in the transcript within 0.2 s",
        ],
        "session": [
            f"KeyError in line {line_of('# QUOTE')} of the scenario's file",
            "SendRejectedError (gms 210)",
            "SessionEnded (lost, code 249)",
            f"TimeoutError in line {line_of('# WAIT')} of the scenario's file",
            "the scenario was cancelled",
        ],
        "time to agent": [
            "no agent: SendRejectedError (gms 210)",
            f"no agent: TimeoutError in line {line_of('# WAIT')} of the scenario's file",
        ],
        "time to first reply": ["no reply: SendRejectedError (gms 210)", "no reply: SendRejectedError (gms 249)"],
    }
    assert "the scenario Quoting.play failed with KeyError (logged once)" in output
    assert TEXT not in output
