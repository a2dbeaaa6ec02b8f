"""A sandbox in a process of its own for a load with Locust.

Argument: how many visitors have to be there at once before the agents come on duty. Prints the address, drops every
connection a second after that, and says at the end of its input what was seen from this side.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from chat_sandbox import Agent, Sandbox, echo

#: Seconds after which the agents begin anyhow.
PATIENCE = 240.0


async def main(wanted: int) -> None:
    here, most = 0, 0
    all_here = asyncio.Event()

    async def play(agent: Agent) -> None:
        nonlocal here, most
        here += 1
        most = max(most, here)
        if here >= wanted:
            all_here.set()
        try:
            await all_here.wait()
            await echo(agent)
        finally:
            here -= 1

    async def disturb(sandbox: Sandbox) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await all_here.wait()
        except TimeoutError:
            all_here.set()
        await asyncio.sleep(1.0)
        sandbox.faults.drop_connections()

    async with Sandbox(agent=play) as sandbox:
        print(sandbox.cometd_url, flush=True)  # noqa: T201 - read by who started it
        disturbing = asyncio.create_task(disturb(sandbox))
        await asyncio.to_thread(sys.stdin.read)
        disturbing.cancel()
        by_worker = Counter(str(chat.user_data.get("worker")) for chat in sandbox.chats)
        seen = {
            "chats": len(sandbox.chats),
            "most at once": most,
            "not left": sum(not chat.ended for chat in sandbox.chats),
            "messages": sum(len(chat.texts) for chat in sandbox.chats),
            "by worker": dict(sorted(by_worker.items())),
        }
        print(json.dumps(seen), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
