"""A session on a fake back end, on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import Batch, Ended
from chat_core._model.errors import (
    AmbiguousError,
    NotSentError,
    OptionError,
    OptionTypeError,
    RefusedError,
    SendExpiredError,
    SendRejectedError,
    SendUnknownError,
    SessionEndedError,
    StorageError,
    UnsupportedCommandError,
)
from chat_core._model.events import (
    AgentConnected,
    Continued,
    ContinuityLost,
    EndReason,
    ErrorInfo,
    Event,
    Interrupted,
    LossReason,
    MessageReceived,
    ParticipantJoined,
    SessionEnded,
)
from chat_core._session.continuity import Timing
from chat_core._session.limits import OutboxLimits
from chat_core._session.parts import ConnectionState
from chat_core._session.receipts import Receipt, ReceiptState
from chat_core._session.session import Session
from support.backend import ALL, FakeTransport
from support.clock import run_virtually
from support.sessions import MemoryLog, Place, open_session


async def collect(session: Session) -> list[Event]:
    return [event async for event in session.events()]


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_chat_from_start_to_end():
    """Messages go both ways, and leaving ends the iteration with SessionEnded."""

    async def run() -> tuple[list[Event], Place, FakeTransport]:
        transport, place = FakeTransport(), Place()
        async with await open_session(transport, place=place) as session:
            reading = asyncio.create_task(collect(session))
            transport.backend.agent_joins()
            await session.send_message("Hello")
            transport.backend.agent_says("Hi")
            await session.wait_for(MessageReceived, timeout=1)
            assert [party.name for party in session.parties] == ["Ada", "Grace"]
        return await reading, place, transport

    events, place, transport = run_virtually(run())
    assert names(events) == [
        "ParticipantJoined",
        "AgentConnected",
        "MessageReceived",
        "MessageReceived",
        "ParticipantLeft",
        "SessionEnded",
    ]
    end = events[-1]
    assert isinstance(end, SessionEnded)
    assert (end.reason, end.error) == (EndReason.LEFT, None)
    assert place.last is None, "the state is cleared at the end"
    assert place.released == 1
    assert transport.closed


def test_the_state_holds_what_a_restore_needs_and_no_more():
    """Version, transport, URL, session id, the transport's own part and the position are saved."""

    async def run() -> Place:
        transport, place = FakeTransport(), Place()
        session = await open_session(transport, place=place)
        reader = session.events()
        await reader.__anext__()
        await session.checkpoint()
        await session.detach()
        return place

    assert run_virtually(run()).last == {
        "version": 1,
        "transport": "fake",
        "server_url": "https://chat.example/cometd",
        "session_id": "chat-1",
        "link": {"key": "secret-key"},
        "delivered": 1,
        "websockets_disabled": False,
        "outbox": [],
    }


def test_rp06_the_position_is_saved_soon_after_a_reader_has_finished():
    """200 ms after an event was finished, and not before, the storage knows it."""

    async def run() -> list[Any]:
        transport, place = FakeTransport(), Place()
        session = await open_session(transport, place=place)
        session.on_event(lambda event: None)
        transport.backend.agent_joins()
        await asyncio.sleep(0.19)
        early = list(place.states)
        await asyncio.sleep(0.02)
        await session.detach()
        return [early, place.states[0]]

    early, first = run_virtually(run())
    assert early == []
    assert first["delivered"] == 2


def test_rp06_the_slowest_reader_decides_what_is_saved():
    """An event counts as delivered when every open reader has finished it."""

    async def run() -> Any:
        transport, place = FakeTransport(), Place()
        session = await open_session(transport, place=place)
        slow = session.events()
        await slow.__anext__()
        session.on_event(lambda event: None)
        transport.backend.agent_joins()
        await asyncio.sleep(1)
        await session.detach()
        return place.last

    assert run_virtually(run())["delivered"] == 0


def test_a_storage_that_fails_is_reported_once_and_tried_again():
    """The session goes on; the user is told once, and the state is saved as soon as the storage works again."""

    async def run() -> tuple[MemoryLog, Place]:
        transport, place, log = FakeTransport(), Place(), MemoryLog()
        place.fail = StorageError("disk full")
        session = await open_session(transport, place=place, log=log)
        session.on_event(lambda event: None)
        await asyncio.sleep(12)
        place.fail = None
        await asyncio.sleep(6)
        await session.detach()
        return log, place

    log, place = run_virtually(run())
    assert log.at("warning") == ["the session goes on, but its state cannot be saved disk full"]
    assert len(place.states) == 1


def test_checkpoint_counts_what_a_wait_returned():
    """Who waits, acts and saves is not handed the event as new after a restore."""

    async def main() -> None:
        place = Place()
        transport = FakeTransport()
        session = await open_session(transport, place=place)
        transport.backend.agent_says("one")
        event = await session.wait_for(MessageReceived)
        await session.checkpoint()
        assert place.last is not None
        assert place.last["delivered"] == event.index
        transport.backend.agent_says("two")
        await session.wait_for(MessageReceived)

        async def elsewhere() -> None:
            await session.checkpoint()

        await asyncio.create_task(elsewhere())  # says nothing of what we are done with
        assert place.last["delivered"] == event.index
        await session.leave()

    run_virtually(main())


def test_checkpoint_raises_what_the_storage_raises():
    """Whoever must know that the position is saved hears that it is not."""

    async def run() -> None:
        place = Place()
        session = await open_session(FakeTransport(), place=place)
        place.fail = StorageError("disk full")
        with pytest.raises(StorageError, match="disk full"):
            await session.checkpoint()
        await session.detach()

    run_virtually(run())


