"""Each promise that holds on every transport, on each way to a GMS chat, in the simulation's virtual time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import chat_core
from chat_core import (
    AmbiguousError,
    ConnectError,
    Continued,
    ContinuityLost,
    EndReason,
    Event,
    Interrupted,
    LossReason,
    MessageReceived,
    Session,
    SessionEnded,
    SessionEndedError,
)
from chat_core._session.continuity import Timing
from chat_sandbox import Agent
from chat_transport_cometd._dialect import Delivery
from plugins.carriers import every_carrier
from support.simulation.client import Client, SimulatedDisk
from support.simulation.loop import SeededLoop, run_seeded
from support.simulation.network import Host

Scenario = Callable[[Client, Session, Agent], Awaitable[None]]

#: Seconds within which a dead link is found: the time for which a connect is held, and for its answer on the network.
HEARTBEAT = 40.0
HELD = 30.0


def hold_a_chat(carrier: str, scenario: Scenario) -> None:
    """Start a chat, wait for its agent and play."""

    async def main() -> None:
        async with Client(carrier) as client:
            session = await chat_core.start_session(**client.options())
            agent = await client.sandbox.next_chat()
            await agent.join("Grace")
            await scenario(client, session, agent)
            await session.aclose()

    run_seeded(main(), seed=1)


async def everything(session: Session) -> list[Event]:
    return [event async for event in session.events()]


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, MessageReceived) and not event.own]


def losses(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, ContinuityLost)]


@every_carrier
def test_rp01_what_was_said_during_an_outage_comes_before_anything_newer(carrier: str):
    """The reader sees all of it, once and in order."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        await agent.say("1")
        await session.wait_for(MessageReceived, timeout=20)
        client.network.refusing = True
        client.network.abort()
        for number in range(2, 6):
            await agent.say(str(number))
            await asyncio.sleep(3)
        client.network.refusing = False
        await session.wait_for(Continued, timeout=60)
        await agent.say("6")
        await agent.end()
        events = await everything(session)
        assert texts(events) == ["1", "2", "3", "4", "5", "6"]
        assert losses(events) == []

    hold_a_chat(carrier, play)


@every_carrier
def test_rp01_a_refused_transcript_after_an_outage_is_asked_for_again(carrier: str):
    """A server that will not give it at once has not lost it."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        client.network.refusing = True
        client.network.abort()
        await asyncio.sleep(10)
        await agent.say("missed")
        client.sandbox.faults.refuse_next("requestNotifications", 500, "not now")
        client.network.refusing = False
        await asyncio.sleep(100)
        await agent.say("heard")
        await agent.end()
        events = await everything(session)
        assert texts(events) == ["missed", "heard"]
        assert losses(events) == []

    hold_a_chat(carrier, play)


@every_carrier
def test_rp01_what_nobody_can_bring_is_said_to_be_lost(carrier: str):
    """A gap that the server will not close has its place and its reason; a poll that is refused is no gap."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        await asyncio.sleep(20)
        client.sandbox.faults.drop_push()
        client.sandbox.faults.refuse_next("requestNotifications", 500, "never", count=1)
        await agent.say("not pushed")
        await agent.say("pushed")
        await asyncio.sleep(30)
        await agent.end()
        events = await everything(session)
        if carrier == "rest":
            assert texts(events) == ["not pushed", "pushed"]
            assert losses(events) == []
        else:
            assert texts(events) == ["pushed"]
            (loss,) = losses(events)
            assert (loss.after, loss.until, loss.reason) == (2, 3, LossReason.FETCH_REFUSED)

    hold_a_chat(carrier, play)


