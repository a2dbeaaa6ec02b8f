"""The link alone, on virtual time: when it counts as lost, and how it comes back."""

from __future__ import annotations

import asyncio

import pytest

from chat_core import (
    LoginRefusedError,
    NotSentError,
)
from chat_transport_cometd._carriers.base import CarrierUnavailableError, ServerBusyError
from plugins.transport_cometd.link_peer import (
    CHANNEL,
    CONNECT,
    HANDSHAKE,
    Peer,
    make,
    now,
    run,
    since,
)

BOTH = "websocket", "long-polling"


# Losing the link


@pytest.mark.parametrize(
    ("carrier", "error", "opened"),
    [("websocket", "402::Unknown", 1), ("long-polling", "402::Unknown", 2), ("websocket", "500::Trouble", 2)],
)
def test_a_connect_that_fails_means_a_new_session_and_where_that_is_needed_a_new_connection(
    carrier: str, error: str, opened: int
):
    async def main() -> None:
        peer = Peer()
        link, told = make(peer, carrier)
        peer.next[CONNECT] = [{}, {"successful": False, "error": error, "after": 5.0}]
        await link.open()
        await asyncio.sleep(8)
        assert len(peer.of(HANDSHAKE)) == 2
        assert len(peer.opened) == opened
        assert [state for _, state in told.states] == ["down", "up"]
        assert told.downs == [error.partition("::")[2]]
        # It is a failure like another one: a server that forgets each session at once must not be hammered.
        assert told.states[1][0] - told.states[0][0] == pytest.approx(0.5, abs=0.01)
        await link.aclose()

    run(main())


@pytest.mark.parametrize("advised", ["none", "handshake"])
def test_a_good_answer_with_the_advice_not_to_connect_again_means_a_new_session(advised: str):
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        peer.next[CONNECT] = [{}, {"after": 5.0, "advice": {"reconnect": advised}}]
        await link.open()
        await asyncio.sleep(8)
        assert len(peer.of(HANDSHAKE)) == 2
        assert told.downs == [f"the server advises '{advised}'"]
        await link.aclose()

    run(main())


def test_rp07_a_connect_without_an_answer_is_waited_for_as_long_as_the_server_holds_it_and_the_network_takes():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        peer.next[CONNECT] = [{"advice": {"timeout": 45000}}, None]
        await link.open()
        began = now()
        await asyncio.sleep(60)
        assert since(began, [at for at, _ in told.states]) == [55.0, 55.5]
        assert told.downs == ["no answer in time"]
        await link.aclose()

    run(main())


def test_rp04_nothing_is_published_while_a_session_begins_anew():
    async def main() -> None:
        peer = Peer()
        link, _ = make(peer)
        await link.open()
        peer.next[HANDSHAKE] = [{"after": 5.0}]
        peer.road.wire.lost("broke")
        await asyncio.sleep(2)
        assert len(peer.of(HANDSHAKE)) == 2
        assert not link.is_up
        with pytest.raises(NotSentError):
            await link.publish({})
        await asyncio.sleep(5)
        await link.publish({})
        assert len(peer.of(CHANNEL)) == 1
        await link.aclose()

    run(main())


def test_rp08_the_pauses_between_attempts_grow():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        await link.open()
        peer.refusing["websocket"] = CarrierUnavailableError("refused")
        began = now()
        peer.road.wire.lost("the WebSocket broke")
        await asyncio.sleep(16)
        assert since(began, [at for at, _ in peer.tried[1:]]) == [0.5, 1.5, 3.5, 7.5, 15.5]
        del peer.refusing["websocket"]
        await asyncio.sleep(16)
        assert since(began, [at for at, _ in told.states]) == [0.0, 31.5]
        assert told.downs == ["the WebSocket broke"]
        await link.aclose()

    run(main())


