"""Waiting for the next change."""

from __future__ import annotations

import asyncio

from chat_core._session.changes import Changes
from support.clock import run_virtually


def test_a_change_wakes_whoever_waits():
    """Each of them, and once: the next one wants another change."""

    async def main() -> None:
        changes = Changes()
        waiting = [asyncio.create_task(changes.next()) for _ in range(3)]
        await asyncio.sleep(0)
        changes.tell()
        await asyncio.gather(*waiting)
        again = asyncio.create_task(changes.next())
        await asyncio.sleep(0)
        assert not again.done()
        changes.tell()
        await again

    run_virtually(main())


def test_a_change_of_before_wakes_nobody():
    """Who waits looks first, and waits for what comes then."""

    async def main() -> None:
        changes = Changes()
        changes.tell()
        waiting = asyncio.create_task(changes.next())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        changes.tell()
        await waiting

    run_virtually(main())


def test_who_gives_up_is_forgotten():
    """Before a change, and at the same time as it; the others are woken, and nothing of either is kept."""

    async def main() -> None:
        changes = Changes()
        early, late, other = (asyncio.create_task(changes.next()) for _ in range(3))
        await asyncio.sleep(0)
        early.cancel()
        await asyncio.wait({early})
        assert len(changes._waiters) == 2
        changes.tell()
        late.cancel()
        await asyncio.wait({late, other})
        assert early.cancelled()
        assert late.cancelled()
        assert not other.cancelled()
        assert not changes._waiters

    run_virtually(main())
