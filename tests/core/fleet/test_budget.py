"""The pace at which a worker connects."""

from __future__ import annotations

import pytest

from chat_core._fleet.budget import Budget


def test_connections_follow_one_another_at_an_even_pace():
    """However many ask at once."""
    budget = Budget(10.0)
    assert [budget.take(1000.0) for _ in range(4)] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert budget.take(1000.35) == pytest.approx(0.05)


def test_what_was_not_used_is_not_saved_up():
    """A storm after a quiet night is a storm."""
    budget = Budget(10.0)
    budget.take(1000.0)
    assert [budget.take(2000.0) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])


def test_it_tells_how_many_may_begin_soon():
    """So that no more are taken than can connect."""
    budget = Budget(10.0)
    assert budget.room(1000.0, 0.5) == 5
    for _ in range(3):
        budget.take(1000.0)
    assert budget.room(1000.0, 0.5) == 2
    for _ in range(5):
        budget.take(1000.0)
    assert budget.room(1000.0, 0.5) == 0
    assert Budget(0.1).room(1000.0, 0.5) == 1