def test_both_ways_to_read_see_the_past_first():
    """An iterator and a callback made late see everything from the beginning."""

    async def run() -> tuple[list[str], list[str]]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.backend.agent_joins()
        transport.backend.agent_says("Hi")
        await session.wait_for(MessageReceived, timeout=1)
        called: list[Event] = []
        session.on_event(called.append)
        reader = session.events()
        read = [await anext(reader) for _ in range(3)]
        await session.detach()
        return names(read), names(called)

    read, called = run_virtually(run())
    assert read == called == ["ParticipantJoined", "AgentConnected", "MessageReceived"]


def test_a_callback_gets_its_kind_of_event_only():
    """``on_agent_connected`` is called for agents; ``own=False`` leaves the visitor out."""

    async def run() -> tuple[list[Event], list[Event]]:
        transport = FakeTransport()
        session = await open_session(transport)
        agents: list[Event] = []
        messages: list[Event] = []

        @session.on_agent_connected
        async def _(event: AgentConnected) -> None:
            agents.append(event)

        session.on_message_received(messages.append, own=False)
        transport.backend.agent_joins()
        await session.send_message("mine")
        transport.backend.agent_says("theirs")
        await session.wait_for(MessageReceived, timeout=1)
        await session.detach()
        return agents, messages

    agents, messages = run_virtually(run())
    assert names(agents) == ["AgentConnected"]
    assert [event.text for event in messages if isinstance(event, MessageReceived)] == ["theirs"]


def test_a_subscription_is_callable_and_can_be_cancelled():
    """It serves as a decorator: the name still is the function, and ``cancel`` ends the calls."""

    async def run() -> tuple[int, list[str]]:
        transport = FakeTransport()
        session = await open_session(transport)
        seen: list[str] = []

        @session.on_message_received
        def note(event: MessageReceived) -> int:
            """Notes."""
            seen.append(event.text)
            if event.text == "stop":
                note.cancel()
            return len(event.text)

        assert note.__doc__ == "Notes."
        assert note.__name__ == "note"
        assert "active" in repr(note)
        result = note(MessageReceived(text="called"))
        for text in ("one", "stop", "never"):
            transport.backend.agent_says(text)
        await asyncio.sleep(1)
        assert not note.active
        other = session.on_event(lambda event: None)
        other.cancel()
        await asyncio.sleep(0)
        assert not other.active
        await session.detach()
        return result, seen

    assert run_virtually(run()) == (6, ["called", "one", "stop"])


def test_rp12_a_bad_handler_hurts_nobody():
    """Raising, cancelling and never returning callbacks leave other readers alone, and are reported."""

    async def run() -> tuple[list[str], MemoryLog]:
        transport, log = FakeTransport(), MemoryLog()
        session = await open_session(transport, log=log)
        seen: list[str] = []

        async def raises(event: Event) -> None:
            raise ValueError("bad handler")

        async def cancels(event: Event) -> None:
            raise asyncio.CancelledError

        async def hangs(event: Event) -> None:
            await asyncio.Event().wait()

        for handler in (raises, cancels, hangs):
            session.on_event(handler)
        session.on_message_received(lambda event: seen.append(event.text))
        transport.backend.agent_says("one")
        transport.backend.agent_says("two")
        await asyncio.sleep(1)
        await session.detach()
        return seen, log

    seen, log = run_virtually(run())
    assert seen == ["one", "two"]
    assert sum("a callback failed" in line for line in log.at("error")) == 3
    assert sum("cancelled from within" in line for line in log.at("error")) == 3
    assert sum("did not return in time" in line for line in log.at("warning")) == 1


def test_wait_for_goes_on_where_the_last_one_ended():
    """Each wait begins behind what the last one returned, skips what does not fit and leaves own messages out."""

    async def run() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport)
        await session.send_message("mine")
        for text in ("one", "two", "three"):
            transport.backend.agent_says(text)
        first = await session.wait_for(MessageReceived, timeout=1)
        third = await session.wait_for(MessageReceived, lambda event: event.text == "three", timeout=1)
        with pytest.raises(TimeoutError, match="no MessageReceived that fits came within 1 s"):
            await session.wait_for(MessageReceived, timeout=1)
        again = await session.wait_for(MessageReceived, after=0, own=True, timeout=1)
        await session.detach()
        return [first.text, third.text, again.text]

    assert run_virtually(run()) == ["one", "three", "mine"]


