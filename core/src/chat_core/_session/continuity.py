"""The order and completeness of a session's events (RP-1, RP-2, RP-3, RP-15), without I/O and without a clock.

The machine is told what the transport reports and what time it is (seconds of any monotonic clock); it returns the
events that go into the log next. What it wants in return it says through ``fetch_due`` (a position to fetch the
transcript from) and ``wakeup`` (the time at which ``tick`` has something to do).

One index space per epoch: everything below ``expected`` is settled, which means logged, vacant (the server's own
transcript leaves it out) or declared lost. What arrives for a settled index stays out of the log.
"""

from __future__ import annotations

import math

from attrs import evolve, field, frozen

from chat_core._contracts.transport import Batch, Ended
from chat_core._model.errors import ErrorCode
from chat_core._model.events import (
    Continued,
    ContinuityLost,
    EndReason,
    ErrorInfo,
    Event,
    Interrupted,
    LossReason,
    SessionEnded,
)

__all__ = ["Continuity", "Timing"]

#: Events held behind one gap. More than that and the gap is declared lost, so that a hostile server costs no memory.
MAX_HELD = 10_000
#: Lost ranges that are remembered.
MAX_LOST = 1000


@frozen(kw_only=True)
class Timing:
    """The figures of continuity, in seconds.

    Attributes:
        hold: how long an early arrival waits before the transcript is asked (RP-3).
        answer: how long a gap waits for a usable answer while the link is up (RP-1).
        attempt: how long one answer is waited for, so that a single lost one costs no gap its events.
        retry: pause after the first attempt at one gap; it doubles up to ``answer``.
        check: how often the position is checked while all seems well (RP-7).
        end: how long the end waits for a gap before it to close.
        overdue: how long the server surely keeps a silent client (45 s by default on GMS).
        give_up: how long a link may be away before the session is over; for ever unless the caller says so (RP-8).
    """

    hold: float = 0.25
    answer: float = 10.0
    attempt: float = 4.0
    retry: float = 0.5
    check: float = 60.0
    end: float = 5.0
    overdue: float = 45.0
    give_up: float = math.inf


@frozen(kw_only=True)
class _Held:
    """An early arrival, with the events without index that came right after it."""

    event: Event
    followers: list[Event] = field(factory=list)


