"""Keeps states in this process's memory. Nothing is written anywhere."""

from __future__ import annotations

import math
import os
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define

from chat_core._contracts.storage import StorageContext
from chat_core._model.errors import ErrorCode, SessionInUseError

__all__ = ["MemoryStorage", "make_memory_storage"]


@define
class _Place:
    """What is kept of one profile."""

    state: Mapping[str, Any] | None = None
    owner: weakref.ref[MemoryStorage] | None = None
    process: int = 0
    left_at: float = 0.0
    lasts: float = 0.0


_places: dict[str, _Place] = {}


class MemoryStorage:
    """One profile's state in memory.

    Args:
        profile: its name.
        max_offline_duration: seconds that the state stays restorable after its owner went away.
        clock: returns monotonic seconds.
    """

    #: Never blocks, so it is called without a thread.
    blocking = False

    def __init__(
        self,
        profile: str,
        *,
        max_offline_duration: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        places: dict[str, _Place] | None = None,
    ) -> None:
        self._profile = profile
        self._lasts = max_offline_duration
        self._clock = clock
        self._places = _places if places is None else places

    def acquire(self) -> None:
        """Become the owner.

        Raises:
            SessionInUseError: another session of this process has the profile.
        """
        place = self._places.setdefault(self._profile, _Place())
        owner = place.owner() if place.owner is not None else None
        # A forked child has a copy of its own; the parent's ownership does not reach into it.
        if owner is not None and owner is not self and place.process == os.getpid():
            raise SessionInUseError(
                f"the profile {self._profile!r} is held by a session of this process",
                code=ErrorCode.IN_USE_HERE,
                advice="give each session a name of its own with profile=",
            )
        self._expire(place)
        place.owner = weakref.ref(self)
        place.process = os.getpid()

    def release(self) -> None:
        """Stop being the owner; the state's time begins to run."""
        place = self._places.get(self._profile)
        if place is not None and place.owner is not None and place.owner() is self:
            place.owner = None
            place.left_at = self._clock()
            if place.state is None:
                del self._places[self._profile]

    def read(self) -> Mapping[str, Any] | None:
        """Return the state, None when there is none or its time is over."""
        place = self._places.get(self._profile)
        return place.state if place is not None else None

    def write(self, state: Mapping[str, Any] | None) -> None:
        """Keep a state, or clear it."""
        place = self._places.setdefault(self._profile, _Place())
        place.state = state
        place.left_at = self._clock()
        place.lasts = self._lasts

    def _expire(self, place: _Place) -> None:
        if place.state is not None and place.lasts != math.inf and self._clock() - place.left_at > place.lasts:
            place.state = None


def make_memory_storage(context: StorageContext) -> MemoryStorage:
    """Make the storage ``memory``; the provider's factory."""
    return MemoryStorage(context.profile, max_offline_duration=context.max_offline_duration)
