"""A cancellation that nobody asked for, out of a plugin, is an error like any other: nothing waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat_core import (
    AmbiguousError,
    ConnectError,
    EndReason,
    MessageReceived,
    SessionEnded,
    StorageError,
    TypingCommand,
)
from chat_core._session.guard import Guarded
from chat_core._storages.runner import StorageRunner
from support.backend import FakeTransport
from support.clock import run_virtually
from support.sessions import MemoryLog, open_session


@pytest.mark.parametrize("arrived", [True, False])
def test_rp04_a_message_whose_send_was_dropped_is_settled(arrived: bool):
    """It is looked for in the transcript as after any lost answer."""

    async def main() -> list[str]:
        transport = FakeTransport()
        transport.faults = [("after" if arrived else "before", asyncio.CancelledError())]
        session = await open_session(transport)
        await session.send_message("once", until="echoed")
        await session.leave()
        return transport.backend.texts

    assert run_virtually(main()) == ["once"]


def test_other_commands_say_that_nobody_can_tell():
    """Instead of cancelling whoever sent them."""

    async def main() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", asyncio.CancelledError())]
        with pytest.raises(AmbiguousError, match="gave up in the middle"):
            await session.send_typing()
        await session.leave()

    run_virtually(main())


def test_rp01_a_fetch_that_was_dropped_is_tried_again():
    """The gap is closed."""

    async def main() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.fetch_faults = [asyncio.CancelledError()]
        transport.backend.agent_says("one", push=False)
        transport.backend.agent_says("two")
        await session.wait_for(MessageReceived, lambda event: event.text == "two", timeout=20)
        texts = [event.text for event in await session.get_transcript() if isinstance(event, MessageReceived)]
        await session.leave()
        return texts

    assert run_virtually(main()) == ["one", "two"]


def test_rp15_a_stream_that_was_dropped_ends_the_session():
    """The readers are told."""

    class Dropping(FakeTransport):
        async def incoming(self) -> Any:
            await asyncio.sleep(1)
            raise asyncio.CancelledError
            yield

    async def main() -> None:
        session = await open_session(Dropping())
        end = await session.wait_for(SessionEnded, timeout=20)
        assert end.reason is EndReason.LOST

    run_virtually(main())


def test_rp09_a_cancellation_that_was_asked_for_stays_one():
    """The guard takes nothing from whoever really is cancelled."""

    async def main() -> None:
        sending = asyncio.create_task(Guarded(FakeTransport()).send(TypingCommand()))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    run_virtually(main())


def test_a_start_that_was_dropped_is_an_error():
    """Not a cancellation of whoever started."""
    import chat_core

    async def main() -> None:
        transport = FakeTransport()
        transport.start_fault = asyncio.CancelledError()
        with pytest.raises(ConnectError, match="gave up while opening"):
            await chat_core.start_session(transport=transport, state_storage="memory")

    asyncio.run(main())


def test_a_storage_that_drops_a_call_is_an_error():
    """The session goes on and says so."""

    class Dropping:
        async def read(self) -> Any:
            raise asyncio.CancelledError

        async def write(self, state: Any) -> None:
            raise asyncio.CancelledError

    async def main() -> None:
        runner = StorageRunner(Dropping(), name="dropping", log=MemoryLog())
        with pytest.raises(StorageError, match="gave read up"):
            await runner.read()

    asyncio.run(main())
