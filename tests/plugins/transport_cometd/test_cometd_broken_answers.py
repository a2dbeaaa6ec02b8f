"""An answer that breaks off behind messages that were taken: what it brought counts, and what it did not is missed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from chat_core import AmbiguousError, ConnectionOptions
from chat_core._loggers.adapter import make_log
from chat_gms.asked import CookieBox
from chat_transport_cometd._carriers.base import Wire
from chat_transport_cometd._carriers.long_polling import LongPolling
from chat_transport_cometd._carriers.websocket import WebSocket
from chat_transport_cometd._link import Link, LinkEvents
from support.clock import run_virtually

CHANNEL = "/service/chat"


class Server:
    """Answers over HTTP, with acknowledgements.

    Attributes:
        end: what stands behind the good messages of an answer that breaks off.
        acks: what the polls have acknowledged.
        handshakes: how many there were.
        broken_publication: answers to publications break off.
        delivered, downs, ups: what the link said.
    """

    def __init__(self, end: str) -> None:
        self.end = end
        self.acks: list[int] = []
        self.handshakes = 0
        self.delivered: list[int] = []
        self.downs: list[str] = []
        self.ups = 0
        self.broken_publication = False

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        answers: list[dict[str, Any]] = []
        for message in json.loads(request.content):
            answer = {"id": message["id"], "channel": message["channel"], "successful": True}
            answers.append(answer)
            match message["channel"]:
                case "/meta/handshake":
                    self.handshakes += 1
                    answer |= {"clientId": f"c{self.handshakes}", "supportedConnectionTypes": ["long-polling"]}
                    answer["ext"] = {"ack": True}
                case "/meta/connect":
                    self.acks.append(message["ext"]["ack"])
                    if "advice" in message:
                        continue
                    await asyncio.sleep(1)
                    if len(self.acks) == 2:
                        answer["ext"] = {"ack": 7}
                        return httpx.Response(200, content=self.broken([answer, *events(80)]))
                    await asyncio.sleep(1000)
                case channel if channel == CHANNEL and self.broken_publication:
                    return httpx.Response(200, content=self.broken([answer, *events(80)]))
        return httpx.Response(200, content=json.dumps(answers))

    def broken(self, messages: list[dict[str, Any]]) -> str:
        """Return an answer whose last part is missing or wrong."""
        return json.dumps(messages)[:-1] + self.end

    def link(self) -> Link:
        """Make a link to this server."""
        cookies = CookieBox()

        def long_polling(wire: Wire) -> LongPolling:
            return LongPolling(
                "http://chat.example/",
                ConnectionOptions(),
                cookies=cookies,
                wire=wire,
                max_message_size=10**6,
                http_transport=httpx.MockTransport(self),
            )

        return Link(
            url="http://chat.example/",
            channel=CHANNEL,
            carriers={"long-polling": long_polling},
            cookies=cookies,
            log=make_log(lambda *_: None),
            events=LinkEvents(
                delivered=lambda message: self.delivered.append(message["data"]),
                down=self.downs.append,
                up=self._note_up,
                dead=lambda error: pytest.fail(f"given up: {error}"),
            ),
            ack=frozenset({"long-polling"}),
            timesync=False,
            network_delay=10.0,
        )

    def _note_up(self) -> None:
        self.ups += 1


def events(number: int) -> list[dict[str, Any]]:
    return [{"channel": CHANNEL, "data": count} for count in range(number)]


BROKEN = pytest.mark.parametrize("end", [', {"channel": "/service/chat", "data": {', ", 5]", "] trailing", ""])


@BROKEN
def test_rp01_a_poll_s_answer_that_breaks_off_is_not_acknowledged(end: str):
    """The server would forget what stood behind that place. The link counts as broken, so the transcript is read."""

    async def main() -> None:
        server = Server(end)
        link = server.link()
        await link.open()
        async with asyncio.timeout(100):
            while server.handshakes < 2 or not server.ups:
                await asyncio.sleep(0.1)
        assert server.delivered == list(range(80))
        assert len(server.downs) == 1
        assert server.handshakes == 2
        assert 7 not in server.acks
        await link.aclose()

    run_virtually(main())


@BROKEN
def test_rp04_an_acknowledgement_in_an_answer_that_breaks_off_leaves_it_open_what_became_of_the_message(end: str):
    """Nobody can tell whose answers are missing; the transcript says."""

    async def main() -> None:
        server = Server(end)
        link = server.link()
        await link.open()
        server.broken_publication = True
        with pytest.raises(AmbiguousError, match="not Bayeux"):
            await link.publish({"text": "Hello"})
        assert server.delivered == list(range(80)), "the acknowledgement before them was read as well"
        server.broken_publication = False
        await link.publish({"text": "Hello"})
        await link.aclose()

    run_virtually(main())


@BROKEN
def test_rp01_a_frame_that_breaks_off_ends_the_websocket_behind_what_it_brought(end: str):
    """As over long polling; what follows the broken frame is not listened to."""
    received: list[Any] = []
    lost: list[str] = []
    carrier = WebSocket(
        "ws://chat.example/",
        ConnectionOptions(),
        cookies=CookieBox(),
        wire=Wire(messages=lambda messages: received.extend(message["data"] for message in messages), lost=lost.append),
        max_message_size=10**6,
    )
    carrier._socket = object()  # type: ignore[assignment] # open
    carrier.received(Server(end).broken(events(80)).encode())
    carrier.received(json.dumps(events(1)).encode())
    assert received == list(range(80))
    assert len(lost) == 1
