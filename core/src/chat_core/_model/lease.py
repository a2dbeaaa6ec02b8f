"""For how long this process may act as the owner of a session (RP-14). No I/O, no timer: a clock and a few times.

The storage grants a lease and forgets it by its own clock. The owner counts from the moment *before* it asked, and
stops a tenth early, so that it has stopped, and what it sent has arrived, before anybody else can own the session.
Whether the lease still holds is asked at the moment of each send: a timer of a process that was stopped fires too late.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Final

from chat_core._model.errors import ErrorCode, LeaseLostError, NotSentError

__all__ = ["Lease", "boot_time"]

#: The part of a lease that its owner leaves unused: for what is on its way, and for clocks that run unevenly.
MARGIN: Final = 0.1
#: The parts of a lease after which it is renewed, and after which a renewal that failed is tried again.
RENEW: Final = 0.25
AGAIN: Final = 0.05


def boot_time() -> float:
    """Return seconds since boot, suspends included where the system counts them.

    ``time.monotonic`` stands still on Linux and macOS while the machine sleeps, and a lease does not.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":  # pragma: no cover - its CLOCK_MONOTONIC goes on during sleep, time.monotonic does not
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()  # pragma: no cover - Windows counts suspends


class Lease:
    """One session's lease.

    Args:
        seconds: how long the storage grants it, from when it is asked.
        clock: returns seconds that go on during a suspend.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = boot_time) -> None:
        self.seconds = seconds
        self.clock = clock
        #: Called once when the lease is lost, by whoever finds out.
        self.on_lost: Callable[[LeaseLostError], None] | None = None
        #: Told what keeps the lease from being renewed, and None once it is renewed again.
        self.on_trouble: Callable[[Exception | None], None] | None = None
        #: Why it is lost, None while it holds or was given up.
        self.lost: LeaseLostError | None = None
        self._ends = -math.inf
        self._asked = -math.inf
        self._over = True

    @property
    def left(self) -> float:
        """Seconds for which this process may still send."""
        return -math.inf if self._over else self._ends - self.clock()

    def begin(self, asked: float) -> None:
        """Note that the storage granted it to a new owner, which asked at that time."""
        self.lost = None
        self._over = False
        self._ends = -math.inf
        self.granted(asked)

    def granted(self, asked: float) -> None:
        """Note that the storage granted or renewed it, having been asked at that time.

        A lease that ran out stays lost, however late the answer to a renewal comes.
        """
        if not self._over and asked + self.seconds * (1.0 - MARGIN) > self._ends:
            self._asked = asked
            self._ends = asked + self.seconds * (1.0 - MARGIN)

    def give_up(self) -> None:
        """Note that the owner stops of its own accord."""
        self._over = True

    def lose(self, error: LeaseLostError) -> None:
        """Note that it is lost, for good, and say so once."""
        if self._over:
            return
        self._over = True
        self.lost = error
        if self.on_lost is not None:
            self.on_lost(error)

    def check(self) -> None:
        """Look whether it holds now.

        Raises:
            LeaseLostError: it ran out, or somebody else has it.
        """
        if not self._over and self.clock() >= self._ends:
            self.lose(
                LeaseLostError(
                    f"the lease of {self.seconds:g} s could not be renewed in time; nothing is sent any more",
                    code=ErrorCode.NONE,
                    advice="restore the session: whoever gets its lease goes on where this owner stopped",
                )
            )
        if self.lost is not None:
            # A new one each time: an exception that is raised twice shows the tracebacks of both.
            raise LeaseLostError(self.lost.description, code=self.lost.code, advice=self.lost.advice)

    def check_send(self) -> None:
        """Look whether something may be sent now.

        Raises:
            NotSentError: the lease is lost; nothing may leave.
        """
        try:
            self.check()
        except LeaseLostError as error:
            raise NotSentError("the session's lease is lost, and somebody else may own it now") from error

    def next_renewal(self, *, failed: bool) -> float:
        """Return the seconds until it should be renewed; ``failed``: the last attempt did not succeed."""
        if failed:
            return self.seconds * AGAIN
        return max(0.0, self._asked + self.seconds * RENEW - self.clock())
