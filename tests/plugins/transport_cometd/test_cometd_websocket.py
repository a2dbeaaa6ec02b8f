"""The WebSocket carrier, against a server that says something at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from chat_core import ConnectionOptions
from chat_gms.asked import CookieBox
from chat_transport_cometd._carriers.base import Wire
from chat_transport_cometd._carriers.websocket import WebSocket


class Eager(ServerConnection):
    """Sends a frame together with the answer to the upgrade: both arrive at once."""

    greeting = ""

    async def handshake(self, *args: Any, **options: Any) -> None:
        write = self.transport.write

        def with_greeting(data: bytes) -> None:
            self.transport.write = write  # type: ignore[method-assign]
            frame = self.greeting.encode()
            write(data + bytes([0x81, len(frame)]) + frame)

        self.transport.write = with_greeting  # type: ignore[method-assign]
        await super().handshake(*args, **options)


@pytest.mark.parametrize(
    ("greeting", "messages", "lost"),
    [("Request served by one", 0, 1), ('[{"channel": "/x", "data": {}}]', 1, 0)],
    ids=["no Bayeux", "Bayeux"],
)
def test_what_comes_together_with_the_upgrade_is_taken(greeting: str, messages: int, lost: int):
    """A greeting that is no Bayeux breaks the link at once, as it does later: nobody waits for an answer after it."""
    got: list[object] = []
    reasons: list[str] = []

    async def hold(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async def main() -> None:
        kind = type("Greeting", (Eager,), {"greeting": greeting})
        async with serve(hold, "127.0.0.1", 0, create_connection=kind, compression=None) as server:
            carrier = WebSocket(
                f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/",
                ConnectionOptions(),
                cookies=CookieBox(),
                wire=Wire(messages=got.extend, lost=reasons.append),
                max_message_size=1024,
            )
            await carrier.open()
            assert (len(got), len(reasons)) == (messages, lost)
            await carrier.aclose()

    asyncio.run(main())
