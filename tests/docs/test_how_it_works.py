"""The figures on the page that says how it works."""

from __future__ import annotations

from pathlib import Path

from chat_core._session import limits, saver
from chat_core._session.continuity import Timing
from chat_core._session.log import MAX_BYTES, MAX_EVENTS

PAGE = (Path(__file__).parents[2] / "docs" / "how-it-works.md").read_text("utf-8")


def test_the_figures_are_those_in_the_code():
    """Each in the unit in which the page gives it."""
    assert f"held for {Timing().hold * 1000:g} ms" in PAGE
    assert f"every {Timing().check:g} s while all seems well" in PAGE
    assert f"absent after {limits.OutboxLimits().settle:g} s" in PAGE
    assert f"at most every {saver.DELAY * 1000:g} ms" in PAGE
    assert f"the newest {MAX_EVENTS:,} events or {MAX_BYTES // 1024**2} MiB" in PAGE
