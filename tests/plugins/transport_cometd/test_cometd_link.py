"""The link alone, on virtual time: how it begins, what it asks for and publishes."""

from __future__ import annotations

import asyncio
import time

import pytest

from chat_core import (
    AmbiguousError,
    ConnectError,
    ConnectTimeoutError,
    LoginRefusedError,
    NotSentError,
    ProtocolError,
    RefusedError,
)
from chat_transport_cometd._carriers.base import CarrierUnavailableError
from plugins.transport_cometd.link_peer import (
    CHANNEL,
    CONNECT,
    DELAY,
    HANDSHAKE,
    SUBSCRIBE,
    Peer,
    channels,
    make,
    now,
    run,
    since,
)

BOTH = "websocket", "long-polling"


# Beginning a session


def test_a_session_begins_in_two_requests_and_then_a_connect_is_held():
    """The handshake goes alone and names the carrier in use first; the connect beside the subscription is not held."""

    async def main() -> None:
        peer = Peer()
        link, told = make(peer, *BOTH)
        assert link.carrier is None
        assert not link.is_up
        await link.open()
        assert link.carrier == "websocket"
        assert link.is_up
        await asyncio.sleep(1)
        assert channels(peer) == [[HANDSHAKE], [SUBSCRIBE, CONNECT], [CONNECT]]
        handshake, subscribed, first, held = (message for _, _, messages in peer.requests for message in messages)
        assert handshake["supportedConnectionTypes"] == ["websocket", "long-polling"]
        assert "ext" not in handshake
        assert subscribed["subscription"] == CHANNEL
        assert first["advice"] == {"timeout": 0}
        assert "advice" not in held
        assert told.states == []
        await link.aclose()
        assert [name for _, name in peer.closed] == ["websocket"]

    run(main())


def test_the_carrier_in_use_is_named_first_and_the_time_in_milliseconds():
    async def main() -> None:
        peer = Peer(ack=True)
        peer.refusing["websocket"] = CarrierUnavailableError("refused")
        link, _ = make(peer, *BOTH, ack=True, timesync=True)
        await link.open()
        ((_, handshake),) = peer.of(HANDSHAKE)
        assert handshake["supportedConnectionTypes"] == ["long-polling", "websocket"]
        assert handshake["ext"]["timesync"]["tc"] == pytest.approx(time.time() * 1000, abs=1000)
        assert handshake["ext"]["ack"] is True
        await link.aclose()

    run(main())


def test_a_carrier_that_the_server_does_not_offer_is_not_used():
    async def main() -> None:
        peer = Peer()
        peer.offers = ["long-polling"]
        link, _ = make(peer, *BOTH)
        await link.open()
        assert link.carrier == "long-polling"
        assert [name for _, name in peer.closed] == ["websocket"]
        await link.aclose()

    run(main())


def test_a_server_that_says_nothing_of_its_carriers_is_taken_at_its_word():
    async def main() -> None:
        peer = Peer()
        peer.offers = []
        link, _ = make(peer, *BOTH)
        await link.open()
        assert link.carrier == "websocket"
        await link.aclose()

    run(main())


@pytest.mark.parametrize(
    ("refusals", "kind", "said"),
    [
        ([ProtocolError("no Bayeux"), NotSentError("no network")], ProtocolError, "no Bayeux"),
        ([NotSentError("no network"), ProtocolError("no Bayeux")], ProtocolError, "no Bayeux"),
        ([NotSentError("first"), NotSentError("second")], ConnectError, "second"),
        ([TimeoutError(), TimeoutError()], ConnectTimeoutError, "did not answer within 10 s"),
        ([AmbiguousError("broke"), AmbiguousError("broke too")], ConnectError, "broke too"),
    ],
)
def test_of_the_carriers_failures_the_one_that_says_most_is_told(
    refusals: list[BaseException], kind: type[Exception], said: str
):
    async def main() -> None:
        peer = Peer()
        peer.refusing = dict(zip(BOTH, refusals, strict=True))
        link, _ = make(peer, *BOTH)
        with pytest.raises(kind, match=said):
            await link.open()

    run(main())