@every_carrier
def test_rp01_a_server_that_began_to_count_anew_while_nobody_was_there_is_found_out(carrier: str):
    """What it shows then is nothing that an earlier owner has finished, whatever its number."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        async with Client(carrier) as client:
            files: dict[str, Any] = {}
            options = client.options(state_storage=SimulatedDisk(files, Host(), loop.chance))
            session = await chat_core.start_session(**options)
            agent = await client.sandbox.next_chat()
            await agent.join()
            await agent.say("before")
            await session.wait_for(MessageReceived, timeout=20)
            await session.detach()
            files["state"]["delivered"] = 30
            session = await chat_core.restore_session(**options)
            await agent.say("after")
            heard = [await session.wait_for(MessageReceived, timeout=20) for _ in range(2)]
            assert [(event.text, event.restored) for event in heard] == [("before", False), ("after", False)]
            await session.leave()
            (loss,) = losses(await everything(session))
            assert (loss.after, loss.reason) == (30, LossReason.POSITION_RESET)

    run_seeded(main(), seed=1)


@every_carrier
def test_rp02_what_comes_twice_is_handed_over_once_and_equal_texts_both_arrive(carrier: str):
    """The index alone tells."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        client.sandbox.faults.double_events(20)
        for _ in range(3):
            await agent.say("the same words")
        await asyncio.sleep(30)
        await agent.end()
        assert texts(await everything(session)) == ["the same words"] * 3

    hold_a_chat(carrier, play)


@every_carrier
def test_rp03_one_order_whatever_the_order_of_arrival(carrier: str):
    """Deliveries that overtake one another, and answers with their events reversed."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        client.network.swap = 3
        client.sandbox.faults.reverse_events(3)
        for number in range(10):
            await agent.say(str(number))
        await asyncio.sleep(120)
        await agent.end()
        events = await everything(session)
        assert texts(events) == [str(number) for number in range(10)]
        assert losses(events) == []

    hold_a_chat(carrier, play)


@every_carrier
@pytest.mark.parametrize("fault", ["lose answer", "upstream", "downstream", "abort"])
def test_rp04_a_message_whose_answer_is_lost_stands_in_the_transcript_once(carrier: str, fault: str):
    """Before the write, after it, after the server's commit, during the answer."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        network = client.network
        if fault == "lose answer":
            client.sandbox.faults.lose_answer("sendMessage")
        elif fault == "abort":
            asyncio.get_running_loop().call_later(0.03, network.abort)
        else:
            setattr(network, f"{fault}_lost", True)
            asyncio.get_running_loop().call_later(15, network.calm)
        receipt = await session.send_message("once", until="echoed")
        await session.send_message("and then")
        assert agent.chat.texts == ["once", "and then"]
        assert len(receipt.copies) == 1
        await session.leave()

    hold_a_chat(carrier, play)


@every_carrier
@pytest.mark.parametrize("lost", ["request", "answer"])
def test_rp04_a_chat_whose_start_is_unclear_is_never_started_twice(carrier: str, lost: str):
    """The caller is told that nobody knows, and no second chat is opened behind their back."""

    async def main() -> None:
        async with Client(carrier) as client:
            if lost == "answer":
                client.sandbox.faults.lose_answer("requestChat")
            else:
                # Over CometD there is a connection by then, so that the request for the chat is what is lost.
                later = 0.0 if carrier == "rest" else 0.4
                asyncio.get_running_loop().call_later(later, setattr, client.network, "upstream_lost", True)
                client.network.latency = (0.1, 0.1)
            with pytest.raises((AmbiguousError, ConnectError)):
                await chat_core.start_session(**client.options())
            client.network.calm()
            await asyncio.sleep(60)
            assert len(client.sandbox.chats) <= 1
            assert all(chat.ended for chat in client.sandbox.chats) or lost == "answer"

    run_seeded(main(), seed=7)


@every_carrier
def test_rp05_messages_keep_their_order_through_an_outage(carrier: str):
    """Ten of them, with the connection breaking while they are on their way, again and again."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        receipts = []
        for number in range(10):
            if number % 3 == 0:
                asyncio.get_running_loop().call_later(0.02, client.network.abort)
            receipts.append(await session.send_message(str(number)))
        for receipt in receipts:
            await receipt.reached("echoed")
        assert agent.chat.texts == [str(number) for number in range(10)]
        await session.leave()

    hold_a_chat(carrier, play)


@every_carrier
@pytest.mark.parametrize("direction", ["upstream", "downstream"])
def test_rp07_a_black_hole_is_found_in_each_direction(carrier: str, direction: str):
    """Within the heartbeat, or the patience for an answer where the program sends; the session says since when."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        await asyncio.sleep(20)
        began = asyncio.get_running_loop().time()
        setattr(client.network, f"{direction}_lost", True)
        await session.wait_for(Interrupted, timeout=200)
        # Where only what the client sends is lost, the connect that is held already is still answered.
        allowed = HEARTBEAT + (HELD if direction == "upstream" else 0)
        assert asyncio.get_running_loop().time() - began <= allowed
        client.network.calm()
        await session.wait_for(Continued, timeout=HEARTBEAT)
        await agent.say("still there?")
        await session.wait_for(MessageReceived, timeout=20)
        await session.leave()

    hold_a_chat(carrier, play)


