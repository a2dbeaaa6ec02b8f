"""Renews a session's lease for as long as the session lasts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from chat_core._model.errors import LeaseLostError
from chat_core._model.lease import Lease

__all__ = ["Keeper"]


class Keeper:
    """Keeps one lease.

    The lease itself tells at each send whether it holds. This makes sure that it does, and that its end is noticed
    where nothing is sent.

    Args:
        lease: has begun.
        renew: asks the storage.
    """

    def __init__(self, lease: Lease, renew: Callable[[], Awaitable[None]]) -> None:
        self._lease = lease
        self._renew = renew
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, once the storage has granted the lease."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep(), name="chat-core: keep the lease")

    def cancel(self) -> None:
        """Stop without waiting."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Stop; a renewal that is under way is given up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep(self) -> None:
        lease, failed = self._lease, False
        while lease.left > 0:
            await asyncio.sleep(max(0.0, min(lease.next_renewal(failed=failed), lease.left)))
            if lease.left <= 0:
                break
            try:
                failed = not await self._renewed()
            except LeaseLostError as error:
                lease.lose(error)
                return
        with contextlib.suppress(LeaseLostError):
            lease.check()

    async def _renewed(self) -> bool:
        """Ask once, for as long as an answer could be of use; False when there was none that is."""
        lease = self._lease
        asked = lease.clock()
        limit = asyncio.timeout(lease.left)
        trouble: Exception | None = None
        try:
            async with limit:
                await self._renew()
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever keeps a renewal from succeeding, the next one may
            trouble = error
        else:
            lease.granted(asked)
        if lease.on_trouble is not None and not limit.expired():
            lease.on_trouble(trouble)
        return trouble is None