class Continuity:
    """Puts one session's events in order and finds what is missing.

    Args:
        positions: the transport can fetch the transcript.
        restored_until: the highest index that an earlier owner of the session has finished.
        seen_until: the highest index that one is known to have seen, finished or not.
        now: the time at which the session begins.
        timing: the figures.
    """

    def __init__(
        self,
        *,
        positions: bool,
        now: float,
        restored_until: int = 0,
        seen_until: int = 0,
        timing: Timing | None = None,
    ) -> None:
        self.timing = timing or Timing()
        #: The index that comes next; everything below is settled.
        self.expected = 1
        #: How often the server began to count anew.
        self.epoch = 0
        #: True once SessionEnded was returned: nothing comes after it.
        self.finished = False
        self._positions = positions
        self._restored_until = restored_until
        self._seen_until = max(restored_until, seen_until)
        #: What was declared lost in this epoch; the newest ranges.
        self._lost: list[range] = []
        self._held: dict[int, _Held] = {}
        self._newest_held = 0
        # The highest nextPosition any envelope has shown: evidence of events that were never seen.
        self._hint = 1
        # A nextPosition below what was already logged: either an old envelope or a server that counts anew.
        self._doubt = False
        self._check_refused = False
        # The link.
        self._down_since: float | None = None
        self._overdue_told = False
        # The fetch in flight: its position, or None.
        self._fetching: int | None = None
        self._fetch_wanted = False
        # The link is new, and no fetch over it was answered yet.
        self._resuming = False
        # When the server, having refused the first one, is asked again.
        self._resume_at = math.inf
        # The hint when it was asked: the answer is newer than that.
        self._asked_hint = 1
        # Fetches in a row that brought nothing usable.
        self._failures = 0
        self._gap_since: float | None = None
        self._not_before = now
        self._give_up_at: float | None = None
        self._evidence_at = now
        # The end, once the transport has reported it.
        self._ending: SessionEnded | None = None
        self._end_at = math.inf

    # ---------------------------------------------------------------- what the transport reports

    def begin(self, batch: Batch, now: float) -> list[Event]:
        """Take what came with the start or restore of a chat that goes on."""
        out: list[Event] = []
        if self._positions and batch.next_position is not None and batch.next_position <= self._seen_until:
            # The server began to count anew while nobody was there: no earlier owner has seen what it shows now.
            out.append(ContinuityLost(after=self._restored_until, reason=LossReason.POSITION_RESET))
            self.epoch += 1
        return [*out, *self.receive(batch, now)]

    def receive(self, batch: Batch, now: float) -> list[Event]:
        """Take a batch that was pushed, or that came with an answer to a command."""
        if self.finished:
            return []
        out: list[Event] = []
        for event in batch.events:
            self._arrive(event, out)
        self._note_position(batch.next_position, now)
        self._look_for_gap(now)
        return self._close(out, now)

    def link_down(self, now: float) -> list[Event]:
        """Note that the link broke."""
        if self.finished or self._down_since is not None:
            return []
        self._down_since = now
        self._overdue_told = False
        # Without a link no answer can come: the time for answers stops.
        self._give_up_at = None
        return [Interrupted()]

    def link_up(self, now: float) -> list[Event]:
        """Note that the link is back; whatever was missed meanwhile is asked for."""
        if self.finished or self._down_since is None:
            return []
        out: list[Event] = [Continued(blind_time=now - self._down_since)]
        self._down_since = None
        self._failures = 0
        self._not_before = now
        if self._positions:
            self._fetch_wanted = self._resuming = True
        else:
            self._release_held(out)
            out.append(ContinuityLost(after=self.expected - 1, reason=LossReason.NO_TRANSCRIPT))
        self._look_for_gap(now)
        return self._close(out, now)

    def end(self, ended: Ended, now: float) -> list[Event]:
        """Take the end. ``SessionEnded`` follows at once, or when the gap before it is closed or given up."""
        if self.finished or self._ending is not None:
            return []
        out: list[Event] = []
        for event in ended.batch.events:
            self._arrive(event, out)
        self._note_position(ended.batch.next_position, now)
        self._ending = SessionEnded(reason=ended.reason, error=ended.error)
        self._end_at = now + self.timing.end
        self._not_before = now
        self._look_for_gap(now)
        return self._close(out, now)

    def end_now(self, reason: EndReason, error: ErrorInfo | None, now: float) -> list[Event]:
        """End without waiting: the owner closes, or nobody is left to ask."""
        if self.finished:
            return []
        out: list[Event] = []
        if self._ending is None:
            self._ending = SessionEnded(reason=reason, error=error)
        self._end_at = now
        return self._close(out, now)

    def lost_above(self, index: int) -> bool:
        """Say whether anything above an index was declared lost."""
        return any(lost.stop - 1 > index for lost in self._lost)

    def is_lost(self, index: int) -> bool:
        """Say whether an event was declared lost: the transcript may show it, the log never will."""
        return any(index in lost for lost in self._lost)

    # ---------------------------------------------------------------- fetching the transcript

    def fetch_due(self, now: float) -> int | None:
        """Return the position to fetch from now, None when nothing is wanted. The fetch counts as in flight."""
        if not self._may_fetch() or now < self._fetch_time():
            return None
        if self._give_up_at is None:
            self._give_up_at = now + self.timing.answer
        self._fetching = self.expected
        self._asked_hint = self._hint
        self._fetch_wanted = False
        self._resume_at = math.inf
        return self._fetching

    def fetched(self, answer: Batch, now: float) -> list[Event]:
        """Take the answer to the fetch in flight: authoritative from its position up to its nextPosition - 1."""
        position, self._fetching = self._fetching, None
        if self.finished or position is None:
            return []
        out: list[Event] = []
        if answer.next_position is not None and answer.next_position < position:
            self._reset_position(answer.next_position, out)
            self._settled(now)
            return self._close(out, now)
        before = self.expected
        for event in answer.events:
            self._arrive(event, out)
        known = answer.next_position
        if known is None:
            indexes = [event.index for event in answer.events if event.index is not None]
            known = max(indexes, default=position - 1) + 1
        self._settle_up_to(known, out)
        self._doubt = self._resuming = False
        if answer.next_position is not None and self._hint == self._asked_hint:
            # The answer is newer than what hinted at more events; it knows better.
            self._hint = max(answer.next_position, self.expected)
        self._note_position(answer.next_position, now)
        if self.expected > before or not self._missing():
            self._settled(now)
        else:
            self._wait_to_retry(now)
        self._look_for_gap(now)
        return self._close(out, now)

    def fetch_failed(self, now: float, *, refused: bool = False) -> list[Event]:
        """Take the failure of the fetch in flight. Unless refused it is tried again, within the limits."""
        self._fetching = None
        if self.finished:
            return []
        out: list[Event] = []
        if refused:
            if self._resuming:
                # Without this answer a server may push nothing over the new link, so it is asked now and then.
                self._resume_at = now + self.timing.check
            else:
                # A refused check proves nothing about gaps; only the checking stops ("unproven on GMS").
                self._check_refused = True
            self._doubt = False
            self._give_up_at = None
            if self._misses_own_leaving_only():
                self.expected = self._hint
            elif self._missing():
                self._lose(LossReason.FETCH_REFUSED, out)
            self._look_for_gap(now)
        else:
            self._fetch_wanted = True
            self._wait_to_retry(now)
        return self._close(out, now)

    def want_fetch(self, now: float) -> None:
        """Ask for a fetch whatever the state: a read-back wants to know what the server has."""
        if self._positions and not self.finished:
            self._fetch_wanted = True
            self._failures = 0
            self._not_before = now

    @property
    def wants_fetch(self) -> bool:
        """True while a fetch is in flight or due as soon as it may be."""
        return self._fetch_wanted or self._fetching is not None

    # ---------------------------------------------------------------- time

    def wakeup(self) -> float:
        """Return the time at which ``tick`` or ``fetch_due`` has something to do, infinity when never."""
        if self.finished:
            return math.inf
        times = [self._end_at]
        if self._down_since is not None:
            times.append(self._down_since + self.timing.give_up)
            if not self._overdue_told:
                times.append(self._down_since + self.timing.overdue)
        if self._may_fetch():
            times.append(self._fetch_time())
        if self._give_up_at is not None and self._missing() and self._down_since is None:
            times.append(self._give_up_at)
        if not self._positions and self._gap_since is not None:
            times.append(self._gap_since + self.timing.hold)
        return min(times)

    def tick(self, now: float) -> list[Event]:
        """Let time pass."""
        if self.finished:
            return []
        out: list[Event] = []
        if self._down_since is not None and not self._overdue_told and now >= self._down_since + self.timing.overdue:
            self._overdue_told = True
            out.append(Interrupted(overdue=True))
        if self._down_since is not None and now >= self._down_since + self.timing.give_up:
            description = f"there was no connection for {self.timing.give_up:g} s (give_up_after)"
            error = ErrorInfo(code=ErrorCode.CONNECTION_INTERRUPTED, description=description)
            return [*out, *self.end_now(EndReason.LOST, error, now)]
        if self._down_since is None and self._give_up_at is not None and now >= self._give_up_at:
            if self._missing():
                self._lose(LossReason.NO_ANSWER, out)
            self._give_up_at = None
        if not self._positions and self._gap_since is not None and now >= self._gap_since + self.timing.hold:
            self._lose(LossReason.NO_TRANSCRIPT, out)
        self._look_for_gap(now)
        return self._close(out, now)

    @property
    def link_is_up(self) -> bool:
        """True while the transport has a link."""
        return self._down_since is None

    # ---------------------------------------------------------------- inside

    def _arrive(self, event: Event, out: list[Event]) -> None:
        index = event.index
        if index is None:
            # It has no place of its own, so it takes the one where it came: behind whatever is held back.
            if self._held:
                place = self._newest_held if self._newest_held in self._held else max(self._held)
                self._held[place].followers.append(event)
            else:
                out.append(event)
        elif index == self.expected:
            self._log(event, out)
            if self._held:
                self._drain(out)
        elif index > self.expected and index not in self._held:
            self._held[index] = _Held(event=event)
            self._newest_held = index
            if len(self._held) > MAX_HELD:
                self._lose(LossReason.NO_ANSWER, out)

    def _log(self, event: Event, out: list[Event]) -> None:
        assert event.index is not None
        self.expected = event.index + 1
        if self.epoch == 0 and event.index <= self._restored_until:
            event = evolve(event, restored=True)
        out.append(event)

    def _drain(self, out: list[Event]) -> None:
        """Log what is held and has become contiguous."""
        while (held := self._held.pop(self.expected, None)) is not None:
            self._log(held.event, out)
            out.extend(held.followers)

    def _settle_up_to(self, known: int, out: list[Event]) -> None:
        """Everything below ``known`` is settled: held events are logged, the other indexes are vacant."""
        for index in sorted(index for index in self._held if index < known):
            held = self._held.pop(index)
            self._log(held.event, out)
            out.extend(held.followers)
        self.expected = max(self.expected, known)
        self._drain(out)

    def _release_held(self, out: list[Event]) -> None:
        for index in sorted(self._held):
            held = self._held.pop(index)
            self._log(held.event, out)
            out.extend(held.followers)

    def _missing(self) -> bool:
        """There is evidence of an event that was not seen."""
        return bool(self._held) or self._hint > self.expected

    def _misses_own_leaving_only(self) -> bool:
        """The visitor has left, and the one index that was not seen is the last one: its own leaving.

        A server need not show that event, nor the transcript of a chat that is over.
        """
        left = self._ending is not None and self._ending.reason is EndReason.LEFT
        return left and not self._held and self._hint == self.expected + 1

    def _lose(self, reason: LossReason, out: list[Event]) -> None:
        """Put a ``ContinuityLost`` where the missing events should have stood, and go on behind it."""
        until = min(self._held) - 1 if self._held else self._hint - 1
        out.append(ContinuityLost(after=self.expected - 1, until=until, reason=reason))
        self._lost.append(range(self.expected, until + 1))
        del self._lost[:-MAX_LOST]
        self.expected = until + 1
        self._drain(out)
        self._gap_since = None
        self._give_up_at = None
        self._fetch_wanted = False

    def _reset_position(self, next_position: int, out: list[Event]) -> None:
        """The server counts anew: what it said between is unknown, and a new epoch begins."""
        # What is held belongs to the numbering that has ended, so it comes before the new one is announced; its indexes
        # may come again.
        while self._held:
            self._lose(LossReason.POSITION_RESET, out)
        out.append(ContinuityLost(after=self.expected - 1, reason=LossReason.POSITION_RESET))
        self._lost.clear()
        self.epoch += 1
        self.expected = max(1, next_position)
        self._hint = self.expected
        self._doubt = False

    def _note_position(self, next_position: int | None, now: float) -> None:
        if next_position is None:
            return
        self._evidence_at = now
        if next_position > self._hint:
            self._hint = next_position
        elif next_position < self.expected and self._ending is None:
            # An old envelope overtaken by a newer one, or a server that counts anew: the transcript tells.
            self._doubt = True

    def _look_for_gap(self, now: float) -> None:
        if not (self._missing() or self._doubt):
            self._gap_since = None
        elif self._gap_since is None:
            self._gap_since = now

    def _settled(self, now: float) -> None:
        self._evidence_at = now
        self._gap_since = None
        self._give_up_at = None
        self._failures = 0

    def _wait_to_retry(self, now: float) -> None:
        self._not_before = now + min(self.timing.retry * 2**self._failures, self.timing.answer)
        self._failures = min(self._failures + 1, 10)

    def _may_fetch(self) -> bool:
        return (
            self._positions
            and not self.finished
            and self._fetching is None
            and self._down_since is None
            and self._fetch_time() < math.inf
        )

    def _fetch_time(self) -> float:
        times = [math.inf]
        if self._fetch_wanted:
            times.append(self._not_before)
        if self._resuming:
            times.append(max(self._resume_at, self._not_before))
        if self._gap_since is not None:
            hold = 0.0 if self._ending is not None else self.timing.hold
            times.append(max(self._gap_since + hold, self._not_before))
        if not self._check_refused and self._ending is None:
            times.append(max(self._evidence_at + self.timing.check, self._not_before))
        return min(times)

    def _close(self, out: list[Event], now: float) -> list[Event]:
        """Announce the end once nothing is missing before it, or nobody can bring what is missing."""
        if self._ending is None or self.finished:
            return out
        if self._missing():
            if now < self._end_at and self._positions and self._down_since is None:
                return out
            if self._misses_own_leaving_only():
                self.expected = self._hint
            while self._missing():
                reason = LossReason.NO_ANSWER if self._positions else LossReason.NO_TRANSCRIPT
                self._lose(reason, out)
        self.finished = True
        out.append(self._ending)
        return out
