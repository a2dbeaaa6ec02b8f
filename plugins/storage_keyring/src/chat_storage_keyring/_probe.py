"""What ``chat-core doctor`` shows of keyrings: which backend is chosen and why, and why each can or cannot be used.

No item is read or written, and nothing is unlocked.
"""

from __future__ import annotations

import importlib
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from chat_core import ChatError, ProbeStep, StorageContext
from chat_storage_keyring._backends import choose, name_of, useless
from chat_storage_keyring.options import KeyringOptions

__all__ = ["probe"]

#: Seconds for one backend to say whether it can be used.
DEADLINE: Final = 3.0
_GROUP: Final = "keyring.backends"


def probe(context: StorageContext, *, deadline: float = DEADLINE) -> Iterator[ProbeStep]:
    """Yield the chosen backend, then every backend that is installed.

    Args:
        context: its options say which backend is wanted.
        deadline: seconds for each of them.
    """
    options = context.options if isinstance(context.options, KeyringOptions) else KeyringOptions()
    yield _step("in use", lambda: _in_use(options), deadline)
    yield from _entry_points(deadline)
    for kind in sorted(_kinds(), key=name_of):
        step = _step(name_of(kind), lambda kind=kind: _verdict(kind), deadline)  # type: ignore[misc] # bound now
        # Not to be usable is no fault of a backend that nobody chose.
        yield step if step.ok else ProbeStep(name=step.name, ok=None, detail=step.detail, seconds=step.seconds)


def _in_use(options: KeyringOptions) -> tuple[bool, str]:
    chosen = choose(options.backend)
    return True, f"{chosen.name} ({chosen.reason})"


def _entry_points(deadline: float) -> Iterator[ProbeStep]:
    """Import what registers backends; only what cannot be imported is told."""
    for one in sorted(entry_points(group=_GROUP), key=lambda entry_point: entry_point.value):
        step = _step(one.value, lambda one=one: _load(one), deadline)  # type: ignore[misc] # bound now
        if not step.ok:
            yield ProbeStep(name=step.name, ok=None, detail=step.detail, seconds=step.seconds)


def _load(entry_point: EntryPoint) -> tuple[bool, str]:
    loaded = entry_point.load()
    if callable(loaded):
        loaded()
    return True, ""


def _kinds() -> set[type[Any]]:
    base = importlib.import_module("keyring.backend").KeyringBackend
    importlib.import_module("keyring.backends.null")
    found: set[type[Any]] = set()
    waiting = [base]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            if kind not in found:
                found.add(kind)
                waiting.append(kind)
    return {kind for kind in found if not inspect.isabstract(kind)}


def _verdict(kind: type[Any]) -> tuple[bool, str]:
    try:
        priority = kind.priority
    except RuntimeError as error:  # how a backend says that it cannot be used here
        return False, f"not viable: {error}"
    fault = useless(kind())
    if fault is not None:
        return False, f"not viable: {fault}"
    if priority < 1:
        return True, f"viable, not recommended by itself (priority {priority:g})"
    return True, f"viable (priority {priority:g})"


def _step(name: str, ask: Callable[[], tuple[bool, str]], deadline: float) -> ProbeStep:
    """Ask on a thread of its own: a backend that hangs is named, and the others are asked all the same."""
    answer: list[tuple[bool, str]] = []

    def work() -> None:
        try:
            answer.append(ask())
        except ChatError as error:
            answer.append((False, str(error)))
        except BaseException as error:  # noqa: BLE001 - every backend's failure is its own
            answer.append((False, f"{type(error).__name__}: {error}"))

    began = time.perf_counter()
    thread = threading.Thread(target=work, name=f"chat-storage-keyring: {name}", daemon=True)
    thread.start()
    thread.join(deadline)
    took = time.perf_counter() - began
    ok, detail = answer[0] if answer else (False, f"it did not answer within {deadline:g} s")
    return ProbeStep(name=name, ok=ok, detail=detail, seconds=took)
