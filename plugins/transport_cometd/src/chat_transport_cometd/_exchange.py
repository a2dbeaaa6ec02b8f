"""Requests and replies over the carrier in use, and how a dead carrier is found (RP-7)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from chat_core import AmbiguousError, Log
from chat_transport_cometd._bayeux.engine import HANDSHAKE, Delivered, Engine, Failed, Happening
from chat_transport_cometd._bayeux.messages import Message
from chat_transport_cometd._carriers.base import Carrier, Wire

__all__ = [
    "UNANSWERED",
    "UNANSWERED_QUESTION",
    "Exchange",
    "LostError",
    "PollGivenUpError",
    "SessionUnknownError",
    "UnansweredError",
]

#: The part of the network delay after which a publication without an answer means a dead link: somewhat before the
#: session gives up what it asks for, so that it asks again over a new link instead.
UNANSWERED: Final = 0.8
#: The same for a question about the transcript. It is asked where something is in doubt, and once more after some
#: seconds; a link that has died in between has to be found before the session gives the missing events up (RP-1).
UNANSWERED_QUESTION: Final = 0.5


class LostError(Exception):
    """The link broke."""


class UnansweredError(LostError):
    """A publication was not acknowledged in time, which looks like a dead link."""


class SessionUnknownError(LostError):
    """The server does not know the Bayeux session; the carrier may be fine."""


class PollGivenUpError(LostError):
    """The held connect was given up; the link may be fine."""


class Exchange:
    """Brings messages to the server over one carrier after another, and each reply to who waits for it.

    Args:
        engine: makes the messages and matches the replies.
        network_delay: seconds for an answer beyond what the server holds it back.
        delivered: called with each message for a subscription.
        log: hears of decisions.

    Attributes:
        carrier: the one in use, None while there is none.
        broken: why it is of no use any more, None while it is.
        delivered_at: when the last message for a subscription came.
    """

    def __init__(
        self, engine: Engine, *, network_delay: float, delivered: Callable[[Message, str], None], log: Log
    ) -> None:
        self._engine = engine
        self._network_delay = network_delay
        self._delivered = delivered
        self._log = log
        self.carrier: Carrier | None = None
        self.broken: LostError | None = None
        self.delivered_at = 0.0
        self.wire = Wire(messages=self._received, lost=lambda reason: self.break_off(LostError(reason)))
        #: Set when the link breaks, where somebody sleeps.
        self._wake: asyncio.Event | None = None
        self._waiting: dict[str, asyncio.Future[Happening]] = {}
        #: Set once something was published and answered, where somebody waits for that.
        self._published: asyncio.Event | None = None
        #: The reply to the connect that the server holds.
        self._held: asyncio.Future[Happening] | None = None
        #: Publications without an answer, by id, with the timer that then counts the link as dead.
        self._unanswered: dict[str, asyncio.TimerHandle] = {}

    def begin(self) -> None:
        """Forget what broke before."""
        self.broken = None

    def break_off(self, error: LostError) -> None:
        """Count the link as broken, and wake whoever waits for anything."""
        if self.broken is None:
            self.broken = error
            for waited in (self._wake, self._published):
                if waited is not None:
                    waited.set()
        self._fail_waiting(error)

    async def drop(self) -> None:
        """Close the carrier."""
        carrier, self.carrier = self.carrier, None
        for timer in self._unanswered.values():
            timer.cancel()
        self._unanswered.clear()
        self._engine.forget()
        self._fail_waiting(LostError("the connection was closed"))
        if carrier is not None:
            await carrier.aclose()

    async def sleep(self, seconds: float) -> None:
        """Sleep, unless the link breaks meanwhile.

        Raises:
            LostError: it did.
        """
        if self.broken is None:
            self._wake = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            self._wake = None
        if self.broken is not None:
            raise self.broken

    async def request(self, messages: list[Message], *, timeout: float, held: bool = False) -> list[Happening]:
        """Send messages together and wait for each one's reply.

        Args:
            messages: of the engine.
            timeout: seconds for the replies.
            held: give up as soon as the link is known to be broken, though the carrier may still wait.

        Raises:
            LostError: the link broke.
            TimeoutError: not every reply came in time.
            TransportError: the carrier failed.
        """
        carrier = self.carrier
        assert carrier is not None
        if self.broken is not None:
            raise self.broken
        loop = asyncio.get_running_loop()
        replies = {message["id"]: loop.create_future() for message in messages}
        self._waiting.update(replies)
        try:
            async with asyncio.timeout(timeout):
                if held:
                    self._held = replies[messages[0]["id"]]
                    await _send_held(carrier, messages, self._held, timeout)
                else:
                    await carrier.send(messages, timeout=timeout)
                return [await reply for reply in replies.values()]
        finally:
            if held:
                self._held = None
            for request, reply in replies.items():
                self._forget(request, reply)

    def _forget(self, request: str, reply: asyncio.Future[Happening]) -> None:
        """Wait for a reply no more."""
        self._waiting.pop(request, None)
        self._engine.abandon(request)
        if reply.done() and not reply.cancelled():
            reply.exception()  # seen: whoever waited may have left by another way

    async def publish(self, message: Message, *, unanswered: float = UNANSWERED, seldom: bool = False) -> Happening:
        """Send a publication and wait for its reply. Without one the link counts as dead, whoever still waits.

        Args:
            message: of the engine.
            unanswered: the part of the network delay after which that is so.
            seldom: as a carrier takes it.

        Raises:
            LostError, TimeoutError, TransportError: as ``request``.
        """
        carrier, request = self.carrier, message["id"]
        assert carrier is not None
        if self.broken is not None:
            raise self.broken
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Happening] = loop.create_future()
        self._waiting[request] = reply
        self._unanswered[request] = loop.call_later(unanswered * self._network_delay, self._miss, request)
        # Timers instead of asyncio.timeout(), which costs as much as the rest of this: one is made for each message.
        limit = loop.call_later(self._network_delay, _expire, reply)
        try:
            # The carrier bounds itself: a request by its time limit, a frame by the connection, which ``_miss`` ends.
            await carrier.send([message], timeout=self._network_delay, seldom=seldom)
            happening = await reply
        except Exception:
            self._answered(request)  # by the carrier: it never left, something else answered, or the link broke
            raise
        else:
            self._answered(request)  # also where the answer had no id
            return happening
        finally:
            limit.cancel()
            self._forget(request, reply)
            if self._published is not None:
                self._published.set()

    async def first_publication(self, within: float) -> None:
        """Wait until something was published and answered, the link broke, or the seconds are over."""
        if self.broken is not None:
            return
        self._published = asyncio.Event()
        try:
            async with asyncio.timeout(within):
                await self._published.wait()
        except TimeoutError:
            pass
        finally:
            self._published = None

    def give_poll_up(self) -> None:
        """Have the held connect end with ``PollGivenUpError``, unless its answer has begun to come."""
        if self._held is not None and not self._held.done() and self.carrier is not None and self.carrier.drop_poll():
            self._held.set_exception(PollGivenUpError("the held poll was given up"))

    def _miss(self, request: str) -> None:
        del self._unanswered[request]
        self.break_off(UnansweredError("the server does not answer"))

    def _answered(self, request: object) -> None:
        timer = self._unanswered.pop(request, None) if isinstance(request, str) else None
        if timer is not None:
            timer.cancel()

    def _received(self, messages: Iterable[Message]) -> None:
        delivered = False
        for message in messages:
            now = 0.0
            if "successful" in message:
                self._answered(message.get("id"))
                now = time.time() * 1000
            happening = self._engine.take(message, now=now)
            if happening is None:
                continue
            if isinstance(happening, Delivered):
                if not delivered:
                    delivered = True
                    self.delivered_at = asyncio.get_running_loop().time()
                self._delivered(happening.message, happening.channel)
                continue
            if isinstance(happening, Failed) and happening.channel != HANDSHAKE and happening.session_unknown:
                self._log.info("the server does not know the Bayeux session", happening.error.text)
            reply = self._waiting.get(happening.request)
            if reply is not None and not reply.done():
                reply.set_result(happening)

    def _fail_waiting(self, error: LostError) -> None:
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(error)


def _expire(reply: asyncio.Future[Happening]) -> None:
    if not reply.done():
        reply.set_exception(TimeoutError())


async def _send_held(
    carrier: Carrier, messages: list[Message], reply: asyncio.Future[Happening], timeout: float
) -> None:
    """Send, and wait until there is a reply or none can come. Who waits no more leaves the request to the carrier."""
    sending = carrier.begin(messages, timeout=timeout)
    waited: set[asyncio.Future[Any]] = {sending, reply}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    if sending.done() and not sending.cancelled():
        sending.result()  # also where there is a reply: an answer that broke off behind it has not come
    elif not reply.done():
        raise AmbiguousError("the connection was closed before the answer came")