def test_wait_for_says_that_nothing_can_come_any_more():
    """A wait on a session that is over raises instead of waiting."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        waiting = asyncio.create_task(session.wait_for(AgentConnected))
        await asyncio.sleep(0.1)
        transport.backend.end()
        with pytest.raises(SessionEndedError, match="before a AgentConnected"):
            await waiting
        end = await session.wait_for(SessionEnded)
        assert end.reason is EndReason.CLOSED
        with pytest.raises(OptionTypeError, match="needs an event class"):
            await session.wait_for("MessageReceived")  # type: ignore[type-var]

    run_virtually(run())


def test_two_waits_at_once_each_find_theirs():
    """Waits that run at the same time start from the same place."""

    async def run() -> tuple[str, str]:
        transport = FakeTransport()
        session = await open_session(transport)
        joined, message = (
            asyncio.create_task(session.wait_for(AgentConnected, timeout=5)),
            asyncio.create_task(session.wait_for(MessageReceived, timeout=5)),
        )
        await asyncio.sleep(0.1)
        transport.backend.agent_says("early")
        transport.backend.agent_joins()
        result = (type(await joined).__name__, (await message).text)
        await session.detach()
        return result

    assert run_virtually(run()) == ("AgentConnected", "early")


def test_rp01_what_was_missed_while_the_link_was_down_is_fetched():
    """After a reconnect the reader sees every event in order, between Interrupted and what comes later."""

    async def run() -> tuple[list[Event], list[ConnectionState]]:
        transport = FakeTransport()
        session = await open_session(transport)
        reading = asyncio.create_task(collect(session))
        states = [session.connection_state]
        transport.cut()
        await asyncio.sleep(1)
        states.append(session.connection_state)
        transport.backend.agent_joins()
        transport.backend.agent_says("missed")
        await asyncio.sleep(4)
        transport.mend()
        await asyncio.sleep(1)
        states.append(session.connection_state)
        transport.backend.agent_says("later")
        await asyncio.sleep(1)
        await session.detach()
        states.append(session.connection_state)
        return await reading, states

    events, states = run_virtually(run())
    assert names(events) == [
        "ParticipantJoined",
        "Interrupted",
        "Continued",
        "AgentConnected",
        "MessageReceived",
        "MessageReceived",
    ]
    continued = events[2]
    assert isinstance(continued, Continued)
    assert continued.blind_time == pytest.approx(5.0, abs=0.1)
    assert states == [
        ConnectionState.CONNECTED,
        ConnectionState.INTERRUPTED,
        ConnectionState.CONNECTED,
        ConnectionState.DETACHED,
    ]


def test_rp01_a_burst_larger_than_the_log_passes_no_reader_by():
    """A reader that keeps up gets every event without asking the server a second time, however many come at once."""
    count = 25_000

    async def run() -> tuple[list[Event], FakeTransport]:
        transport = FakeTransport()
        session = await open_session(transport)
        reading = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        for first in range(2, count + 2, 500):
            events = tuple(MessageReceived(index=index, text="x") for index in range(first, first + 500))
            transport.push(Batch(events=events, next_position=first + 500))
        await session.wait_for(MessageReceived, lambda event: event.index == count + 1, timeout=60)
        await session.detach()
        return await reading, transport

    events, transport = run_virtually(run())
    assert [event.index for event in events] == list(range(1, count + 2))
    assert transport.fetches == []


def test_rp01_a_transport_without_transcript_says_what_it_cannot_know():
    """Without positions each reconnect is a ContinuityLost, and the guarantees say so beforehand."""

    async def run() -> tuple[list[Event], Session]:
        transport = FakeTransport()
        session = await open_session(transport, capabilities=frozenset())
        transport.cut()
        transport.mend()
        await session.wait_for(ContinuityLost, timeout=1)
        await session.detach()
        return await collect(session), session

    events, session = run_virtually(run())
    lost = events[-1]
    assert isinstance(lost, ContinuityLost)
    assert lost.reason is LossReason.NO_TRANSCRIPT
    assert not session.guarantees.gaps_are_closed


def test_rp07_a_push_lost_on_a_healthy_link_is_found():
    """Within a minute the position check brings what never arrived."""

    async def run() -> MessageReceived:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.backend.agent_says("lost", push=False)
        event = await session.wait_for(MessageReceived, timeout=61)
        await session.detach()
        return event

    assert run_virtually(run()).text == "lost"


def test_rp15_a_transport_that_breaks_ends_the_session_once():
    """A plugin that raises or just stops is an end with the reason lost, not a silence."""

    async def run(fail: bool) -> SessionEnded | None:
        transport = FakeTransport()

        async def incoming() -> Any:
            if fail:
                raise ValueError("plugin bug")
            return
            yield

        transport.incoming = incoming  # type: ignore[method-assign]
        session = await open_session(transport)
        events = await collect(session)
        assert names(events).count("SessionEnded") == 1
        await session.aclose()
        return session.ended

    for fail in (True, False):
        end = run_virtually(run(fail))
        assert end is not None
        assert end.reason is EndReason.LOST


def test_rp15_a_fetch_that_finds_the_chat_unknown_ends_the_session():
    """When the server no longer knows the chat, the session is over with the reason lost."""

    async def run() -> SessionEnded:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.fetch_faults = [RefusedError("unknown", session_unknown=True, code=249)]
        transport.cut()
        transport.mend()
        end = await session.wait_for(SessionEnded, timeout=5)
        await session.aclose()
        return end

    end = run_virtually(run())
    assert end.reason is EndReason.LOST
    assert end.error is not None
    assert end.error.code == 249


def test_a_command_that_finds_the_chat_unknown_ends_the_session():
    """The refusal is raised, and the session is over."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", RefusedError("unknown", session_unknown=True, code=50))]
        with pytest.raises(RefusedError):
            await session.set_user_data({"a": 1})
        assert session.connection_state is ConnectionState.ENDED
        await session.aclose()

    run_virtually(run())


# Receipts


