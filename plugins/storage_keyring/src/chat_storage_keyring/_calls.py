"""The calls that a backend has not returned from yet: while one hangs, no further one is made.

The core leaves a hung call behind at its deadline. The next call would hang beside it, with a prompt and a thread of
its own, and a late write could overtake a newer one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from attrs import frozen

from chat_core import StorageTimeoutError

__all__ = ["call"]

#: Part of its time after which somebody else's call counts as hanging.
_LATE: Final = 0.9


@frozen(kw_only=True, eq=False)
class _Call:
    """One call: whose, what for, since when in monotonic seconds, and how long it may take."""

    owner: int
    doing: str
    began: float
    timeout: float


_guard = threading.Lock()
_calls: dict[Hashable, list[_Call]] = {}


@contextmanager
def call(
    place: Hashable,
    *,
    owner: object,
    doing: str,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Make one call to a place, unless an earlier one hangs there.

    Args:
        place: which keyring.
        owner: the storage; it makes one call at a time, so an unfinished one of its own was left behind.
        doing: for the text of errors.
        timeout: seconds that the call may take.
        clock: returns monotonic seconds.

    Raises:
        StorageTimeoutError: an earlier call has not come back.
    """
    # A forked child does not have its parent's threads.
    key = (os.getpid(), place)
    mine = _Call(owner=id(owner), doing=doing, began=clock(), timeout=timeout)
    with _guard:
        there = _calls.setdefault(key, [])
        hanging = next((one for one in there if _hangs(one, mine)), None)
        if hanging is None:
            there.append(mine)
    if hanging is not None:
        raise StorageTimeoutError(
            f"the keyring has not come back from {hanging.doing} for {mine.began - hanging.began:.1f} s, so it was not "
            f"asked to {doing}",
            advice="somebody may have to answer a prompt; it is asked again once that call has come back",
        )
    try:
        yield
    finally:
        with _guard:
            there.remove(mine)
            if not there:
                _calls.pop(key, None)


def _hangs(other: _Call, mine: _Call) -> bool:
    return other.owner == mine.owner or mine.began - other.began >= _LATE * other.timeout
