"""The whole client through seeded worlds of faults; see ``support/simulation``."""

from __future__ import annotations

import itertools
import os

import pytest

from support.simulation.world import ViolationError, run_world

#: Worlds in one test, so that they spread over the processes that run tests.
SLICE = 100
WORLDS = 2000 if os.environ.get("CI") == "true" else 300


@pytest.mark.parametrize("first", range(0, WORLDS, SLICE))
def test_rp01_rp02_rp03_rp04_rp05_rp06_rp09_rp15_any_world_keeps_the_promises(first: int):
    """Whatever befalls network, server and process, on every carrier: nothing is lost, doubled or out of order."""
    for seed in range(first, first + SLICE):
        run_world(seed)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_a_seed_makes_the_same_world_again_at_any_time_of_day(first: int, monkeypatch: pytest.MonkeyPatch):
    """A failing seed can be looked into, on a machine that is slower or later."""
    worlds = [run_world(seed) for seed in range(first, first + 20)]
    ticks = itertools.count(2_000_000_000, 0.37)
    monkeypatch.setattr("time.time", lambda: next(ticks))
    assert [run_world(seed) for seed in range(first, first + 20)] == worlds


def test_a_violation_names_its_seed_and_tells_the_story(monkeypatch: pytest.MonkeyPatch):
    """Whoever sees it fail knows how to see it again."""

    def forbid(*_: object) -> None:
        raise ViolationError("RP-0: forbidden")

    monkeypatch.setattr("support.simulation.world._World._check", forbid)
    with pytest.raises(ViolationError, match="RP-0") as caught:
        run_world(5)
    assert caught.value.__notes__[0] == "seed 5, rest"
    assert "calm" in caught.value.__notes__[1]
