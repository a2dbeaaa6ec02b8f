"""One API, told twice: what the blocking classes say is what the async ones say."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from typing import Any

import pytest

import chat_core
from chat_core import blocking
from chat_core._session.readers import EventIterator

#: The same thing on both sides.
PAIRS: dict[Any, Any] = {
    blocking.Session: chat_core.Session,
    blocking.Receipt: chat_core.Receipt,
    blocking.Subscription: chat_core.Subscription,
    blocking.FileDownload: chat_core.FileDownload,
    blocking.EventIterator: EventIterator,
}
#: What another name stands for.
RENAMED = {"aclose": "close"}
#: For the session alone, or for whoever fetches.
INNER = {
    chat_core.Receipt: {"close", "lose_sight", "move", "show", "stop_at_accepted", "when"},
    chat_core.Subscription: {"ended", "runs_in", "when_over"},
    chat_core.FileDownload: {"begin", "task"},
}
#: What an argument or a callback may be differs by these words alone.
WORDS = {
    "an async iterable": "an iterable",
    "called, or awaited, with": "called in a thread of its own with",
    "leaving ``async with`` does": "leaving ``with`` does",
    "After an exception or a cancellation (``failed``)": "After an exception or Ctrl-C (``failed``)",
    "``async with start_session": "``with start_session",
}


def public(kind: type) -> dict[str, Any]:
    return {name: inspect.getattr_static(kind, name) for name in dir(kind) if not name.startswith("_")}


METHODS = [
    pytest.param(mine, theirs, name, id=f"{mine.__name__}.{name}")
    for mine, theirs in PAIRS.items()
    for name, value in public(theirs).items()
    if name not in INNER.get(theirs, ()) and inspect.isfunction(value)
]
LAUNCHERS = ["restore_or_start_session", "restore_session", "start_session"]


def signature(function: Any) -> list[tuple[str, Any, Any, Any]]:
    """Names, kinds, defaults and annotations; what is pending there is returned here."""
    described = inspect.signature(function)
    rows: list[tuple[str, Any, Any, Any]] = [
        (one.name, one.kind, one.default, one.annotation) for one in described.parameters.values()
    ]
    returned = str(described.return_annotation)
    while (shorter := re.sub(r"Pending\[((?:[^\[\]]|\[(?:[^\[\]]|\[[^\]]*\])*\])*)\]", r"\1", returned)) != returned:
        returned = shorter
    return [*rows, ("returns", None, None, returned)]


def words(function: Any) -> str:
    text = inspect.getdoc(function) or ""
    for there, here in WORDS.items():
        text = text.replace(there, here)
    return text


@pytest.mark.parametrize(("mine", "theirs", "name"), METHODS)
def test_a_method_has_the_signature_of_the_async_one(mine: type, theirs: type, name: str):
    """Names, kinds, defaults and annotations of the arguments, and what comes back."""
    here, there = getattr(mine, RENAMED.get(name, name)), getattr(theirs, name)
    assert not inspect.iscoroutinefunction(here)
    assert signature(here) == signature(there)


@pytest.mark.parametrize(("mine", "theirs", "name"), METHODS)
def test_a_method_says_what_the_async_one_says(mine: type, theirs: type, name: str):
    """The docstrings are the same but for the words that differ by nature."""
    here = words(getattr(mine, RENAMED.get(name, name)))
    assert here.startswith(words(getattr(theirs, name)).rstrip()[:-1]) or name == "cancel"


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launcher_is_the_async_one_without_the_pending(name: str):
    """The same options, and the same words."""
    here, there = getattr(blocking, name), getattr(chat_core, name)
    assert signature(here) == signature(there)
    assert words(here) == words(there)


@pytest.mark.parametrize("mine", PAIRS, ids=lambda kind: kind.__name__)
def test_nothing_is_missing_and_nothing_is_added(mine: type):
    """Every method and property of the async class, by its name, and no other."""
    theirs = PAIRS[mine]
    names = {RENAMED.get(name, name) for name in set(public(theirs)) - INNER.get(theirs, set())}
    values = {"active", "callback", "attempts", "copies", "error", "index", "number", "size", "state", "text"}
    assert set(public(mine)) - values == names - values


def test_a_receipt_shows_what_the_async_one_shows():
    """Its attributes are those that the docstring names."""
    attributes = set(re.findall(r"^ {8}(\w+): ", blocking.Receipt.__doc__ or "", re.MULTILINE))
    assert attributes == {name for name in vars(chat_core.Receipt(1, "Hello")) if not name.startswith("_")}
    assert all(isinstance(getattr(blocking.Receipt, name), property) for name in attributes)


def test_the_module_is_there_on_first_use_and_not_before():
    """``import chat_core`` imports neither it nor asyncio."""
    code = """
import sys, chat_core
assert "asyncio" not in sys.modules and "chat_core._blocking" not in sys.modules
assert chat_core.blocking.Session.__module__ == "chat_core.blocking"
import threading
assert threading.active_count() == 1
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