@every_carrier
def test_rp07_one_push_that_is_lost_on_a_healthy_connection_is_found(carrier: str):
    """The position is checked each minute, though nothing seems wrong."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        client.sandbox.faults.drop_push()
        await agent.say("never pushed")
        message = await session.wait_for(MessageReceived, timeout=61)
        assert message.text == "never pushed"
        await session.leave()
        assert not [event for event in await everything(session) if isinstance(event, Interrupted)]

    hold_a_chat(carrier, play)


@pytest.mark.parametrize("carrier", ["cometd-websocket", "cometd-long-polling"])
def test_rp01_rp07_a_link_that_dies_while_a_gap_is_open_loses_nothing(carrier: str):
    """Whatever became of the first question: that nobody acknowledges the second one is found in time."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        client.sandbox.faults.drop_push()
        await agent.say("missed")
        await agent.say("seen")
        await asyncio.sleep(0.2)  # what is early is held back for 250 ms
        dialect = session._engine.transport._transport._dialect
        read, lost = dialect.read, []

        def lose_one(message: Any) -> Delivery:
            """Lose what answers the first question, which the server acknowledges."""
            if lost:
                return read(message)
            lost.append(message)
            return Delivery(says_nothing=True)

        dialect.read = lose_one
        await asyncio.sleep(1)
        client.network.upstream_lost = True
        assert lost
        await asyncio.sleep(40)
        client.network.upstream_lost = False
        await session.wait_for(MessageReceived, lambda event: event.text == "seen", timeout=120)
        await session.leave()
        assert losses(await everything(session)) == []

    hold_a_chat(carrier, play)


@pytest.mark.parametrize("carrier", ["cometd-long-polling"])
def test_rp01_rp07_a_poll_that_went_silently_keeps_no_transcript_from_us(carrier: str):
    """Publications are answered over another connection; the poll is not waited for until its own time is over."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        loop = asyncio.get_running_loop()
        await agent.say("one")
        await session.wait_for(MessageReceived, timeout=5)
        for _ in range(3):
            await asyncio.sleep(10)
            client.network.vanish()
            began = loop.time()
            events = await session.get_transcript(1)
            assert [event.text for event in events if isinstance(event, MessageReceived)] == ["one"]
            assert loop.time() - began < Timing().attempt
        await session.leave()
        assert not [event for event in await everything(session) if isinstance(event, Interrupted | ContinuityLost)]

    hold_a_chat(carrier, play)


@every_carrier
def test_rp07_who_does_not_wait_for_the_transcript_says_nothing_about_the_link(carrier: str):
    """A program that gives a question up after some milliseconds has no evidence of a dead server."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        await asyncio.sleep(5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await session.get_transcript()
        await asyncio.sleep(30)
        await session.leave()
        assert not [event for event in await everything(session) if isinstance(event, Interrupted)]

    hold_a_chat(carrier, play)


@pytest.mark.parametrize("how", ["asked to wait", "refused"])
def test_rp07_polls_that_bring_nothing_for_long_are_an_interruption(how: str):
    """Whether the server wants silence for an hour or refuses each of them: nothing is heard meanwhile."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        began = asyncio.get_running_loop().time()
        if how == "asked to wait":
            client.sandbox.faults.answer_http(429, retry_after=600, operation="requestNotifications")
        else:
            client.sandbox.faults.refuse_next("requestNotifications", 500, "not now", count=60)
        await session.wait_for(Interrupted, timeout=HEARTBEAT)
        await agent.say("meanwhile")
        await session.wait_for(MessageReceived, timeout=3600)
        if how == "asked to wait":
            assert asyncio.get_running_loop().time() - began > 600
        await session.leave()

    hold_a_chat("rest", play)


@every_carrier
def test_rp08_it_never_gives_up_while_the_server_may_hold_the_chat(carrier: str):
    """Ten minutes away: overdue is said once, and tries go on, fewer than one in ten seconds."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        client.network.refusing = True
        client.network.abort()
        await asyncio.sleep(60)
        tries = client.network.requests + client.network.upgrades
        await asyncio.sleep(540)
        # WebSocket and long polling are tried one after the other: two requests are one attempt.
        assert 10 <= client.network.requests + client.network.upgrades - tries <= 120
        client.network.refusing = False
        await session.wait_for(Continued, timeout=31)
        await agent.say("you are back")
        await session.wait_for(MessageReceived, timeout=20)
        await session.leave()
        interruptions = [event for event in await everything(session) if isinstance(event, Interrupted)]
        assert [event.overdue for event in interruptions] == [False, True]

    hold_a_chat(carrier, play)


