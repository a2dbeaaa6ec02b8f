"""What a state storage is: a place that keeps one small mapping, as on the API page."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from attrs import field, frozen

if TYPE_CHECKING:
    from chat_core._contracts.logger import Log

__all__ = ["LeasedStorage", "OwnedStorage", "StateStorage", "StorageContext"]

State: TypeAlias = Mapping[str, Any]


@runtime_checkable
class StateStorage(Protocol):
    """Keeps the state of one profile: JSON values, opaque to the storage.

    Both methods may be plain or return awaitables. Plain ones are called on a thread of their own, in order, one at a
    time, with a deadline, so they may block. A storage may have two attributes: ``blocking = False`` says that it never
    does and is called without a thread, and ``deadline`` is the seconds for one call, where 10 do not suit it. One that
    holds something open may have ``release()``: called after the last read or write, and the storage may be used again
    after it.
    """

    def read(self) -> State | Awaitable[State | None] | None:
        """Return the state last written, None when there is none.

        Raises:
            StateCorruptError: there is something and it is damaged.
            StorageUnavailableError: the place is not there. Never reported as None.
        """
        ...

    def write(self, state: State | None) -> Awaitable[None] | None:
        """Replace the state as a whole; None clears it, also when there is none.

        Raises:
            StorageUnavailableError, StorageCapacityError: nothing was written, and what was there before still is.
            StorageError: any other one leaves open whether it was written, ``StorageTimeoutError`` above all. A message
                that the state shows as waiting does not leave then, until a later write tells the storage (RP-4).
        """
        ...


@runtime_checkable
class OwnedStorage(StateStorage, Protocol):
    """A storage that knows who owns the state (capability ``ownership``): two processes never drive one session.

    ``acquire`` comes before the first ``read`` or ``write``; ``release`` after the last ``write``.
    """

    def acquire(self) -> Awaitable[None] | None:
        """Become the owner.

        Raises:
            SessionInUseError: code 200 when the owner is this process, 201 when it is another one.
        """
        ...

    def release(self) -> Awaitable[None] | None:
        """Stop being the owner. Idempotent."""
        ...


@runtime_checkable
class LeasedStorage(OwnedStorage, Protocol):
    """A storage that grants ownership for a time (capability ``lease``), so that a dead owner's session becomes free.

    ``acquire`` grants the lease for ``lease`` seconds, and the session renews it each quarter of these. It counts them
    from before it asked, by a clock that goes on while the machine sleeps, and stops sending a tenth early. So nobody
    else may become the owner before ``lease`` seconds have passed since the last ``acquire`` or ``renew`` was called;
    and an owner is told by its number, or something else that no later one shares, so that a stale one is refused.

    ``write`` and ``renew`` of an owner that lost the lease raise ``LeaseLostError`` and change nothing. A renewal must
    not wait for a slow write: ``renew`` may be called while a ``read`` or ``write`` is under way.

    Attributes:
        lease: seconds for which the ownership is granted, above 0.
    """

    lease: float

    def renew(self) -> Awaitable[None] | None:
        """Own the state for another ``lease`` seconds.

        Raises:
            LeaseLostError: somebody else owns it, or has owned it.
            StorageError: the place cannot be reached now. The session tries again as long as the lease lasts.
        """
        ...

    def orphans(self, limit: int) -> Sequence[str] | Awaitable[Sequence[str]]:
        """Return up to so many profiles of this place, not only its own, whose state is there and whose owner is not.

        They were given up, or the lease of their owner ran out. Needs no ``acquire``.
        """
        ...


@frozen(kw_only=True)
class StorageContext:
    """What a storage's factory is given.

    Attributes:
        profile: the name under which the state is kept: any text of 1 to 200 characters. No two profiles share a state.
        options: an instance of the provider's ``options`` class.
        max_offline_duration: seconds that a state stays restorable after its owner went away (``math.inf`` allowed);
            binds the built-in storages only.
        log: where to log.
    """

    profile: str
    options: Any = field(default=None, repr=False)
    max_offline_duration: float = 5.0
    log: Log
