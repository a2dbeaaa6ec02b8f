"""The order and completeness machine, driven without I/O on a clock of its own."""

from __future__ import annotations

import math

import hypothesis.strategies as st
from attrs import evolve
from hypothesis import given, settings

from chat_core._contracts.transport import Batch, Ended
from chat_core._model.events import (
    Continued,
    ContinuityLost,
    EndReason,
    Event,
    Interrupted,
    LossReason,
    MessageReceived,
    Notice,
    SessionEnded,
)
from chat_core._session import continuity
from chat_core._session.continuity import Continuity, Timing


def message(index: int | None) -> MessageReceived:
    return MessageReceived(index=index, text=f"text {index}")


def batch(*indexes: int | None, next_position: int | None = None) -> Batch:
    return Batch(events=tuple(message(index) for index in indexes), next_position=next_position)


def machine(*, positions: bool = True, restored_until: int = 0) -> Continuity:
    return Continuity(positions=positions, now=0.0, restored_until=restored_until)


def places(events: list[Event]) -> list[object]:
    """What a test asserts: indexes, and the names of what has none."""
    return [event.index if event.index is not None else type(event).__name__ for event in events]


def test_events_in_order_are_handed_on_at_once():
    """An event whose index is the expected one goes into the log as it comes."""
    session = machine()
    assert places(session.receive(batch(1, 2), 0.0)) == [1, 2]
    assert places(session.receive(batch(3), 0.1)) == [3]
    assert session.fetch_due(0.2) is None


def test_rp02_an_index_is_logged_once():
    """What arrives twice is suppressed by its index."""
    session = machine()
    session.receive(batch(1, 2), 0.0)
    assert session.receive(batch(1, 2, 2), 0.1) == []


def test_rp02_equal_texts_with_two_indexes_both_arrive():
    """Nothing is suppressed by its text."""
    session = machine()
    first, second = MessageReceived(index=1, text="same"), MessageReceived(index=2, text="same")
    assert session.receive(Batch(events=(first, second)), 0.0) == [first, second]


def test_rp03_an_early_arrival_waits_for_the_one_before_it():
    """Events that overtake each other within 250 ms are put in order without asking the server."""
    session = machine()
    assert session.receive(batch(2), 0.0) == []
    assert session.fetch_due(0.24) is None
    assert places(session.receive(batch(1), 0.24)) == [1, 2]
    assert session.fetch_due(1.0) is None


def test_rp01_a_gap_is_fetched_after_the_hold():
    """250 ms after an early arrival the transcript is asked from the first missing index."""
    session = machine()
    session.receive(batch(1), 0.0)
    session.receive(batch(4), 1.0)
    assert session.wakeup() == 1.25
    assert session.fetch_due(1.25) == 2
    assert session.fetch_due(1.3) is None, "one fetch at a time"
    assert places(session.fetched(batch(2, 3, 4, next_position=5), 1.4)) == [2, 3, 4]


def test_rp01_what_the_transcript_leaves_out_is_vacant():
    """An index that the answer omits does not exist and is never asked for again."""
    session = machine()
    session.receive(batch(5), 0.0)
    assert session.fetch_due(0.25) == 1
    assert places(session.fetched(batch(1, 3, next_position=6), 0.3)) == [1, 3, 5]
    assert session.expected == 6
    assert session.fetch_due(5.0) is None
    assert session.receive(batch(2, 4), 6.0) == []


def test_rp01_a_next_position_is_evidence_of_a_gap():
    """NextPosition of any envelope tells that events were missed, and they are fetched."""
    session = machine()
    session.receive(batch(1, next_position=4), 0.0)
    assert session.fetch_due(0.25) == 2
    assert places(session.fetched(batch(2, 3, next_position=4), 0.3)) == [2, 3]


def test_rp01_each_reconnect_fetches_from_the_expected_index():
    """After the link is back the transcript is asked at once, whether or not anything is known to be missing."""
    session = machine()
    session.receive(batch(1, 2), 0.0)
    assert places(session.link_down(10.0)) == ["Interrupted"]
    assert session.fetch_due(11.0) is None
    (continued,) = session.link_up(12.5)
    assert isinstance(continued, Continued)
    assert continued.blind_time == 2.5
    assert session.fetch_due(12.5) == 3
    assert places(session.fetched(batch(3, next_position=4), 12.6)) == [3]


