"""The storage ``memory``."""

from __future__ import annotations

import gc
import math

import pytest

from chat_core import SessionInUseError
from chat_core._storages.memory import MemoryStorage, _places


@pytest.fixture(autouse=True)
def clean():
    _places.clear()
    yield
    _places.clear()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_written_is_read_by_the_next_owner():
    """Within the time that the gone owner allowed."""
    clock = Clock()
    first = MemoryStorage("p", max_offline_duration=5, clock=clock)
    first.acquire()
    first.write({"a": 1})
    first.release()
    clock.now = 5.0
    second = MemoryStorage("p", max_offline_duration=60, clock=clock)
    second.acquire()
    assert second.read() == {"a": 1}


def test_after_its_time_the_state_is_gone():
    """max_offline_duration counts from the owner's release; the value in force is the gone owner's."""
    clock = Clock()
    first = MemoryStorage("p", max_offline_duration=5, clock=clock)
    first.acquire()
    first.write({"a": 1})
    clock.now = 100.0
    first.release()
    clock.now = 105.1
    second = MemoryStorage("p", max_offline_duration=60, clock=clock)
    second.acquire()
    assert second.read() is None


def test_infinity_never_ends():
    """``math.inf`` is allowed."""
    clock = Clock()
    first = MemoryStorage("p", max_offline_duration=math.inf, clock=clock)
    first.acquire()
    first.write({"a": 1})
    first.release()
    clock.now = 1e12
    second = MemoryStorage("p", clock=clock)
    second.acquire()
    assert second.read() == {"a": 1}


def test_one_owner_at_a_time():
    """A second one is refused with code 200, until the first one has gone, by release or by being forgotten."""
    first = MemoryStorage("p")
    first.acquire()
    first.acquire()
    with pytest.raises(SessionInUseError) as caught:
        MemoryStorage("p").acquire()
    assert caught.value.code == 200
    del first, caught
    gc.collect()
    third = MemoryStorage("p")
    third.acquire()
    third.release()
    third.release()
    MemoryStorage("p").acquire()


def test_nothing_is_left_of_a_cleared_profile():
    """A process that opens many sessions keeps nothing of them."""
    storage = MemoryStorage("p")
    storage.acquire()
    storage.write({"a": 1})
    storage.write(None)
    storage.release()
    assert "p" not in _places
    assert storage.read() is None
