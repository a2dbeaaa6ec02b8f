"""Keeps one Bayeux session alive: carriers, handshakes, the connect loop, reconnecting (RP-7, RP-8)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from attrs import frozen

from chat_core import (
    AmbiguousError,
    Backoff,
    ChatError,
    ConnectTimeoutError,
    ErrorCode,
    Log,
    LoginRefusedError,
    NotSentError,
    Origin,
    ProtocolError,
    RefusedError,
    TransportError,
)
from chat_gms.http import CookieBox, unreachable
from chat_transport_cometd._bayeux.advice import Reconnect
from chat_transport_cometd._bayeux.engine import HANDSHAKE, Delivered, Engine, Failed, Handshaken, Happening
from chat_transport_cometd._bayeux.messages import BayeuxError, Message
from chat_transport_cometd._carriers.base import Carrier, CarrierUnavailableError, Wire

__all__ = ["CarrierMaker", "Link", "LinkEvents"]

#: Seconds for the farewell.
FAREWELL: Final = 1.0
#: Answers to a connect that come quicker than this (seconds) and bring nothing were not held.
_NOT_HELD: Final = 0.05
#: So many of them in a row are a server that does not hold connects; then there is a pause (seconds) between two.
_NOT_HELD_LIMIT: Final = 10
_NOT_HELD_PAUSE: Final = 1.0

CarrierMaker = Callable[[Wire], Carrier]


@frozen(kw_only=True)
class LinkEvents:
    """What the link tells its owner.

    Attributes:
        delivered: a message arrived for a subscription.
        down: the link broke, with the reason; told once until it is up again.
        up: the link is back: a Bayeux session, subscribed, and a connect was answered.
        dead: the server refuses for good.
    """

    delivered: Callable[[Message], None]
    down: Callable[[str], None]
    up: Callable[[], None]
    dead: Callable[[ChatError], None]


class _LostError(Exception):
    """The link broke."""


class _SessionUnknownError(_LostError):
    """The server does not know the Bayeux session; the carrier may be fine."""


class Link:
    """One Bayeux session after another, on one carrier after another.

    Args:
        url: where, for messages.
        channel: subscribed to in each session.
        carriers: makers by Bayeux name, best first.
        cookies: shared by the carriers.
        log: hears of decisions.
        events: hears of everything else.
        ack: offer acknowledgements on these carriers.
        network_delay: seconds for an answer beyond what the server holds it back.
    """

    def __init__(
        self,
        *,
        url: str,
        channel: str,
        carriers: dict[str, CarrierMaker],
        cookies: CookieBox,
        log: Log,
        events: LinkEvents,
        ack: frozenset[str],
        timesync: bool,
        network_delay: float,
        backoff: Backoff | None = None,
    ) -> None:
        self._url = url
        self._channel = channel
        self._carriers = carriers
        self.cookies = cookies
        self._log = log
        self._events = events
        self._ack = ack
        self._engine = Engine(timesync=timesync)
        self._network_delay = network_delay
        self._backoff = backoff or Backoff()
        self._carrier: Carrier | None = None
        self._worked: set[str] = set()
        self._failed: set[str] = set()
        self._waiting: dict[str, asyncio.Future[Happening]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._broken: _LostError | None = None
        self._up = False
        self._closing = False
        self._delivered_at = 0.0

    @property
    def carrier(self) -> str | None:
        """The name of the carrier in use."""
        return self._carrier.name if self._carrier is not None else None

    @property
    def is_up(self) -> bool:
        """True while messages can be published."""
        return self._up

    async def open(self) -> None:
        """Connect for the first time, on the first carrier that works, and keep connected from then on.

        Raises:
            ConnectError: no carrier reaches the server.
            ProtocolError: what answers is not a Bayeux server.
            LoginRefusedError: the handshake was refused.
        """
        try:
            await self._establish()
        except TimeoutError as error:
            raise ConnectTimeoutError(
                f"the server at {self._url} took the connection and did not answer within {self._network_delay:g} s"
            ) from error
        except (NotSentError, AmbiguousError, _LostError) as error:
            raise unreachable(self._url, error) from error
        self._up = True
        self._backoff.worked(self._now())
        self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="chat-core: keep the CometD link")

    async def publish(self, data: object) -> Message:
        """Publish to the channel and return the reply.

        Raises:
            NotSentError: it never left.
            RefusedError: the server said no.
            AmbiguousError: it may have arrived; an answer that the session is unknown does not tell by which server.
        """
        if not self._up or self._broken is not None:
            raise NotSentError("there is no connection to the server now")
        message = self._engine.publish(self._channel, data)
        try:
            (happening,) = await self._request([message], timeout=self._network_delay)
        except (_LostError, TimeoutError) as error:
            raise AmbiguousError(f"the connection broke before the answer came: {_words(error)}") from error
        if isinstance(happening, Failed):
            if happening.session_unknown:
                self._break(_SessionUnknownError(happening.error.text))
                raise AmbiguousError(f"the server did not know the connection: {happening.error.text}")
            raise RefusedError(happening.error.text, code=happening.error.code, origin=Origin.BAYEUX)
        return message

    async def aclose(self, going_away: Mapping[str, Any] | None = None) -> None:
        """Say farewell if there is a link, and drop everything.

        Args:
            going_away: what the farewell carries (``ext``) when the chat goes on without this link.
        """
        self._closing = True
        if self._up and self._carrier is not None:
            self._up = False
            with contextlib.suppress(TransportError, _LostError, TimeoutError):
                farewell = [self._engine.disconnect(going_away)]
                if going_away is None:
                    farewell.insert(0, self._engine.unsubscribe(self._channel))
                await self._request(farewell, timeout=FAREWELL)
        self._up = False
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._drop_carrier()

    # The keeper

    async def _keep(self) -> None:
        while True:
            broken: Exception
            try:
                await self._connect_for_ever()
            except (_LostError, TransportError, TimeoutError) as error:
                if self._closing:
                    return
                broken = error
            except Exception as error:  # noqa: BLE001 - a defect or a foreign error must not leave a dead link unseen
                self._log.error("the CometD link failed unexpectedly", type(error).__name__)
                broken = error
            self._up = False
            self._events.down(_words(broken))
            unknown = isinstance(broken, _SessionUnknownError)
            # A held poll that was given up would keep its connection busy, so long polling begins anew in any case.
            if not unknown or self.carrier != "websocket":
                await self._drop_carrier()
            # An unknown session too: a server that forgets each new one at once must not be hammered.
            await asyncio.sleep(self._pause(broken))
            if not await self._reestablish():
                return

    async def _reestablish(self) -> bool:
        """Try until there is a link again; False when the server refuses for good."""
        while True:
            try:
                await self._establish()
            except LoginRefusedError as error:
                self._events.dead(error)
                return False
            except Exception as error:  # noqa: BLE001 - as above
                self._log.debug("reconnecting failed", _words(error))
                await self._drop_carrier()
                await asyncio.sleep(self._pause(error))
            else:
                self._backoff.worked(self._now())
                self._up = True
                self._events.up()
                return True

    def _pause(self, error: Exception) -> float:
        pause = self._backoff.failed(self._now(), retry_after=getattr(error, "retry_after", None))
        return max(pause, self._engine.advice.interval)

    async def _connect_for_ever(self) -> NoReturn:
        """Keep one connect outstanding, as the server advises, until the link breaks."""
        not_held = 0
        while not self._closing:
            if self._engine.advice.interval > 0:
                await self._sleep(self._engine.advice.interval)
            if not_held >= _NOT_HELD_LIMIT:
                await self._sleep(_NOT_HELD_PAUSE)
            began = self._now()
            timeout = self._engine.advice.timeout + self._network_delay
            (happening,) = await self._request([self._engine.connect()], timeout=timeout, held=True)
            if isinstance(happening, Failed):
                kind = _SessionUnknownError if happening.session_unknown else _LostError
                raise kind(happening.error.text)
            if self._engine.advice.reconnect != Reconnect.RETRY:
                # "none" beside a good answer: the server ended the session, not the chat.
                raise _SessionUnknownError(f"the server advises {self._engine.advice.reconnect!r}")
            held = self._now() - began > _NOT_HELD or self._delivered_at >= began
            not_held = 0 if held else not_held + 1
        raise _LostError("the session is closing")

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the link breaks meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        if self._broken is not None:
            raise self._broken

    # A new Bayeux session

    async def _establish(self) -> None:
        """Shake hands on the carrier at hand, or on the first one that works; subscribe; have a connect answered."""
        self._broken = None
        self._wake.clear()
        if self._carrier is not None:
            await self._begin_session(self._carrier)
            return
        problem: Exception = NotSentError("no carrier is allowed")
        for name in self._candidates():
            carrier = self._carriers[name](Wire(messages=self._received, lost=self._carrier_lost))
            self._carrier = carrier
            try:
                await carrier.open()
                await self._begin_session(carrier)
            except (NotSentError, AmbiguousError, ProtocolError, _LostError, TimeoutError) as error:
                self._log.info("no connection over " + name, _words(error))
                self._failed.add(name)
                problem = _worse(problem, error)
                await self._drop_carrier()
                self._broken = None
                self._wake.clear()
                if (wait := getattr(error, "retry_after", None)) is not None:
                    # Another carrier is another request to the same server.
                    if name in self._worked:
                        raise
                    await asyncio.sleep(wait)
            except BaseException:
                await self._drop_carrier()
                raise
            else:
                self._worked.add(name)
                return
        raise problem

    def _candidates(self) -> list[str]:
        """A carrier that never worked where another one did is not tried again."""
        return [name for name in self._carriers if name in self._worked or not (name in self._failed and self._worked)]

    async def _begin_session(self, carrier: Carrier) -> None:
        self._engine.begin(ack=carrier.name in self._ack)
        names = [carrier.name, *(name for name in self._carriers if name != carrier.name)]
        now = time.time() * 1000
        (happening,) = await self._request([self._engine.handshake(names, now=now)], timeout=self._network_delay)
        if isinstance(happening, Failed):
            raise self._handshake_error(happening.error)
        assert isinstance(happening, Handshaken)
        if happening.connection_types and carrier.name not in happening.connection_types:
            raise CarrierUnavailableError(f"the server offers {', '.join(happening.connection_types)} only")
        # A connect that shares its request with others is never held, and this one asks for that besides.
        subscribed, connected = await self._request(
            [self._engine.subscribe(self._channel), self._engine.connect(at_once=True)], timeout=self._network_delay
        )
        for answer in (subscribed, connected):
            if isinstance(answer, Failed):
                if answer.session_unknown:
                    raise _SessionUnknownError(answer.error.text)
                raise RefusedError(
                    f"the server refused {answer.channel}: {answer.error.text}",
                    code=answer.error.code,
                    origin=Origin.BAYEUX,
                )
        self._log.debug("connected", carrier.name, self._url)

    def _handshake_error(self, error: BayeuxError) -> TransportError:
        return LoginRefusedError(
            f"the server at {self._url} refused the handshake: {error.text}",
            code=ErrorCode.LOGIN_FAILED,
            advice="check auth and headers in transport_options",
        )

    async def _drop_carrier(self) -> None:
        carrier, self._carrier = self._carrier, None
        self._engine.forget()
        self._fail_waiting(_LostError("the connection was closed"))
        if carrier is not None:
            await carrier.aclose()

    # Requests and replies

    async def _request(self, messages: list[Message], *, timeout: float, held: bool = False) -> list[Happening]:
        """Send messages together and wait for each one's reply.

        ``held``: give up as soon as the link is known to be broken, though the carrier may still wait.
        """
        carrier = self._carrier
        assert carrier is not None
        if self._broken is not None:
            raise self._broken
        loop = asyncio.get_running_loop()
        replies = {message["id"]: loop.create_future() for message in messages}
        self._waiting.update(replies)
        try:
            async with asyncio.timeout(timeout):
                if held:
                    await self._send_held(carrier, messages, replies[messages[0]["id"]], timeout)
                else:
                    await carrier.send(messages, timeout=timeout)
                return [await reply for reply in replies.values()]
        finally:
            for request, reply in replies.items():
                self._waiting.pop(request, None)
                self._engine.abandon(request)
                if reply.done() and not reply.cancelled():
                    reply.exception()  # seen: whoever waited may have left by another way

    async def _send_held(
        self, carrier: Carrier, messages: list[Message], reply: asyncio.Future[Happening], timeout: float
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

    def _received(self, messages: list[Message]) -> None:
        for happening in self._engine.received(messages, now=time.time() * 1000):
            if isinstance(happening, Delivered):
                self._delivered_at = self._now()
                if happening.channel == self._channel:
                    self._events.delivered(happening.message)
                continue
            if isinstance(happening, Failed) and happening.channel != HANDSHAKE and happening.session_unknown:
                self._log.info("the server does not know the Bayeux session", happening.error.text)
            reply = self._waiting.get(happening.request)
            if reply is not None and not reply.done():
                reply.set_result(happening)

    def _carrier_lost(self, reason: str) -> None:
        self._break(_LostError(reason))

    def _break(self, error: _LostError) -> None:
        """Make the keeper notice, wherever it waits."""
        if self._broken is None and not self._closing:
            self._broken = error
            self._wake.set()
        self._fail_waiting(error)

    def _fail_waiting(self, error: _LostError) -> None:
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(error)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _words(error: BaseException) -> str:
    if isinstance(error, ChatError):
        return error.description
    if not isinstance(error, _LostError | OSError):
        return type(error).__name__  # the text may hold anything
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _worse(one: Exception, other: Exception) -> Exception:
    """Of two carriers' failures report the one that says most: an answer that is wrong beats no answer."""
    return one if isinstance(one, ProtocolError) and not isinstance(other, ProtocolError) else other
