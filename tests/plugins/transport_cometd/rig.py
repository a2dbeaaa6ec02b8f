"""Builds transports for the tests of the CometD transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from chat_core import StartRequest, TransportContext
from chat_transport_cometd import CometdOptions
from chat_transport_cometd._transport import CometdTransport, make_transport
from plugins.transport_cometd.cometd_server import CometdServer

CARRIERS = ["websocket", "long-polling"]
ADA = StartRequest(username="Ada", subject="Invoice", user_data={"FirstName": "Ada", "source": None})


class Recorder:
    """A log that keeps what it hears."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def _note(self, *args: Any) -> None:
        self.lines.append(args)

    debug = info = warning = error = _note


def run(coroutine: Coroutine[Any, Any, None], *, seconds: float = 20.0) -> None:
    """Run a test; afterwards no task may be left."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await coroutine
        await until(lambda: len(asyncio.all_tasks()) == 1)

    asyncio.run(bounded())


async def until(condition: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def make(url: str, *, carrier: str = "websocket", log: Recorder | None = None, **options: Any) -> CometdTransport:
    options = {"connect_timeout": 2.0, "start_timeout": 5.0, "max_network_delay": 2.0, **options}
    return make_transport(
        TransportContext(
            server_url=url,
            options=CometdOptions(**options),
            disable_websockets=carrier != "websocket",
            log=log or Recorder(),
        )
    )


class Inbox:
    """Reads a transport's ``incoming`` in a task of its own."""

    def __init__(self, transport: CometdTransport) -> None:
        self.items: list[Any] = []
        self.task = asyncio.create_task(self._read(transport))

    async def _read(self, transport: CometdTransport) -> None:
        async for item in transport.incoming():
            self.items.append(item)

    def of(self, kind: type) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]

    @property
    def texts(self) -> list[str]:
        return [event.text for item in self.items for event in getattr(item, "events", ()) if hasattr(event, "text")]


@asynccontextmanager
async def chatting(
    server: CometdServer, *, carrier: str = "websocket", log: Recorder | None = None, **options: Any
) -> AsyncIterator[tuple[CometdTransport, Inbox]]:
    """A chat that was started, and closed afterwards."""
    transport = make(server.url, carrier=carrier, log=log, **options)
    try:
        await transport.start(ADA)
        inbox = Inbox(transport)
        yield transport, inbox
    finally:
        await transport.aclose()
    await inbox.task
