"""How much waits to be sent, and for how long."""

from __future__ import annotations

from attrs import frozen

__all__ = ["OutboxLimits"]


@frozen(kw_only=True)
class OutboxLimits:
    """The figures of the outbox.

    Attributes:
        count: messages waiting at most.
        size: their texts together, bytes of UTF-8 at most.
        age: seconds that a message may wait to leave.
        settle: seconds that the server is given to commit before the transcript is read (RP-4).
        pause: seconds before a message that could not leave is tried again on a link that is up.
    """

    count: int = 1000
    size: int = 1024 * 1024
    age: float = 600.0
    settle: float = 2.0
    pause: float = 1.0
