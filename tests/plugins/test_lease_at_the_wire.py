"""A stale owner writes nothing, whatever its transport was about to do (RP-14): counted in bytes behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

import chat_core
from chat_core import Capability, LeaseLostError, LeaveCommand, NotSentError, SendMessageCommand, TypingCommand
from chat_sandbox import Sandbox
from plugins.carriers import every_carrier, options

#: What closes a WebSocket; it says nothing of the chat.
_CLOSE = 0x88


class Relay:
    """Passes bytes on to a server and keeps what came from the client since ``mark`` was called."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self.after: list[bytes] | None = None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield self._target._replace(netloc=f"127.0.0.1:{port}").geturl()
        finally:
            server.close()
            await server.wait_closed()

    def mark(self) -> None:
        self.after = []

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._target.port is not None
        there, back = await asyncio.open_connection("127.0.0.1", self._target.port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counts: bool) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    if counts and self.after is not None:
                        self.after.append(data)
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, back, counts=True), pump(there, writer, counts=False))


class LeasedPlace:
    """A storage with a lease that is never in danger by itself."""

    blocking = False
    lease = 3600.0
    capabilities = frozenset({Capability.PERSISTENT, Capability.OWNERSHIP, Capability.LEASE})

    def __init__(self) -> None:
        self.state: Mapping[str, Any] | None = None

    def read(self) -> Mapping[str, Any] | None:
        return self.state

    def write(self, state: Mapping[str, Any] | None) -> None:
        self.state = state

    def acquire(self) -> None: ...
    def release(self) -> None: ...
    def renew(self) -> None: ...

    def orphans(self, limit: int) -> list[str]:
        return []


@every_carrier
def test_rp14_a_stale_owner_writes_not_one_byte(carrier: str):
    """Polls, held connects, commands that have passed the session already, the farewell: whatever comes next.

    The clock jumps, as after a stop, and no timer has noticed: the check stands before each write.
    """

    async def main() -> None:
        async with Sandbox() as sandbox:
            given = options(carrier, sandbox)
            relay = Relay(given.pop("server_url"))
            async with relay.listening() as url:
                session = await chat_core.start_session(server_url=url, state_storage=LeasedPlace(), **given)
                agent = await sandbox.next_chat()
                await agent.join("Grace")
                await session.send_message("Hello", until="echoed")
                lease, transport = session._parts.lease, session._parts.transport
                assert lease is not None
                clock = lease.clock
                lease.clock = lambda: clock() + 7200.0
                await asyncio.sleep(0.3)  # what was written before is on its way still
                relay.mark()
                for command in (TypingCommand(), SendMessageCommand(text="late"), LeaveCommand()):
                    with pytest.raises(NotSentError):
                        await transport.send(command)
                await agent.say("Are you there?")
                await asyncio.sleep(1.0)  # in which several polls would come, and a held connect be sent anew
                with pytest.raises(LeaseLostError):
                    await session.send_message("late")
                await session.detach()
                assert [data for data in relay.after or [] if data[0] != _CLOSE] == []
                assert agent.chat.texts == ["Hello", "Are you there?"]
                assert not agent.chat.ended

    asyncio.run(main())
