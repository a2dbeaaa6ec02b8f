"""When a poll that the server holds is given up, and when it is not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

import chat_core
from chat_core import ConnectionOptions
from chat_gms.asked import CookieBox
from chat_sandbox import Sandbox
from chat_transport_cometd._bayeux.messages import encode
from chat_transport_cometd._carriers.base import Wire
from chat_transport_cometd._carriers.long_polling import LongPolling
from chat_transport_cometd._link import Link

CONNECT = {"id": "1", "channel": "/meta/connect"}


class Slow(httpx.AsyncBaseTransport, httpx.AsyncByteStream):
    """An answer whose head and body come when they are let."""

    def __init__(self) -> None:
        self.asked, self.head, self.body = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.begun = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.set()
        await self.head.wait()
        return httpx.Response(200, stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.begun.set()
        await self.body.wait()
        yield encode([{**CONNECT, "successful": True}]).encode()


@contextlib.asynccontextmanager
async def a_poll() -> AsyncIterator[tuple[LongPolling, Slow, asyncio.Task[None], list[Any]]]:
    """A carrier, its network, a poll that has left, and what is received."""
    slow, received = Slow(), []
    carrier = LongPolling(
        "http://h/",
        ConnectionOptions(),
        cookies=CookieBox(),
        wire=Wire(messages=received.extend, lost=lambda _: None),
        max_message_size=1000,
        http_transport=slow,
    )
    poll = carrier.begin([CONNECT], timeout=10)
    await slow.asked.wait()
    yield carrier, slow, poll, received
    await carrier.aclose()


def test_a_poll_whose_answer_has_begun_to_come_is_not_dropped():
    """However long the rest of it takes: a large transcript would begin anew each time."""

    async def main() -> None:
        async with a_poll() as (carrier, slow, poll, received):
            slow.head.set()
            await slow.begun.wait()
            assert not carrier.drop_poll()
            slow.body.set()
            await poll
            assert [message["id"] for message in received] == ["1"]
            assert not carrier.drop_poll()

    asyncio.run(main())


def test_a_poll_that_nothing_has_come_of_is_dropped():
    """The carrier goes on."""

    async def main() -> None:
        async with a_poll() as (carrier, slow, poll, received):
            assert carrier.drop_poll()
            await asyncio.wait({poll})
            assert poll.cancelled()
            slow.head.set()
            slow.body.set()
            await carrier.send([CONNECT], timeout=10)
            assert len(received) == 1

    asyncio.run(main())


@pytest.mark.parametrize("ack", [True, False])
def test_only_what_the_server_would_bring_again_is_given_up(ack: bool):
    """Without acknowledgements what is written to a dropped poll is lost, so it is waited for."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            session = await chat_core.start_session(
                server_url=sandbox.cometd_url,
                disable_websockets=True,
                state_storage="memory",
                transport_options={"ack": ack},
            )
            link = session._engine.transport._transport._link
            await _held(link)
            poll = link._exchange._held
            link.poll_anew()
            assert poll.done() == ack
            await _held(link)
            assert await session.get_transcript(1)
            assert session.connection_state == "connected"
            await session.leave()

    asyncio.run(main())


async def _held(link: Link) -> None:
    """Wait until a poll is out."""
    async with asyncio.timeout(5):
        while link._exchange._held is None or link._exchange._held.done():
            await asyncio.sleep(0.001)