def test_a_receipt_goes_from_accepted_to_echoed():
    """``await send_message`` returns at accepted; the transcript's own message then gives the index."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        receipt = await session.send_message("Hello")
        assert receipt.state in {ReceiptState.ACCEPTED, ReceiptState.ECHOED}
        await receipt.reached("echoed")
        assert (receipt.state, receipt.index, receipt.copies) == (ReceiptState.ECHOED, 2, (2,))
        echoed = await session.send_message("again", until="echoed")
        assert echoed.index == 3
        assert "Hello" not in repr(receipt)
        assert "5 characters" in repr(receipt)
        await session.detach()

    run_virtually(run())


def test_a_message_is_claimed_by_order_never_by_text():
    """The server may trim or filter the text; the receipt finds its message all the same."""

    async def run() -> int | None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.backend.agent_says("before")
        transport._commit = lambda command: transport.backend.visitor_says("[filtered]")  # type: ignore[assignment,return-value]
        receipt = await session.send_message("rude", until="echoed")
        await session.detach()
        return receipt.index

    assert run_virtually(run()) == 3


def test_rp05_messages_keep_their_order():
    """Messages sent at once without waiting arrive in the order of the calls."""

    async def run() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport)
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(session.send_message(f"{number}"))
        await session.detach()
        return transport.backend.texts

    assert run_virtually(run()) == [str(number) for number in range(10)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_rp04_an_ambiguous_send_is_settled_by_the_transcript(when: str):
    """Whether the answer or the message itself was lost, exactly one copy arrives and the receipt knows."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [(when, AmbiguousError("no answer"))]
        receipt = await session.send_message("once", until="echoed")
        assert transport.backend.texts == ["once"]
        assert receipt.index == 2
        assert receipt.attempts == (2 if when == "before" else 1)
        await session.detach()

    run_virtually(run())


def test_rp04_nothing_else_is_sent_before_an_ambiguous_send_is_settled():
    """The next message waits, so that the order holds."""

    async def run() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", AmbiguousError("no answer"))]
        async with asyncio.TaskGroup() as group:
            group.create_task(session.send_message("first"))
            group.create_task(session.send_message("second"))
        await session.detach()
        return transport.backend.texts

    assert run_virtually(run()) == ["first", "second"]


def test_rp04_without_resending_an_absent_message_is_unknown():
    """``resend="never"`` looks for the message and sends nothing twice."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", AmbiguousError("no answer"))]
        with pytest.raises(SendUnknownError) as caught:
            await session.send_message("once", resend="never")
        assert caught.value.receipt.state is ReceiptState.UNKNOWN
        assert transport.backend.texts == []
        transport.faults = [("after", AmbiguousError("no answer"))]
        receipt = await session.send_message("twice", resend="never")
        assert receipt.state is ReceiptState.ECHOED
        await session.detach()

    run_virtually(run())


def test_rp04_without_a_transcript_an_ambiguous_send_is_unknown():
    """Nothing is sent again that may have arrived when nobody can look."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport, capabilities=frozenset())
        transport.faults = [("after", AmbiguousError("no answer"))]
        with pytest.raises(SendUnknownError, match="no answer"):
            await session.send_message("once")
        await session.detach()

    run_virtually(run())


def test_rp04_a_second_copy_is_said():
    """A server that commits later than the settle time makes two copies, and the receipt shows both."""

    async def run() -> None:
        transport, log = FakeTransport(), MemoryLog()
        session = await open_session(transport, log=log)
        transport.faults = [("late", AmbiguousError("no answer"))]
        receipt = await session.send_message("twice")
        await asyncio.sleep(5)
        assert transport.backend.texts == ["twice", "twice"]
        assert receipt.copies == (2, 3)
        assert any("twice" in line for line in log.at("warning"))
        await session.detach()

    run_virtually(run())


def test_a_refused_message_is_rejected_with_the_servers_words():
    """The server's code and sentence arrive, and the next message goes out."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", RefusedError("message too long", code=204))]
        with pytest.raises(SendRejectedError, match="message too long") as caught:
            await session.send_message("x" * 10)
        assert caught.value.code == 204
        assert caught.value.receipt.failed
        await session.send_message("short")
        assert transport.backend.texts == ["short"]
        await session.detach()

    run_virtually(run())


def test_a_message_waits_for_the_link():
    """While the link is down messages are queued, and leave in order when it is back."""

    async def run() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.cut()
        await asyncio.sleep(0)
        sends = [asyncio.create_task(session.send_message(text)) for text in ("one", "two")]
        await asyncio.sleep(5)
        assert transport.backend.texts == []
        transport.mend()
        await asyncio.gather(*sends)
        await session.detach()
        return transport.backend.texts

    assert run_virtually(run()) == ["one", "two"]


def test_a_message_that_never_left_is_tried_again():
    """NotSent is safe to repeat; the server's Retry-After is honoured."""

    async def run() -> float:
        transport = FakeTransport()
        session = await open_session(transport)
        began = asyncio.get_running_loop().time()
        transport.faults = [("before", NotSentError("429", retry_after=7.0))]
        receipt = await session.send_message("patient")
        assert receipt.attempts == 1
        took = asyncio.get_running_loop().time() - began
        await session.detach()
        return took

    assert 7.0 < run_virtually(run()) < 8.0


def test_rp05_a_message_expires_that_never_left():
    """Bounded in age: after the limit it is expired, and surely was not sent."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport, outbox_limits=OutboxLimits(age=30.0))
        transport.cut()
        await asyncio.sleep(0)
        with pytest.raises(SendExpiredError, match="waited 30 s"):
            await session.send_message("late")
        transport.mend()
        await asyncio.sleep(5)
        assert transport.backend.texts == []
        await session.detach()

    run_virtually(run())


def test_rp05_the_outbox_is_bounded():
    """In count and in bytes; the refusal says how much waits."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport, outbox_limits=OutboxLimits(count=2, size=10))
        transport.cut()
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(session.send_message("12345")) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(Exception, match="the outbox is full: 2 messages of 10 bytes"):
            await session.send_message("x")
        await session.detach()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, SendExpiredError) for result in results)

    run_virtually(run())


