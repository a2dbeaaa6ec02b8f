"""An agent to chat with, where there is no chat server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from chat_sandbox import Join, Pause, Sandbox, Say, Type, WaitFor, scripted

__all__ = ["demo"]

_WORDS: Final = (
    "Hello, I am Grace. What can I do for you?",
    "Let me have a look.",
    "Found it: it leaves the house today and is with you the day after tomorrow.",
    "You are welcome. Reload this page, or open it in a second tab: I will still be here.",
    *["Is there anything else?"] * 50,
)


@contextlib.asynccontextmanager
async def demo() -> AsyncIterator[str]:
    """Run a sandbox with an agent; yields its address."""
    steps: list[Pause | Join | Type | Say | WaitFor] = [Pause(1.0), Join("Grace")]
    for words in _WORDS:
        steps += [Type(), Pause(0.5 + len(words) / 60), Type(is_typing=False), Say(words), WaitFor()]
    async with Sandbox(agent=scripted(steps)) as sandbox:
        yield sandbox.cometd_url
