"""The one ordered event log of a session, and the cursors through which it is read.

A linked list: appending, evicting and leaving out superseded typing cost the same however long the log is, and a cursor
is a place in it. The newest 10,000 events or 16 MiB are kept (architecture, "Session"); a reader that comes later than
that is given the evicted ones from the server's transcript.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias
from weakref import WeakSet

from chat_core._model.events import ContinuityLost, Event, LossReason, ParticipantTyping
from chat_core._session.callers import current_caller
from chat_core._session.changes import Changes

__all__ = ["Cursor", "EventLog"]

MAX_EVENTS = 10_000
MAX_BYTES = 16 * 1024 * 1024

#: What an event costs beside its texts, roughly, in bytes.
_OVERHEAD = 400

#: Fetches the transcript's events above the first index and below the second; None when it cannot be had.
Refetch: TypeAlias = Callable[[int, int], Awaitable[tuple[Event, ...] | None]]


class _Node:
    """One event's place in the list."""

    __slots__ = ("epoch", "event", "evicted", "last_index", "next", "number", "previous", "size", "superseded")

    def __init__(self, event: Event | None, number: int, size: int, last_index: int, epoch: int) -> None:
        self.epoch: int = epoch
        self.event: Event | None = event
        self.number: int = number
        self.size: int = size
        #: The highest index at or before this place.
        self.last_index: int = last_index
        self.next: _Node | None = None
        self.previous: _Node | None = None
        #: A newer typing event of the same party exists; only readers that were there already see this one.
        self.superseded: bool = False
        #: Dropped from the front; a cursor that stands here or before has missed what followed.
        self.evicted: bool = False


def _size(event: Event) -> int:
    text = getattr(event, "text", None)
    if not isinstance(text, str):
        return _OVERHEAD
    return _OVERHEAD + (len(text) if text.isascii() else len(text.encode("utf-8", "replace")))


