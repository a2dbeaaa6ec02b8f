"""What scripts that use Locust as a library share. Imported by them, in processes of their own, and by no test."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust import User
from locust.env import Environment

URL = sys.argv[1] if len(sys.argv) > 1 else ""


class Load:
    """Users of some classes, in this process.

    Attributes:
        figures: what was reported so far: name, reason, milliseconds.
    """

    def __init__(self, *classes: type[User]) -> None:
        self.environment = Environment(user_classes=list(classes), catch_exceptions=True)
        self.runner = self.environment.create_local_runner()
        self.figures: list[tuple[str, str | None, float | None]] = []
        self.environment.events.request.add_listener(self._on_request)
        self.failed: list[str] = []
        self.environment.events.user_error.add_listener(lambda exception, **_: self.failed.append(repr(exception)))

    def _on_request(self, *, name: str, exception: Exception | None, response_time: float | None, **_: object) -> None:
        self.figures.append((name, None if exception is None else repr(exception), response_time))

    def count(self, name: str) -> int:
        return sum(one[0] == name for one in self.figures)

    def reasons(self) -> dict[str, list[str]]:
        found: dict[str, set[str]] = {}
        for name, reason, _ in self.figures:
            if reason is not None:
                found.setdefault(name, set()).add(reason)
        return {name: sorted(reasons) for name, reasons in sorted(found.items())}

    def start(self, users: int) -> None:
        self.runner.start(users, users)

    def stop(self) -> float:
        """Stop all users; returns the seconds that it took."""
        began = time.monotonic()
        self.runner.stop()
        return time.monotonic() - began


def until(condition: Callable[[], object], timeout: float = 90.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s"
        gevent.sleep(0.02)


def holdings() -> tuple[int, int]:
    """Return how many native threads and file descriptors the process has."""
    return len(list(Path("/proc/self/task").iterdir())), len(list(Path("/proc/self/fd").iterdir()))


def say(**found: Any) -> None:
    """Tell the test what was found."""
    print("FOUND " + json.dumps(found), flush=True)  # noqa: T201
