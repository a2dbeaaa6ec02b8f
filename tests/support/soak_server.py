"""A sandbox in a process of its own that goes wrong in one way after another, with agents that talk all the time.

Arguments: seconds between two messages of an agent on average, between two faults on average, and a seed. Prints its
addresses as a line of JSON. A line of input ``CHAT SENT HEARD`` says what a visitor has sent and heard in a chat that
is over; it is compared with the transcript, which is dropped then. At the end of the input the counts are printed.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from typing import Any

from chat_gms import EventType, PartyType
from chat_sandbox import Agent, Sandbox

#: Seconds for which a stalled server answers nothing, at most.
STALL = 1.5


class _Trouble:
    """Faults in a seeded order."""

    def __init__(self, sandbox: Sandbox, every: float, seed: int) -> None:
        self._faults = sandbox.faults
        self._every = every
        self._chance = random.Random(seed)
        self.counts: Counter[str] = Counter()

    async def make(self) -> None:
        ways = (
            "connections dropped",
            "sessions forgotten",
            "errors that pass",
            "answers lost",
            "stalls",
            "pushes lost",
        )
        while True:
            await asyncio.sleep(self._chance.uniform(0.0, 2 * self._every))
            way = self._chance.choice(ways)
            self.counts[way] += 1
            match way:
                case "connections dropped":
                    self._faults.drop_connections()
                case "sessions forgotten":
                    self._faults.forget_sessions()
                case "errors that pass":
                    self._faults.hiccup(self._chance.randint(1, 5))
                case "answers lost":
                    self._faults.lose_answer(count=self._chance.randint(1, 3))
                case "stalls":
                    self._faults.stall()
                    await asyncio.sleep(self._chance.uniform(0.1, STALL))
                    self._faults.resume()
                case "pushes lost":
                    self._faults.drop_push(self._chance.randint(1, 3))


async def main(gap: float, every: float, seed: int) -> None:
    chance = random.Random(seed)
    wrong: list[str] = []
    messages: Counter[str] = Counter()

    async def play(agent: Agent) -> None:
        number = 0
        await agent.join("Grace")
        while not agent.chat.ended:
            number += 1
            await agent.say(f"a-{number}")
            await asyncio.sleep(chance.uniform(0.0, 2 * gap))

    def compare(sandbox: Sandbox, chat_id: str, sent: int, heard: int) -> None:
        (chat,) = (chat for chat in sandbox.chats if chat.id == chat_id)
        said: dict[bool, list[str]] = {True: [], False: []}
        for event in chat.events:
            if event.type == EventType.MESSAGE and event.party is not None:
                said[event.party.type == PartyType.CLIENT].append(event.text or "")
        if said[True] != [f"v-{number}" for number in range(1, sent + 1)]:
            wrong.append(f"{chat_id}: {sent} were sent: {said[True]}")
        if len(said[False]) != heard:
            wrong.append(f"{chat_id}: {heard} of {len(said[False])} were heard")
        messages["out"] += len(said[True])
        messages["in"] += len(said[False])
        sandbox.forget_chat(chat)

    async with Sandbox(agent=play, timeout=10.0) as sandbox:
        _say({"cometd": sandbox.cometd_url, "rest": sandbox.rest_url})
        trouble = _Trouble(sandbox, every, seed)
        making = asyncio.create_task(trouble.make())
        while line := await asyncio.to_thread(sys.stdin.readline):
            chat_id, sent, heard = line.split()
            compare(sandbox, chat_id, int(sent), int(heard))
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        _say({"wrong": wrong, "messages": dict(messages), "faults": dict(sorted(trouble.counts.items()))})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - read by who started it


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