class EventLog:
    """What happened in one session, in order. Belongs to one event loop.

    Args:
        refetch: how evicted events are brought back for a late reader, None when they cannot be.
        progress: called when ``delivered`` has risen.
        max_events, max_bytes: how much is kept.
    """

    def __init__(
        self,
        *,
        refetch: Refetch | None = None,
        progress: Callable[[], None] | None = None,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.refetch = refetch
        self._progress = progress
        self._max_events = max_events
        self._max_bytes = max_bytes
        #: The node before the first kept one.
        self.front: _Node = _Node(None, 0, 0, 0, 0)
        self.tail: _Node = self.front
        self._count = 0
        self._bytes = 0
        self._typing: dict[object, _Node] = {}
        #: Open readers. A reader that was forgotten rather than closed must not hold ``delivered`` back.
        self.cursors: WeakSet[Cursor] = WeakSet()
        #: Told when an event was added, and when nothing can follow.
        self.changes: Changes = Changes()
        #: Epoch and index; the server began to count anew ``epoch`` times.
        self._delivered = (0, 0)
        #: How far readers had come that were cut off; None while there are none.
        self._ceiling: tuple[int, int] | None = None
        #: What the last of the readers had finished when last it was looked at, and how many there were; 0: look again.
        self._lowest = (0, 0)
        self._measured = 0
        self.epoch: int = 0
        #: True when nothing can follow: the session ended or was detached.
        self.closed: bool = False
        #: The session goes on elsewhere: what is missing here is left to who takes it up.
        self.goes_on: bool = False
        #: What readers are told at the end, None where the end needs no explanation.
        self.failure: Callable[[], Exception] | None = None

    @property
    def last_index(self) -> int:
        """The highest index in the log, 0 when there is none."""
        return self.tail.last_index

    @property
    def delivered(self) -> int:
        """The highest index that every open reader has finished. Never falls within one epoch."""
        epoch, index = self._delivered
        return index if epoch == self.epoch else 0

    def moved(self, cursor: Cursor, before: tuple[int, int]) -> None:
        """Note that a reader has finished more than ``before``."""
        if cursor.alone:
            self._rise(cursor.finished)
        elif before <= self._lowest or len(self.cursors) != self._measured:
            self.measure()  # it may have been the one that all wait for, or that one was forgotten

    def measure(self) -> None:
        """Look how far the readers are."""
        self._measured = len(self.cursors)
        for cursor in self.cursors:
            cursor.alone = self._measured == 1
        self._lowest = min((cursor.finished for cursor in self.cursors), default=(0, 0))
        self._rise(self._lowest)

    def opened(self, cursor: Cursor) -> None:
        """Note a new reader."""
        for other in self.cursors:
            other.alone = False
        self.cursors.add(cursor)
        self._measured = 0

    def _rise(self, finished: tuple[int, int]) -> None:
        if self._ceiling is not None:
            finished = min(finished, self._ceiling)
        if finished > self._delivered:
            self._delivered = finished
            if self._progress is not None:
                self._progress()

    def __len__(self) -> int:
        return self._count

    def append(self, event: Event) -> None:
        """Put an event at the end and wake whoever waits for it."""
        self.extend((event,))

    def extend(self, events: Iterable[Event]) -> None:
        """Put events at the end and wake whoever waits for them."""
        for event in events:
            self._append(event)
        self.changes.tell()

    def _append(self, event: Event) -> None:
        assert not self.closed
        if isinstance(event, ContinuityLost) and event.counts_anew:
            self.epoch += 1
        # A position reset counts indexes anew, so the place's index follows the event, up or down.
        if event.index is not None:
            last_index = event.index
        else:
            last_index = self.tail.last_index if self.tail.epoch == self.epoch else 0
        tail = self.tail
        node = _Node(event, tail.number + 1, _size(event), last_index, self.epoch)
        node.previous = tail
        tail.next = self.tail = node
        self._count += 1
        self._bytes += node.size
        if isinstance(event, ParticipantTyping):
            self._supersede(event, node)
        while self._count > 1 and (self._count > self._max_events or self._bytes > self._max_bytes):
            self._evict()

    def begin(self, delivered: int) -> None:
        """Begin with what an earlier owner's readers have finished."""
        self._delivered = (0, delivered)

    def close(self, failure: Callable[[], Exception] | None = None) -> None:
        """Say that nothing follows. Readers end once they have read what is there.

        Args:
            failure: makes the error that ends them, None when they just end.
        """
        self.closed = True
        self.failure = failure
        self.changes.tell()

    def cut_off(self) -> None:
        """End every reader where it stands: what it has not been handed is left to who takes the session up."""
        for cursor in list(self.cursors):
            self.cut(cursor)
        self.changes.tell()

    def cut(self, cursor: Cursor) -> None:
        """End a reader where it stands. What it has not finished does not count as delivered, also when it has gone."""
        cursor.cut = True
        self._ceiling = cursor.finished if self._ceiling is None else min(self._ceiling, cursor.finished)

    def cursor(self, *, after: int = 0) -> Cursor:
        """Open a reader that sees the past first, without the events whose index is not above ``after``."""
        place = self.front
        if place.number:
            # The beginning was evicted; the reader stands before it and catches up.
            place = _Node(None, 0, 0, 0, 0)
            place.evicted = True
        return Cursor(self, place, after=after)

    def _supersede(self, event: ParticipantTyping, node: _Node) -> None:
        party = event.party.id if event.party is not None else None
        older = self._typing.get(party)
        self._typing[party] = node
        if older is None or older.evicted:
            return
        older.superseded = True
        if all(cursor.has_passed(older) for cursor in self.cursors):
            self._unlink(older)

    def _unlink(self, node: _Node) -> None:
        """Take a typing event out of the middle. A cursor that stands on it still finds the way on."""
        assert node.previous is not None
        assert node.next is not None
        node.previous.next = node.next
        node.next.previous = node.previous
        self._count -= 1
        self._bytes -= node.size

    def _evict(self) -> None:
        old, first = self.front, self.front.next
        assert first is not None
        # The evicted node becomes the one before the first. What it held goes, its index stays.
        self._count -= 1
        self._bytes -= first.size
        first.event = None
        first.previous = None
        first.size = 0
        old.evicted = True
        old.next = None
        self.front = first


class Cursor:
    """One reader's place in the log."""

    def __init__(self, log: EventLog, place: _Node, *, after: int) -> None:
        self._log = log
        self._place = place
        self._after = after
        #: The reader was there when everything above this number was appended.
        self._opened_at = log.tail.number
        #: Epoch and index of what was handed over last.
        self._handed: tuple[int, int] = (0, after)
        #: Epoch and index up to which the reader is done.
        self.finished: tuple[int, int] = (0, after)
        #: Evicted events that were fetched again, or the statement that they are lost.
        self._brought: list[Event] = []
        #: Who asked for an event last.
        self.caller: object | None = None
        #: Nothing more is handed over.
        self.cut: bool = False
        #: It is known to be the log's only reader, so that nobody else need be asked how far he is.
        self.alone: bool = False
        #: Brings evicted events back, whatever becomes of who waits for that.
        self._catching_up: asyncio.Task[None] | None = None
        log.opened(self)

    def has_passed(self, node: _Node) -> bool:
        """Say whether this reader will not see that place (any more)."""
        return self._place.number >= node.number or self._opened_at >= node.number

    def copy(self) -> Cursor:
        """Open another reader at the same place."""
        other = Cursor(self._log, self._place, after=self._after)
        other._opened_at, other._handed, other.finished = self._opened_at, self._handed, self.finished
        other._brought = list(self._brought)
        return other

    def is_behind(self, other: Cursor) -> bool:
        """Say whether this reader has read less than another one."""
        return self._place.number < other._place.number

    def finish(self) -> None:
        """Say that the reader is done with everything handed over so far."""
        before = self.finished
        if before != self._handed:
            self.finished = self._handed
            self._log.moved(self, before)

    def take(self) -> Event | None:
        """Hand over the next event if it is there. What was evicted needs ``next``."""
        if self.cut:
            return None
        if self._brought:
            return self._hand(self._brought.pop(0))
        while not self._behind() and (node := self._place.next) is not None:
            self._place = node
            if node.superseded and self._opened_at >= node.number:
                continue
            event = node.event
            assert event is not None
            index = event.index
            if index is not None:
                if index <= self._after and node.epoch == 0:
                    continue
                self._handed = (node.epoch, index)
            return event
        return None

    async def next(self) -> Event | None:
        """Wait for the next event; None when nothing follows."""
        self.caller = current_caller()
        while not self.cut:
            if not self._brought and self._behind():
                await self._catch_up()
            event = self.take()
            if event is not None:
                return event
            if self._log.closed and not self._behind():
                return None
            if not self._behind():
                await self._log.changes.next()
        return None

    def close(self) -> None:
        """Stop reading. What was handed over last does not count as finished."""
        self.alone = False
        self.cut = True
        if self._catching_up is not None:
            self._catching_up.cancel()
        self._log.cursors.discard(self)
        self._log.measure()

    def _behind(self) -> bool:
        place = self._place
        return place.evicted or place.number < self._log.front.number

    def _hand(self, event: Event) -> Event:
        if event.index is not None:
            self._handed = (self._place.epoch, event.index)
        return event

    async def _catch_up(self) -> None:
        """Bring back what was evicted before this reader came to it, or say that it is lost (RP-1).

        Who waits for the next event may give up; bringing back goes on, for the next one who waits.
        """
        if self._catching_up is None:
            self._catching_up = asyncio.get_running_loop().create_task(
                self._bring_back(), name="chat-core: bring evicted events back"
            )
        bringing = self._catching_up
        await asyncio.wait({bringing})
        if self._catching_up is bringing:
            self._catching_up = None
        if not bringing.cancelled():  # by ``close``
            bringing.result()

    async def _bring_back(self) -> None:
        place, front, log = self._place, self._log.front, self._log
        epoch = log.epoch
        above, below = place.last_index, front.last_index + 1
        if place.epoch == 0:
            above = max(above, self._after)
        brought: list[Event] = []
        if place.epoch != front.epoch:
            brought.append(ContinuityLost(after=place.last_index, reason=LossReason.POSITION_RESET))
            above = 0
        if below - above > 1:
            # The transcript has the numbering that is in force now.
            refetch = log.refetch if front.epoch == epoch else None
            events = await refetch(above, below) if refetch is not None else None
            if events is None and log.goes_on:
                log.cut(self)
                return
            if events is None or log.epoch != epoch:
                brought.append(ContinuityLost(after=above, until=below - 1, reason=LossReason.EVICTED))
            else:
                brought.extend(events)
        self._place = front
        self._brought.extend(brought)
