"""Requests and replies over the carrier in use, and how a dead carrier is found (RP-7)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

from chat_core import Log
from chat_transport_cometd._bayeux.engine import HANDSHAKE, Delivered, Engine, Failed, Happening
from chat_transport_cometd._bayeux.messages import Message
from chat_transport_cometd._carriers.base import Carrier, Wire

__all__ = ["Exchange", "LostError", "SessionUnknownError"]

#: The part of the network delay after which a publication without an answer means a dead link: somewhat before the
#: session gives up what it asks for, so that it asks again over a new link instead.
UNANSWERED: Final = 0.8


class LostError(Exception):
    """The link broke."""


class SessionUnknownError(LostError):
    """The server does not know the Bayeux session; the carrier may be fine."""


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
        self._wake = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[Happening]] = {}
        #: Publications without an answer, by id, with the timer that then counts the link as dead.
        self._unanswered: dict[str, asyncio.TimerHandle] = {}

    def begin(self) -> None:
        """Forget what broke before."""
        self.broken = None
        self._wake.clear()

    def break_off(self, error: LostError) -> None:
        """Count the link as broken, and wake whoever waits for anything."""
        if self.broken is None:
            self.broken = error
            self._wake.set()
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
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
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
                    await _send_held(carrier, messages, replies[messages[0]["id"]], timeout)
                else:
                    await carrier.send(messages, timeout=timeout)
                return [await reply for reply in replies.values()]
        finally:
            for request, reply in replies.items():
                self._waiting.pop(request, None)
                self._engine.abandon(request)
                if reply.done() and not reply.cancelled():
                    reply.exception()  # seen: whoever waited may have left by another way

    async def publish(self, message: Message) -> Happening:
        """Send a publication and wait for its reply. Without one the link counts as dead, whoever still waits.

        Raises:
            LostError, TimeoutError, TransportError: as ``request``.
        """
        request = message["id"]
        delay = UNANSWERED * self._network_delay
        self._unanswered[request] = asyncio.get_running_loop().call_later(delay, self._miss, request)
        try:
            (happening,) = await self.request([message], timeout=self._network_delay)
        except Exception:
            self._answered(request)  # by the carrier: it never left, something else answered, or the link broke
            raise
        return happening

    def _miss(self, request: str) -> None:
        del self._unanswered[request]
        self.break_off(LostError("the server does not answer"))

    def _answered(self, request: object) -> None:
        timer = self._unanswered.pop(request, None) if isinstance(request, str) else None
        if timer is not None:
            timer.cancel()

    def _received(self, messages: list[Message]) -> None:
        for message in messages:
            if "successful" in message:
                self._answered(message.get("id"))
        for happening in self._engine.received(messages, now=time.time() * 1000):
            if isinstance(happening, Delivered):
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


async def _send_held(
    carrier: Carrier, messages: list[Message], reply: asyncio.Future[Happening], timeout: float
) -> None:
    sending = asyncio.get_running_loop().create_task(
        carrier.send(messages, timeout=timeout), name="chat-core: held connect"
    )
    try:
        waited: set[asyncio.Future[Any]] = {sending, reply}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        if not sending.done():
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
