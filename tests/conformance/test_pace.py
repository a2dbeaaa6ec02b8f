"""Whether anything stood still while a check ran."""

from __future__ import annotations

import asyncio
import time

from chat_core.testing._pace import Pace


def test_what_moves_all_the_time_is_no_hold_up():
    """Waiting is none either."""

    async def main() -> None:
        pace = Pace()
        async with pace.watched():
            await asyncio.sleep(1.5)
            with pace.called():
                await asyncio.sleep(0)
        assert pace.longest < 1.0

    asyncio.run(main())


def test_a_loop_that_stands_still_is_noticed_also_at_the_very_end():
    async def main() -> None:
        pace = Pace()
        async with pace.watched():
            time.sleep(0.3)  # noqa: ASYNC251 - that is what is to be noticed
        assert pace.longest > 0.2

    asyncio.run(main())


def test_a_call_that_takes_long_is_noticed_though_the_loop_goes_on():
    async def main() -> None:
        pace = Pace()
        async with pace.watched():
            with pace.called():
                await asyncio.to_thread(time.sleep, 0.3)
        assert pace.longest >= 0.3
        async with pace.watched():
            pass
        assert pace.longest < 0.3, "it begins anew each time"

    asyncio.run(main())
