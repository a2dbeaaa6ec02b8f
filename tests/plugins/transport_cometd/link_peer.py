"""A Bayeux server within the loop, behind carriers that are no more than calls: for the link's own tests."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from chat_core import Backoff, ChatError
from chat_core._loggers.adapter import make_log
from chat_gms.asked import CookieBox
from chat_transport_cometd._bayeux.messages import Message
from chat_transport_cometd._carriers.base import Wire
from chat_transport_cometd._link import Link, LinkEvents
from support.simulation.loop import run_seeded

CHANNEL = "/service/chat"
HANDSHAKE, CONNECT, SUBSCRIBE = "/meta/handshake", "/meta/connect", "/meta/subscribe"
UNSUBSCRIBE, DISCONNECT = "/meta/unsubscribe", "/meta/disconnect"
#: The network delay of these links, in seconds.
DELAY = 10.0


def now() -> float:
    return asyncio.get_running_loop().time()


class Peer:
    """The server.

    Attributes:
        hold: seconds for which a connect is held.
        requests: when, over which carrier, which messages together.
        tried, opened, closed: when, which carrier.
        refusing: what opening a carrier raises.
        next: for a channel, what its next requests get: fields of the answer (``after``: seconds until it comes), None
            for no answer, or an error that sending raises.
        offers: the connection types of the handshake.
        ack: take the acknowledgement extension.
        stuck: what is sent stays in the carrier for ever.
    """

    def __init__(self, *, hold: float = 30.0, ack: bool = False) -> None:
        self.hold = hold
        self.ack = ack
        self.stuck = False
        self.offers = ["websocket", "long-polling"]
        self.requests: list[tuple[float, str, list[Message]]] = []
        self.tried: list[tuple[float, str]] = []
        self.opened: list[tuple[float, str]] = []
        self.closed: list[tuple[float, str]] = []
        self.refusing: dict[str, BaseException] = {}
        self.next: defaultdict[str, list[Any]] = defaultdict(list)
        self.roads: list[Road] = []

    @property
    def road(self) -> Road:
        """The newest carrier."""
        return self.roads[-1]

    def of(self, channel: str) -> list[tuple[float, Message]]:
        """When a channel was written to, and what."""
        return [(at, one) for at, _, messages in self.requests for one in messages if one["channel"] == channel]

    def reply(self, message: Message) -> tuple[float, Message] | None:
        """Return how long an answer takes, and what it is."""
        channel = message["channel"]
        given = self.next[channel].pop(0) if self.next[channel] else {}
        if given is None:
            return None
        if isinstance(given, BaseException):
            raise given
        held = channel == CONNECT and message.get("advice") != {"timeout": 0}
        after = given.get("after", self.hold if held and "successful" not in given else 0.0)
        answer: Message = {"id": message["id"], "channel": channel, "successful": True}
        if channel == HANDSHAKE:
            answer |= {"clientId": "c", "supportedConnectionTypes": self.offers}
            if self.ack:
                answer["ext"] = {"ack": True}
        return after, {**answer, **{name: value for name, value in given.items() if name != "after"}}


class Road:
    """One carrier to the peer."""

    def __init__(self, peer: Peer, name: str, wire: Wire) -> None:
        self.name = name
        self.wire = wire
        self.is_open = False
        self._peer = peer

    async def open(self) -> None:
        self._peer.tried.append((now(), self.name))
        await asyncio.sleep(0)
        if (refusal := self._peer.refusing.get(self.name)) is not None:
            raise refusal
        self.is_open = True
        self._peer.roads.append(self)
        self._peer.opened.append((now(), self.name))

    async def send(self, messages: list[Message], *, timeout: float, seldom: bool = False) -> None:
        del timeout
        self._peer.requests.append((now(), self.name, messages))
        if self._peer.stuck:
            await asyncio.Event().wait()
        for message in messages:
            if (reply := self._peer.reply(message)) is not None:
                after, answer = reply
                asyncio.get_running_loop().call_later(after, self._arrive, answer)

    def _arrive(self, answer: Message) -> None:
        if self.is_open:
            self.wire.messages([answer])

    def push(self, **fields: Any) -> None:
        """Deliver something to the subscription."""
        self._arrive({"channel": CHANNEL, "data": {}, **fields})

    def begin(self, messages: list[Message], *, timeout: float) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(self.send(messages, timeout=timeout))

    def drop_poll(self) -> bool:
        return self.name == "long-polling"

    async def aclose(self) -> None:
        if self.is_open:
            self.is_open = False
            self._peer.closed.append((now(), self.name))


class Told:
    """What a link told its owner, and when."""

    def __init__(self) -> None:
        self.delivered: list[Message] = []
        self.states: list[tuple[float, str]] = []
        self.downs: list[str] = []
        self.dead: list[ChatError] = []
        self.log: list[str] = []

    def down(self, reason: str) -> None:
        self.states.append((now(), "down"))
        self.downs.append(reason)

    def up(self) -> None:
        self.states.append((now(), "up"))


def make(peer: Peer, *names: str, ack: bool = False, timesync: bool = False) -> tuple[Link, Told]:
    """Make a link to the peer over carriers, best first; it pauses as long as it may."""
    told = Told()
    link = Link(
        url="http://h/cometd",
        channel=CHANNEL,
        carriers={name: lambda wire, name=name: Road(peer, name, wire) for name in names or ("websocket",)},  # type: ignore[misc]
        cookies=CookieBox(),
        log=make_log(lambda *said: told.log.append(" ".join(map(str, said)))),
        events=LinkEvents(delivered=told.delivered.append, down=told.down, up=told.up, dead=told.dead.append),
        ack=frozenset(names) if ack else frozenset(),
        timesync=timesync,
        network_delay=DELAY,
        backoff=Backoff(uniform=lambda _, high: high),
    )
    return link, told


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test on virtual time."""
    run_seeded(test, seed=1)


def since(began: float, times: list[float]) -> list[float]:
    """Return times in seconds after the beginning."""
    return [round(at - began, 2) for at in times]


def channels(peer: Peer) -> list[list[str]]:
    """Return which channels were written to together."""
    return [[message["channel"] for message in messages] for _, _, messages in peer.requests]