@every_carrier
def test_rp08_it_gives_up_after_the_time_it_was_given(carrier: str):
    """``give_up_after`` is an option of every transport."""

    async def main() -> None:
        async with Client(carrier) as client:
            options = client.options()
            options["transport_options"]["give_up_after"] = 120.0
            session = await chat_core.start_session(**options)
            client.network.refusing = True
            client.network.abort()
            ended = await session.wait_for(SessionEnded, timeout=140)
            assert ended.reason is EndReason.LOST
            await session.aclose()

    run_seeded(main(), seed=1)


def cancelled_at(carrier: str, tick: int, scenario: Callable[[Client], Awaitable[object]]) -> bool:
    """Cancel a scenario when the loop has gone round so often; True when it was over before."""

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        async with Client(carrier) as client:
            before = asyncio.all_tasks()
            task = asyncio.ensure_future(scenario(client))
            loop.ticks, loop.alarm_at, loop.alarm = 0, tick, task.cancel
            await asyncio.wait({task})
            over = not task.cancelled()
            if over:
                task.result()
            # The server's own tasks end with what they serve.
            await asyncio.sleep(45)
            await client.network.stop()
            left = asyncio.all_tasks() - before
            assert not left, f"left behind when cancelled at {tick}: {left}"
            for chat in client.sandbox.chats:
                assert chat.ended, f"the chat goes on, cancelled at {tick}"
        return over

    return run_seeded(main(), seed=3)


@every_carrier
def test_rp09_cancelled_at_any_moment_nothing_is_left(carrier: str):
    """No task, and no chat in which an agent waits for nobody: from the start of a chat to its end."""

    async def chat(client: Client) -> None:
        async with chat_core.start_session(**client.options(), user_data={"a": 1}) as session:
            await session.send_message("hello", until="echoed")
            await session.send_typing()
            await session.set_user_data({"b": 2})
            await session.get_transcript()
            await session.wait_for(MessageReceived, own=True)

    tick = 1
    while not cancelled_at(carrier, tick, chat):
        tick += 1
    assert tick > 50, "the scenario took fewer steps than it has"


@every_carrier
def test_rp09_a_start_with_a_fail_callback_is_cancelled_as_any_other(carrier: str):
    """Who only wants to hear of failures would not miss the chat, and nobody else has it."""

    async def chat(client: Client) -> None:
        async with chat_core.start_session(**client.options()).fail(lambda _: None) as session:
            await session.send_message("hello")

    tick = 1
    while not cancelled_at(carrier, tick, chat):
        tick += 1
    assert tick > 20


@every_carrier
@pytest.mark.parametrize("on_exit", ["leave", "detach"])
def test_rp09_a_restore_cancelled_at_any_moment_leaves_the_chat_restorable(carrier: str, on_exit: str):
    """Whatever the moment, the state is still there."""

    async def attempt(tick: int) -> bool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        async with Client(carrier) as client:
            files: dict[str, Any] = {}
            options = client.options(state_storage=SimulatedDisk(files, Host(), loop.chance), on_exit=on_exit)
            await (await chat_core.start_session(**options)).detach()
            before = asyncio.all_tasks()

            async def again() -> None:
                session = await chat_core.restore_session(**options)
                try:
                    await session.send_message("back")
                finally:
                    await asyncio.shield(asyncio.ensure_future(session.detach()))

            task = asyncio.ensure_future(again())
            loop.ticks, loop.alarm_at, loop.alarm = 0, tick, task.cancel
            await asyncio.wait({task})
            await asyncio.sleep(45)
            assert not {one for one in asyncio.all_tasks() - before if not one.get_name().startswith("simulated")}
            session = await chat_core.restore_session(**options)
            await session.leave()
            return not task.cancelled()

    tick = 1
    while not run_seeded(attempt(tick), seed=4):
        tick += 1
    assert tick > 20


