"""How fast a worker connects: one connection after another at a steady pace, whatever they are for."""

from __future__ import annotations

import math

__all__ = ["Budget"]


class Budget:
    """Gives each connection its time. No I/O: whoever asks brings the time and does the waiting.

    Args:
        rate: connections per second, above 0.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next = -math.inf

    def take(self, now: float) -> float:
        """Return the seconds that the next connection has to wait. It is taken: the one after that waits longer."""
        at = max(self._next, now)
        self._next = at + 1.0 / self._rate
        return at - now

    def room(self, now: float, within: float) -> int:
        """Return how many more connections may begin within so many seconds."""
        return max(0, math.ceil((now + within - max(self._next, now)) * self._rate))
