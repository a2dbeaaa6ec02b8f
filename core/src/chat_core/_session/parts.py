"""What a session is put together from, and what that combination can promise."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from chat_core._contracts.logger import Log
from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import Transport
from chat_core._model.lease import Lease
from chat_core._session.continuity import Timing
from chat_core._session.limits import OutboxLimits
from chat_core._session.state import SavedMessage

__all__ = ["ConnectionState", "Guarantees", "OnExit", "SessionParts"]

OnExit: TypeAlias = Literal["leave", "detach"]


class ConnectionState(enum.StrEnum):
    """How a session is connected."""

    CONNECTED = "connected"
    INTERRUPTED = "interrupted"  #: the link is down and being brought back
    ENDED = "ended"
    DETACHED = "detached"  #: this process gave the session up without leaving the chat


@frozen(kw_only=True)
class Guarantees:
    """What this combination of transport and storage can promise.

    Attributes:
        gaps_are_closed: missed events are fetched from the server's transcript (RP-1); otherwise each reconnect is a
            ``ContinuityLost``.
        sends_are_settled: an ambiguous send is looked for in the transcript (RP-4); otherwise it ends ``unknown``.
        survives_the_process: another process can restore the session.
        outbox_is_saved: unsent messages survive the process as well (RP-5).
        single_owner: two processes cannot drive the session at once (RP-14).
    """

    gaps_are_closed: bool
    sends_are_settled: bool
    survives_the_process: bool
    outbox_is_saved: bool
    single_owner: bool


async def _nothing() -> None:
    """Release what was never held."""


@frozen(kw_only=True)
class SessionParts:
    """What a launcher puts a session together from.

    Attributes:
        transport: open.
        transport_name: what the saved state calls it.
        capabilities: what the transport can do.
        server_url: where the chat is held.
        websockets_disabled: as resolved.
        options: the resolved options, for ``Session.options``.
        user_data: what the start sent.
        write: puts a state into the storage, None to clear it.
        release: gives the ownership of the state up.
        abandon: does so without an event loop, as far as that goes.
        lease: for how long the ownership lasts, None where it does not end by itself.
        storage_capabilities: what the storage can do.
        log: where to log.
        on_exit: what leaving ``async with`` does; None for the rule of ``Session.aclose``.
        restored: the chat was taken up, not started.
        delivered: what an earlier owner's readers have finished.
        outbox: messages that an earlier owner left.
    """

    transport: Transport
    transport_name: str
    capabilities: frozenset[str]
    server_url: str | None = None
    websockets_disabled: bool = False
    options: Any = field(default=None, repr=False)
    user_data: Mapping[str, Any] = field(factory=dict, repr=False)
    write: Callable[[Mapping[str, Any] | None], Awaitable[None]]
    release: Callable[[], Awaitable[None]] = _nothing
    abandon: Callable[[], None] = lambda: None
    lease: Lease | None = None
    storage_capabilities: frozenset[str] = frozenset()
    log: Log
    on_exit: OnExit | None = None
    restored: bool = False
    delivered: int = 0
    outbox: tuple[SavedMessage, ...] = field(default=(), repr=False)
    timing: Timing = field(factory=Timing)
    outbox_limits: OutboxLimits = field(factory=OutboxLimits)

    @property
    def guarantees(self) -> Guarantees:
        """What this combination can promise."""
        positions = Capability.POSITION in self.capabilities
        return Guarantees(
            gaps_are_closed=positions,
            sends_are_settled=positions,
            survives_the_process=Capability.PERSISTENT in self.storage_capabilities,
            outbox_is_saved=Capability.OUTBOX in self.storage_capabilities,
            single_owner=Capability.OWNERSHIP in self.storage_capabilities,
        )
