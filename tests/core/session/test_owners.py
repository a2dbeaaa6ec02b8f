"""RP-4, RP-5, RP-9: what is told of a message is so, however its owner ends and whatever becomes of the disk."""

from __future__ import annotations

import os

import pytest

from support.owners import play

#: Stories in one test, so that they spread over the processes that run tests.
SLICE = 50
STORIES = 1000 if os.environ.get("CI") == "true" else 200


@pytest.mark.parametrize("first", range(0, STORIES, SLICE))
def test_rp04_rp05_rp09_any_owners_end_keeps_the_promises(first: int):
    """Each message stands in the transcript as often as its sender was told, in order, and nothing is left behind."""
    for seed in range(first, first + SLICE):
        play(seed)
