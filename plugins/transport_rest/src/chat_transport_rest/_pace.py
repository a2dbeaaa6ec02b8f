"""How long to wait between two polls: quick while the conversation is lively, slower and slower when it is idle."""

from __future__ import annotations

from typing import Final

__all__ = ["Pace"]

#: Seconds after the last event during which the conversation counts as lively.
LIVELY: Final = 20.0
#: How much longer each pause is than the one before, once it does not.
GROWTH: Final = 1.3


class Pace:
    """Tells the pause before the next poll.

    Args:
        quick: seconds between two polls of a lively conversation.
        slow: seconds between two polls, at most.
        now: the time, in seconds of any monotonic clock.
    """

    def __init__(self, *, quick: float, slow: float, now: float) -> None:
        self._quick = quick
        self._slow = max(quick, slow)
        self._pause = quick
        self._lively_at = now

    def happened(self, now: float) -> None:
        """Note that somebody said or did something."""
        self._lively_at = now
        self._pause = self._quick

    def pause(self, now: float) -> float:
        """Return the seconds to wait before the next poll."""
        if now - self._lively_at > LIVELY:
            self._pause = min(self._pause * GROWTH, self._slow)
        return self._pause
