"""The CometD transport: the contract of chat-core on top of a link and a dialect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from attrs import evolve

from chat_core import (
    AmbiguousError,
    Batch,
    ChatError,
    Command,
    ConnectError,
    ConnectTimeoutError,
    Ended,
    EndReason,
    ErrorInfo,
    ErrorReported,
    Event,
    LeaveCommand,
    LinkDown,
    LinkUp,
    MessageReceived,
    NotSentError,
    Opened,
    OptionError,
    RefusedError,
    Reply,
    SendMessageCommand,
    StartRequest,
    StateCorruptError,
    TransportContext,
    TypingCommand,
    check_server_url,
)
from chat_gms.asked import CookieBox
from chat_gms.transfer import FileCommand
from chat_transport_cometd._answers import Answers, Watcher
from chat_transport_cometd._bayeux.messages import Message
from chat_transport_cometd._carriers.base import Carrier, Wire
from chat_transport_cometd._carriers.long_polling import LongPolling
from chat_transport_cometd._dialect import Delivery, Dialect, GmsDialect
from chat_transport_cometd._files import Files
from chat_transport_cometd._inbox import Inbox
from chat_transport_cometd._link import CarrierMaker, Link, LinkEvents
from chat_transport_cometd.options import CometdOptions

__all__ = ["CometdTransport", "make_transport"]

#: Seconds for the transcript to arrive after it was asked for.
FETCH_TIMEOUT: Final = 10.0
#: Seconds after which a transcript that was asked for, and did not come, puts the poll that should bring it in doubt:
#: half of what the session waits for one answer, so that a new poll may still bring it in time.
PUSH_TIMEOUT: Final = 2.0
#: Seconds in which a message's echo, or the server's refusal, is expected after the publication was acknowledged. The
#: acknowledgement alone says nothing about the operation's success.
CONFIRM_TIMEOUT: Final = 2.0

#: Seconds after its acknowledgement in which a command may be refused though nobody waits for its outcome.
UNHEARD: Final = 0.5

#: Seconds that closing waits for a chat whose start was given up, to leave it.
ORPHAN_TIMEOUT: Final = 2.0

#: So many of the newest lasting events can serve as anchors, at least.
_ANCHORS: Final = 256


class CometdTransport:
    """One chat over CometD. Made by the provider, without I/O."""

    def __init__(self, context: TransportContext) -> None:
        options = context.options
        assert isinstance(options, CometdOptions)
        assert context.server_url is not None
        self._options = options
        self._url = context.server_url
        self._log = context.log
        self._websockets = not context.disable_websockets
        self._dialect: Dialect = options.dialect if options.dialect is not None else GmsDialect(options.service)
        self._cookies = CookieBox()
        self._link: Link | None = None
        self._check_send = context.check_send
        self._files = Files(
            self._url,
            options,
            dialect=self._dialect,
            cookies=lambda: self._cookies,
            check_send=self._check_send,
        )
        self._inbox = Inbox()
        self._answers = Answers(late=CONFIRM_TIMEOUT)
        self._fetching = asyncio.Lock()
        #: The newest lasting event received: what the transcript is asked from.
        self._lasting: list[int] = []
        #: What it was asked from in vain.
        self._unanswered: set[int] = set()
        self._highest = 0
        self._ended: Ended | None = None
        #: True once the visitor left or the chat ended.
        self._over = False
        self._opening = True
        #: True while a chat may have been opened that nobody was told of.
        self._orphan = False
        #: Set once the chat is open; None when that is known to everybody.
        self._opened_at_last: asyncio.Event | None = asyncio.Event()
        self._closed = False

    # The contract

    async def start(self, request: StartRequest) -> Opened:
        """Connect and open a chat."""
        link = await self._open()
        answered: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

        def watch(delivery: Delivery) -> bool:
            if answered.done() or (delivery.error is None and not self._dialect.session_id):
                return False
            answered.set_result(delivery)
            return True

        try:
            with self._answers.watched(watch):
                data = self._dialect.start(request)
                self._orphan = True
                async with asyncio.timeout(self._options.start_timeout):
                    await link.publish(data)
                    delivery = await answered
        except TimeoutError as error:
            raise AmbiguousError(
                f"the server at {self._url} did not say whether a chat was opened",
                advice="it is not started a second time; try again if no chat shows up there",
            ) from error
        except NotSentError as error:
            self._orphan = False
            raise ConnectError(f"the chat was not opened: {error.description}") from error
        except RefusedError:
            self._orphan = False
            raise
        self._orphan = False
        if delivery.error is not None:
            raise delivery.error
        return self._opened(delivery)

    async def resume(self, saved: Mapping[str, Any]) -> Opened:
        """Connect and take a chat up, with its transcript from the beginning."""
        if not isinstance(saved.get("secure_key"), str) and self._options.dialect is None:
            raise StateCorruptError(
                "the saved state has no text 'secure_key', without which no chat can be taken up",
                advice="start a new session",
            )
        self._dialect.restore(saved)
        cookies = saved.get("cookies")
        self._cookies = CookieBox(cookies if isinstance(cookies, Mapping) else None)
        await self._open()
        try:
            async with asyncio.timeout(self._options.start_timeout):
                delivery = await self._ask(1, lambda _: True)
        except (TimeoutError, NotSentError, AmbiguousError) as error:
            raise ConnectTimeoutError(f"the server at {self._url} did not give the chat's transcript") from error
        if delivery.error is not None:
            if delivery.passing:
                raise ConnectError(
                    f"the server did not give the chat's transcript: {delivery.error.description}"
                ) from delivery.error
            raise delivery.error
        return self._opened(delivery)

    async def fetch(self, position: int) -> Batch:
        """Ask for the transcript from an index on.

        CometD's answer has no correlation with the request. So the transcript is asked from an event that was received
        already (the anchor), and the answer is the first delivery that begins with it.
        """
        if self._link is None or self._closed:
            raise NotSentError("the transport is closed")
        async with self._fetching:
            anchor = max((index for index in self._lasting if index < position), default=None)
            asked = anchor if anchor is not None else 1
            highest = self._highest
            is_answer = self._answers.transcript(position, anchor, self._unanswered)
            delivery = await self._transcript(asked, is_answer)
            known = delivery.batch.next_position
            if known is not None and known <= highest:
                # It ends before what was received: it is old, or the server counts anew; a second one tells.
                delivery = await self._transcript(asked, is_answer)
            events = tuple(event for event in delivery.batch.events if event.index is None or event.index >= position)
            return evolve(delivery.batch, events=events)

    async def _transcript(self, asked: int, is_answer: Watcher) -> Delivery:
        """Ask for the transcript from what was received on, and return the good answer."""
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                delivery = await self._ask(asked, is_answer)
        except (TimeoutError, asyncio.CancelledError) as error:
            if asked in self._lasting and asyncio.get_running_loop().time() - began >= PUSH_TIMEOUT:
                # The server may have left it out: the next time another one is taken. Or it takes its time.
                self._lasting.remove(asked)
                self._unanswered.add(asked)
            if isinstance(error, TimeoutError):
                raise AmbiguousError("the server did not give the transcript in time") from error
            raise
        if (problem := delivery.error) is not None:
            # That there is no such chat is so whatever was asked.
            if delivery.passing and not (isinstance(problem, RefusedError) and problem.session_unknown):
                raise AmbiguousError(problem.description)
            raise problem
        self._unanswered.clear()
        return delivery

    async def send(self, command: Command) -> Reply:
        """Publish a command and return when the server took it."""
        link = self._link
        if link is None or self._closed:
            raise NotSentError("the transport is closed")
        if isinstance(command, FileCommand):
            return await self._files.send(command)
        if isinstance(command, LeaveCommand) and self._orphan:
            await self._leave_orphan(link)
            return Reply()
        data = self._dialect.command(command)
        self._over = self._over or isinstance(command, LeaveCommand)
        if isinstance(command, LeaveCommand):
            link.hurry()
        if isinstance(command, TypingCommand | LeaveCommand):
            with self._answers.unheard(UNHEARD):
                await link.publish(data)
            return Reply()
        outcome: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        highest = self._highest
        is_message = isinstance(command, SendMessageCommand)

        def watch(delivery: Delivery) -> bool:
            if outcome.done() or (is_message and delivery.error is None and not _shows_own(delivery.batch, highest)):
                return False
            outcome.set_result(delivery)
            # An error belongs to whoever waits for an outcome; events are everybody's.
            return delivery.error is not None

        try:
            with self._answers.watched(watch):
                await link.publish(data)
                if not outcome.done():
                    await asyncio.wait({outcome}, timeout=CONFIRM_TIMEOUT)
            if not outcome.done():
                # Acknowledged, and neither shown nor refused: servers may filter a message from the transcript.
                return Reply()
            delivery = outcome.result()
        finally:
            self._end_with(outcome)
        if delivery.error is not None:
            if delivery.passing:
                raise AmbiguousError(delivery.error.description) from delivery.error
            raise delivery.error
        return Reply()

    def incoming(self) -> AsyncIterator[Batch | LinkDown | LinkUp | Ended]:
        """Yield what arrives, until the chat is over or the transport closed."""
        return self._inbox.items()

    def saved(self) -> Mapping[str, Any]:
        """Return the chat's keys and the affinity cookies."""
        return {**self._dialect.saved(), "cookies": self._cookies.saved()}

    async def aclose(self) -> None:
        """Drop the link without leaving the chat."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(Exception):
            await self._files.aclose()
        if self._link is not None:
            if self._orphan:
                await self._leave_orphan(self._link)
            await self._link.aclose(self._going_away())
        self._inbox.close()

    # Inside

    def _going_away(self) -> Mapping[str, Any] | None:
        """What the farewell carries when the chat goes on: GMS marks the visitor as away."""
        away = getattr(self._dialect, "away", None)
        return None if away is None or self._over or not self._highest else away(self._highest)

    async def _leave_orphan(self, link: Link) -> None:
        """Leave a chat whose start was given up, so that no agent waits for a visitor who is gone (RP-9)."""
        self._orphan = False
        with contextlib.suppress(TimeoutError, ChatError):
            async with asyncio.timeout(ORPHAN_TIMEOUT):
                if link.is_up:
                    if self._opened_at_last is not None:
                        await self._opened_at_last.wait()
                    over = asyncio.Event()

                    def watch(delivery: Delivery) -> bool:
                        if delivery.ended is not None:
                            over.set()
                        return False

                    self._over = True
                    with self._answers.watched(watch):
                        await link.publish(self._dialect.command(LeaveCommand()))
                        # GMS cleans up incompletely when the connection goes before the end was said.
                        await over.wait()

    async def _open(self) -> Link:
        options = self._options
        self._link = link = Link(
            url=self._url,
            channel=self._dialect.channel,
            carriers=self._carriers(),
            cookies=self._cookies,
            log=self._log,
            events=LinkEvents(
                delivered=self._delivered,
                down=lambda reason: self._put(LinkDown(reason=reason)),
                up=lambda: self._put(LinkUp()),
                dead=self._dead,
            ),
            # Over WebSocket acknowledgements would delay every delivery to the next connect (CometD 3.1).
            ack=_ACK_ON[options.ack],
            timesync=options.timesync,
            network_delay=options.max_network_delay,
        )
        try:
            async with asyncio.timeout(options.start_timeout):
                await link.open()
        except ChatError:
            raise  # some are a TimeoutError and say more
        except TimeoutError as error:
            raise ConnectTimeoutError(
                f"the server at {self._url} did not answer within {options.start_timeout:g} s"
            ) from error
        return link

    def _carriers(self) -> dict[str, CarrierMaker]:
        options = self._options

        def websocket(wire: Wire) -> Carrier:
            from chat_transport_cometd._carriers.websocket import WebSocket  # noqa: PLC0415 - not needed by all

            return WebSocket(
                self._url,
                options,
                cookies=self._cookies,
                wire=wire,
                max_message_size=options.max_message_size,
                check_send=self._check_send,
            )

        def long_polling(wire: Wire) -> Carrier:
            return LongPolling(
                self._url,
                options,
                cookies=self._cookies,
                wire=wire,
                max_message_size=options.max_message_size,
                http_transport=options.http_transport,
                check_send=self._check_send,
            )

        makers: dict[str, CarrierMaker] = {}
        # An injected HTTP transport takes the place of the network, so nothing may go past it.
        if self._websockets and options.http_transport is None:
            makers["websocket"] = websocket
        makers["long-polling"] = long_polling
        return makers

    async def _ask(self, position: int, is_answer: Callable[[Delivery], bool]) -> Delivery:
        """Ask for the transcript and wait for the delivery that answers."""
        assert self._link is not None
        answer: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()

        def watch(delivery: Delivery) -> bool:
            if answer.done() or not is_answer(delivery):
                return False
            answer.set_result(delivery)
            return True

        try:
            with self._answers.watched(watch):
                asking = self._link.ask(self._dialect.fetch(position))
                # The answer may be there before the acknowledgement, which is not waited for then.
                either: set[asyncio.Future[Any]] = {asking, answer}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    await asyncio.shield(asking)
                    await asyncio.wait({answer}, timeout=PUSH_TIMEOUT)
                if not answer.done():
                    self._link.poll_anew()
                return await answer
        finally:
            self._end_with(answer)

    def _opened(self, delivery: Delivery) -> Opened:
        self._opening = False
        ended = None
        if delivery.ended is not None:
            ended = Ended(reason=delivery.ended)
        return Opened(session_id=self._dialect.session_id, batch=delivery.batch, ended=ended)

    def _delivered(self, message: Message) -> None:
        try:
            delivery = self._dialect.read(message)
        except Exception as error:  # noqa: BLE001 - a dialect may be a stranger's; one message must not stop the rest
            self._log.error("a delivered message could not be read", type(error).__name__)
            return
        if delivery.says_nothing:
            return
        if self._opened_at_last is not None and delivery.error is None and self._dialect.session_id:
            self._opened_at_last.set()
            self._opened_at_last = None
        self._over = self._over or delivery.ended is not None
        taken = self._answers.offer(delivery)
        self._note(delivery.batch)
        if delivery.error is not None and not taken and delivery.ended is None:
            reported = ErrorInfo(code=delivery.error.code, description=delivery.error.description)
            self._put(Batch(events=(ErrorReported(error=reported),)))
        if delivery.ended is not None and not self._opening:
            # An answer that ends the chat first settles what it answers.
            if not taken:
                self._end(delivery)
        elif delivery.error is None and not taken:
            self._put(delivery.batch)

    def _end_with(self, answer: asyncio.Future[Delivery]) -> None:
        """End the chat if the answer, which has been dealt with, says so."""
        if answer.done() and not answer.cancelled() and answer.result().ended is not None and not self._opening:
            self._end(answer.result())

    def _end(self, delivery: Delivery) -> None:
        if self._ended is None:
            error = delivery.error
            info = None if error is None else ErrorInfo(code=error.code, description=error.description)
            reason = EndReason.LOST if isinstance(error, RefusedError) and error.session_unknown else EndReason.CLOSED
            self._ended = Ended(reason=reason, error=info, batch=delivery.batch)
            self._put(self._ended)

    def _dead(self, error: ChatError) -> None:
        self._put(Ended(reason=EndReason.REFUSED, error=ErrorInfo(code=error.code, description=error.description)))

    def _put(self, item: Batch | LinkDown | LinkUp | Ended) -> None:
        if not self._closed:
            self._inbox.put(item)

    def _note(self, batch: Batch) -> None:
        """Remember what was received, to ask the transcript from."""
        for event in batch.events:
            index = event.index
            if index is None:
                continue
            self._highest = max(self._highest, index)
            if not event.ephemeral and (not self._lasting or index > self._lasting[-1]):
                self._lasting.append(index)
                if len(self._lasting) >= 2 * _ANCHORS:
                    del self._lasting[:-_ANCHORS]


_ACK_ON: Final[dict[bool | None, frozenset[str]]] = {
    None: frozenset({"long-polling"}),
    True: frozenset({"websocket", "long-polling"}),
    False: frozenset(),
}


def _shows_own(batch: Batch, above: int) -> bool:
    return any(_is_own_message(event) and (event.index or 0) > above for event in batch.events)


def _is_own_message(event: Event) -> bool:
    return isinstance(event, MessageReceived) and event.own


def make_transport(context: TransportContext) -> CometdTransport:
    """Make a transport from its context; the provider's factory.

    Raises:
        OptionError: an option cannot be used.
    """
    if context.server_url is None:
        raise OptionError("the transport 'cometd' needs server_url, the address of the CometD server")
    if not isinstance(context.options, CometdOptions):
        raise OptionError("the transport 'cometd' was given options that are not its own")
    if context.options.files_url is not None:
        check_server_url(
            context.options.files_url,
            allow_insecure=context.options.allow_insecure,
            name="transport_options: files_url",
        )
    return CometdTransport(context)
