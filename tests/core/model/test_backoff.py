"""RP-8: the pause between two attempts."""

from hypothesis import given
from hypothesis import strategies as st

from chat_core._model.backoff import Backoff


def longest(_low: float, high: float) -> float:
    return high


def test_rp08_the_limit_doubles_from_half_a_second_up_to_the_cap():
    """The n-th pause lies between 0 and min(30, 0.5 * 2**n) seconds."""
    backoff = Backoff(uniform=longest)
    assert [backoff.failed(0.0) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_rp08_the_jitter_is_full():
    """The lower end of the pause is 0, so that clients of one server spread out."""
    ends: list[tuple[float, float]] = []

    def note(low: float, high: float) -> float:
        ends.append((low, high))
        return low

    assert Backoff(uniform=note).failed(0.0) == 0.0
    assert ends == [(0.0, 0.5)]


def test_rp08_thirty_seconds_of_stability_make_the_next_failure_the_first_again():
    """A link that held for 30 s starts over; one that held for less does not."""
    backoff = Backoff(uniform=longest)
    for _ in range(4):
        backoff.failed(0.0)
    backoff.worked(100.0)
    assert backoff.failed(129.9) == 8
    backoff.worked(200.0)
    assert backoff.failed(230.0) == 0.5


def test_rp08_one_stability_counts_once():
    """Failures after the one that ended the stability go on counting."""
    backoff = Backoff(uniform=longest)
    backoff.worked(0.0)
    assert [backoff.failed(40.0), backoff.failed(80.0)] == [0.5, 1.0]


def test_rp08_the_server_s_wish_is_the_least():
    """Retry-After lengthens a pause and never shortens one."""
    backoff = Backoff(uniform=longest)
    assert backoff.failed(0.0, retry_after=7.0) == 7.0
    assert backoff.failed(0.0, retry_after=0.2) == 1.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1e6)), max_size=200))
def test_rp08_no_schedule_leads_beyond_the_cap(steps: list[tuple[bool, float]]):
    """Whatever happens when, a pause is between 0 and 30 s."""
    backoff = Backoff()
    for worked, now in steps:
        if worked:
            backoff.worked(now)
        else:
            assert 0.0 <= backoff.failed(now) <= 30.0


def test_a_million_failures_do_not_overflow():
    """The exponent stops growing."""
    backoff = Backoff(uniform=longest)
    for _ in range(5000):
        pause = backoff.failed(0.0)
    assert pause == 30.0
