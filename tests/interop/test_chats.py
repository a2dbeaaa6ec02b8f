"""The same chats against the sandbox and against CometD's own Java server, on both carriers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_core import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    Continued,
    EndReason,
    Interrupted,
    LoginRefusedError,
    MessageReceived,
    RefusedError,
    SessionEnded,
)
from chat_sandbox import Sandbox
from support.commands import Command
from support.counterparts import CometdJava, CometdNode, Counterpart, RemoteAgent, require


class SandboxSide:
    """The sandbox behind the names that both servers share here."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.url = sandbox.cometd_url
        self.rest_url = sandbox.rest_url

    async def next_chat(self) -> Any:
        agent = await self.sandbox.next_chat(timeout=10)

        class Side:
            join = staticmethod(agent.join)
            say = staticmethod(agent.say)
            typing = staticmethod(agent.typing)
            leave = staticmethod(agent.leave)
            end = staticmethod(agent.end)
            hears = staticmethod(agent.hears)

            async def texts(self) -> list[str]:
                return agent.chat.texts

            async def ended(self) -> bool:
                return agent.chat.ended

            async def user_data(self) -> dict[str, Any]:
                return dict(agent.chat.user_data)

        return Side()

    async def restart(self) -> None:
        await self.sandbox.restart()

    async def forget(self) -> None:
        self.sandbox.faults.forget_sessions()

    async def drop(self) -> None:
        self.sandbox.faults.drop_connections()

    async def refuse(self, code: int, words: str) -> None:
        self.sandbox.faults.refuse_chat = (code, words)


class RemoteSide:
    """A counterpart behind the same names."""

    def __init__(self, server: Counterpart) -> None:
        self.server = server

    @property
    def url(self) -> str:
        return self.server.url

    async def next_chat(self) -> RemoteAgent:
        return await RemoteAgent.next_chat(self.server)

    async def restart(self) -> None:
        await asyncio.to_thread(self.server.control, "fault/restart")

    async def forget(self) -> None:
        await asyncio.to_thread(self.server.control, "fault/forget")

    async def drop(self) -> None:
        await asyncio.to_thread(self.server.control, "fault/drop")

    async def refuse(self, code: int, words: str) -> None:
        await asyncio.to_thread(self.server.control, "fault/refuse", refuse=f"{code}:{words}")


BOTH = [(kind, carrier) for kind in ("sandbox", "v31", "newest") for carrier in ("websocket", "long-polling")]
#: The CometD project's Node server has no WebSocket, and only the sandbox has a REST view.
EVERYWHERE = [*BOTH, ("node", "long-polling"), ("sandbox", "rest")]


