"""What has arrived and waits for the session."""

from __future__ import annotations

import asyncio

from chat_core import Batch, Ended, EndReason, LinkDown, LinkUp, MessageReceived
from chat_transport_cometd._inbox import MOST, Inbox


def batch(index: int, *, position: int | None = 0, **fields: object) -> Batch:
    """Make a batch of one message; its position is the next one unless another is given."""
    return Batch(
        events=(MessageReceived(index=index, text=str(index)),),
        next_position=index + 1 if position == 0 else position,
        **fields,
    )


def read(*items: object) -> list[object]:
    async def run() -> list[object]:
        inbox = Inbox()
        for item in items:
            inbox.put(item)
        inbox.close()
        return [item async for item in inbox.items()]

    return asyncio.run(run())


def test_a_burst_is_one_batch():
    """Its events are in order, and the newest position and data count."""
    (whole,) = read(batch(1, user_data={"a": 1, "b": 1}), batch(2), batch(3, user_data={"b": 2}))
    assert [event.index for event in whole.events] == [1, 2, 3]
    assert whole.next_position == 4
    assert whole.user_data == {"a": 1, "b": 2}


def test_a_lone_batch_is_handed_over_as_it_came():
    """Nothing is copied."""
    one = batch(1)
    assert read(one)[0] is one


def test_what_stands_between_two_batches_keeps_them_apart():
    """An interruption has its place in the order."""
    kinds = [type(item) for item in read(batch(1), LinkDown(), LinkUp(), batch(2), batch(3))]
    assert kinds == [Batch, LinkDown, LinkUp, Batch]


def test_a_position_that_falls_or_is_not_told_stays_alone():
    """It may mean that the server counts anew, which a newer position would hide."""
    assert len(read(batch(5), batch(1), batch(2))) == 2
    assert len(read(batch(5), batch(6, position=None), batch(7))) == 3


def test_a_batch_grows_no_larger_than_the_session_takes_at_once():
    """What counts is its events, not how many batches it came in: the session's log would lose the oldest unread."""
    many = [
        Batch(
            events=tuple(MessageReceived(index=10 * n + k + 1, text="x") for k in range(10)), next_position=10 * n + 11
        )
        for n in range(200)
    ]
    got = read(*many)
    assert max(len(item.events) for item in got) <= MOST
    assert [event.index for item in got for event in item.events] == list(range(1, 2001))


def test_nothing_follows_the_end():
    """Neither what came after it, nor what comes after closing."""

    async def run() -> list[object]:
        inbox = Inbox()
        inbox.put(Ended(reason=EndReason.CLOSED))
        inbox.put(batch(1))
        inbox.close()
        inbox.put(batch(2))
        return [item async for item in inbox.items()]

    (only,) = asyncio.run(run())
    assert isinstance(only, Ended)


def test_who_waits_is_woken():
    """By an item, and by closing."""

    async def run() -> list[object]:
        inbox = Inbox()
        taken: list[object] = []

        async def take() -> None:
            taken.extend([item async for item in inbox.items()])

        task = asyncio.create_task(take())
        await asyncio.sleep(0)
        inbox.put(batch(1))
        await asyncio.sleep(0)
        inbox.close()
        async with asyncio.timeout(5):
            await task
        return taken

    assert len(asyncio.run(run())) == 1