def test_rp01_events_pushed_during_the_fetch_keep_their_place():
    """A push that comes while the transcript is on its way waits for what is missing before it."""
    session = machine()
    session.link_down(0.0)
    session.link_up(1.0)
    assert session.fetch_due(1.0) == 1
    assert session.receive(batch(4), 1.1) == []
    assert places(session.fetched(batch(1, 2, next_position=3), 1.2)) == [1, 2]
    assert session.fetch_due(1.45) == 3
    assert places(session.fetched(batch(3, 4, next_position=5), 1.5)) == [3, 4]


def test_rp01_no_answer_within_ten_seconds_is_said():
    """A gap without an answer for 10 s becomes ContinuityLost, and the events behind it follow."""
    session = machine()
    session.receive(batch(1), 0.0)
    session.receive(batch(4), 1.0)
    assert session.fetch_due(1.25) == 2
    session.fetch_failed(5.0)
    assert session.fetch_due(5.5) == 2
    out = session.tick(11.25)
    assert places(out) == ["ContinuityLost", 4]
    assert isinstance(out[0], ContinuityLost)
    assert (out[0].after, out[0].until, out[0].reason) == (1, 3, LossReason.NO_ANSWER)


def test_rp01_what_arrives_after_its_range_was_lost_stays_out():
    """The answer that comes too late changes nothing in the log."""
    session = machine()
    session.receive(batch(3), 0.0)
    assert session.fetch_due(0.25) == 1
    session.tick(10.25)
    assert session.fetched(batch(1, 2, 3, next_position=4), 10.5) == []


def test_rp01_the_time_for_answers_stops_while_the_link_is_down():
    """Ten seconds without an answer count only while there is a link to answer on."""
    session = machine()
    session.receive(batch(3), 0.0)
    session.fetch_due(0.25)
    session.link_down(1.0)
    session.fetch_failed(1.0)
    assert session.tick(30.0) == []
    session.link_up(40.0)
    assert session.fetch_due(40.0) == 1
    assert places(session.fetched(batch(1, 2, 3, next_position=4), 40.1)) == [1, 2, 3]


def test_rp01_a_refused_fetch_is_said_at_once():
    """A server that will not give the transcript costs exactly the missing range."""
    session = machine()
    session.receive(batch(3), 0.0)
    session.fetch_due(0.25)
    lost, third = session.fetch_failed(0.3, refused=True)
    assert isinstance(lost, ContinuityLost)
    assert (lost.after, lost.until, lost.reason) == (0, 2, LossReason.FETCH_REFUSED)
    assert third.index == 3


def test_rp01_the_own_leaving_that_nobody_shows_is_no_loss():
    """A server that is asked too late refuses; the last index of a chat that was left is the leaving itself."""
    session = machine()
    session.receive(batch(1, 2), 0.0)
    assert session.end(Ended(reason=EndReason.LEFT, batch=batch(next_position=4)), 1.0) == []
    assert session.fetch_due(1.0) == 3
    (end,) = session.fetch_failed(1.1, refused=True)
    assert isinstance(end, SessionEnded)


def test_rp01_more_than_the_own_leaving_is_a_loss():
    """Two indexes that were not seen hide what somebody else did, and so does one of a chat that was closed."""
    for reason, known in ((EndReason.LEFT, 5), (EndReason.CLOSED, 4)):
        session = machine()
        session.receive(batch(1, 2), 0.0)
        session.end(Ended(reason=reason, batch=batch(next_position=known)), 1.0)
        session.fetch_due(1.0)
        lost, end = session.fetch_failed(1.1, refused=True)
        assert isinstance(lost, ContinuityLost)
        assert (lost.after, lost.until) == (2, known - 1)
        assert isinstance(end, SessionEnded)


def test_rp01_a_refused_check_loses_nothing_and_is_not_repeated():
    """A server that refuses the position check while all is well is not asked again while all is well."""
    session = machine()
    session.receive(batch(1, 2), 0.0)
    assert session.fetch_due(60.0) == 3
    assert session.fetch_failed(60.1, refused=True) == []
    assert session.wakeup() == math.inf