class Servers:
    """Starts each counterpart once, when it is first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._started: dict[str, Counterpart] = {}

    def get(self, kind: str) -> Counterpart | None:
        if kind == "sandbox":
            return None
        if kind not in self._started:
            require("node" if kind == "node" else "java")
            server: Counterpart = CometdNode() if kind == "node" else CometdJava(kind)
            self._started[kind] = self._stack.enter_context(server)
        return self._started[kind]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(params=EVERYWHERE, ids="-".join)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    return tuple(request.param)


@pytest.fixture
def carrier(place: tuple[str, str]) -> str:
    return place[1]


@pytest.fixture
def remote(place: tuple[str, str], servers: Servers) -> Counterpart | None:
    return servers.get(place[0])


@asynccontextmanager
async def serving(remote: Counterpart | None) -> AsyncIterator[Any]:
    if remote is not None:
        yield RemoteSide(remote)
        return
    async with Sandbox() as sandbox:
        yield SandboxSide(sandbox)


def options_for(carrier: str) -> dict[str, Any]:
    """What has to be said for a carrier, at the start and at a restore."""
    if carrier == "rest":
        return {"transport": "rest", "transport_options": {"poll_quick": 0.1, "poll_slow": 0.5}}
    return {"disable_websockets": carrier == "long-polling"}


def address(server: Any, carrier: str) -> str:
    return str(server.rest_url if carrier == "rest" else server.url)


def flags_for(carrier: str) -> list[str]:
    return {"rest": ["--transport", "rest"], "long-polling": ["--no-websockets"]}.get(carrier, [])


def start(server: Any, carrier: str, **options: Any) -> Any:
    options.setdefault("state_storage", "memory")
    return chat_core.start_session(
        server_url=address(server, carrier), username="Ada", **options_for(carrier), **options
    )


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


async def everything(session: Any) -> list[Any]:
    return [event async for event in session.events()]


def test_a_whole_chat(remote: Counterpart | None, carrier: str):
    """Start, talk both ways, typing, the agent leaves, leave: each event once and in order, on this carrier."""

    async def main() -> None:
        async with serving(remote) as server:
            async with start(server, carrier, user_data={"FirstName": "Ada"}) as session:
                if carrier != "rest":
                    assert session._parts.transport._link.carrier == carrier
                agent = await server.next_chat()
                await agent.join("Grace")
                joined = await session.wait_for(AgentConnected, timeout=5)
                assert joined.party.name == "Grace"
                await session.send_typing()
                await session.send_message("Grüße 👋")
                await agent.hears("Grüße 👋")
                await agent.typing()
                assert (await session.wait_for(AgentTyping, timeout=5)).is_typing
                await agent.say("Hello Ada")
                message = await session.wait_for(MessageReceived, timeout=5)
                assert (message.text, message.party.name, message.own) == ("Hello Ada", "Grace", False)
                await session.set_user_data({"Level": "gold"})
                assert {"FirstName": "Ada", "source": "web", "Level": "gold"}.items() <= (
                    await agent.user_data()
                ).items()
                await agent.leave()
                await session.wait_for(AgentDisconnected, timeout=5)
            events = await everything(session)
            lasting = [event for event in events if not event.ephemeral]
            assert names(lasting) == [
                "ParticipantJoined",
                "AgentConnected",
                "MessageReceived",
                "MessageReceived",
                "AgentDisconnected",
                "ParticipantLeft",
                "SessionEnded",
            ]
            indexes = [event.index for event in events if event.index is not None]
            assert indexes == sorted(set(indexes))
            assert await agent.ended()
            assert lasting[-1].reason is EndReason.LEFT

    asyncio.run(main())


def test_the_agent_ends_the_chat(remote: Counterpart | None, carrier: str):
    """The end is announced once, with the reason closed."""

    async def main() -> None:
        async with serving(remote) as server, start(server, carrier) as session:
            agent = await server.next_chat()
            await agent.join("Grace")
            await agent.say("Bye")
            await agent.end()
            end = await session.wait_for(SessionEnded, timeout=5)
            assert end.reason is EndReason.CLOSED
            assert names(await everything(session)).count("SessionEnded") == 1

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["forget", "drop", "restart"])
def test_rp01_nothing_is_lost_through_a_fault_in_mid_chat(remote: Counterpart | None, carrier: str, fault: str):
    """402, broken connections, a restarted server: what was said meanwhile arrives, in order, once."""

    async def main() -> None:
        async with serving(remote) as server, start(server, carrier) as session:
            agent = await server.next_chat()
            await agent.join("Grace")
            said = []
            for number in range(6):
                if number == 3:
                    await getattr(server, fault)()
                await agent.say(f"{number}")
                said.append(f"{number}")
            # A server that goes down may leave a held connect open and unanswered: 30 s, and 10 s of grace (RP-7).
            await session.wait_for(MessageReceived, lambda event: event.text == "5", timeout=60)
            await session.send_message("still here", until="echoed")
            assert await agent.texts() == [*said, "still here"]
            events = [event async for event in until(session, "still here")]
            assert [event.text for event in events if isinstance(event, MessageReceived)] == [*said, "still here"]
            # Between two polls there is no connection to drop, and REST has no session of its own to forget.
            if carrier != "rest" and (carrier, fault) != ("long-polling", "drop"):
                assert any(isinstance(event, Interrupted) for event in events)
                assert any(isinstance(event, Continued) for event in events)

    asyncio.run(main())


async def until(session: Any, text: str) -> AsyncIterator[Any]:
    async for event in session.events():
        yield event
        if isinstance(event, MessageReceived) and event.text == text:
            return


def test_a_refused_chat_says_why(remote: Counterpart | None, carrier: str):
    """The service's code and description arrive."""

    async def main() -> None:
        async with serving(remote) as server:
            await server.refuse(240, "A new chat cannot be started at the moment.")
            try:
                with pytest.raises(RefusedError, match="cannot be started at the moment") as caught:
                    await start(server, carrier)
                assert caught.value.code == 240
            finally:
                if remote is not None:
                    await asyncio.to_thread(remote.control, "fault/refuse", refuse=None)

    asyncio.run(main())


