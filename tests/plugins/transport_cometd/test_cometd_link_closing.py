"""The link alone, on virtual time: what it says at the end, and what is left."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from chat_core import (
    AmbiguousError,
    NotSentError,
)
from chat_transport_cometd._carriers.base import CarrierUnavailableError
from plugins.transport_cometd.link_peer import (
    CHANNEL,
    CONNECT,
    DISCONNECT,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Peer,
    channels,
    make,
    now,
    run,
    since,
)


@pytest.mark.parametrize("going_away", [None, {"transcriptPosition": "3"}])
def test_the_farewell_says_whether_the_chat_goes_on(going_away: dict[str, str] | None):
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        await link.open()
        await link.aclose(going_away)
        farewell = [UNSUBSCRIBE, DISCONNECT] if going_away is None else [DISCONNECT]
        assert channels(peer)[-1] == farewell
        assert peer.requests[-1][2][-1].get("ext") == going_away
        assert told.states == []
        assert not link.is_up
        assert not peer.road.is_open

    run(main())


def test_rp09_a_farewell_without_an_answer_is_not_waited_for_long():
    async def main() -> None:
        peer = Peer()
        link, _ = make(peer)
        await link.open()
        peer.next[DISCONNECT] = [None]
        began = now()
        await link.aclose()
        assert since(began, [now()]) == [0.5]
        assert not peer.road.is_open

    run(main())


def test_nothing_leaves_behind_the_farewell():
    async def main() -> None:
        peer = Peer()
        link, _ = make(peer)
        await link.open()
        peer.next[DISCONNECT] = [None]
        closing = asyncio.create_task(link.aclose())
        await asyncio.sleep(0.1)
        assert not link.is_up
        with pytest.raises(NotSentError):
            await link.publish({})
        await closing
        assert peer.of(CHANNEL) == []

    run(main())


def test_rp09_closing_ends_what_the_carrier_has_not_taken_yet():
    async def main() -> None:
        peer = Peer()
        link, _ = make(peer)
        await link.open()
        await asyncio.sleep(1)
        peer.stuck = True
        asking = link.ask({})
        await asyncio.sleep(0.1)
        await link.aclose()
        assert asking.cancelled()

    run(main())


def test_rp09_a_link_that_breaks_during_the_farewell_is_not_restored():
    async def main() -> None:
        peer = Peer()
        link, told = make(peer)
        await link.open()
        await asyncio.sleep(1)
        peer.next[DISCONNECT] = [None]
        closing = asyncio.create_task(link.aclose())
        await asyncio.sleep(0.1)
        peer.road.wire.lost("broke")
        await closing
        await asyncio.sleep(60)
        assert told.states == []
        assert len(peer.opened) == 1

    run(main())


def test_rp09_closing_ends_questions_attempts_and_the_search_for_a_better_carrier():
    async def main() -> None:
        peer = Peer()
        link, _ = make(peer)
        await link.open()
        peer.next[CHANNEL] = [None]
        asking = link.ask({})
        await asyncio.sleep(0.1)
        await link.aclose()
        assert asking.done()
        with contextlib.suppress(AmbiguousError, asyncio.CancelledError):
            await asking
        # While there is no link.
        link, _ = make(peer)
        await link.open()
        peer.refusing["websocket"] = CarrierUnavailableError("refused")
        peer.road.wire.lost("broke")
        await asyncio.sleep(3)
        requests = len(peer.requests)
        await link.aclose()
        await asyncio.sleep(60)
        assert len(peer.requests) == requests
        assert len(asyncio.all_tasks()) <= 2  # this one, and the one that bounds it

    run(main())


def test_rp09_a_session_that_is_only_beginning_is_closed_without_a_farewell():
    """There is nothing yet that could be left."""

    async def main() -> None:
        peer = Peer()
        link, _ = make(peer)
        await link.open()
        peer.next[SUBSCRIBE] = [None]
        peer.road.wire.lost("broke")
        await asyncio.sleep(2)
        assert channels(peer)[-1] == [SUBSCRIBE, CONNECT]
        requests = len(peer.requests)
        began = now()
        await link.aclose()
        assert now() == began
        assert len(peer.requests) == requests
        assert not peer.road.is_open

    run(main())
