"""For how long an owner may act: the lease without storage, timer or session."""

from __future__ import annotations

import time

import pytest

from chat_core import LeaseLostError, NotSentError, SessionEndedError
from chat_core._model.lease import Lease, boot_time


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(clock: Clock) -> Lease:
    lease = Lease(10.0, clock=clock)
    lease.begin(clock.now)
    return lease


def test_it_ends_a_tenth_early(lease: Lease, clock: Clock):
    """So that what was sent at the last moment has arrived before anybody else can send."""
    clock.now += 8.999
    lease.check()
    lease.check_send()
    clock.now += 0.002
    with pytest.raises(LeaseLostError, match="could not be renewed in time") as caught:
        lease.check()
    assert caught.value.code == 0
    assert isinstance(caught.value, SessionEndedError)


def test_it_counts_from_before_the_storage_was_asked(clock: Clock):
    """The storage may have begun to count at any moment between question and answer."""
    lease = Lease(10.0, clock=clock)
    clock.now += 4.0
    lease.begin(1000.0)
    assert lease.left == pytest.approx(5.0)
    clock.now += 3.0
    asked = clock.now
    clock.now += 1.0
    lease.granted(asked)
    assert lease.left == pytest.approx(8.0)


def test_rp14_an_answer_that_comes_after_the_end_revives_nothing(lease: Lease, clock: Clock):
    """The process was stopped between question and answer; somebody else has the session now."""
    asked = clock.now + 2.0
    clock.now += 60.0
    lease.granted(asked)
    with pytest.raises(LeaseLostError):
        lease.check()
    lease.granted(clock.now)
    with pytest.raises(LeaseLostError):
        lease.check()


def test_answers_that_overtake_one_another_do_not_shorten_it(lease: Lease, clock: Clock):
    """The newest question counts."""
    clock.now += 3.0
    lease.granted(1003.0)
    lease.granted(1001.0)
    assert lease.left == pytest.approx(9.0)


def test_its_loss_is_told_once_by_whoever_finds_out(lease: Lease, clock: Clock):
    """Each check raises an error of its own, the code included."""
    told: list[LeaseLostError] = []
    lease.on_lost = told.append
    lease.lose(LeaseLostError("somebody else has it"))
    lease.lose(LeaseLostError("again"))
    clock.now += 100.0
    errors = []
    for _ in range(2):
        with pytest.raises(LeaseLostError, match="somebody else has it") as caught:
            lease.check()
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert [error.code for error in errors] == [201, 201]
    assert [str(error) for error in told] == ["somebody else has it"]


def test_a_send_is_refused_in_the_words_that_a_transport_knows(lease: Lease, clock: Clock):
    """It never left: ``NotSentError``."""
    clock.now += 9.5
    with pytest.raises(NotSentError, match="somebody else may own it"):
        lease.check_send()


def test_what_was_given_up_is_not_lost(lease: Lease, clock: Clock):
    """Whoever releases the storage is told nothing; nothing may be sent on it, and a new beginning is one."""
    told: list[LeaseLostError] = []
    lease.on_lost = told.append
    lease.give_up()
    clock.now += 100.0
    assert lease.left < 0
    lease.check()
    lease.lose(LeaseLostError("late"))
    assert told == []
    lease.begin(clock.now)
    assert lease.left == pytest.approx(9.0)


def test_it_is_renewed_each_quarter_and_sooner_after_a_failure(lease: Lease, clock: Clock):
    """From when it was last asked for."""
    assert lease.next_renewal(failed=False) == pytest.approx(2.5)
    clock.now += 2.0
    assert lease.next_renewal(failed=False) == pytest.approx(0.5)
    assert lease.next_renewal(failed=True) == pytest.approx(0.5)
    clock.now += 2.0
    assert lease.next_renewal(failed=False) == 0.0


def test_its_clock_goes_on_while_the_machine_sleeps():
    """Linux says so of CLOCK_BOOTTIME, which is never behind the monotonic clock."""
    before = boot_time()
    assert boot_time() >= before
    if hasattr(time, "CLOCK_BOOTTIME"):
        monotonic = time.clock_gettime(time.CLOCK_MONOTONIC)
        assert boot_time() >= monotonic
        assert abs(boot_time() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1.0
