"""A scripted customer, as used for monitoring a contact centre: asks, waits for the answer, and says how long it took.

Run against a server of yours, or without an argument against the sandbox:

    python examples/scripted_customer.py [https://gms.example.com/genesys/cometd]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

import chat_core
from chat_sandbox import Sandbox, echo


async def ask(server_url: str) -> float:
    """Hold one short chat and return the seconds until the first answer."""
    async with chat_core.start_session(
        server_url=server_url, username="Monitoring", subject="Check", state_storage="memory"
    ) as session:
        agent = await session.wait_for(chat_core.AgentConnected, timeout=60)
        print(f"{agent.party.name if agent.party else 'somebody'} joined")
        began = time.perf_counter()
        receipt = await session.send_message("Is anybody there?", until="echoed")
        answer = await session.wait_for(chat_core.MessageReceived, timeout=60)
        print(f"{answer}  (our message is number {receipt.index} of the transcript)")
        return time.perf_counter() - began


async def main() -> None:
    """Ask the server given, or a sandbox."""
    async with contextlib.AsyncExitStack() as stack:
        sandbox = None if len(sys.argv) > 1 else await stack.enter_async_context(Sandbox(agent=echo))
        url = sys.argv[1] if sandbox is None else sandbox.cometd_url
        seconds = await ask(url)
        print(f"answered after {seconds:.1f} s")


asyncio.run(main())
