"""What became of the visitor's messages, as the application follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chat_core import AmbiguousError, Capability, RefusedError
from chat_core._cli._tui import outgoing
from chat_core._cli._tui.outgoing import Outgoing
from chat_core._model.events import MessageReceived
from chat_core._session.receipts import Receipt
from support.backend import ALL, VISITOR, Backend, FakeTransport
from support.sessions import open_session


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def play(part: Callable[[Outgoing, FakeTransport], Awaitable[None]], **parts: object) -> None:
    async def main() -> None:
        transport = FakeTransport(Backend())
        session = await open_session(transport, **parts)  # type: ignore[arg-type]
        async with session:
            await part(Outgoing(session), transport)

    asyncio.run(main())


def test_a_message_is_under_way_until_its_event_is_shown():
    """Then its receipt belongs to the event."""

    async def part(going: Outgoing, transport: FakeTransport) -> None:
        sending = asyncio.create_task(going.send("Hello", "text"))
        await until(lambda: going.look() == [] and going.under_way)
        (receipt,) = going.under_way
        await sending
        await until(lambda: receipt.echoed)
        assert going.look() == []
        assert going.under_way == (receipt,)
        (event,) = [event for event in transport.backend.transcript if isinstance(event, MessageReceived)]
        assert going.claim(event) == (receipt, False)
        assert going.under_way == ()
        assert going.look() == []

    play(part)


def test_a_refused_message_is_shown_with_its_receipt():
    """Once, for good, and nothing is raised."""

    async def part(going: Outgoing, transport: FakeTransport) -> None:
        transport.faults.append(("before", RefusedError("too rude", code=7)))
        await going.send("Hello", "text")
        (receipt,) = going.look()
        assert receipt.state == "rejected"
        assert going.look() == []
        assert going.under_way == ()

    play(part)


def test_a_transport_without_places_tells_no_more_than_accepted(monkeypatch: pytest.MonkeyPatch):
    """The message is shown after a moment; an event that comes later without a place does not show it again."""
    monkeypatch.setattr(outgoing, "_GRACE", 0.0)

    async def part(going: Outgoing, transport: FakeTransport) -> None:
        del transport
        await going.send("Hello", "text")
        final: list[Receipt] = []
        await until(lambda: final.extend(going.look()) or final)
        (receipt,) = final
        assert receipt.state == "accepted"
        event = MessageReceived(party=VISITOR, own=True, text="Hello")
        assert going.claim(event) == (receipt, True)
        assert going.claim(event) == (None, False)

    play(part, capabilities=ALL - {Capability.POSITION})


def test_without_places_the_order_tells_whose_event_it_is():
    """Where the event comes before the message is shown for good, it takes the receipt along."""

    async def part(going: Outgoing, transport: FakeTransport) -> None:
        del transport
        await going.send("one", "text")
        await going.send("two", "text")
        first, second = going.under_way
        for receipt in (first, second):
            assert going.claim(MessageReceived(party=VISITOR, own=True, text="as the server has it")) == (
                receipt,
                False,
            )
        assert going.under_way == ()

    play(part, capabilities=ALL - {Capability.POSITION})


def test_an_echo_whose_place_was_lost_is_shown_without_its_event(monkeypatch: pytest.MonkeyPatch):
    """It arrived, so it is not left under way for ever."""
    monkeypatch.setattr(outgoing, "_GRACE", 0.0)

    async def part(going: Outgoing, transport: FakeTransport) -> None:
        transport.faults.append(("after", AmbiguousError("the answer was lost")))
        await going.send("Hello", "text")
        final: list[Receipt] = []
        await until(lambda: final.extend(going.look()) or final)
        assert [receipt.text for receipt in final] == ["Hello"]
        assert final[0].echoed
        assert going.under_way == ()

    play(part)