def test_rp01_without_positions_each_reconnect_is_a_loss():
    """A transport without a transcript cannot know what was missed, and says so at each reconnect."""
    session = machine(positions=False)
    session.receive(batch(None, None), 0.0)
    session.link_down(1.0)
    out = session.link_up(2.0)
    assert places(out) == ["Continued", "ContinuityLost"]
    assert isinstance(out[1], ContinuityLost)
    assert out[1].reason is LossReason.NO_TRANSCRIPT
    assert session.fetch_due(3.0) is None


def test_rp01_without_positions_a_gap_in_the_indexes_is_a_loss_after_the_hold():
    """Indexes without a transcript still show what is missing."""
    session = machine(positions=False)
    session.receive(batch(1), 0.0)
    assert session.receive(batch(3), 1.0) == []
    assert session.wakeup() == 1.25
    out = session.tick(1.25)
    assert places(out) == ["ContinuityLost", 3]


def test_rp01_a_position_reset_begins_a_new_epoch():
    """A transcript that ends before what was already logged means that the server counts anew."""
    session = machine()
    session.receive(batch(1, 2, 3, 4, 5), 0.0)
    session.link_down(1.0)
    session.link_up(2.0)
    assert session.fetch_due(2.0) == 6
    (lost,) = session.fetched(batch(next_position=3), 2.1)
    assert isinstance(lost, ContinuityLost)
    assert (lost.after, lost.until, lost.reason) == (5, None, LossReason.POSITION_RESET)
    assert session.epoch == 1
    assert places(session.receive(batch(3, 4), 3.0)) == [3, 4]


def test_rp01_a_low_position_in_a_push_is_checked_before_it_is_believed():
    """An old envelope that was overtaken is no position reset: the transcript decides."""
    session = machine()
    session.receive(batch(1, 2, 3, next_position=4), 0.0)
    session.receive(batch(2, next_position=3), 0.1)
    assert session.fetch_due(0.35) == 4
    assert session.fetched(batch(next_position=4), 0.4) == []
    assert session.epoch == 0
    assert session.fetch_due(1.0) is None


def test_rp02_what_is_held_when_the_server_counts_anew_comes_before_the_new_numbering():
    """Its index may come again, as another event: the reset stands between the two, and the gap before it is said."""
    session = machine()
    log = session.receive(Batch(events=(message(2),)), 0.0)
    assert session.fetch_due(1.0) == 1
    log += session.fetched(Batch(next_position=0), 1.0)
    log += session.receive(Batch(events=(message(1), message(2))), 2.0)
    assert [(type(event).__name__, event.index) for event in log] == [
        ("ContinuityLost", None),
        ("MessageReceived", 2),
        ("ContinuityLost", None),
        ("MessageReceived", 1),
        ("MessageReceived", 2),
    ]
    assert [(log[0].after, log[0].until), (log[2].after, log[2].until)] == [(0, 1), (2, None)]


def test_rp01_an_answer_that_predates_a_push_is_no_position_reset():
    """Only a position below the one asked for shows that the server counts anew."""
    session = machine()
    session.receive(batch(1), 0.0)
    session.want_fetch(0.0)
    assert session.fetch_due(0.0) == 2
    session.receive(batch(2, 3), 0.1)
    assert session.fetched(batch(2, next_position=3), 0.2) == []
    assert session.epoch == 0


def test_a_hint_that_the_transcript_disproves_is_dropped():
    """A nextPosition far too high costs one fetch and no event."""
    session = machine()
    session.receive(batch(1, next_position=10**18), 0.0)
    assert session.fetch_due(0.25) == 2
    assert session.fetched(batch(next_position=2), 0.3) == []
    assert places(session.receive(batch(2), 0.4)) == [2]


def test_an_answer_without_next_position_is_authoritative_up_to_its_last_event():
    """A server that leaves nextPosition out settles only what its events show."""
    session = machine()
    session.receive(batch(4), 0.0)
    session.fetch_due(0.25)
    assert places(session.fetched(batch(2), 0.3)) == [2]
    assert session.expected == 3
    assert session.fetch_due(0.6) == 3


def test_an_answer_that_brings_nothing_is_asked_again_more_and_more_slowly():
    """Attempts at one gap are 0.5 s apart at first, twice as much each time."""
    session = machine()
    session.receive(batch(3), 0.0)
    assert session.fetch_due(0.25) == 1
    session.fetched(Batch(), 1.0)
    assert session.wakeup() == 1.5
    assert session.fetch_due(1.5) == 1
    session.fetched(Batch(), 2.0)
    assert session.wakeup() == 3.0