def test_rp08_what_the_server_asks_for_is_waited_though_somebody_is_in_a_hurry():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        await link.open()
        for asked, back in ((None, 1.0), (4.0, 4.0)):
            peer.refusing["websocket"] = CarrierUnavailableError("refused", retry_after=asked)
            began = now()
            peer.road.wire.lost("broke")
            await asyncio.sleep(0.6)
            # It has failed once, and waits.
            del peer.refusing["websocket"]
            await asyncio.sleep(0.4)
            link.hurry()
            await asyncio.sleep(40)
            assert since(began, [told.states[-1][0]]) == [pytest.approx(back + (0.5 if asked else 0.0), abs=0.02)]
        link.hurry()  # there is nothing to cut short
        await link.aclose()

    run(main())


def test_the_interval_of_the_advice_is_waited_before_reconnecting_too():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        peer.next[CONNECT] = [{"advice": {"interval": 6000}}]
        await link.open()
        peer.road.wire.lost("broke")
        await asyncio.sleep(20)
        (_, down), (_, up) = told.states
        assert (down, up) == ("down", "up")
        assert told.states[1][0] - told.states[0][0] == pytest.approx(6.0, abs=0.01)
        await link.aclose()

    run(main())


@pytest.mark.parametrize("where", ["begin", "open"])
def test_a_defect_does_not_leave_a_dead_link_unseen(where: str):
    """Its text may hold anything, so only its kind is told."""

    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        await link.open()
        if where == "begin":
            peer.next[CONNECT] = [{"after": 1.0}, RuntimeError("CANARY")]
            await asyncio.sleep(5)
            assert told.downs == ["RuntimeError"]
        else:
            peer.refusing["websocket"] = RuntimeError("CANARY")
            peer.road.wire.lost("the WebSocket broke")
            await asyncio.sleep(5)
            del peer.refusing["websocket"]
            assert told.downs == ["the WebSocket broke"]
        await asyncio.sleep(10)
        assert [state for _, state in told.states] == ["down", "up"]
        assert "CANARY" not in str(told.log)
        await link.aclose()

    run(main())


def test_a_handshake_refused_later_ends_the_link_for_good():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        await link.open()
        peer.next[HANDSHAKE] = [{"successful": False, "error": "403::Denied"}]
        peer.road.wire.lost("broke")
        await asyncio.sleep(120)
        (error,) = told.dead
        assert isinstance(error, LoginRefusedError)
        assert len(peer.of(HANDSHAKE)) == 2
        assert not link.is_up
        await link.aclose()

    run(main())


def test_a_server_that_is_busy_at_the_handshake_is_waited_for():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        await link.open()
        peer.next[HANDSHAKE] = [ServerBusyError("busy", retry_after=9.0)]
        peer.road.wire.lost("broke")
        await asyncio.sleep(30)
        assert told.states[1][0] - told.states[0][0] == pytest.approx(9.5, abs=0.01)
        await link.aclose()

    run(main())


# A better carrier


def test_rp08_a_better_carrier_is_tried_in_its_time_and_taken_once_it_works():
    async def main() -> None:
        peer = Peer()
        peer.refusing["websocket"] = CarrierUnavailableError("refused")
        link, told = make(peer, *BOTH)
        began = now()
        await link.open()
        await asyncio.sleep(61)
        peer.refusing["websocket"] = TimeoutError()
        await asyncio.sleep(121)
        first, _, *again = since(began, [at for at, _ in peer.tried])
        assert first == 0.0
        assert len(again) == 2
        assert 30 <= again[0] <= 60
        assert 60 <= again[1] - again[0] <= 120
        assert told.states == []
        del peer.refusing["websocket"]
        await asyncio.sleep(241)
        assert link.carrier == "websocket"
        assert told.downs == ["changing to websocket"]
        (down, _), (up, _) = told.states
        assert up - down < 0.01  # nothing is wrong, so there is no pause
        assert 120 <= round(down - began - again[1], 2) <= 240
        opened = [name for _, name in peer.opened]
        assert opened == ["long-polling", "websocket", "websocket"]
        await link.aclose()

    run(main())
