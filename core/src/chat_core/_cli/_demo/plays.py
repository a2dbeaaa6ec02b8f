"""The two ways to play the demo: a fixed conversation that checks itself, and one with whoever sits at the terminal.

In both the client is a process of its own, the network is cut while the agent goes on talking, and the client is
killed once and restored.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from typing import Any, Final, NoReturn, TypeVar

from chat_core._cli._demo.client import DEADLINE, ClientProcess
from chat_core._cli._demo.words import DURING_THE_CUT, GREETING, VISITOR, WHILE_AWAY, say

__all__ = ["answer_all", "play_alone", "play_at_the_terminal"]

#: Seconds for which the network stays cut at the terminal: long enough to write a line into the cut.
CUT: Final = 4.0
#: Seconds that a person may take to write a line.
FOR_EVER: Final = 86400.0

T = TypeVar("T")


async def play_alone(sandbox: Any) -> int:
    """Play the fixed conversation; returns 1 if anything was lost, doubled or out of order."""
    with tempfile.TemporaryDirectory() as state:
        async with sandbox.Sandbox() as server:
            say("*** a sandbox plays the server; the client is a process of its own")
            client = await ClientProcess.begin("play", server.cometd_url, state)
            agent = await server.next_chat(timeout=DEADLINE)
            await agent.join("Grace")
            await agent.say(GREETING)
            await agent.hears(VISITOR[0], timeout=DEADLINE)
            await _cut(server, agent)
            await client.shows("the connection is interrupted")
            await _mend(server)
            await agent.hears(VISITOR[1], timeout=DEADLINE)
            await _kill(client, agent)
            client = await ClientProcess.begin("play again", server.cometd_url, state)
            await agent.hears(VISITOR[2], timeout=DEADLINE)
            status = await client.ended()
            said = agent.chat.texts
    wanted = [GREETING, VISITOR[0], *DURING_THE_CUT, VISITOR[1], *WHILE_AWAY, VISITOR[2]]
    if status != 0 or said != wanted or client.messages != wanted:
        say("*** FAILED: something was lost, doubled or out of order")
        return 1
    say(f"*** {len(wanted)} messages, none lost, none doubled, all in order, through a cut network and a killed client")
    return 0


async def play_at_the_terminal(sandbox: Any) -> int:
    """Play with whoever sits at the terminal; returns the client's exit status."""
    with tempfile.TemporaryDirectory() as state:
        async with sandbox.Sandbox() as server:
            say("*** a sandbox plays the server; you are Ada. Write a line and press Enter; /leave ends the chat")
            client = await ClientProcess.begin("talk", server.cometd_url, state)
            outcome = await _end_or_story(client, _through_the_cut(server))
            if isinstance(outcome, int):
                return outcome
            await _kill(client, outcome)
            client = await ClientProcess.begin("talk again", server.cometd_url, state)
            return await _end_or_story(client, answer_all(outcome))


async def _end_or_story(client: ClientProcess, story: Coroutine[Any, Any, T]) -> T | int:
    """Return the client's exit status if it ends before the story does, else what the story returned."""
    telling = asyncio.create_task(story, name="chat-core: demo")
    ending = asyncio.create_task(client.ended(timeout=None), name="chat-core: demo's client")
    try:
        await asyncio.wait({telling, ending}, return_when=asyncio.FIRST_COMPLETED)
        return ending.result() if ending.done() else telling.result()
    except BaseException:
        client.kill()
        raise
    finally:
        telling.cancel()
        ending.cancel()
        await asyncio.gather(telling, ending, return_exceptions=True)


async def _through_the_cut(server: Any) -> Any:
    """Meet the visitor, cut the network, mend it; returns the agent."""
    agent = await server.next_chat(timeout=DEADLINE)
    await agent.join("Grace")
    await agent.say(GREETING)
    await _answer(agent)
    await _cut(server, agent)
    say("*** what you write now is sent when the network is back")
    await asyncio.sleep(CUT)
    await _mend(server)
    await _answer(agent)
    return agent


async def answer_all(agent: Any) -> NoReturn:
    """Answer whatever the visitor says."""
    while True:
        await _answer(agent)


async def _answer(agent: Any) -> None:
    text = await agent.hears(timeout=FOR_EVER)
    await agent.typing()
    await agent.say(f"You said: {text}")


async def _cut(server: Any, agent: Any) -> None:
    say("*** the network is cut; the agent goes on talking")
    await server.faults.cut()
    for text in DURING_THE_CUT:
        await agent.say(text)


async def _mend(server: Any) -> None:
    say("*** the network is back")
    await server.faults.mend()


async def _kill(client: ClientProcess, agent: Any) -> None:
    say("*** the client is killed (kill -9); the agent goes on talking")
    client.kill()
    await client.ended()
    for text in WHILE_AWAY:
        await agent.say(text)
    say("*** a new client process restores the session")
