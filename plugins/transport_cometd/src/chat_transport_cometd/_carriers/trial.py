"""A carrier beside the one in use, with a Bayeux session that nobody needs, to see whether it works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from chat_transport_cometd._bayeux.engine import Engine, Failed, Happening
from chat_transport_cometd._bayeux.messages import Message
from chat_transport_cometd._carriers.base import Carrier, Wire

__all__ = ["Trial", "works"]


class Trial:
    """Entered with ``async with``, which opens the carrier and closes it.

    Args:
        make: makes the carrier.
        timeout: seconds for each answer.
    """

    def __init__(self, make: Callable[[Wire], Carrier], *, timeout: float) -> None:
        self._arrived: asyncio.Queue[list[Message] | str] = asyncio.Queue()
        self._timeout = timeout
        put = self._arrived.put_nowait
        self.carrier = make(Wire(messages=lambda messages: put(list(messages)), lost=put))
        self.engine = Engine()

    async def __aenter__(self) -> Self:
        try:
            await self.carrier.open()
        except BaseException:
            await self.carrier.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.carrier.aclose()

    async def handshake(self) -> Happening:
        """Open a Bayeux session."""
        return await self.ask(self.engine.handshake([self.carrier.name], now=time.time() * 1000))

    async def latency(self) -> None:
        """Go to the server and back."""
        await self.ask(self.engine.connect(at_once=True))

    async def farewell(self) -> None:
        """Leave no Bayeux session behind."""
        await self.ask(self.engine.disconnect())

    async def ask(self, message: Message) -> Happening:
        """Send a message and return what came of it.

        Raises:
            TimeoutError: no answer came.
            TransportError: the carrier failed.
        """
        async with asyncio.timeout(self._timeout):
            await self.carrier.send([message], timeout=self._timeout)
            while True:
                item = await self._arrived.get()
                if isinstance(item, str):
                    raise TimeoutError(item)
                for arrived in item:
                    happening = self.engine.take(arrived)
                    if happening is not None and getattr(happening, "request", None) == message["id"]:
                        return happening


async def works(make: Callable[[Wire], Carrier], *, timeout: float) -> bool:
    """Say whether a Bayeux session can be had over a carrier.

    Raises:
        TimeoutError: no answer came.
        ChatError: the carrier failed.
    """
    async with Trial(make, timeout=timeout) as trial:
        if isinstance(await trial.handshake(), Failed):
            return False
        await trial.latency()
        await trial.farewell()
        return True
