"""100,000 seeded schedules on the sans-I/O machine: drops, delays, duplicates, reorderings, restarts and crashes."""

from __future__ import annotations

import random

import pytest

from chat_core._contracts.transport import Batch, Ended
from chat_core._model.events import ContinuityLost, EndReason, Event, MessageReceived, SessionEnded
from chat_core._session.continuity import Continuity

SLICE = 10_000
SCHEDULES = 100_000
SIZE = 30
MESSAGES = [MessageReceived(index=index, text="x") for index in range(SIZE + 2)]


def run(seed: int) -> None:
    """Live through one chat, with every process that holds it, and compare with what the server had."""
    chance = random.Random(seed)
    pick = chance.random
    #: What the server's transcript omits.
    vacant = {index for index in range(1, SIZE + 1) if pick() < 0.1}
    refuses = pick() < 0.1
    transcript: list[MessageReceived] = []
    position = 1
    lost: set[int] = set()
    held_up: list[MessageReceived] = []
    now = 0.0
    delivered = 0
    machine = Continuity(positions=True, now=now)
    log: list[Event] = []
    asked: tuple[int, list[MessageReceived], int] | None = None
    for _ in range(chance.randint(5, 40)):
        now += chance.choice((0.01, 0.1, 0.3, 2.0, 15.0))
        step = pick()
        if step < 0.5 and position <= SIZE:
            fresh = MESSAGES[position]
            position += 1
            if fresh.index in vacant:
                continue
            transcript.append(fresh)
            if not machine.link_is_up:
                pass
            elif step < 0.25:
                log += machine.receive(Batch(events=(fresh,)), now)
            elif step < 0.32:
                log += machine.receive(Batch(events=(fresh, fresh), next_position=position), now)
            elif step < 0.40:
                held_up.append(fresh)
        elif step < 0.58 and machine.link_is_up:
            chance.shuffle(held_up)
            log += machine.receive(Batch(events=tuple(held_up), next_position=position), now)
            held_up.clear()
        elif step < 0.66:
            log += machine.link_down(now)
            if asked is not None:
                asked = None
                log += machine.fetch_failed(now)
        elif step < 0.74:
            log += machine.link_up(now)
        elif step < 0.86 and asked is not None:
            log += machine.fetched(Batch(events=tuple(asked[1]), next_position=asked[2]), now)
            asked = None
        elif step < 0.92 and asked is not None:
            asked = None
            log += machine.fetch_failed(now, refused=refuses)
        elif step < 0.96:
            # A process dies; the next one is given the whole transcript.
            check(log, transcript, position, lost)
            delivered = max([delivered, *(event.index for event in log if event.index is not None)])
            machine, log, asked, held_up = Continuity(positions=True, now=now, restored_until=delivered), [], None, []
            lost = set()
            log += machine.receive(Batch(events=tuple(transcript), next_position=position), now)
        log += machine.tick(now)
        if asked is None and (wanted := machine.fetch_due(now)) is not None:
            asked = wanted, [event for event in transcript if (event.index or 0) >= wanted], position
    # At last there is a link, and a server that answers, and the chat ends.
    log += machine.link_down(now)
    if asked is not None:
        log += machine.fetch_failed(now)
    log += machine.link_up(now)
    log += machine.end(Ended(reason=EndReason.CLOSED, batch=Batch(next_position=position)), now)
    while not machine.finished:
        if (wanted := machine.fetch_due(now)) is not None:
            events = tuple(event for event in transcript if (event.index or 0) >= wanted)
            log += machine.fetched(Batch(events=events, next_position=position), now)
        now += 0.5
        log += machine.tick(now)
    assert isinstance(log[-1], SessionEnded), "RP-15: the end is the last event"
    check(log[:-1], transcript, position, lost)
    seen = {event.index for event in log if event.index is not None}
    assert {event.index for event in transcript} <= seen | lost, "RP-1: a silent gap"
    assert all(event.restored == (event.index <= delivered) for event in log if event.index is not None)


def check(log: list[Event], transcript: list[MessageReceived], position: int, lost: set[int]) -> None:
    """Every index once and in order, and what was declared lost in its place."""
    at = 0
    for event in log:
        if isinstance(event, ContinuityLost):
            assert event.after >= at
            assert event.until is not None
            lost.update(range(event.after + 1, event.until + 1))
            at = event.until
        elif event.index is not None:
            assert event.index > at, "RP-2, RP-3: doubled or out of order"
            at = event.index
    assert at < position
    passed = {event.index for event in transcript if (event.index or 0) <= at}
    seen = {event.index for event in log if event.index is not None}
    assert passed == (seen | lost) & {event.index for event in transcript if (event.index or 0) <= at}, "RP-1"
    assert not seen & lost


@pytest.mark.parametrize("first", range(0, SCHEDULES, SLICE))
def test_rp01_rp02_rp03_rp15_a_hundred_thousand_schedules(first: int):
    """The reader sees 1..n less the vacant indexes, each once and in order, or the exact missing range."""
    for seed in range(first, first + SLICE):
        try:
            run(seed)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
