"""RP-6: the power goes at any moment of a write, and the disk keeps of what was not synced whatever it likes.

The sequence of system calls is recorded once; for every prefix of it every disk is built that a file system may leave
behind: contents that were not synced are there, cut or empty, and of the directory's changes since its last sync the
first few are there. What is read from each must be the state before or after the write.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chat_core._storages import file as module
from chat_core._storages.file import FileStorage

STATES: list[dict[str, Any] | None] = [
    {"version": 1, "link": {"key": "a" * 40}, "delivered": 1, "outbox": []},
    {"version": 1, "link": {"key": "a" * 40}, "delivered": 7, "outbox": []},
    {"version": 1, "link": {"key": "a" * 40}, "delivered": 9, "outbox": [{"text": "x" * 100}]},
    {"version": 1, "link": {"key": "b" * 90}, "delivered": 12, "outbox": []},
    {"version": 1, "link": {"key": "b" * 90}, "delivered": 13, "outbox": []},
    None,
    {"version": 1, "link": {"key": "c"}, "delivered": 0, "outbox": []},
]


class Recorder:
    """Stands in for ``os`` in the storage's module and notes what changes the disk."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._names: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        self._names[descriptor] = "" if Path(path).is_dir() else Path(path).name
        if flags & os.O_CREAT:
            self.calls.append(("create", Path(path).name))
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:
        done = os.write(descriptor, data)
        self.calls.append(("write", self._names[descriptor], bytes(data)[:done]))
        return done

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)
        self.calls.append(("fsync", self._names[descriptor]))


class Disk:
    """What is on the platter, and what is only in memory."""

    def __init__(self) -> None:
        #: Directory entries that are safe: name to the number of a file.
        self.entries: dict[str, int] = {}
        #: Changes of the directory that are not, oldest first: name and file, None for a removal.
        self.pending: list[dict[str, int | None]] = []
        self.contents: dict[int, bytes] = {}
        self.synced: dict[int, int] = {}
        self._open: dict[str, int] = {}
        self._numbers = itertools.count()

    def do(self, call: tuple[Any, ...]) -> None:
        match call:
            case ("create", name):
                number = next(self._numbers)
                self._open[name], self.contents[number], self.synced[number] = number, b"", 0
                self.pending.append({name: number})
            case ("write", name, data):
                self.contents[self._open[name]] += data
            case ("fsync", ""):
                self.entries = self._entries(len(self.pending))
                self.pending = []
            case ("fsync", name):
                self.synced[self._open[name]] = len(self.contents[self._open[name]])
            case ("rename", old, new):
                number = self._open.pop(old)
                self._open[new] = number
                self.pending.append({old: None, new: number})
            case ("unlink", name):
                self.pending.append({name: None})

    def images(self) -> Iterator[dict[str, bytes]]:
        """Yield every set of files that may be found afterwards."""
        for kept in range(len(self.pending) + 1):
            entries = self._entries(kept)
            choices = [
                {self.contents[number][:length] for length in self._lengths(number)} for number in entries.values()
            ]
            for contents in itertools.product(*choices):
                yield dict(zip(entries, contents, strict=True))

    def _entries(self, changes: int) -> dict[str, int]:
        entries: dict[str, int | None] = dict(self.entries)
        for change in self.pending[:changes]:
            entries.update(change)
        return {name: number for name, number in entries.items() if number is not None}

    def _lengths(self, number: int) -> set[int]:
        whole, safe = len(self.contents[number]), self.synced[number]
        return {safe, (safe + whole) // 2, whole}


def test_rp06_a_power_cut_leaves_the_old_state_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After every system call of a busy life, on every disk that it may leave behind."""
    recorder = Recorder()
    replace, unlink = Path.replace, Path.unlink

    def record_replace(self: Path, target: Any) -> Any:
        result = replace(self, target)
        recorder.calls.append(("rename", self.name, Path(target).name))
        return result

    def record_unlink(self: Path, missing_ok: bool = False) -> None:
        there = self.exists()
        unlink(self, missing_ok=missing_ok)
        if there:
            recorder.calls.append(("unlink", self.name))

    storage = FileStorage("p", directory=tmp_path / "life", max_offline_duration=math.inf)
    storage.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(module, "os", recorder)
        patch.setattr(Path, "replace", record_replace)
        patch.setattr(Path, "unlink", record_unlink)
        for state in STATES:
            storage.write(state)
            recorder.calls.append(("written",))
    calls = list(recorder.calls)
    storage.release()
    assert sum(call[0] == "fsync" for call in calls) >= 8

    disk, written, images = Disk(), 0, 0
    for call in calls:
        if call == ("written",):
            written += 1
        else:
            disk.do(call)
        before = STATES[written - 1] if written else None
        after = STATES[min(written, len(STATES) - 1)]
        for number, image in enumerate(disk.images()):
            images += 1
            found = _read(tmp_path / f"{images}-{number}", image)
            assert _fits(found, before) or _fits(found, after), (call, image, found)
    assert images > 100


def _read(place: Path, image: dict[str, bytes]) -> Any:
    place.mkdir(mode=0o700)
    for name, content in image.items():
        (place / name).write_bytes(content)
    return FileStorage("p", directory=place, max_offline_duration=math.inf).read()


def _fits(found: Any, state: dict[str, Any] | None) -> bool:
    """The position alone may be an earlier one: it is written without a sync, and costs a repeated hand-over."""
    if found is None or state is None:
        return found is None and state is None
    return {**found, "delivered": 0} == {**state, "delivered": 0} and found["delivered"] <= state["delivered"]