@every_carrier
@pytest.mark.parametrize("fault", ["refusing", "upstream_lost", "downstream_lost"])
def test_rp09_a_cancelled_start_is_over_soon_whatever_the_network_does(carrier: str, fault: str):
    """Two seconds for the chat that may be there, one for closing."""

    async def attempt(tick: int) -> bool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        async with Client(carrier) as client:

            async def start() -> None:
                await chat_core.start_session(**client.options())

            began = 0.0

            def cancel() -> None:
                nonlocal began
                began = loop.time()
                setattr(client.network, fault, True)
                task.cancel()

            task = loop.create_task(start())
            loop.ticks, loop.alarm_at, loop.alarm = 0, tick, cancel
            await asyncio.wait({task})
            assert not task.cancelled() or loop.time() - began <= 3.1, f"cancelled at {tick}"
            return not task.cancelled()

    tick = 2
    while not run_seeded(attempt(tick), seed=4):
        tick += 1
    assert tick > 10


@every_carrier
@pytest.mark.parametrize("sending", [False, True])
@pytest.mark.parametrize("fault", ["refusing", "upstream_lost", "downstream_lost"])
def test_rp09_leaving_takes_no_longer_than_five_seconds(carrier: str, fault: str, sending: bool):
    """Whatever the network does, the transport's own closing included; a message on its way keeps nobody back."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        await asyncio.sleep(5)
        setattr(client.network, fault, True)
        if fault == "refusing":
            client.network.abort()
        if sending:
            session.send_message("and another thing").fail(lambda _: None)
            await asyncio.sleep(0.1)
        async with asyncio.timeout(5.1):
            ended = await session.leave()
        assert ended.error is not None
        if fault == "downstream_lost":
            assert agent.chat.ended

    hold_a_chat(carrier, play)


@every_carrier
@pytest.mark.parametrize("delay", [0.02, 0.1, 0.3])
def test_rp09_who_detaches_while_others_leave_waits_for_the_end(carrier: str, delay: float):
    """Bounded as the leaving is, also when the server takes the leaving and never says that the chat is over."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        client.sandbox.faults.drop_push(5)
        async with asyncio.TaskGroup() as tasks:
            leaving = [tasks.create_task(session.leave()), tasks.create_task(session.leave())]
            await asyncio.sleep(delay)
            async with asyncio.timeout(7):
                await session.detach()
        assert {task.result().reason for task in leaving} == {EndReason.LEFT}
        assert agent.chat.ended

    hold_a_chat(carrier, play)


@every_carrier
def test_rp09_an_answer_that_comes_after_detach_is_told_to_its_caller_alone(carrier: str):
    """Also one that says that the server no longer knows the chat, and whatever comes while the link is closed."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        await asyncio.sleep(3)
        client.sandbox.forget_chat(agent.chat)
        sending = asyncio.ensure_future(session.send_custom_notice("hello"))
        await asyncio.sleep(0.001)
        await session.detach()
        with pytest.raises(chat_core.TransportError):
            await sending
        assert [type(event) for event in await everything(session)].count(SessionEnded) <= 1

    hold_a_chat(carrier, play)


@every_carrier
@pytest.mark.parametrize("path", ["agent", "visitor", "during an outage", "forgotten", "while away"])
def test_rp15_the_end_is_announced_once_on_every_path(carrier: str, path: str):
    """And it is the last event; afterwards there is nothing to restore."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        async with Client(carrier) as client:
            files: dict[str, Any] = {}
            options = client.options(state_storage=SimulatedDisk(files, Host(), loop.chance))
            session = await chat_core.start_session(**options)
            agent = await client.sandbox.next_chat()
            await agent.join()
            match path:
                case "agent":
                    await agent.end()
                case "visitor":
                    await session.leave()
                case "during an outage":
                    client.network.refusing = True
                    client.network.abort()
                    await agent.end()
                    await asyncio.sleep(20)
                    client.network.refusing = False
                case "forgotten":
                    client.sandbox.forget_chat(agent.chat)
                    with pytest.raises((SessionEndedError, chat_core.RefusedError, chat_core.SendRejectedError)):
                        await session.send_message("anybody?")
                case "while away":
                    await session.detach()
                    await agent.end()
                    session = await chat_core.restore_session(**options)
            events = await everything(session)
            assert [type(event) for event in events].count(SessionEnded) == 1
            assert isinstance(events[-1], SessionEnded)
            await session.aclose()
            assert files["state"] is None

    run_seeded(main(), seed=5)