def test_events_without_index_keep_the_place_where_they_came():
    """A notice that came behind a held event stays behind it."""
    session = machine()
    notice = Notice(text="behind")
    assert session.receive(Batch(events=(message(2), notice)), 0.0) == []
    assert places(session.receive(batch(1), 0.1)) == [1, 2, "Notice"]


def test_an_event_without_index_finds_a_place_when_the_newest_held_one_is_gone():
    """What was held last may have been settled by an answer; the notice then stands behind what is still held."""
    session = machine()
    session.receive(batch(4), 0.0)
    assert session.fetch_due(1.0) == 1
    session.fetched(batch(2), 1.0)
    assert session.receive(Batch(events=(Notice(text="behind"),)), 2.0) == []
    assert places(session.receive(batch(3), 2.0)) == [3, 4, "Notice"]


def test_rp07_the_position_is_checked_each_minute_while_all_seems_well():
    """A push lost on a healthy link is found by the next position check."""
    session = machine()
    session.receive(batch(1), 0.0)
    assert session.wakeup() == 60.0
    assert session.fetch_due(60.0) == 2
    assert places(session.fetched(batch(2, next_position=3), 60.1)) == [2]
    assert session.wakeup() == 120.1


def test_rp07_any_position_postpones_the_check():
    """An envelope with nextPosition is as good as a check."""
    session = machine()
    session.receive(batch(1, next_position=2), 50.0)
    assert session.wakeup() == 110.0


def test_rp08_an_overdue_link_is_said_once():
    """After the server's removal time the interruption is told to be overdue, once."""
    session = machine()
    session.link_down(0.0)
    assert session.wakeup() == 45.0
    (overdue,) = session.tick(45.0)
    assert overdue == Interrupted(overdue=True)
    assert session.tick(100.0) == []
    assert session.link_down(101.0) == [], "it is down already"


def test_rp08_it_gives_up_only_when_it_was_told_to():
    """``give_up_after`` ends the session after so many seconds without a link; by default it never does."""
    session = machine()
    session.link_down(0.0)
    session.tick(45.0)
    assert session.wakeup() == math.inf
    assert session.tick(1e9) == []
    session = Continuity(positions=True, now=0.0, timing=evolve(Timing(), give_up=600.0))
    session.link_down(0.0)
    session.tick(45.0)
    assert session.wakeup() == 600.0
    (ended,) = session.tick(600.0)
    assert isinstance(ended, SessionEnded)
    assert ended.reason is EndReason.LOST
    assert ended.error is not None
    assert ended.error.code == 150
    assert "give_up_after" in ended.error.description


def test_rp08_a_link_that_comes_back_in_time_is_no_reason_to_give_up():
    """The seconds count anew with each interruption."""
    session = Continuity(positions=True, now=0.0, timing=evolve(Timing(), give_up=60.0))
    session.link_down(0.0)
    session.link_up(59.0)
    session.link_down(60.0)
    assert SessionEnded not in map(type, session.tick(100.0))
    assert SessionEnded in map(type, session.tick(120.0))


def test_what_was_declared_lost_is_remembered():
    """Whoever looks for a message of their own must know that the log will never show it."""
    session = machine()
    session.receive(batch(1, 4), 0.0)
    session.fetch_due(0.3)
    session.fetch_failed(0.4)
    assert places(session.tick(10.3)) == ["ContinuityLost", 4]
    assert [index for index in range(1, 6) if session.is_lost(index)] == [2, 3]
    assert session.lost_above(2)
    assert not session.lost_above(3)


def test_rp15_the_own_leaving_that_nobody_shows_is_no_loss_at_the_very_end():
    """Also where the end is announced without waiting for a transcript."""
    session = machine()
    session.receive(batch(1, 2, next_position=4), 0.0)
    assert places(session.end_now(EndReason.LEFT, None, 0.1)) == ["SessionEnded"]


