"""What time it is, and how a moment is shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from attrs import frozen

__all__ = ["Clock"]


def _now() -> datetime:
    return datetime.now(UTC)


@frozen(kw_only=True)
class Clock:
    """A clock to read.

    Attributes:
        zone: the time zone of what is shown, None for the machine's.
        now: the present moment, aware.
        monotonic: seconds, for durations.
    """

    zone: tzinfo | None = None
    now: Callable[[], datetime] = _now
    monotonic: Callable[[], float] = time.monotonic

    def minutes(self, moment: datetime | None) -> str:
        """Show a moment as ``14:02``, nothing where there is none."""
        return "" if moment is None else moment.astimezone(self.zone).strftime("%H:%M")

    def seconds(self, moment: datetime | None) -> str:
        """Show a moment as ``14:02:31``, nothing where there is none."""
        return "" if moment is None else moment.astimezone(self.zone).strftime("%H:%M:%S")
