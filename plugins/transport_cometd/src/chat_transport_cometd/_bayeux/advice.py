"""What the server advises about reconnecting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen

__all__ = ["Advice", "Reconnect"]

#: The longest pause or held connect that is believed, in seconds.
_LONGEST: Final = 3600.0


class Reconnect:
    """Values of ``reconnect``."""

    RETRY: Final = "retry"
    HANDSHAKE: Final = "handshake"
    NONE: Final = "none"


@frozen(kw_only=True)
class Advice:
    """The advice in force.

    Attributes:
        reconnect: ``retry``: connect again; ``handshake``: begin a new Bayeux session; ``none``: do neither.
        interval: seconds to wait before the next connect (milliseconds on the wire).
        timeout: seconds for which the server holds a connect.
        max_interval: seconds after which a silent session is dropped, None when the server did not say.
        multiple_clients: the server sees several sessions on one cookie and will not hold connects.
    """

    reconnect: str = Reconnect.RETRY
    interval: float = 0.0
    timeout: float = 30.0
    max_interval: float | None = None
    multiple_clients: bool = False

    def merged(self, advice: object, transport: str) -> Advice:
        """Return this advice with what a message brought; fields may be nested under the transport's name.

        What cannot be understood is left as it was: advice is the server's help, not a condition.
        """
        if not isinstance(advice, Mapping):
            return self
        nested = advice.get(transport)
        fields: dict[str, Any] = {**advice, **nested} if isinstance(nested, Mapping) else dict(advice)
        changes: dict[str, Any] = {}
        reconnect = fields.get("reconnect")
        if isinstance(reconnect, str) and reconnect in {Reconnect.RETRY, Reconnect.HANDSHAKE, Reconnect.NONE}:
            changes["reconnect"] = reconnect
        for key, name in (("interval", "interval"), ("timeout", "timeout"), ("maxInterval", "max_interval")):
            seconds = _seconds(fields.get(key))
            if seconds is not None:
                changes[name] = seconds
        if isinstance(fields.get("multiple-clients"), bool):
            changes["multiple_clients"] = fields["multiple-clients"]
        return evolve(self, **changes)


def _seconds(milliseconds: object) -> float | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return None
    if isinstance(milliseconds, float) and not math.isfinite(milliseconds):
        return None
    if milliseconds < 0:
        return None
    return min(milliseconds, _LONGEST * 1000) / 1000
