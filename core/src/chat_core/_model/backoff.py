"""How long to wait before the next attempt: capped exponential with full jitter (RP-8)."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Backoff"]

BASE = 0.5
FACTOR = 2.0
CAP = 30.0
#: Seconds of stability after which a failure counts as the first one again.
STABLE = 30.0


class Backoff:
    """Counts failures and tells the pause before the next attempt: ``U(0, min(cap, base * factor**n))`` seconds.

    Args:
        base: seconds that the first pause takes at most.
        factor: how much longer each pause may be than the one before.
        cap: seconds that any pause takes at most.
        stable: seconds of a working link after which a failure counts as the first one again.
        uniform: returns a random number between two others; for tests.
    """

    def __init__(
        self,
        *,
        base: float = BASE,
        factor: float = FACTOR,
        cap: float = CAP,
        stable: float = STABLE,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._base = base
        self._factor = factor
        self._cap = cap
        self._stable = stable
        self._uniform = uniform
        self._failures = 0
        self._worked_at: float | None = None

    def worked(self, now: float) -> None:
        """Note that an attempt succeeded at ``now`` (seconds of any monotonic clock)."""
        self._worked_at = now

    def failed(self, now: float, *, retry_after: float | None = None) -> float:
        """Note a failure and return the pause in seconds; never less than the server asked for."""
        if self._worked_at is not None and now - self._worked_at >= self._stable:
            self._failures = 0
        self._worked_at = None
        # Beyond the cap the exponent changes nothing, and a large one overflows.
        limit = min(self._cap, self._base * self._factor ** min(self._failures, 64))
        self._failures += 1
        return max(self._uniform(0.0, limit), retry_after or 0.0)
