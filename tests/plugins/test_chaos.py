"""RP-1 to RP-4: chats over REST through a proxy that does what networks do, judged by the sandbox's transcript."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat_core import ContinuityLost, LossReason, MessageReceived, Receipt, ReceiptState
from support.chaos import LAST, OWN, THEIRS, Entry, Told, judge, on_the_sandbox


def test_rp01_rp02_rp03_rp04_chats_in_chaos_over_rest():
    """Fifteen chats, ten messages each way, five random faults each: lost, doubled, misordered, wrong outcomes: 0."""
    counts = asyncio.run(on_the_sandbox(("rest",), chats=15, each=10, seed=1))
    print(counts)  # noqa: T201 - the counts are the result
    assert counts["trouble"] == []
    assert counts["messages out"] == counts["messages in"] == 165
    assert counts["faults"] >= 30
    assert min(counts["faults by kind"].values()) >= 1
    assert counts["sent again"] >= 1


def entries(*texts: str) -> list[Entry]:
    return [Entry(index=index, text=text, is_message=True) for index, text in enumerate(texts, 1)]


def receipt(text: str, state: ReceiptState, index: int | None = None) -> Receipt:
    made = Receipt(1, text)
    if index is not None:
        made.show(index)
    made.move(state)
    return made


def seen(standing: list[Entry]) -> list[Any]:
    return [MessageReceived(index=entry.index, text=entry.text or "") for entry in standing]


ONE, TWO, END = f"{OWN}1", f"{OWN}2", f"{THEIRS}{LAST}"
ACCEPTED, REJECTED, UNKNOWN = ReceiptState.ACCEPTED, ReceiptState.REJECTED, ReceiptState.UNKNOWN


@pytest.mark.parametrize(
    ("standing", "told", "found"),
    [
        ((ONE, TWO, END), [(ONE, ACCEPTED, 1), (TWO, ACCEPTED, None)], None),
        ((ONE, END), [(ONE, UNKNOWN, None)], None),
        ((END,), [(ONE, UNKNOWN, None)], None),
        ((END,), [(ONE, REJECTED, None)], None),
        ((END,), [(ONE, ACCEPTED, None)], "lost"),
        ((ONE, ONE, END), [(ONE, ACCEPTED, None)], "doubled"),
        ((TWO, ONE, END), [(ONE, ACCEPTED, None), (TWO, ACCEPTED, None)], "misordered"),
        ((ONE, END), [(ONE, REJECTED, None)], "wrong outcomes"),
        ((ONE, TWO, END), [(ONE, ACCEPTED, 2), (TWO, ACCEPTED, None)], "wrong outcomes"),
    ],
)
def test_the_judge_sees_what_went_wrong_on_the_way_out(standing: Any, told: Any, found: str | None):
    """A message that is nowhere, twice, in another place, or there though it was called rejected."""
    there = entries(*standing)
    counts, trouble = judge(Told([receipt(*one) for one in told], seen(there)), there)
    assert [name for name in ("lost", "doubled", "misordered", "wrong outcomes") if counts[name]] == (
        [found] if found else []
    )
    assert len(trouble) == (found is not None)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ((0, 1, 2), []),
        ((0, 2), ["lost"]),
        ((0, 1, 1, 2), ["doubled"]),
        ((1, 0, 2), ["misordered"]),
    ],
)
def test_the_judge_sees_what_went_wrong_on_the_way_in(order: tuple[int, ...], found: list[str]):
    """An event that never came, came twice, or too early."""
    there = entries(f"{THEIRS}1", f"{THEIRS}2", END)
    events = seen(there)
    counts, _ = judge(Told([], [events[number] for number in order]), there)
    assert [name for name in ("lost", "doubled", "misordered", "wrong outcomes") if counts[name]] == found


def test_the_judge_counts_a_loss_that_was_said():
    """The bar is that there is none."""
    there = entries(END)
    events = [ContinuityLost(after=0, until=0, reason=LossReason.NO_ANSWER), *seen(there)]
    assert judge(Told([], events), there)[0]["lost"] == 1
