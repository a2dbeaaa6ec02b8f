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
from chat_gms.asked import CookieBox
from chat_gms.http import unreachable
from chat_transport_cometd._bayeux.advice import Reconnect
from chat_transport_cometd._bayeux.engine import Engine, Failed, Handshaken
from chat_transport_cometd._bayeux.messages import BayeuxError, Message
from chat_transport_cometd._carriers.base import Carrier, CarrierUnavailableError, Wire
from chat_transport_cometd._carriers.choice import CarrierChoice
from chat_transport_cometd._carriers.trial import works
from chat_transport_cometd._exchange import (
    UNANSWERED,
    UNANSWERED_QUESTION,
    Exchange,
    LostError,
    PollGivenUpError,
    SessionUnknownError,
    UnansweredError,
)

__all__ = ["CarrierMaker", "Link", "LinkEvents"]

#: Seconds for the farewell; with those for the carrier's own closing no more than a session has left (RP-9).
FAREWELL: Final = 0.5
#: Seconds that a new link is given to carry its first publication, which opens the chat or asks for the transcript,
#: before a poll takes the connection that is there. Else a second one is opened for it, which with TLS costs more than
#: a session.
FIRST_WORD: Final = 1.0
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


class _BetterCarrierError(LostError):
    """A better carrier works again, so this one is given up."""


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
        self._exchange = Exchange(self._engine, network_delay=network_delay, delivered=self._delivered, log=log)
        self._backoff = backoff or Backoff()
        self._choice = CarrierChoice(list(carriers))
        self._keeper: asyncio.Task[None] | None = None
        #: Set to end the pause before the next attempt, while there is one.
        self._hurried: asyncio.Event | None = None
        self._up = False
        #: The last question about the transcript took so long that the link was given up, or nearly so.
        self._slow = False
        #: Those that are not acknowledged yet.
        self._questions: list[asyncio.Task[Message]] = []
        self._closing = False

    @property
    def carrier(self) -> str | None:
        """The name of the carrier in use."""
        return self._exchange.carrier.name if self._exchange.carrier is not None else None

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
        except (NotSentError, AmbiguousError, LostError) as error:
            raise unreachable(self._url, error) from error
        self._up = True
        self._backoff.worked(self._now())
        self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="chat-core: keep the CometD link")

    def ask(self, data: object) -> asyncio.Task[Message]:
        """Publish a question about the transcript; whoever waits for its acknowledgement may leave.

        How long that takes says something about the link, and more than the acknowledgement of a message does.
        """
        asking = asyncio.get_running_loop().create_task(self._publish(data, question=True), name="chat-core: question")
        self._questions.append(asking)
        asking.add_done_callback(self._asked)
        return asking

    def _asked(self, asking: asyncio.Task[Message]) -> None:
        self._questions.remove(asking)
        if not asking.cancelled():
            asking.exception()  # seen: whoever asked may have left

    async def publish(self, data: object) -> Message:
        """Publish to the channel and return the reply.

        Args:
            data: of the dialect.

        Raises:
            NotSentError: it never left.
            RefusedError: the server said no.
            AmbiguousError: it may have arrived; an answer that the session is unknown does not tell by which server.
        """
        return await self._publish(data)

    async def _publish(self, data: object, *, question: bool = False) -> Message:
        if not self._up or self._exchange.broken is not None:
            raise NotSentError("there is no connection to the server now")
        message = self._engine.publish(self._channel, data)
        began = self._now()
        try:
            unanswered = UNANSWERED_QUESTION if question and not self._slow else UNANSWERED
            happening = await self._exchange.publish(message, unanswered=unanswered, seldom=question)
            if question:
                self._slow = self._now() - began > UNANSWERED_QUESTION * self._network_delay
        except (LostError, TimeoutError) as error:
            # Once bitten: a server that takes its time over each question must not lose its link over each of them.
            self._slow = self._slow or (question and isinstance(error, UnansweredError))
            raise AmbiguousError(f"the connection broke before the answer came: {_words(error)}") from error
        if isinstance(happening, Failed):
            if happening.session_unknown:
                self._exchange.break_off(SessionUnknownError(happening.error.text))
                raise AmbiguousError(f"the server did not know the connection: {happening.error.text}")
            raise RefusedError(happening.error.text, code=happening.error.code, origin=Origin.BAYEUX)
        return message

    def hurry(self) -> None:
        """Cut the pause before the next attempt short, where there is one: somebody leaves and does not wait long."""
        if self._hurried is not None:
            self._hurried.set()

    def poll_anew(self) -> None:
        """Poll once more at once, where pushes come with the answers to polls: one that is due did not come.

        A poll whose connection went silently would keep everything from us until its time is over, half a minute later,
        while publications are answered over another connection (RP-7). Only where the server keeps what was not
        acknowledged: else what it writes to the dropped poll, before it knows that this is dropped, would be lost.
        """
        if self._up and self._engine.acknowledges:
            self._exchange.give_poll_up()

    async def aclose(self, going_away: Mapping[str, Any] | None = None) -> None:
        """Say farewell if there is a link, and drop everything.

        Args:
            going_away: what the farewell carries (``ext``) when the chat goes on without this link.
        """
        self._closing = True
        if self._up and self._exchange.carrier is not None:
            self._up = False
            with contextlib.suppress(TransportError, LostError, TimeoutError):
                farewell = [self._engine.disconnect(going_away)]
                if going_away is None:
                    farewell.insert(0, self._engine.unsubscribe(self._channel))
                await self._exchange.request(farewell, timeout=FAREWELL)
        self._up = False
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._exchange.drop()
        for asking in list(self._questions):
            asking.cancel()
        await asyncio.gather(*self._questions, return_exceptions=True)

    # The keeper

    async def _keep(self) -> None:
        while True:
            broken: Exception
            try:
                await self._stay_connected()
            except (LostError, TransportError, TimeoutError) as error:
                if self._closing:
                    return
                broken = error
            except Exception as error:  # noqa: BLE001 - a defect or a foreign error must not leave a dead link unseen
                self._log.error("the CometD link failed unexpectedly", type(error).__name__)
                broken = error
            self._up = False
            self._events.down(_words(broken))
            unknown = isinstance(broken, SessionUnknownError)
            # A held poll that was given up would keep its connection busy, so long polling begins anew in any case.
            if not unknown or self.carrier != "websocket":
                await self._exchange.drop()
            if not isinstance(broken, _BetterCarrierError):
                # An unknown session too: a server that forgets each new one at once must not be hammered.
                await self._pause(broken)
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
                await self._exchange.drop()
                await self._pause(error)
            else:
                self._backoff.worked(self._now())
                self._up = True
                self._events.up()
                return True

    async def _pause(self, error: Exception) -> None:
        """Wait before the next attempt; what the server asked for is never cut short."""
        asked = max(getattr(error, "retry_after", None) or 0.0, self._engine.advice.interval)
        pause = self._backoff.failed(self._now(), retry_after=asked)
        await asyncio.sleep(asked)
        self._hurried = asyncio.Event()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause - asked):
                    await self._hurried.wait()
        finally:
            self._hurried = None

    async def _stay_connected(self) -> None:
        looking = asyncio.get_running_loop().create_task(
            self._look_for_a_better_carrier(), name="chat-core: look for a better carrier"
        )
        try:
            await self._connect_for_ever()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look_for_a_better_carrier(self) -> None:
        """Try what is better than the carrier in use every now and then; once it works, give this one up."""
        current = self.carrier
        assert current is not None
        while (better := self._choice.better(current)) is not None:
            name, at = better
            await asyncio.sleep(at - self._now())
            try:
                worked = await works(self._carriers[name], timeout=self._network_delay)
            except (ChatError, TimeoutError) as error:
                self._log.debug(f"no connection over {name} yet", _words(error))
                worked = False
            if worked:
                self._log.info(f"{name} works again and is used from now on")
                self._exchange.break_off(_BetterCarrierError(f"changing to {name}"))
                return
            self._choice.failed(name, self._now())

    async def _connect_for_ever(self) -> NoReturn:
        """Keep one connect outstanding, as the server advises, until the link breaks."""
        not_held = 0
        if self.carrier == "long-polling":
            await self._exchange.first_publication(FIRST_WORD)
        while not self._closing:
            if self._engine.advice.interval > 0:
                await self._exchange.sleep(self._engine.advice.interval)
            if not_held >= _NOT_HELD_LIMIT:
                await self._exchange.sleep(_NOT_HELD_PAUSE)
            began = self._now()
            timeout = self._engine.advice.timeout + self._network_delay
            try:
                (happening,) = await self._exchange.request([self._engine.connect()], timeout=timeout, held=True)
            except PollGivenUpError:
                self._log.debug("a poll whose answer is overdue was given up", self._url)
                continue
            if isinstance(happening, Failed):
                kind = SessionUnknownError if happening.session_unknown else LostError
                raise kind(happening.error.text)
            if self._engine.advice.reconnect != Reconnect.RETRY:
                # "none" beside a good answer: the server ended the session, not the chat.
                raise SessionUnknownError(f"the server advises {self._engine.advice.reconnect!r}")
            held = self._now() - began > _NOT_HELD or self._exchange.delivered_at >= began
            not_held = 0 if held else not_held + 1
        raise LostError("the session is closing")

    # A new Bayeux session

    async def _establish(self) -> None:
        """Shake hands on the carrier at hand, or on the first one that works; subscribe; have a connect answered."""
        self._exchange.begin()
        if self._exchange.carrier is not None:
            await self._begin_session(self._exchange.carrier)
            return
        problem: Exception = NotSentError("no carrier is allowed")
        for name in self._choice.candidates(self._now()):
            carrier = self._carriers[name](self._exchange.wire)
            self._exchange.carrier = carrier
            try:
                await carrier.open()
                await self._begin_session(carrier)
            except (NotSentError, AmbiguousError, RefusedError, ProtocolError, LostError, TimeoutError) as error:
                self._log.info("no connection over " + name, _words(error))
                self._choice.failed(name, self._now())
                problem = _worse(problem, error)
                await self._exchange.drop()
                self._exchange.begin()
                if (wait := getattr(error, "retry_after", None)) is not None:
                    # Another carrier is another request to the same server.
                    if self._choice.has_worked(name):
                        raise
                    await asyncio.sleep(wait)
            except BaseException:
                await self._exchange.drop()
                raise
            else:
                self._choice.worked(name)
                return
        raise problem

    async def _begin_session(self, carrier: Carrier) -> None:
        self._engine.begin(ack=carrier.name in self._ack)
        names = [carrier.name, *(name for name in self._carriers if name != carrier.name)]
        now = time.time() * 1000
        (happening,) = await self._exchange.request(
            [self._engine.handshake(names, now=now)], timeout=self._network_delay
        )
        if isinstance(happening, Failed):
            raise self._handshake_error(happening.error)
        assert isinstance(happening, Handshaken)
        if happening.connection_types and carrier.name not in happening.connection_types:
            raise CarrierUnavailableError(f"the server offers {', '.join(happening.connection_types)} only")
        # A connect that shares its request with others is never held, and this one asks for that besides.
        subscribed, connected = await self._exchange.request(
            [self._engine.subscribe(self._channel), self._engine.connect(at_once=True)], timeout=self._network_delay
        )
        for answer in (subscribed, connected):
            if isinstance(answer, Failed):
                if answer.session_unknown:
                    raise SessionUnknownError(answer.error.text)
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

    def _delivered(self, message: Message, channel: str) -> None:
        if channel == self._channel:
            self._events.delivered(message)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _words(error: BaseException) -> str:
    if isinstance(error, ChatError):
        return error.description
    if not isinstance(error, LostError | OSError):
        return type(error).__name__  # the text may hold anything
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _worse(one: Exception, other: Exception) -> Exception:
    """Of two carriers' failures report the one that says most: an answer that is wrong beats no answer."""
    return one if isinstance(one, ProtocolError) and not isinstance(other, ProtocolError) else other