def test_a_cancelled_send_that_has_not_left_is_withdrawn():
    """Cancelling the await takes a waiting message back."""

    async def run() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.cut()
        await asyncio.sleep(0)
        first = asyncio.create_task(session.send_message("stays"))
        second = asyncio.create_task(session.send_message("withdrawn"))
        await asyncio.sleep(1)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        transport.mend()
        await first
        await session.detach()
        return transport.backend.texts

    assert run_virtually(run()) == ["stays"]


def test_what_was_on_its_way_when_the_session_ended_is_unknown():
    """A message between the wire and its answer at the end is unknown; one that waited is expired."""

    async def run() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport)

        async def hangs(command: Any) -> Any:
            await asyncio.Event().wait()

        transport.send = hangs  # type: ignore[method-assign]
        session._engine.outbox._send = hangs
        sends = [asyncio.create_task(session.send_message(text)) for text in ("flying", "waiting")]
        await asyncio.sleep(1)
        transport.backend.end()
        results = await asyncio.gather(*sends, return_exceptions=True)
        await session.aclose()
        return [type(result).__name__ for result in results]

    assert run_virtually(run()) == ["SendUnknownError", "SendExpiredError"]


def test_an_accepted_message_that_the_transcript_never_shows():
    """Waiting for the echo ends with the session, and says so."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport._commit = lambda command: None  # type: ignore[method-assign,assignment]
        sending = asyncio.create_task(session.send_message("dropped", until="echoed"))
        await asyncio.sleep(1)
        transport.backend.end()
        with pytest.raises(SessionEndedError, match="accepted, not yet echoed"):
            await sending
        await session.aclose()

    run_virtually(run())


def test_a_transport_that_raises_something_else_makes_the_outcome_unknown():
    """A plugin's bug while sending ends in the receipt, and the next message goes out."""

    async def run() -> None:
        transport, log = FakeTransport(), MemoryLog()
        session = await open_session(transport, log=log)
        transport.faults = [("before", ZeroDivisionError())]
        with pytest.raises(SendUnknownError, match="ZeroDivisionError in the transport"):
            await session.send_message("x")
        await session.send_message("y")
        await session.detach()

    run_virtually(run())


# Other commands


def test_user_data_is_what_was_sent_merged_with_what_the_server_sent():
    """Where the back end cannot be asked, get_user_data answers from both."""

    async def run() -> list[Any]:
        transport = FakeTransport()
        session = await open_session(transport, user_data={"FirstName": "Ada"})
        transport.push(Batch(user_data={"Queue": "gold"}))
        await session.set_user_data({"Level": 3})
        result = [await session.get_user_data(key) for key in ("FirstName", "Queue", "Level", "Nothing")]
        await session.detach()
        return result

    assert run_virtually(run()) == ["Ada", "gold", 3, None]


def test_a_command_that_the_transport_does_not_offer_is_refused_before_anything_is_sent():
    """The error names transport and command."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport, capabilities=ALL - {Capability.NICKNAME})
        with pytest.raises(UnsupportedCommandError, match="'fake' does not offer update_nickname"):
            await session.update_nickname("Countess")
        with pytest.raises(UnsupportedCommandError, match="delete_user_data"):
            await session.delete_user_data("key")
        assert transport.backend.commands == []
        await session.detach()

    run_virtually(run())


def test_commands_reach_the_back_end():
    """Typing, nickname, custom notice, user data: each is one command on the wire."""

    async def run() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport, capabilities=frozenset(Capability))
        await session.send_typing()
        await session.send_typing(False)
        await session.send_typing(True, "Hel")
        await session.update_nickname("Countess")
        await session.send_custom_notice("ping")
        await session.delete_user_data("key")
        assert await session.get_user_data("key") is None
        await session.detach()
        return names(transport.backend.commands)  # type: ignore[arg-type]

    assert run_virtually(run()) == [
        "TypingCommand",
        "TypingCommand",
        "TypingCommand",
        "NicknameCommand",
        "CustomNoticeCommand",
        "DeleteUserDataCommand",
        "GetUserDataCommand",
    ]


def test_the_transcript_can_be_read_without_playing_anything_back():
    """get_transcript returns a tuple from an index on; readers see nothing of it."""

    async def run() -> tuple[tuple[Event, ...], int]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.backend.agent_joins()
        transport.backend.agent_says("Hi")
        transcript = await session.get_transcript(2)
        await session.detach()
        return transcript, len(await collect(session))

    transcript, count = run_virtually(run())
    assert names(list(transcript)) == ["AgentConnected", "MessageReceived"]
    assert count == 3


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda s: s.send_message(5), OptionTypeError, "text must be text, not int"),
        (lambda s: s.send_message(""), OptionError, "must not be empty"),
        (lambda s: s.send_message("x", type="html"), OptionError, "type must be 'text' or 'url', not 'html'"),
        (lambda s: s.send_message("x", until="read"), OptionError, "until must be"),
        (lambda s: s.send_message("x", resend="always"), OptionError, "resend must be"),
        (lambda s: s.send_typing(True, 5), OptionTypeError, "text must be text"),
        (lambda s: s.set_user_data([1]), OptionTypeError, "user_data must be a mapping, not list"),
        (lambda s: s.set_user_data({1: 2}), OptionTypeError, "a key of user_data must be text, not int"),
        (lambda s: s.get_user_data(None), OptionTypeError, "key must be text"),
        (lambda s: s.update_nickname(""), OptionError, "nickname must not be empty"),
        (lambda s: s.send_custom_notice(None), OptionTypeError, "text must be text"),
        (lambda s: s.get_transcript(0), OptionError, "from_index must be a whole number from 1 on, not 0"),
        (lambda s: s.get_transcript(True), OptionError, "not True"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(call: Any, error: type[Exception], text: str):
    """Each wrong value is named, with the reason."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        with pytest.raises(error, match=text):
            await call(session)
        assert transport.backend.commands == []
        await session.detach()

    run_virtually(run())