def test_rp15_the_end_comes_last_and_once():
    """SessionEnded is the last event, whatever else arrives."""
    session = machine()
    out = session.end(Ended(reason=EndReason.CLOSED, batch=batch(1, next_position=2)), 0.0)
    assert places(out) == [1, "SessionEnded"]
    assert session.finished
    assert session.end(Ended(reason=EndReason.LOST), 1.0) == []
    assert session.end_now(EndReason.LEFT, None, 1.0) == []
    assert session.receive(batch(2), 1.0) == session.tick(1.0) == session.link_down(1.0) == session.link_up(1.0) == []
    assert session.fetched(batch(2), 1.0) == session.fetch_failed(1.0) == []
    assert session.wakeup() == math.inf


def test_rp15_a_gap_before_the_end_is_closed_first():
    """The end waits for the events that are missing before it."""
    session = machine()
    assert session.end(Ended(reason=EndReason.CLOSED, batch=batch(3, next_position=4)), 0.0) == []
    assert session.fetch_due(0.0) == 1
    assert places(session.fetched(batch(1, 2, 3, next_position=4), 0.1)) == [1, 2, 3, "SessionEnded"]


def test_rp15_the_end_does_not_wait_for_ever():
    """Five seconds after the end was reported the gap before it is declared lost and the end announced."""
    session = machine()
    session.end(Ended(reason=EndReason.CLOSED, batch=batch(3)), 0.0)
    session.fetch_due(0.0)
    session.fetch_failed(0.1)
    out = session.tick(5.0)
    assert places(out) == ["ContinuityLost", 3, "SessionEnded"]


def test_rp15_without_a_link_the_end_does_not_wait_at_all():
    """Nobody can bring what is missing once the link is gone too."""
    session = machine()
    session.receive(batch(2), 0.0)
    session.link_down(0.1)
    assert places(session.end_now(EndReason.LOST, None, 0.2)) == ["ContinuityLost", 2, "SessionEnded"]


def test_restored_marks_what_an_earlier_owner_finished():
    """After a restore the transcript is marked up to the saved index and not above it."""
    session = machine(restored_until=2)
    events = session.receive(batch(1, 2, 3), 0.0)
    assert [event.restored for event in events] == [True, True, False]


def test_rp11_a_hostile_server_cannot_fill_the_memory(monkeypatch):
    """More than the limit of held events declares the gap lost instead of holding on."""
    monkeypatch.setattr(continuity, "MAX_HELD", 3)
    session = machine()
    out = session.receive(batch(5, 6, 7, 8), 0.0)
    assert places(out) == ["ContinuityLost", 5, 6, 7, 8]


class Server:
    """A transcript with vacant indexes, and pushes that are lost, doubled and out of order."""

    def __init__(self, size: int, vacant: set[int]) -> None:
        self.transcript = [message(index) for index in range(1, size + 1) if index not in vacant]
        self.shown = 0

    @property
    def visible(self) -> list[MessageReceived]:
        return self.transcript[: self.shown]

    @property
    def next_position(self) -> int:
        if self.shown == 0:
            return 1
        last = self.transcript[self.shown - 1].index
        assert last is not None
        return last + 1

    def answer(self, position: int) -> Batch:
        events = tuple(event for event in self.visible if (event.index or 0) >= position)
        return Batch(events=events, next_position=self.next_position)


