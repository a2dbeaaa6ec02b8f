"""The network's switch: the visitor's process asks the demo's to cut the network, and to mend it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["BEGINNING", "ClientStage", "open_switch"]

_HOST: Final = "127.0.0.1"
BEGINNING: Final = (
    "a sandbox plays the server, Grace its agent; you are Ada",
    "F3 cuts the network, and mends it; try to write meanwhile",
    "F4 kills this process (kill -9); a new one goes on",
)
_AGAIN: Final = "process {pid} has restored the session of the killed one"


@asynccontextmanager
async def open_switch(cut: Callable[[], Awaitable[None]], mend: Callable[[], Awaitable[None]]) -> AsyncIterator[str]:
    """Listen for the client's wishes on loopback; yields the address. A client that dies has no more of them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                await (cut if line == b"cut\n" else mend)()
                writer.write(b"done\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, _HOST, 0)
    try:
        yield str(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


class ClientStage:
    """The demo as the visitor's process sees it."""

    farewell = "the demo is over"

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, notes: Sequence[str]) -> None:
        self.notes = notes
        self._reader = reader
        self._writer = writer
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    async def enter(cls, port: str, *, again: bool) -> ClientStage:
        """Connect with the demo's process."""
        notes = (_AGAIN.format(pid=os.getpid()),) if again else BEGINNING
        return cls(*await asyncio.open_connection(_HOST, int(port)), notes)

    async def cut(self) -> None:
        """Cut the network."""
        await self._wish(b"cut\n")

    async def mend(self) -> None:
        """Mend it."""
        await self._wish(b"mend\n")

    def kill(self) -> None:
        """Kill this process."""
        os.kill(os.getpid(), signal.SIGKILL)

    async def _wish(self, wish: bytes) -> None:
        async with self._one_at_a_time:
            self._writer.write(wish)
            await self._reader.readline()