def test_a_callback_must_be_callable():
    """What cannot be called is refused at once."""

    async def run() -> None:
        session = await open_session(FakeTransport())
        with pytest.raises(OptionTypeError, match="must be callable"):
            session.on_event("print")  # type: ignore[arg-type]
        await session.detach()

    run_virtually(run())


# The end


def test_after_the_end_commands_are_refused():
    """A session that is over or detached sends nothing and says why."""

    async def run() -> None:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.backend.end()
        await session.wait_for(SessionEnded)
        with pytest.raises(SessionEndedError, match="send_message was not sent: the session is over"):
            await session.send_message("x")
        assert (await session.leave()).reason is EndReason.CLOSED
        await session.detach()
        other = await open_session(FakeTransport())
        await other.detach()
        await other.detach()
        with pytest.raises(SessionEndedError, match="detached"):
            await other.send_typing()
        with pytest.raises(SessionEndedError, match="detached"):
            await other.leave()
        await other.aclose()
        assert "detached" in repr(other)

    run_virtually(run())


def test_detach_keeps_the_state_and_ends_the_readers():
    """The iterator ends without SessionEnded, and what is saved can be restored."""

    async def run() -> tuple[list[Event], Place]:
        transport, place = FakeTransport(), Place()
        session = await open_session(transport, place=place)
        reading = asyncio.create_task(collect(session))
        await asyncio.sleep(0.1)
        await session.detach()
        return await reading, place

    events, place = run_virtually(run())
    assert names(events) == ["ParticipantJoined"]
    assert place.last is not None
    assert place.released == 1


def test_rp02_after_detach_a_slow_reader_is_handed_nothing_that_was_not_saved():
    """What it had not seen comes to the next owner as new, and so must not come to it as well."""

    async def run() -> None:
        transport, place = FakeTransport(), Place()
        session = await open_session(transport, place=place)
        for text in "abc":
            transport.backend.agent_says(text)
        seen: list[int] = []

        async def read() -> None:
            async for event in session.events():
                assert event.index is not None
                seen.append(event.index)
                if event.index == 2:
                    await asyncio.sleep(10)

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(1)
        await session.detach()
        await reading
        assert seen == [1, 2]
        assert place.last is not None
        assert place.last["delivered"] == 1
        assert len(await collect(session)) == 4, "whoever looks at the log afterwards sees it"

    run_virtually(run())


def test_a_restored_session_marks_what_the_earlier_owner_finished():
    """``restored`` up to the saved position; wait_for begins behind it."""

    async def run() -> tuple[list[bool], str]:
        transport = FakeTransport()
        first = await open_session(transport)
        transport.backend.agent_says("known")
        await first.wait_for(MessageReceived, timeout=1)
        await first.detach()
        transport.backend.agent_says("meanwhile", push=False)
        again = FakeTransport(transport.backend)
        session = await open_session(again, resume=True, delivered=2)
        message = await session.wait_for(MessageReceived, timeout=1)
        await session.detach()
        return [event.restored for event in await collect(session)], message.text

    assert run_virtually(run()) == ([True, True, False], "meanwhile")


def test_rp15_an_end_that_happened_while_away_is_announced_once():
    """A chat that was closed meanwhile restores with its transcript and one SessionEnded."""

    async def run() -> tuple[list[str], Place]:
        transport, place = FakeTransport(), Place()
        first = await open_session(transport)
        await first.detach()
        transport.backend.agent_says("Bye", push=False)
        transport.backend.end(push=False)
        session = await open_session(FakeTransport(transport.backend), place=place, resume=True)
        events = await collect(session)
        await session.aclose()
        return names(events), place

    seen, place = run_virtually(run())
    assert seen == ["ParticipantJoined", "MessageReceived", "SessionEnded"]
    assert place.last is None


@pytest.mark.parametrize(
    ("on_exit", "persistent", "fails", "left"),
    [
        (None, True, False, True),
        (None, True, True, False),
        (None, False, True, True),
        ("detach", True, False, False),
        ("leave", True, True, True),
    ],
)
def test_leaving_async_with(on_exit: Any, persistent: bool, fails: bool, left: bool):
    """A clean exit leaves; an exception detaches where the state survives; on_exit overrules."""

    async def run() -> bool:
        transport = FakeTransport()
        storage = frozenset({Capability.PERSISTENT}) if persistent else frozenset()
        session = await open_session(transport, on_exit=on_exit, storage_capabilities=storage)
        try:
            async with session:
                if fails:
                    raise ValueError("the user's own")
        except ValueError:
            pass
        return transport.backend.over

    assert run_virtually(run()) is left


def test_rp09_leaving_is_bounded_and_says_what_the_server_did_not():
    """A server that never confirms costs four seconds, which leaves one for the transport; the end has an error."""

    async def run() -> tuple[SessionEnded, float]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.cut()
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        end = await session.leave()
        return end, asyncio.get_running_loop().time() - began

    end, took = run_virtually(run())
    assert end.reason is EndReason.LEFT
    assert end.error is not None
    assert took == pytest.approx(4.0, abs=0.1)