@every_carrier
@pytest.mark.parametrize("bad", ["raising", "blocking", "cancelling", "cancelled"])
def test_rp12_a_bad_handler_hurts_neither_the_session_nor_other_readers(carrier: str, bad: str):
    """One that raises, blocks the loop for a minute, cancels its task, or claims to be cancelled."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        async with Client(carrier) as client:
            session = await chat_core.start_session(**client.options())
            agent = await client.sandbox.next_chat()
            await agent.join()

            async def misbehave(event: MessageReceived) -> None:
                match bad:
                    case "raising":
                        raise ValueError("on purpose")
                    case "blocking":
                        loop.now += 60
                    case "cancelling":
                        task = asyncio.current_task()
                        assert task is not None
                        task.cancel()
                        await asyncio.sleep(0)
                    case "cancelled":
                        raise asyncio.CancelledError

            good: list[str] = []
            session.on_message_received(misbehave)
            session.on_message_received(lambda event: good.append(event.text))
            for number in range(3):
                await agent.say(str(number))
                await asyncio.sleep(5)
            await session.send_message("still here", until="echoed")
            assert agent.chat.texts == ["0", "1", "2", "still here"]
            await asyncio.sleep(90)
            await agent.end()
            events = await everything(session)
            assert texts(events) == ["0", "1", "2"]
            assert losses(events) == []
            await session.aclose()
            assert good == ["0", "1", "2", "still here"]

    run_seeded(main(), seed=6)


@every_carrier
@pytest.mark.parametrize("days", [1, -1])
def test_rp13_a_wall_clock_that_jumps_by_a_day_changes_nothing(
    carrier: str, days: int, monkeypatch: pytest.MonkeyPatch
):
    """Durations are measured on the monotonic clock."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        before = time.time
        monkeypatch.setattr(time, "time", lambda: before() + days * 86400)
        await session.send_message("a day later", until="echoed")
        client.network.refusing = True
        client.network.abort()
        await session.wait_for(Interrupted, timeout=20)
        client.network.refusing = False
        await session.wait_for(Continued, timeout=20)
        await agent.say("one")
        await session.wait_for(MessageReceived, timeout=20)
        await session.leave()
        assert [event.overdue for event in await everything(session) if isinstance(event, Interrupted)] == [False]

    hold_a_chat(carrier, play)


@every_carrier
def test_rp13_a_machine_that_slept_takes_the_chat_up_again(carrier: str):
    """Eight hours in which no timer ran and every connection went away."""

    async def play(client: Client, session: Session, agent: Agent) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        client.network.vanish()
        loop.now += 8 * 3600
        await agent.say("good morning")
        message = await session.wait_for(MessageReceived, timeout=120)
        assert message.text == "good morning"
        await session.send_message("good morning", until="echoed")
        await session.leave()
        assert losses(await everything(session)) == []

    hold_a_chat(carrier, play)


@every_carrier
def test_rp09_a_start_that_is_cancelled_again_and_again_is_left_all_the_same(carrier: str):
    """Whoever is impatient with the tidying up does not end it."""

    async def main() -> None:
        async with Client(carrier) as client:
            client.network.latency = (0.1, 0.1)
            starting = asyncio.ensure_future(chat_core.start_session(**client.options()))
            while not client.sandbox.chats:
                await asyncio.sleep(0.01)
            for _ in range(5):
                starting.cancel()
                await asyncio.sleep(0.02)
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert client.sandbox.chats[0].ended

    run_seeded(main(), seed=8)
