"""Which carrier to try, and when to try a better one again (RP-8): from WebSocket to long polling, and back."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

__all__ = ["CarrierChoice"]

#: Seconds until a carrier that failed where another one works is tried again: at first, at most, and how they grow.
FIRST: Final = 60.0
LONGEST: Final = 3600.0
GROWTH: Final = 2.0


class CarrierChoice:
    """Remembers what worked.

    Args:
        names: the carriers, best first.
        uniform: returns a random number between two others. Clients that lost a carrier together do not try it again
            together.
    """

    def __init__(self, names: Sequence[str], *, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._names = tuple(names)
        self._uniform = uniform
        self._worked: set[str] = set()
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def candidates(self, now: float) -> list[str]:
        """Return what to try for a new connection, in order.

        What worked before is tried each time; what never did, where another one works, only when its time has come.
        """
        return [
            name
            for name in self._names
            if not self._worked or name in self._worked or now >= self._not_before.get(name, 0.0)
        ]

    def worked(self, name: str) -> None:
        """Note that a Bayeux session was opened over it."""
        self._worked.add(name)
        self._failures.pop(name, None)
        self._not_before.pop(name, None)

    def has_worked(self, name: str) -> bool:
        """Say whether a session was ever opened over it."""
        return name in self._worked

    def failed(self, name: str, now: float) -> None:
        """Note that none could be opened over it."""
        failures = self._failures.get(name, 0)
        self._failures[name] = failures + 1
        pause = min(LONGEST, FIRST * GROWTH ** min(failures, 10))
        self._not_before[name] = now + self._uniform(pause / 2, pause)

    def better(self, current: str) -> tuple[str, float] | None:
        """Return the best carrier above the one in use, and when to try it; None when there is none."""
        better = self._names[: self._names.index(current)]
        return min(((name, self._not_before.get(name, 0.0)) for name in better), key=lambda one: one[1], default=None)
