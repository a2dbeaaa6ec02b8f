"""What the two halves of the transport checks share."""

from __future__ import annotations

import json
from typing import Final

from chat_core.testing._checks import Suite
from chat_core.testing._transport_bench import Link, TransportBench

__all__ = ["SUITE", "restored", "with_three_messages"]

SUITE: Final = Suite("transport", "TR")


async def with_three_messages(bench: TransportBench) -> Link:
    """Open a chat in which the agent, the visitor and the agent have spoken."""
    link = await bench.start()
    await bench.on_server("say", "one")
    await link.until(lambda: "one" in link.texts(), "the agent's message did not come out")
    await link.send("two")
    await bench.on_server("say", "three")
    await link.until(lambda: "three" in link.texts(), "the agent's message did not come out")
    return link


async def restored(bench: TransportBench, link: Link) -> Link:
    """Close a transport without leaving, and take its chat up in another one, from JSON."""
    saved = json.loads(json.dumps(dict(link.transport.saved())))
    await link.close()
    return await bench.resume(saved)