def test_a_handshake_that_is_refused_is_a_login_error_and_not_tried_elsewhere():
    async def main() -> None:
        peer = Peer()
        peer.next[HANDSHAKE] = [{"successful": False, "error": "403::Denied"}]
        link, _ = make(peer, *BOTH)
        with pytest.raises(LoginRefusedError, match="refused the handshake: Denied"):
            await link.open()
        assert [name for _, name in peer.closed] == ["websocket"]
        assert len(peer.requests) == 1

    run(main())


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("403::No such channel", RefusedError, "refused /meta/subscribe: No such channel"),
        ("402::Who", ConnectError, "Who"),
    ],
)
def test_a_subscription_that_is_refused_is_told(error: str, kind: type[Exception], said: str):
    async def main() -> None:
        peer = Peer()
        peer.next[SUBSCRIBE] = [{"successful": False, "error": error}]
        link, _ = make(peer)
        with pytest.raises(kind, match=said):
            await link.open()
        assert not peer.road.is_open

    run(main())


def test_what_a_server_asks_for_is_waited_before_the_next_carrier_is_tried():
    """Another carrier is another request to the same server."""

    async def main() -> None:
        peer = Peer()
        peer.refusing["websocket"] = CarrierUnavailableError("busy", status=503, retry_after=7.0)
        link, _ = make(peer, *BOTH)
        began = now()
        await link.open()
        assert since(began, [at for at, _ in peer.opened]) == [7.0]
        await link.aclose()

    run(main())


def test_a_carrier_that_has_worked_waits_for_itself_when_the_server_is_busy():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer, *BOTH)
        await link.open()
        peer.refusing["websocket"] = CarrierUnavailableError("busy", status=503, retry_after=7.0)
        began = now()
        peer.road.wire.lost("the WebSocket broke")
        await asyncio.sleep(5)
        del peer.refusing["websocket"]
        await asyncio.sleep(5)
        assert [name for _, name in peer.opened] == ["websocket", "websocket"]
        assert since(began, [peer.opened[-1][0]]) == [7.5]
        assert [state for _, state in told.states] == ["down", "up"]
        await link.aclose()

    run(main())


