"""The curve as Locust's load shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from locust import LoadTestShape

from chat_load_locust._curve import Curve

__all__ = ["ShiftChange"]


class ShiftChange(LoadTestShape):
    """Arrivals over a day, compressed, with the spike of a shift change.

    Derive a class from it in the locustfile::

        class Day(ShiftChange):
            busy = 200
            spike = 500

    At a shift change the agents of one shift log off before those of the next one have taken over: whoever was talking
    to them comes back at once, and whoever comes anew waits.

    Attributes:
        quiet: visitors at the beginning and at the end.
        busy: visitors on the plateau.
        ramp: seconds from quiet to busy at the beginning, and back at the end; half a cosine.
        shift_changes: seconds from the beginning at which shifts change.
        spike: visitors at the top of a shift change.
        spike_rise: seconds from the change to the top, on a straight line.
        spike_fall: seconds after the top within which the surplus has fallen to a tenth, exponentially.
        duration: seconds, all in all; then the test ends.
        rate: visitors who come or go per second at most. Above 100 Locust warns.

    Raises:
        OptionError: the figures contradict each other.
    """

    abstract: ClassVar[bool] = True

    quiet: int = 5
    busy: int = 50
    ramp: float = 60.0
    shift_changes: Sequence[float] = (300.0,)
    spike: int = 150
    spike_rise: float = 10.0
    spike_fall: float = 60.0
    duration: float = 600.0
    rate: float = 100.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Locust leaves it untyped
        self._curve = Curve(
            quiet=self.quiet,
            busy=self.busy,
            ramp=self.ramp,
            shift_changes=self.shift_changes,
            spike=self.spike,
            spike_rise=self.spike_rise,
            spike_fall=self.spike_fall,
            duration=self.duration,
        )

    def users_at(self, seconds: float) -> int | None:
        """Return how many visitors there are so many seconds after the beginning; None from the end on.

        A function of the time alone: what Locust is told, and what a plot shows.
        """
        return self._curve.users_at(seconds)

    def tick(self) -> tuple[int, float] | None:
        """Tell Locust, which asks once a second."""
        users = self.users_at(self.get_run_time())  # type: ignore[no-untyped-call] # as above
        return None if users is None else (users, self.rate)
