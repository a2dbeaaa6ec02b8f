"""Who is calling: the running task, or whoever a task was started for.

A thread that calls through ``chat_core.blocking`` has no task of its own, and each of its calls is a new one. What is
kept per caller (which events it was handed, which callback it is) must not change with every call.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from weakref import WeakKeyDictionary

__all__ = ["current_caller", "stand_for"]

_PRINCIPALS: Final[WeakKeyDictionary[asyncio.Task[Any], object]] = WeakKeyDictionary()
#: Whether anybody ever stood for somebody else in this process: asked with each event, which a look-up would slow down.
_ever = False


def stand_for(caller: object) -> None:
    """Say that the running task acts for somebody else, until it ends."""
    global _ever  # noqa: PLW0603 - as said there
    task = asyncio.current_task()
    assert task is not None
    _ever = True
    _PRINCIPALS[task] = caller


def current_caller() -> object | None:
    """Return who the running task acts for, by default itself; None where no loop is running."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    if task is None or not _ever:
        return task
    return _PRINCIPALS.get(task, task)