def test_rp09_an_opening_that_is_cancelled_leaves_no_carrier():
    async def main() -> None:
        peer = Peer()
        peer.next[HANDSHAKE] = [None]
        link, _ = make(peer)
        opening = asyncio.create_task(link.open())
        await asyncio.sleep(1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert not peer.road.is_open

    run(main())


# Holding connects


def test_a_connect_is_out_at_any_time_and_the_advised_interval_is_waited():
    async def main() -> None:
        peer = Peer(hold=20.0)
        link, _ = make(peer)
        await link.open()
        began = now()
        peer.next[CONNECT] = [{}, {"after": 20.0, "advice": {"interval": 3000}}]
        await asyncio.sleep(50)
        assert since(began, [at for at, _ in peer.of(CONNECT)]) == [0.0, 0.0, 20.0, 43.0]
        await link.aclose()

    run(main())


def test_a_server_that_does_not_hold_connects_is_asked_ten_times_and_then_once_a_second():
    """One that was held, or brought something, begins the count anew."""

    async def main() -> None:
        peer = Peer(hold=0.0)
        link, _ = make(peer)
        await link.open()
        began = now()
        await asyncio.sleep(3.5)
        assert since(began, [at for at, _ in peer.of(CONNECT)[1:]]) == [0.0] * 10 + [1.0, 2.0, 3.0]
        peer.next[CONNECT] = [{"after": 0.06}]
        await asyncio.sleep(1.0)
        assert since(began, [at for at, _ in peer.of(CONNECT)[14:]]) == [4.0] + [4.06] * 10
        await link.aclose()

    run(main())


def test_answers_that_come_somewhat_later_were_held():
    async def main() -> None:
        peer = Peer(hold=0.06)
        link, _ = make(peer)
        await link.open()
        await asyncio.sleep(3.0)
        assert len(peer.of(CONNECT)) == pytest.approx(1 + 50, abs=2)
        await link.aclose()

    run(main())


def test_a_connect_that_brings_something_at_once_counts_as_held():
    async def main() -> None:
        peer = Peer(hold=0.0)
        link, told = make(peer)
        await link.open()

        async def busy() -> None:
            while len(peer.of(CONNECT)) < 40:
                peer.road.push()
                await asyncio.sleep(0)

        async with asyncio.timeout(0.5):
            await busy()
        assert len(told.delivered) >= 10
        await link.aclose()

    run(main())


def test_a_new_link_over_long_polling_carries_its_first_publication_before_it_polls():
    async def main() -> None:
        for after, polled in ((0.4, 0.4), (3.0, 1.0)):
            peer = Peer()
            link, _ = make(peer, "long-polling")
            await link.open()
            began = now()
            peer.next[CHANNEL] = [{"after": after}]
            await link.publish({})
            await asyncio.sleep(1)
            assert since(began, [at for at, _ in peer.of(CONNECT)[1:]]) == [polled]
            await link.aclose()

    run(main())


@pytest.mark.parametrize("ack", [True, False])
def test_a_poll_is_given_up_where_the_server_would_bring_it_again(ack: bool):
    async def main() -> None:
        peer = Peer(ack=ack)
        link, told = make(peer, "long-polling", ack=ack)
        await link.open()
        await asyncio.sleep(2)
        link.poll_anew()
        await asyncio.sleep(0.01)
        assert len(peer.of(CONNECT)) == (3 if ack else 2)
        assert told.states == []
        await link.aclose()

    run(main())


# Publishing


def test_a_publication_is_settled_by_its_answer():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        with pytest.raises(NotSentError):
            await link.publish({"n": 0})
        await link.open()
        message = await link.publish({"n": 1})
        assert message["data"] == {"n": 1}
        peer.next[CHANNEL] = [{"successful": False, "error": "404::Nobody there"}]
        with pytest.raises(RefusedError, match="Nobody there") as caught:
            await link.publish({"n": 2})
        assert caught.value.code == 404
        assert told.states == []
        peer.next[CHANNEL] = [{"successful": False, "error": "402::Unknown"}]
        with pytest.raises(AmbiguousError, match="did not know the connection: Unknown"):
            await link.publish({"n": 3})
        with pytest.raises(NotSentError):
            await link.publish({"n": 4})
        await asyncio.sleep(2)
        assert [state for _, state in told.states] == ["down", "up"]
        await link.publish({"n": 5})
        assert [message["data"]["n"] for _, message in peer.of(CHANNEL)] == [1, 2, 3, 5]
        await link.aclose()

    run(main())


def test_rp07_a_publication_without_an_answer_shows_a_dead_link_and_a_question_sooner():
    """A question of which the link was given up makes the next one more patient; another publication does not."""

    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        await link.open()

        async def lost_after(*, question: bool) -> float:
            peer.next[CHANNEL] = [None]
            began = now()
            with pytest.raises(AmbiguousError):
                await (link.ask({}) if question else link.publish({}))
            lost = round(now() - began, 2)
            await asyncio.sleep(40)
            assert link.is_up
            return lost

        async def answered_after(seconds: float) -> None:
            peer.next[CHANNEL] = [{"after": seconds}]
            await link.ask({})

        assert await lost_after(question=False) == 0.8 * DELAY
        assert await lost_after(question=True) == 0.5 * DELAY
        assert await lost_after(question=True) == 0.8 * DELAY
        assert await lost_after(question=True) == 0.8 * DELAY
        await answered_after(0.6 * DELAY)
        assert await lost_after(question=True) == 0.8 * DELAY
        await answered_after(0.4 * DELAY)
        assert await lost_after(question=True) == 0.5 * DELAY
        await answered_after(0.4 * DELAY)
        peer.next[CHANNEL] = [None]
        asking = link.ask({})
        await asyncio.sleep(1)
        peer.road.wire.lost("broke")  # which says nothing of the server's pace
        with pytest.raises(AmbiguousError):
            await asking
        await asyncio.sleep(40)
        assert await lost_after(question=True) == 0.5 * DELAY
        assert [state for _, state in told.states] == ["down", "up"] * 8
        await link.aclose()

    run(main())


def test_what_is_delivered_on_another_channel_is_nobody_s():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        await link.open()
        peer.road.push(data={"n": 1})
        peer.road.push(data={"n": 2}, channel="/service/other")
        assert [message["data"] for message in told.delivered] == [{"n": 1}]
        await link.aclose()

    run(main())