CHILD = """
import asyncio, json, sys
import chat_core

async def main():
    session = await chat_core.start_session(
        server_url=sys.argv[1], username="Ada", **json.loads(sys.argv[3]),
        storage_options={"directory": sys.argv[2]}, max_offline_duration=60,
    )
    await session.wait_for(chat_core.MessageReceived, timeout=20)
    await session.checkpoint()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_restore_from_another_process(remote: Counterpart | None, carrier: str, tmp_path: Path):
    """``kill -9`` on the owner, then restore here: every message sent meanwhile arrives in order, once."""

    async def main() -> None:
        async with serving(remote) as server:
            place = str(tmp_path / "state")
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", CHILD, address(server, carrier), place, json.dumps(options_for(carrier))),
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ},
            )
            agent = await server.next_chat()
            await agent.join("Grace")
            await agent.say("one")
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await agent.say("two")
            await agent.say("three")
            async with chat_core.restore_session(
                storage_options={"directory": place}, **options_for(carrier)
            ) as session:
                await session.send_message("back", until="echoed")
                events = [event async for event in until(session, "back")]
            messages = [event for event in events if isinstance(event, MessageReceived)]
            assert [event.text for event in messages] == ["one", "two", "three", "back"]
            assert [event.restored for event in messages][1:] == [False, False, False]
            assert await agent.texts() == ["one", "two", "three", "back"]

    asyncio.run(main())


def test_talk_and_restore_hold_a_chat(remote: Counterpart | None, carrier: str, tmp_path: Path):
    """The commands do what the library does: talk, kill -9, restore, leave."""

    async def main() -> None:
        async with serving(remote) as server:
            flags = flags_for(carrier)
            talk = await Command.begin(tmp_path, "talk", address(server, carrier), "--name", "Ada", *flags)
            agent = await server.next_chat()
            await agent.join("Grace")
            await agent.say("Hi")
            await talk.shows("Grace: Hi")
            talk.say("Hello")
            await agent.hears("Hello")
            talk.process.send_signal(signal.SIGKILL)
            await talk.ended()
            await agent.say("meanwhile")
            restore = await Command.begin(tmp_path, "restore", *flags)
            await restore.shows("Grace: meanwhile")
            restore.say("/leave")
            assert await restore.ended() == 0, restore.lines
            assert await agent.ended()
            shown = [line.removeprefix("(earlier) ") for line in restore.lines]
            assert [line for line in shown if ": " in line] == ["Grace: Hi", "Ada: Hello", "Grace: meanwhile"]

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["sandbox", "v31", "newest", "node"])
def test_websocket_refused_falls_back_to_long_polling(kind: str, servers: Servers):
    """Where the upgrade is refused the chat is held over long polling."""

    async def main() -> None:
        if kind == "sandbox":
            async with Sandbox() as sandbox:
                sandbox.faults.refuse_websocket = True
                await talk(SandboxSide(sandbox))
        elif kind == "node":
            server = servers.get(kind)
            assert server is not None
            await talk(RemoteSide(server))
        else:
            require("java")
            with CometdJava(kind, websocket=False) as server:
                await talk(RemoteSide(server))

    async def talk(server: Any) -> None:
        async with start(server, "websocket") as session:
            assert session._parts.transport._link.carrier == "long-polling"
            agent = await server.next_chat()
            await agent.join("Grace")
            await session.send_message("over HTTP")
            await agent.hears("over HTTP")

    asyncio.run(main())


@pytest.mark.parametrize(("kind", "carrier"), BOTH)
def test_a_refused_handshake_is_not_repeated(kind: str, carrier: str):
    """It is a login error with the server's words, code 101."""

    async def main() -> None:
        if kind == "sandbox":
            async with Sandbox() as sandbox:
                sandbox.faults.refuse_handshake = "Handshake denied"
                with pytest.raises(LoginRefusedError, match=r"[Hh]andshake.?[Dd]enied") as caught:
                    await start(SandboxSide(sandbox), carrier)
        else:
            require("java")
            with (
                CometdJava(kind, refuseHandshake=True) as server,
                pytest.raises(LoginRefusedError, match=r"[Hh]andshake.?[Dd]enied") as caught,
            ):
                await start(RemoteSide(server), carrier)
        assert caught.value.code == 101

    asyncio.run(main())
