"""The demo in the application: the visitor cuts the network and kills the client; each time a new one restores."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from chat_core._cli._demo.client import DEADLINE, ClientProcess
from chat_core._cli._demo.plays import answer_all
from chat_core._cli._demo.switch import open_switch
from chat_core._cli._demo.words import DURING_THE_CUT, GREETING, WHILE_AWAY, say

__all__ = ["play_in_the_application"]

#: What a killed application leaves switched: the other screen, the hidden cursor, mouse, pasting, focus and keys
#: reported, drawing held back.
_UNDO: Final = "".join(
    f"\x1b[{code}"
    for code in (
        "?2026l",
        "<u",
        *(f"?{mode}l" for mode in (1000, 1003, 1006, 1015, 1004, 2004, 2048)),
        "?25h",
        "?1049l",
    )
)


async def play_in_the_application(sandbox: Any) -> int:
    """Play until the visitor ends the chat; returns the client's exit status."""
    with tempfile.TemporaryDirectory() as state, _terminal_kept() as mend_terminal:
        async with sandbox.Sandbox() as server, _grace(server) as agent, _network(server, agent) as switch:
            client = await ClientProcess.begin("talk", server.cometd_url, state, switch=switch)
            while (status := await client.ended(timeout=None)) == -signal.SIGKILL:
                mend_terminal()
                say("*** the client was killed (kill -9); the agent goes on talking; a new client restores the session")
                await server.faults.mend()
                for text in WHILE_AWAY:
                    await (await agent).say(text)
                client = await ClientProcess.begin("talk again", server.cometd_url, state, switch=switch)
            return status


@asynccontextmanager
async def _grace(server: Any) -> AsyncIterator[asyncio.Future[Any]]:
    """Let an agent meet the visitor and answer; yields the agent once there is one."""
    met: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        agent = await server.next_chat(timeout=DEADLINE)
        await agent.join("Grace")
        await agent.say(GREETING)
        met.set_result(agent)
        await answer_all(agent)

    serving = asyncio.create_task(serve(), name="chat-core: demo's agent")
    try:
        yield met
    finally:
        serving.cancel()
        met.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def _network(server: Any, agent: asyncio.Future[Any]) -> AsyncIterator[str]:
    """Let the visitor cut the network; the agent goes on talking."""

    async def cut() -> None:
        await server.faults.cut()
        for text in DURING_THE_CUT:
            await (await agent).say(text)

    async with open_switch(cut, server.faults.mend) as address:
        yield address


@contextmanager
def _terminal_kept() -> Iterator[Any]:
    """Remember how the terminal is set; yields what sets it so again."""
    try:
        import termios  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        yield lambda: None
        return
    settings = termios.tcgetattr(sys.stdin)

    def mend() -> None:
        with contextlib.suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(sys.stdin, termios.TCSANOW, settings)
        sys.stdout.write(_UNDO)
        sys.stdout.flush()

    yield mend
