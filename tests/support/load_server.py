"""A sandbox in a process of its own whose agents say what time it is, for loads.

Arguments: seconds, seed. Prints the addresses, talks, and says at the end of its input what was said in each chat.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any

from chat_sandbox import Agent, Sandbox

#: Seconds between two messages of an agent: lively chats are polled quickly, quiet ones slowly.
LIVELY = (2.0, 12.0)
QUIET = (30.0, 50.0)


def is_quiet(subject: str | None) -> bool:
    return subject == "quiet"


async def main(seconds: float, seed: int) -> None:
    chance = random.Random(seed)
    until = time.monotonic() + seconds

    async def play(agent: Agent) -> None:
        own = random.Random(chance.random())
        gap = QUIET if is_quiet(agent.chat.subject) else LIVELY
        await agent.join("Grace")
        await asyncio.sleep(own.uniform(0, gap[1] / 2))
        while time.monotonic() < until and not agent.chat.ended:
            await agent.say(repr(time.time()))
            await asyncio.sleep(own.uniform(*gap))

    async with Sandbox(agent=play) as sandbox:
        print(json.dumps({"cometd": sandbox.cometd_url, "rest": sandbox.rest_url}), flush=True)  # noqa: T201 - read by who started it
        await asyncio.to_thread(sys.stdin.read)
        said: dict[str, Any] = {chat.id: chat.texts for chat in sandbox.chats}
        print(json.dumps(said), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2])))