def test_rp09_leaving_tries_again_what_never_left_and_accepts_a_refusal():
    """NotSent is repeated within the time; a refusal ends the session all the same."""

    async def run() -> tuple[SessionEnded, SessionEnded]:
        first = FakeTransport()
        session = await open_session(first)
        first.faults = [("before", NotSentError("not now"))]
        confirmed = await session.leave()
        second = FakeTransport()
        session = await open_session(second)
        second.faults = [("before", RefusedError("no", code=52))]
        refused = await session.leave()
        return confirmed, refused

    confirmed, refused = run_virtually(run())
    assert confirmed.error is None
    assert refused.error is not None
    assert refused.error.code == 52


def test_rp09_two_tasks_may_leave_at_once():
    """Both get the one end."""

    async def run() -> bool:
        session = await open_session(FakeTransport())
        first, second = await asyncio.gather(session.leave(), session.leave())
        return first is second

    assert run_virtually(run())


def test_rp09_a_transport_that_does_not_close_is_left_behind():
    """Closing goes on after five seconds, and the log names the transport; one that raises is logged too."""

    async def run(hang: bool) -> MemoryLog:
        transport, log = FakeTransport(), MemoryLog()

        async def aclose() -> None:
            if hang:
                await asyncio.Event().wait()
            raise ValueError("plugin bug")

        transport.aclose = aclose  # type: ignore[method-assign]
        session = await open_session(transport, log=log)
        await session.detach()
        return log

    assert any("did not close in time" in line for line in run_virtually(run(True)).at("warning"))
    assert any("failed to close" in line for line in run_virtually(run(False)).at("error"))


def test_rp09_nothing_is_left_running():
    """After the end no task of the session remains."""

    async def run() -> set[str]:
        session = await open_session(FakeTransport())
        session.on_event(lambda event: None)
        async with session:
            await session.send_message("x")
        await asyncio.sleep(0)
        return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("chat-core")}

    assert run_virtually(run()) == set()


def test_a_callback_may_leave_or_detach():
    """A handler that ends its own session does not wait for itself."""

    async def run(how: str) -> ConnectionState:
        transport = FakeTransport()
        session = await open_session(transport)

        @session.on_message_received
        async def _(event: MessageReceived) -> None:
            await getattr(session, how)()

        transport.backend.agent_says("go")
        await asyncio.sleep(1)
        return session.connection_state

    assert run_virtually(run("leave")) is ConnectionState.ENDED
    assert run_virtually(run("detach")) is ConnectionState.DETACHED
    assert run_virtually(run("aclose")) is ConnectionState.ENDED


def test_events_after_an_index():
    """``after`` leaves out what the reader knows, ``own=False`` what the visitor caused."""

    async def run() -> list[int | None]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.backend.agent_says("two")
        await session.send_message("three", until="echoed")
        transport.backend.agent_says("four")
        await session.wait_for(MessageReceived, lambda event: event.text == "four", timeout=1)
        await session.detach()
        return [event.index async for event in session.events(after=2, own=False)]

    assert run_virtually(run()) == [4]


def test_an_iterator_that_was_closed_is_over():
    """``aclose`` ends it, and ``break`` needs nothing more."""

    async def run() -> None:
        session = await open_session(FakeTransport())
        reader = session.events()
        assert isinstance(await anext(reader), ParticipantJoined)
        await reader.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(reader)
        await session.detach()

    run_virtually(run())


def test_rp08_an_overdue_interruption_is_told():
    """After the server's removal time the reader hears that the chat may be gone."""

    async def run() -> Interrupted:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.cut()
        event = await session.wait_for(Interrupted, lambda event: event.overdue, timeout=50)
        await session.detach()
        return event

    assert run_virtually(run()).overdue


def test_rp08_a_session_gives_up_only_after_the_time_given():
    """It ends as lost, with the API page's code for a lost connection."""

    async def run() -> SessionEnded:
        transport = FakeTransport()
        session = await open_session(transport, timing=Timing(give_up=300.0))
        transport.cut()
        return await session.wait_for(SessionEnded, timeout=301)

    ended = run_virtually(run())
    assert ended.reason is EndReason.LOST
    assert ended.error is not None
    assert ended.error.code == 150


@pytest.mark.parametrize("arrived", [True, False])
def test_rp04_a_message_in_a_range_that_was_lost_is_looked_for_there(arrived: bool):
    """The log will never show it, so the transcript is asked once more before it is called absent."""

    async def main() -> tuple[list[str], Receipt]:
        transport = FakeTransport()
        session = await open_session(transport)
        backend, links = transport.backend, transport.backend.links[:]
        backend.links.clear()  # nothing is pushed now
        transport.faults = [("after" if arrived else "before", AmbiguousError("no answer"))]
        # Neither the first read-back nor the fetches for the gap are answered.
        transport.fetch_faults = [AmbiguousError("no answer")] * 8
        sending = asyncio.ensure_future(session.send_message("once"))
        await asyncio.sleep(1)
        if arrived:
            transport.put(Batch(events=(backend.agent_says("behind it"),), next_position=backend.next_position))
        backend.links += links
        if arrived:
            lost = await session.wait_for(ContinuityLost, timeout=30)
            assert (lost.after, lost.until) == (1, 2)
        receipt = await (await sending).reached("echoed")
        await session.detach()
        return transport.backend.texts, receipt

    texts, receipt = run_virtually(main())
    assert texts == (["once", "behind it"] if arrived else ["once"])
    assert receipt.state is ReceiptState.ECHOED
    assert receipt.attempts == (1 if arrived else 2)


