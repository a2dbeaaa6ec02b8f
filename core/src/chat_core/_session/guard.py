"""A transport as the session sees it: nothing is sent without a lease, and a cancellation that nobody asked for is an
error like any other.

A transport that loses a task or future of its own lets ``CancelledError`` out. Taken for a cancellation it would end
whatever waits, without a word: a message would stay in flight for ever.
"""  # noqa: D205

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

from chat_core._contracts.transport import Batch, Command, Incoming, Reply, Transport
from chat_core._model.errors import AmbiguousError

__all__ = ["Guarded", "is_being_cancelled"]

T = TypeVar("T")


def is_being_cancelled() -> bool:
    """Say whether somebody asked the running task to stop."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Guarded:
    """Passes everything on to a transport.

    Args:
        transport: does the work.
        check_send: raises ``NotSentError`` when nothing may be sent, None where everything always may.
    """

    def __init__(self, transport: Transport, check_send: Callable[[], None] | None = None) -> None:
        self._transport = transport
        self._check_send = check_send or (lambda: None)

    async def send(self, command: Command) -> Reply:
        """Bring a command to the server."""
        self._check_send()
        return await _guarded(self._transport.send(command))

    async def fetch(self, position: int) -> Batch:
        """Ask for the transcript from an index on."""
        self._check_send()
        return await _guarded(self._transport.fetch(position))

    async def incoming(self) -> AsyncIterator[Incoming]:
        """Yield what arrives."""
        items = aiter(self._transport.incoming())
        while True:
            try:
                item = await _guarded(anext(items))
            except StopAsyncIteration:
                return
            yield item

    def saved(self) -> Mapping[str, Any]:
        """Return what a restore needs."""
        return self._transport.saved()

    async def aclose(self) -> None:
        """Drop the link."""
        await _guarded(self._transport.aclose())


async def _guarded(awaitable: Awaitable[T]) -> T:
    try:
        return await awaitable
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        raise AmbiguousError("the transport gave up in the middle") from error
