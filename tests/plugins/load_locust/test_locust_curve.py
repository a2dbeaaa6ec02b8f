"""The arrival curve, a pure function of time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from chat_core import OptionError
from chat_load_locust._curve import Curve

DAY = Curve(
    quiet=4,
    busy=50,
    ramp=60.0,
    shift_changes=(300.0,),
    spike=150,
    spike_rise=10.0,
    spike_fall=60.0,
    duration=600.0,
)


def test_a_day_goes_up_stays_leaps_and_comes_down():
    """At the moments that its parameters name."""
    at = {second: DAY.users_at(second) for second in (0, 30, 60, 200, 300, 305, 310, 370, 430, 540, 570, 599.9, 600)}
    assert at == {
        0: 4,
        30: 27,  # half-way up
        60: 50,
        200: 50,
        300: 50,
        305: 100,
        310: 150,
        370: 60,  # a tenth of the surplus is left
        430: 51,
        540: 50,
        570: 27,
        599.9: 4,
        600: None,
    }


def test_nobody_waits_for_ever():
    """From its end on the curve says that the test is over."""
    assert DAY.users_at(10_000) is None
    assert evolve(DAY, ramp=0.0, shift_changes=()).users_at(0) == 50


def test_each_of_several_shift_changes_has_its_spike():
    """Also two that overlap: the higher one counts."""
    day = evolve(DAY, shift_changes=(200.0, 400.0, 405.0), spike_rise=0.0, spike_fall=0.0)
    assert [day.users_at(second) for second in (199, 200, 201, 400, 401, 405)] == [50, 150, 50, 150, 50, 150]


@given(
    quiet=st.integers(0, 20),
    more=st.integers(0, 100),
    surplus=st.integers(0, 500),
    ramp=st.floats(0, 200),
    change=st.floats(0, 599),
    rise=st.floats(0, 100),
    fall=st.floats(0, 100),
    seconds=st.floats(0, 700),
)
def test_it_is_always_between_quiet_and_spike_and_says_the_same_again(
    *, quiet: int, more: int, surplus: int, ramp: float, change: float, rise: float, fall: float, seconds: float
):
    """A function of the time alone."""
    day = Curve(
        quiet=quiet,
        busy=quiet + more,
        spike=quiet + more + surplus,
        ramp=ramp,
        shift_changes=(change,),
        spike_rise=rise,
        spike_fall=fall,
        duration=600.0,
    )
    users = day.users_at(seconds)
    assert users == day.users_at(seconds)
    assert (users is None) == (seconds >= 600)
    assert users is None or day.quiet <= users <= day.spike


def test_outside_of_a_spike_it_only_rises_and_then_only_falls():
    """No step in the wrong direction."""
    day = evolve(DAY, shift_changes=())
    users = [day.users_at(second) or 0 for second in range(600)]
    assert all(before <= after for before, after in pairwise(users[:300]))
    assert all(before >= after for before, after in pairwise(users[300:]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"busy": 3}, "quiet=4, busy=3 and spike=150"),
        ({"spike": 10}, "in this order"),
        ({"quiet": -1}, "0 or more"),
        ({"ramp": -1.0}, "ramp must be 0 seconds or more, not -1.0"),
        ({"spike_fall": float("nan")}, "spike_fall must be 0 seconds or more, not nan"),
        ({"ramp": 301.0}, "room for two ramps of 301.0 s"),
        ({"shift_changes": (600.0,)}, "the shift change at 600.0 s is not within the duration of 600.0 s"),
    ],
)
def test_figures_that_contradict_each_other_are_named(change: dict[str, object], words: str):
    """Before anybody is spawned."""
    with pytest.raises(OptionError, match=words):
        evolve(DAY, **change)
