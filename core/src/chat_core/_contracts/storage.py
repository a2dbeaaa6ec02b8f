"""What a state storage is: a place that keeps one small mapping, as on the API page."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from attrs import field, frozen

if TYPE_CHECKING:
    from chat_core._contracts.logger import Log

__all__ = ["OwnedStorage", "StateStorage", "StorageContext"]

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
        """Replace the state as a whole; None clears it, also when there is none."""
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
