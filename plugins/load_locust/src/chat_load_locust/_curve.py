"""How many visitors there are at which moment, as a pure function of time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import field, frozen

from chat_core import OptionError

__all__ = ["Curve"]


@frozen(kw_only=True)
class Curve:
    """A day of a contact centre, compressed: a quiet start, a rise, a plateau, shift changes, a fall.

    At a shift change the agents of one shift log off before those of the next one have taken over. Whoever was talking
    to them comes back at once, and whoever comes anew waits: within seconds far more visitors are there at a time, and
    they become fewer as the new shift works them off.

    Attributes:
        quiet: visitors at the beginning and at the end.
        busy: visitors on the plateau.
        ramp: seconds from quiet to busy at the beginning, and back at the end; half a cosine.
        shift_changes: seconds from the beginning at which shifts change.
        spike: visitors at the top of a shift change, in place of the plateau's.
        spike_rise: seconds from the change to the top, on a straight line.
        spike_fall: seconds after the top within which the surplus has fallen to a tenth, exponentially.
        duration: seconds, all in all.
    """

    quiet: int = field()
    busy: int = field()
    ramp: float = field()
    shift_changes: Sequence[float] = field()
    spike: int = field()
    spike_rise: float = field()
    spike_fall: float = field()
    duration: float = field()

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.quiet <= self.busy <= self.spike:
            raise OptionError(
                f"quiet={self.quiet!r}, busy={self.busy!r} and spike={self.spike!r} must be 0 or more, in this order"
            )
        for name in ("ramp", "spike_rise", "spike_fall"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{name} must be 0 seconds or more, not {getattr(self, name)!r}")
        if not self.duration >= 2 * self.ramp or not self.duration > 0:
            raise OptionError(f"duration={self.duration!r} s must have room for two ramps of {self.ramp!r} s")
        for change in self.shift_changes:
            if not 0 <= change < self.duration:
                raise OptionError(f"the shift change at {change!r} s is not within the duration of {self.duration!r} s")

    def users_at(self, seconds: float) -> int | None:
        """Return how many visitors there are; None from the end on."""
        if seconds >= self.duration:
            return None
        base = self.quiet + (self.busy - self.quiet) * self._rise(min(seconds, self.duration - seconds))
        surplus = max((self._surplus(seconds - change) for change in self.shift_changes), default=0.0)
        return round(base + (self.spike - base) * surplus)

    def _rise(self, seconds: float) -> float:
        """The way from quiet to busy, from 0 to 1."""
        if seconds >= self.ramp:
            return 1.0
        return (1 - math.cos(math.pi * max(seconds, 0.0) / self.ramp)) / 2

    def _surplus(self, since: float) -> float:
        """What a shift change adds so many seconds after it, from 0 to 1."""
        if since < 0:
            return 0.0
        if since < self.spike_rise:
            return since / self.spike_rise
        if self.spike_fall == 0:
            return 1.0 if since == self.spike_rise else 0.0
        return float(0.1 ** ((since - self.spike_rise) / self.spike_fall))
