"""Drives continuity: from the transport's reports to the event log, with the timer and the fetches in between."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

from attrs import evolve

from chat_core._contracts.logger import Log
from chat_core._contracts.transport import Batch, Ended, LinkDown, LinkUp, Opened
from chat_core._model.errors import (
    AmbiguousError,
    ChatError,
    ErrorCode,
    NotSentError,
    RefusedError,
    TransportError,
)
from chat_core._model.events import EndReason, ErrorInfo, Event
from chat_core._session.changes import Changes
from chat_core._session.continuity import Continuity
from chat_core._session.guard import Guarded
from chat_core._session.log import EventLog

__all__ = ["Flow"]

#: Events after which the readers get a turn, so that a burst larger than the log passes none by.
BREATH: Final = 500


class Flow:
    """Brings what the transport reports into the log, in order and complete.

    Args:
        transport: the open link.
        machine: judges order and gaps.
        log: takes the events.
        logger: hears of decisions.
        on_event: called with each event before it is in the log, as are those that came with it.
        on_batch: called with each batch that came, before its events are judged.
    """

    def __init__(
        self,
        *,
        transport: Guarded,
        machine: Continuity,
        log: EventLog,
        logger: Log,
        on_event: Callable[[Event], None],
        on_batch: Callable[[Batch], None],
    ) -> None:
        self._transport = transport
        self._machine = machine
        self._log = log
        self._logger = logger
        self._on_event = on_event
        self._on_batch = on_batch
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._fetch: asyncio.Task[None] | None = None
        #: How many fetches have begun, and the number of the last one that had a usable answer.
        self._begun = 0
        self._answered = 0
        self._receiver: asyncio.Task[None] | None = None
        self._changes = Changes()
        self._refusals = 0
        self._stopped = False
        #: The visitor is leaving: when the server closes the chat now, this is why.
        self.leaving = False

    @property
    def position(self) -> int:
        """The highest index that is settled."""
        return self._machine.expected - 1

    @property
    def epoch(self) -> int:
        """How often the server began to count anew."""
        return self._machine.epoch

    @property
    def finished(self) -> bool:
        """True once SessionEnded is in the log."""
        return self._machine.finished

    @property
    def link_is_up(self) -> bool:
        """True while the transport has a link."""
        return self._machine.link_is_up

    @property
    def is_open(self) -> bool:
        """True while something can be sent: there is a link, and the session is not over."""
        return self._machine.link_is_up and not self._machine.finished and not self._stopped

    def begin(self, opened: Opened) -> None:
        """Take what came with the start or restore, and listen."""
        if opened.ended is not None:
            self.receive(opened.batch)
            self.end(opened.ended)
        else:
            self._on_batch(opened.batch)
            self._take(self._machine.begin(opened.batch, self._loop.time()))
        self._receiver = self._loop.create_task(self._receive(), name="chat-core: receive")

    def receive(self, batch: Batch) -> None:
        """Take events that were pushed or came with an answer."""
        self._on_batch(batch)
        self._take(self._machine.receive(batch, self._loop.time()))

    def end(self, ended: Ended) -> None:
        """Take the transport's report that the chat is over."""
        if self.leaving and ended.reason in {EndReason.CLOSED, EndReason.LOST}:
            # Whoever leaves has left, also where nobody confirms it; what the transport says of that is the error.
            ended = evolve(ended, reason=EndReason.LEFT)
        self._on_batch(ended.batch)
        self._take(self._machine.end(ended, self._loop.time()))

    def end_now(self, reason: EndReason, error: ErrorInfo | None = None) -> None:
        """Announce the end without waiting for anything."""
        self._take(self._machine.end_now(reason, error, self._loop.time()))

    def report(self, event: Event) -> None:
        """Put an event of the session's own into the log; nothing follows the end."""
        if not self._machine.finished:
            self._take([event])

    async def changed(self) -> None:
        """Wait until the machine was told something."""
        if not self._stopped:
            await self._changes.next()

    async def link(self) -> bool:
        """Wait for a link; False when the session is over first."""
        while not (self._machine.finished or self._stopped or self._machine.link_is_up):
            await self.changed()
        return self.is_open

    async def read_back(self) -> bool:
        """Wait until the transcript has been read once more from the first unsettled index.

        Returns False when it cannot be: the server refuses, or the session is over.
        """
        # A fetch that is on its way already may have been answered before the question came up, or may fail; what
        # counts is the answer to one that began after it.
        asked = self._begun
        refusals = self._refusals
        self._machine.want_fetch(self._loop.time())
        self._work()
        while self._answered <= asked:
            if self._machine.finished or self._stopped or self._refusals > refusals:
                return False
            if not self._machine.wants_fetch:
                # It was given up together with a gap.
                self._machine.want_fetch(self._loop.time())
                self._work()
            await self.changed()
        return True

    async def find_lost(self, above: int) -> tuple[Event, ...]:
        """Return events above an index that were declared lost and stand in the transcript all the same.

        They are not put into the log any more.

        Raises:
            TransportError: the transcript could not be had now.
        """
        if not self._machine.lost_above(above):
            return ()
        try:
            async with asyncio.timeout(self._machine.timing.answer):
                batch = await self._transport.fetch(above + 1)
        except TimeoutError as error:
            raise AmbiguousError("the server did not give the transcript in time") from error
        return tuple(event for event in batch.events if event.index is not None and self._machine.is_lost(event.index))

    async def stop(self) -> None:
        """Stop listening and fetching. The transport is the caller's to close."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tasks = [task for task in (self._receiver, self._fetch) if task is not None]
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not asyncio.current_task()), return_exceptions=True)
        self._changes.tell()

    async def _receive(self) -> None:
        taken = 0
        try:
            async for item in self._transport.incoming():
                match item:
                    case Batch():
                        self.receive(item)
                        taken += len(item.events)
                        if taken >= BREATH:
                            taken = 0
                            await asyncio.sleep(0)
                    case LinkDown(reason=reason):
                        self._logger.info("the link is down", reason)
                        self._take(self._machine.link_down(self._loop.time()))
                    case LinkUp():
                        self._logger.info("the link is up")
                        self._take(self._machine.link_up(self._loop.time()))
                    case Ended():
                        self.end(item)
                        break
                if self._machine.finished:
                    break
            else:
                self._lost("the transport stopped without saying why")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a transport is a plugin: whatever it does, the session says that it is over
            self._logger.error("the transport failed", error)
            self._lost(f"the transport failed: {type(error).__name__}")

    def _lost(self, description: str) -> None:
        if not self._stopped:
            self.end_now(EndReason.LOST, ErrorInfo(code=ErrorCode.CONNECTION_INTERRUPTED, description=description))

    def _take(self, events: list[Event]) -> None:
        if self._log.closed:
            return  # after detach: what an answer still brings is for whoever takes the session up
        for event in events:
            self._on_event(event)
        if events:
            self._log.extend(events)
        self._work()

    def _work(self) -> None:
        """Do what the machine wants now and set the timer for what it wants later."""
        now = self._loop.time()
        if self._fetch is None and not self._stopped and (position := self._machine.fetch_due(now)) is not None:
            self._fetch = self._loop.create_task(self._ask(position), name="chat-core: fetch the transcript")
        self._set_timer()
        self._changes.tell()

    def _set_timer(self) -> None:
        at = math.inf if self._stopped else self._machine.wakeup()
        if self._timer is not None:
            if self._timer_at <= at < math.inf:
                return  # it fires early and is set again: cheaper than setting it at each event
            self._timer.cancel()
            self._timer = None
        if at < math.inf:
            self._timer_at = at
            self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._take(self._machine.tick(self._loop.time()))

    async def _ask(self, position: int) -> None:
        self._begun += 1
        number = self._begun
        failure: ChatError | None = None
        batch = Batch()
        try:
            async with asyncio.timeout(self._machine.timing.attempt):
                batch = await self._transport.fetch(position)
        except (TransportError, TimeoutError) as error:
            failure = error if isinstance(error, TransportError) else NotSentError("no answer in time")
        except Exception as error:  # noqa: BLE001 - a plugin's fault must not stop the session
            self._logger.error("the transport failed to fetch the transcript", error)
            failure = NotSentError(f"{type(error).__name__} in the transport")
        finally:
            self._fetch = None
        if failure is None:
            self._answered = number
            self._on_batch(batch)
            self._take(self._machine.fetched(batch, self._loop.time()))
            return
        self._logger.debug("the transcript could not be fetched", position, str(failure))
        refused = isinstance(failure, RefusedError)
        if refused:
            self._refusals += 1
        if isinstance(failure, RefusedError) and failure.session_unknown:
            self._take(self._machine.fetch_failed(self._loop.time(), refused=True))
            if self.leaving:
                self.end_now(EndReason.LEFT)  # the server took the farewell, though its answer was lost
            else:
                self.end_now(EndReason.LOST, ErrorInfo(code=failure.code, description=failure.description))
        else:
            self._take(self._machine.fetch_failed(self._loop.time(), refused=refused))