STEPS = st.lists(
    st.sampled_from(["push", "push", "drop", "late", "double", "hint", "down", "up", "answer", "fail", "wait"]),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(steps=STEPS, vacant=st.sets(st.integers(1, 40)), refuse=st.booleans())
def test_rp01_rp02_rp03_any_schedule_of_faults_keeps_the_promises(steps: list[str], vacant: set[int], refuse: bool):
    """The reader sees 1..n less the vacant indexes, each once and in order, or the exact missing range."""
    server = Server(41, vacant)
    session = machine()
    log: list[Event] = []
    late: list[MessageReceived] = []
    now = 0.0
    asked: tuple[int, Batch] | None = None

    def pump() -> None:
        nonlocal asked
        log.extend(session.tick(now))
        if asked is None and (position := session.fetch_due(now)) is not None:
            asked = (position, server.answer(position))

    for step in steps:
        now += 0.1
        fresh = None
        if step in {"push", "drop", "late", "double"} and server.shown < len(server.transcript):
            fresh = server.transcript[server.shown]
            server.shown += 1
        if step in {"push", "double"} and fresh is not None and session.link_is_up:
            for _ in range(1 + (step == "double")):
                log.extend(session.receive(Batch(events=(fresh,)), now))
        elif step == "late" and fresh is not None:
            late.append(fresh)
        elif step == "hint" and session.link_is_up:
            log.extend(session.receive(Batch(events=tuple(late), next_position=server.next_position), now))
            late.clear()
        elif step == "down":
            log.extend(session.link_down(now))
            if asked is not None:
                asked = None
                log.extend(session.fetch_failed(now))
        elif step == "up":
            log.extend(session.link_up(now))
        elif step in {"answer", "fail"} and asked is not None:
            answer, asked = asked[1], None
            if step == "answer":
                log.extend(session.fetched(answer, now))
            else:
                log.extend(session.fetch_failed(now, refused=refuse))
        elif step == "wait":
            now += 3.0
        pump()
    # The end: a link, and a server that answers.
    log.extend(session.link_down(now))
    if asked is not None:
        asked = None
        log.extend(session.fetch_failed(now))
    log.extend(session.link_up(now))
    for _ in range(20):
        if asked is not None:
            log.extend(session.fetched(server.answer(asked[0]), now))
            asked = None
        now += 0.5
        pump()
    seen = [event.index for event in log if event.index is not None]
    assert seen == sorted(set(seen)), "doubled or out of order"
    lost: set[int] = set()
    for event in log:
        if isinstance(event, ContinuityLost):
            assert event.until is not None
            lost.update(range(event.after + 1, event.until + 1))
    wanted = [event.index for event in server.visible if event.index not in lost]
    assert [index for index in seen if index not in lost] == wanted
    assert not lost & set(seen), "declared lost and handed on all the same"
    # In its place: everything before a loss is below it, everything after it above.
    position = 0
    for event in log:
        if isinstance(event, ContinuityLost):
            assert event.after >= position
            assert event.until is not None
            position = event.until
        elif event.index is not None:
            assert event.index > position
            position = event.index


@settings(max_examples=600, deadline=None)
@given(
    actions=st.lists(
        st.tuples(
            st.sampled_from(["receive", "fetched", "fetch_failed", "down", "up", "end", "tick"]),
            st.lists(st.one_of(st.none(), st.integers(0, 12)), max_size=4),
            st.one_of(st.none(), st.integers(0, 14)),
        ),
        max_size=40,
    )
)
def test_rp11_rp15_no_input_breaks_the_machine(actions):
    """Whatever a hostile server sends, in each epoch every index is logged once, and the end is last."""
    session = machine()
    log: list[Event] = []
    for step, (action, indexes, position) in enumerate(actions):
        now = float(step)
        session.fetch_due(now)
        events = Batch(events=tuple(message(index) for index in indexes), next_position=position)
        match action:
            case "receive":
                log += session.receive(events, now)
            case "fetched":
                log += session.fetched(events, now)
            case "fetch_failed":
                log += session.fetch_failed(now, refused=bool(position))
            case "down":
                log += session.link_down(now)
            case "up":
                log += session.link_up(now)
            case "end":
                log += session.end(Ended(reason=EndReason.CLOSED, batch=events), now)
            case _:
                log += session.tick(now)
        assert session.wakeup() >= 0
    log += session.end_now(EndReason.LOST, None, 1000.0)
    ends = [event for event in log if isinstance(event, SessionEnded)]
    assert len(ends) == 1
    assert log[-1] is ends[0]
    seen: set[int] = set()
    for event in log:
        if isinstance(event, ContinuityLost) and event.reason is LossReason.POSITION_RESET:
            seen.clear()
        elif event.index is not None:
            assert event.index not in seen
            seen.add(event.index)


def test_timing_can_be_changed():
    """The figures of the promises are defaults, not constants."""
    session = Continuity(positions=True, now=0.0, timing=evolve(Timing(), hold=1.0))
    session.receive(batch(2), 0.0)
    assert session.wakeup() == 1.0


def test_rp01_the_time_for_an_answer_stops_while_there_is_no_link():
    """Ten seconds begin anew with the link: nothing is called lost because the link was away for long."""
    session = machine()
    session.receive(batch(1), 0.0)
    session.receive(batch(3), 1.0)
    assert session.fetch_due(1.5) == 2
    session.fetch_failed(2.0)
    session.link_down(3.0)
    session.link_up(60.0)
    assert places(session.tick(60.1)) == []
    assert session.fetch_due(60.1) == 2
    assert places(session.fetched(batch(2, 3, next_position=4), 60.2)) == [2, 3]


def test_rp01_a_transcript_knows_better_than_a_hint():
    """A position that no event follows is forgotten once the transcript, asked for afterwards, ends before it."""
    session = machine()
    session.receive(batch(1, 2, next_position=9), 0.0)
    assert session.fetch_due(0.5) == 3
    assert session.fetched(batch(next_position=3), 0.6) == []
    assert session.fetch_due(20.0) is None
    assert session.tick(20.0) == []
    assert places(session.receive(batch(3), 21.0)) == [3]


def test_what_comes_after_a_position_reset_is_not_called_restored():
    """Indexes count anew, and what an earlier owner had finished was counted the old way."""
    session = machine(restored_until=5)
    assert [event.restored for event in session.receive(batch(1, 2, 3, 4, 5, 6), 0.0)] == [True] * 5 + [False]
    session.want_fetch(1.0)
    assert session.fetch_due(1.0) == 7
    session.fetched(batch(next_position=1), 1.1)
    (event,) = session.receive(batch(1), 2.0)
    assert (event.index, event.restored) == (1, False)


def test_the_figures_are_those_of_the_promises():
    """RP-1, RP-3, RP-7 and RP-8 name them."""
    assert Timing() == Timing(hold=0.25, answer=10.0, retry=0.5, check=60.0, end=5.0, overdue=45.0)


def test_a_session_that_has_begun_misses_nothing_and_was_not_restored():
    """There is a link, nothing to fetch before the first check, and the first event is new."""
    session = Continuity(positions=True, now=0.0)
    assert session.link_is_up
    assert session.receive(Batch(), 0.0) == []
    assert session.wakeup() == 60.0
    (event,) = session.receive(batch(1), 0.1)
    assert not event.restored
    session.link_down(1.0)
    assert not session.link_is_up


def test_rp01_without_positions_a_reconnect_says_where_and_keeps_what_is_held():
    """A gap waits for its hold first; the loss is said behind the last event that was logged."""
    session = machine(positions=False)
    session.receive(batch(1, 3), 0.0)
    assert session.tick(0.1) == []
    session.link_down(0.15)
    continued, held, lost = session.link_up(0.2)
    assert (type(continued), held.index) == (Continued, 3)
    assert lost == ContinuityLost(after=3, reason=LossReason.NO_TRANSCRIPT)


def test_rp01_a_position_below_what_was_logged_is_looked_into_whatever_was_hinted_before():
    """Also the very first one."""
    session = machine()
    session.receive(batch(1, 2, 3, 4), 0.0)
    session.receive(batch(next_position=1), 0.1)
    assert session.fetch_due(0.35) == 5


def test_rp01_the_time_for_an_answer_wakes_the_machine():
    """Ten seconds after the transcript was asked for."""
    session = machine()
    session.receive(batch(2), 0.0)
    assert session.fetch_due(0.25) == 1
    assert session.wakeup() == 10.25


def test_rp01_the_reason_of_a_loss_at_the_end_tells_whether_anybody_could_have_answered():
    """No answer where there is a transcript, no transcript where there is none."""
    for positions, reason in ((True, LossReason.NO_ANSWER), (False, LossReason.NO_TRANSCRIPT)):
        session = machine(positions=positions)
        session.receive(batch(2), 0.0)
        lost, *_ = session.end_now(EndReason.LOST, None, 0.1)
        assert lost == ContinuityLost(after=0, until=1, reason=reason)


def test_rp04_a_fetch_that_was_asked_for_is_tried_again_though_nothing_is_missing():
    """A read-back needs its answer; a usable one, or a reset, is what was wanted."""
    session = machine()
    session.want_fetch(0.0)
    assert session.fetch_due(0.0) == 1
    session.fetch_failed(0.1)
    assert session.fetch_due(0.59) is None
    assert session.wants_fetch
    assert session.fetch_due(0.6) == 1
    assert session.wants_fetch
    session.fetched(batch(1, next_position=2), 0.7)
    assert not session.wants_fetch
    session.want_fetch(0.8)
    session.fetch_due(0.8)
    session.fetched(batch(next_position=1), 0.9)
    assert (session.wants_fetch, session.epoch) == (False, 1)


def test_the_first_pause_is_the_short_one_again_after_success_reconnect_and_question():
    """Failures before count no longer."""

    def fail_twice(session: Continuity, now: float) -> float:
        for _ in range(2):
            now = session.wakeup()
            assert session.fetch_due(now) is not None
            session.fetch_failed(now)
        return now

    def pause(session: Continuity, now: float) -> float:
        assert session.fetch_due(now) is not None
        session.fetch_failed(now)
        return session.wakeup() - now

    session = machine()
    session.receive(batch(2), 0.0)
    now = fail_twice(session, 0.0)
    session.link_down(now)
    session.link_up(now)
    assert pause(session, now) == 0.5
    now = fail_twice(session, now)
    session.want_fetch(now)
    assert pause(session, now) == 0.5
    now = fail_twice(session, now)
    now = session.wakeup()
    session.fetch_due(now)
    session.fetched(batch(1, next_position=3), now)
    session.receive(batch(4), now)
    assert pause(session, now + 0.25) == 0.5


def test_rp08_each_overdue_interruption_is_said():
    """Not only the first one of a session."""
    session = machine()
    for began in (0.0, 100.0):
        session.link_down(began)
        assert session.tick(began + 45.0) == [Interrupted(overdue=True)]
        session.link_up(began + 50.0)


def test_rp03_after_a_refused_resumption_a_gap_waits_no_longer_than_any_other():
    """The server is asked about a gap at once, and now and then about what it may hold back."""
    session = machine()
    session.receive(batch(1), 0.0)
    session.link_down(10.0)
    session.link_up(11.0)
    assert session.fetch_due(11.0) == 2
    assert session.fetch_failed(11.1, refused=True) == []
    session.receive(batch(3), 20.0)
    assert session.fetch_due(20.25) == 2
    assert places(session.fetched(batch(2, 3, next_position=4), 20.3)) == [2, 3]
    assert session.fetch_due(80.2) is None
    assert session.fetch_due(80.3) == 4


def test_rp01_a_refused_resumption_is_tried_again_each_minute():
    """Whatever is pushed meanwhile."""
    session = machine()
    session.receive(batch(1), 0.0)
    session.link_down(10.0)
    session.link_up(11.0)
    session.fetch_due(11.0)
    session.fetch_failed(11.1, refused=True)
    session.receive(batch(2, next_position=3), 60.0)
    assert session.wakeup() == 71.1
    assert session.fetch_due(71.1) == 3


def test_rp01_what_was_settled_by_a_refusal_a_reset_or_a_loss_is_asked_no_more():
    """Neither a doubt nor a wish is left."""
    refused = machine()
    refused.receive(batch(1, 2), 0.0)
    refused.receive(batch(next_position=1), 0.0)
    assert refused.fetch_due(0.25) == 3
    refused.fetch_failed(0.3, refused=True)
    assert refused.wakeup() == math.inf
    reset = machine()
    reset.receive(batch(1, 2), 0.0)
    reset.receive(batch(next_position=1), 0.0)
    reset.fetch_due(0.25)
    reset.fetched(batch(next_position=0), 0.3)
    assert reset.expected == 1
    assert reset.wakeup() == 60.3
    lost = machine()
    lost.receive(batch(2, next_position=3), 0.0)
    lost.fetch_due(0.25)
    lost.fetch_failed(10.2)
    assert places(lost.tick(10.25)) == ["ContinuityLost", 2]
    assert lost.wakeup() == 60.0


def test_rp15_the_first_report_of_the_end_counts():
    """A second one, while a gap before it is closed, changes nothing."""
    session = machine()
    session.receive(batch(2), 0.0)
    assert session.end(Ended(reason=EndReason.CLOSED), 0.1) == []
    assert session.end(Ended(reason=EndReason.LOST), 0.2) == []
    assert session.tick(5.1)[-1] == SessionEnded(reason=EndReason.CLOSED)


def test_rp11_as_many_as_allowed_are_held(monkeypatch):
    """One more is too many."""
    monkeypatch.setattr(continuity, "MAX_HELD", 3)
    session = machine()
    assert session.receive(batch(2, 4, 6), 0.0) == []
    assert places(session.receive(batch(8), 0.0)) == ["ContinuityLost", 2]
