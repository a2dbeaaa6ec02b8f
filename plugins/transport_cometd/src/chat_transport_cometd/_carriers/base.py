"""What the link asks of a carrier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from attrs import frozen

from chat_core import AmbiguousError, NotSentError
from chat_transport_cometd._bayeux.messages import Message

__all__ = ["Carrier", "CarrierUnavailableError", "ServerBusyError", "Wire"]


class CarrierUnavailableError(NotSentError):
    """This carrier cannot be had from this server; another one may.

    Attributes:
        status: the HTTP status of a refusal, None when there was none.
    """

    def __init__(self, description: str, *, status: int | None = None, **details: Any) -> None:
        super().__init__(description, **details)
        self.status = status


class ServerBusyError(AmbiguousError):
    """The server answered with a failure of its own; whether it took the request is unknown.

    Attributes:
        retry_after: seconds the server asked to wait, or None.
    """

    def __init__(self, description: str, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(description, **details)
        self.retry_after = retry_after


@frozen
class Wire:
    """What a carrier tells the link.

    Attributes:
        messages: called with what arrived; what ``decode`` raises while they are read passes through.
        lost: called once with the reason when the carrier broke by itself.
    """

    messages: Callable[[Iterable[Message]], None]
    lost: Callable[[str], None]


class Carrier(Protocol):
    """Brings messages to the server; what comes back goes to the ``Wire``."""

    #: The Bayeux name: ``websocket`` or ``long-polling``.
    name: str

    async def open(self) -> None:
        """Be ready to send.

        Raises:
            CarrierUnavailableError: not with this server, or not now.
        """
        ...

    async def send(self, messages: list[Message], *, timeout: float, seldom: bool = False) -> None:
        """Send messages together. The carrier may return before the replies are there, or after.

        Args:
            messages: go in one frame or request.
            timeout: seconds for the answer, where the carrier waits for it.
            seldom: nothing of the kind is expected to follow soon, for which a connection would be kept.

        Raises:
            NotSentError: they never left.
            AmbiguousError: they may have arrived.
            ProtocolError: what answered does not speak Bayeux.
        """
        ...

    def begin(self, messages: list[Message], *, timeout: float) -> asyncio.Task[None]:
        """Send messages in a task that is the carrier's own: nobody but the carrier cancels it."""
        ...

    def drop_poll(self) -> bool:
        """Drop the request that the server holds, and its connection, where pushes come with the answer to one.

        Returns False, and drops nothing, where there is none, or its answer has begun to come.
        """
        ...

    async def aclose(self) -> None:
        """Close, bounded; never raises."""
        ...