def test_rp04_after_the_server_began_to_count_anew_nothing_is_sent_again():
    """What a new numbering shows says nothing about a message sent under the old one."""

    async def main() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", AmbiguousError("no answer"))]
        transport.fetch_faults = [Batch(next_position=1)]  # the server counts anew
        with pytest.raises(SendUnknownError):
            await session.send_message("once")
        await session.detach()
        return transport.backend.texts

    assert run_virtually(main()) == []


def test_rp09_a_leaving_whose_answer_was_lost_is_tried_again():
    """Leaving twice does no harm, and an agent need not wait for a visitor who has gone."""

    async def main() -> SessionEnded:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", AmbiguousError("no answer"))]
        return await session.leave()

    ended = run_virtually(main())
    assert (ended.reason, ended.error) == (EndReason.LEFT, None)


def test_rp09_leaving_a_chat_that_the_server_no_longer_knows_is_no_error():
    """The visitor wanted to be gone, and is."""

    async def main() -> SessionEnded:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", RefusedError("no such chat", session_unknown=True, code=249))]
        return await session.leave()

    ended = run_virtually(main())
    assert (ended.reason, ended.error) == (EndReason.LEFT, None)


@pytest.mark.parametrize("heard", ["by a fetch", "by the transport"])
def test_rp09_whoever_leaves_has_left_also_where_the_answer_was_lost_and_the_server_knows_the_chat_no_more(heard: str):
    """An hour of soaking found it: the answer to the farewell was lost, and a look at the transcript was refused."""

    async def main() -> SessionEnded:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("after", AmbiguousError("no answer"))]
        transport.backend.end = lambda *_, **__: None  # type: ignore[method-assign] # the end is not told either
        leaving = asyncio.ensure_future(session.leave())
        await asyncio.sleep(0.1)
        unknown = RefusedError("no such chat", session_unknown=True, code=249)
        if heard == "by a fetch":
            transport.fetch_faults = [unknown]
            transport.cut()
            transport.mend()
        else:
            error = ErrorInfo(code=249, description="no such chat")
            transport.put(Ended(reason=EndReason.LOST, error=error))
        return await leaving

    ended = run_virtually(main())
    assert ended.reason is EndReason.LEFT
    # What a transport says of the end is handed on; a refused look at the transcript is known to be no error here.
    assert (ended.error is None) is (heard == "by a fetch")


def test_rp04_an_answer_that_was_asked_for_before_the_send_settles_nothing():
    """The transcript on its way when the send became unclear may be older than the message; a newer one decides."""

    class Slow(FakeTransport):
        """The first answer is what the server had when it was asked, and takes five seconds."""

        async def fetch(self, position: int) -> Batch:
            self.fetches.append(position)
            answer = self.backend.answer(position)
            await asyncio.sleep(5.0 if len(self.fetches) == 1 else 0.01)
            return answer

        def push(self, batch: Batch) -> None:
            """Nothing is pushed: the transcript alone tells."""

    async def main() -> list[str]:
        transport = Slow()
        session = await open_session(transport)
        transport.put(Batch(next_position=transport.backend.next_position + 1))  # a hint: something is missing
        while not transport.fetches:
            await asyncio.sleep(0.01)
        transport.faults = [("after", AmbiguousError("no answer"))]
        await session.send_message("once", until="echoed")
        await session.leave()
        return transport.backend.texts

    assert run_virtually(main()) == ["once"]


def test_rp04_a_fetch_that_fails_under_a_send_to_be_settled_costs_no_minute():
    """The transcript was being asked for when the send became unclear, and that attempt fails: the next one decides."""

    class Failing(FakeTransport):
        """The first fetch takes three seconds and fails."""

        async def fetch(self, position: int) -> Batch:
            if not self.fetches:
                self.fetches.append(position)
                await asyncio.sleep(3.0)
                raise AmbiguousError("the connection broke")
            return await super().fetch(position)

    async def main() -> float:
        transport = Failing()
        session = await open_session(transport)
        transport.faults = [("before", AmbiguousError("no answer"))]
        began = asyncio.get_running_loop().time()
        sending = asyncio.ensure_future(session.send_message("once"))
        await asyncio.sleep(1.0)
        transport.put(Batch(next_position=transport.backend.next_position + 1))  # a hint: something is missing
        await sending
        took = asyncio.get_running_loop().time() - began
        assert transport.backend.texts == ["once"]
        await session.detach()
        return took

    assert run_virtually(main()) < 10


def test_rp04_a_transcript_that_is_refused_settles_nothing_and_nobody_waits():
    """The receipt says that nobody can tell; the message is not sent again."""

    async def main() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport)
        transport.faults = [("before", AmbiguousError("no answer"))]
        transport.fetch_faults = [RefusedError("not allowed")]
        with pytest.raises(SendUnknownError):
            await session.send_message("once")
        await session.leave()
        return transport.backend.texts

    assert run_virtually(main()) == []


def test_rp05_the_outbox_has_room_again_for_what_was_sent():
    """Its limits are for what waits, not for all that ever went through."""

    async def main() -> list[str]:
        transport = FakeTransport()
        session = await open_session(transport, outbox_limits=OutboxLimits(size=10, count=2))
        for text in ("12345678", "23456789", "34567890"):
            await session.send_message(text)
        await session.leave()
        return transport.backend.texts

    assert len(run_virtually(main())) == 3


def test_a_receipt_takes_no_step_back():
    """What the transcript showed is not merely accepted by an answer that comes late."""
    receipt = Receipt(1, "x")
    receipt.move(ReceiptState.ECHOED)
    receipt.move(ReceiptState.ACCEPTED)
    assert receipt.state is ReceiptState.ECHOED
