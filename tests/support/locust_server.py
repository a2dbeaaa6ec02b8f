"""A sandbox in a process of its own for a load with Locust.

Argument: how many visitors have to be there at once before the agents come on duty. Prints the address, drops every
connection when so many have written, before the first of them is answered, and says at the end of its input what was
seen from this side. Nobody starts a chat at that moment: a start whose answer is lost is ambiguous, and a failure.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from chat_gms import EventType, GmsEvent, PartyType
from chat_sandbox import Agent, Sandbox

#: Seconds after which the agents begin, and then answer, anyhow.
PATIENCE = 240.0


class Floor:
    """The agents' floor: all begin when enough visitors are there, all answer when enough have written."""

    def __init__(self, wanted: int) -> None:
        self.most = 0
        self._wanted = wanted
        self._here = 0
        self._written = 0
        self._all_here = asyncio.Event()
        self._all_written = asyncio.Event()
        self._answering = asyncio.Event()

    async def play(self, agent: Agent) -> None:
        """Answer each message of one visitor with its own text."""
        self._here += 1
        self.most = max(self.most, self._here)
        if self._here >= self._wanted:
            self._all_here.set()
        try:
            await self._all_here.wait()
            await agent.join("Echo")
            while (text := await _next_text(agent)) is not None:
                self._written += 1
                if self._written >= self._wanted:
                    self._all_written.set()
                await self._answering.wait()
                if not agent.chat.ended:
                    await agent.say(text)
        finally:
            self._here -= 1

    async def disturb(self, sandbox: Sandbox) -> None:
        """Drop every connection once, between the first messages and the first answers."""
        for everybody in (self._all_here, self._all_written):
            try:
                async with asyncio.timeout(PATIENCE):
                    await everybody.wait()
            except TimeoutError:
                everybody.set()
        sandbox.faults.drop_connections()
        self._answering.set()


async def _next_text(agent: Agent) -> str | None:
    """Wait for the visitor's next message; None when the chat is over."""

    def counts(event: GmsEvent) -> bool:
        if agent.chat.ended:
            return True
        return event.type == EventType.MESSAGE and event.party is not None and event.party.type == PartyType.CLIENT

    event = await agent.wait_for(counts, timeout=86400)
    return None if agent.chat.ended else event.text or ""


async def main(wanted: int) -> None:
    floor = Floor(wanted)
    async with Sandbox(agent=floor.play) as sandbox:
        print(sandbox.cometd_url, flush=True)  # noqa: T201 - read by who started it
        disturbing = asyncio.create_task(floor.disturb(sandbox))
        await asyncio.to_thread(sys.stdin.read)
        disturbing.cancel()
        by_worker = Counter(str(chat.user_data.get("worker")) for chat in sandbox.chats)
        seen = {
            "chats": len(sandbox.chats),
            "most at once": floor.most,
            "not left": sum(not chat.ended for chat in sandbox.chats),
            "messages": sum(len(chat.texts) for chat in sandbox.chats),
            "by worker": dict(sorted(by_worker.items())),
        }
        print(json.dumps(seen), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
