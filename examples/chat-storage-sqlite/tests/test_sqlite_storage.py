"""The SQLite storage by itself, and as an installed plugin."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_core import (
    SessionInUseError,
    StateCorruptError,
    StorageCapacityError,
    StorageContext,
    StorageLockedError,
    StorageUnavailableError,
)
from chat_storage_sqlite import SqliteOptions, provider


class Idle:
    """A transport that is never used."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


STATE = {"version": 1, "link": {"secure_key": "canary", "empty": {}, "none": None}, "outbox": [{"text": "é \ud800 𐍈"}]}


def make(path: Path, profile: str = "default") -> Any:
    return provider.factory(StorageContext(profile=profile, options=SqliteOptions(path=str(path)), log=None))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


def test_what_was_written_is_read_back_and_cleared(path: Path):
    """Whole, by another object too; profiles do not see each other."""
    one, other = make(path), make(path, "other \ud800")
    assert one.read() is None
    one.write(STATE)
    one.write({"version": 2})
    other.write(STATE)
    assert make(path).read() == {"version": 2}
    assert other.read() == STATE
    one.write(None)
    one.write(None)
    assert one.read() is None
    assert other.read() == STATE


def test_the_files_are_private_and_hold_nothing_that_was_cleared(path: Path):
    """Mode 0600 whatever the umask; the text of a cleared state is overwritten."""
    before = os.umask(0)
    try:
        storage = make(path)
        storage.acquire()
        storage.write(STATE)
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
        storage.write(None)
        storage.release()
    finally:
        os.umask(before)
    assert b"canary" not in path.read_bytes()


def test_one_owner_within_a_process(path: Path):
    """The second one is refused with code 200, until the first one gives it up; from any thread."""
    one, other = make(path), make(path)
    thread = threading.Thread(target=one.acquire)
    thread.start()
    thread.join()
    with pytest.raises(SessionInUseError) as caught:
        other.acquire()
    assert caught.value.code == 200
    make(path, "other").acquire()  # each profile has an owner of its own
    one.release()
    one.release()
    other.acquire()
    other.release()


def test_one_owner_among_processes_and_a_killed_one_holds_nothing(path: Path):
    """Code 201 while it lives; the system gives the lock back when it dies. Reading and writing do not wait for it."""
    code = (
        "import sys\n"
        "from chat_storage_sqlite._storage import SqliteStorage\n"
        "one = SqliteStorage(sys.argv[1], 'default')\n"
        "one.acquire()\n"
        "one.write({'version': 1})\n"
        "print('owned', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owned\n"
        storage = make(path)
        with pytest.raises(SessionInUseError) as caught:
            storage.acquire()
        assert caught.value.code == 201
        assert storage.read() == {"version": 1}
        owner.kill()
        owner.wait()
    storage.acquire()
    storage.release()


@pytest.mark.parametrize("text", ["{", "[]", "null", "[" * 100_000])
def test_a_damaged_row_is_an_error_without_its_text_and_a_write_heals_it(path: Path, text: str):
    """It is never taken for "no state"; the parser's exception, which holds the text, is not shown."""
    storage = make(path)
    storage.write(STATE)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE chats SET state = ?", (text,))
    with pytest.raises(StateCorruptError, match="is damaged") as caught:
        storage.read()
    assert caught.value.__context__ is None
    storage.write({"version": 1})
    assert storage.read() == {"version": 1}


def test_each_trouble_has_an_error_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch):
    """No database, no folder, no right, no space, and another process in the middle of writing."""
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(StateCorruptError, match="move it away"):
        make(path).read()
    with pytest.raises(StorageUnavailableError, match="No such file or directory"):
        make(path.parent / "nowhere" / "chats.db").read()
    with pytest.raises(StorageUnavailableError, match="Is a directory"):
        make(path.parent).read()
    path.unlink()
    make(path).write(STATE)
    monkeypatch.setattr("chat_storage_sqlite._storage.PATIENCE", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageLockedError) as caught:
            make(path).read()
        assert caught.value.retryable
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        pages = database.execute("PRAGMA page_count").fetchone()[0]
    monkeypatch.setattr("chat_storage_sqlite._storage._TABLE", f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageCapacityError):
        make(path).write({"text": "x" * 100_000})
    monkeypatch.undo()
    assert make(path).read() == STATE


def test_an_interrupted_write_leaves_the_old_state(path: Path):
    """A process that dies before the commit has changed nothing."""
    make(path).write(STATE)
    code = (
        "import os, sys\n"
        "from chat_storage_sqlite import _storage\n"
        "from pathlib import Path\n"
        "with _storage._transaction(Path(sys.argv[1])) as database:\n"
        "    database.execute('DELETE FROM chats')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == 9
    assert make(path).read() == STATE


@pytest.mark.parametrize(
    ("options", "text"),
    [({}, "path is missing"), ({"path": 5}, "path must be text"), ({"path": ":memory:"}, "must name a file")],
)
def test_wrong_options_are_refused_before_anything_is_done(options: dict[str, Any], text: str):
    """By the core, from the options class."""

    async def main() -> None:
        await chat_core.restore_session(transport=Idle(), state_storage="sqlite", storage_options=options)

    with pytest.raises(chat_core.OptionError, match=text):
        asyncio.run(main())


def test_it_is_found_and_looked_at(path: Path):
    """``chat-core plugins`` lists it, ``chat-core doctor`` says what is in it."""

    def chat_core_(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-m", "chat_core", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    listed = chat_core_("plugins")
    assert "sqlite" in listed.stdout
    assert listed.returncode == 0, listed.stdout
    option = ("--storage", "sqlite", "--storage-option", f"path={path}")
    assert f"database: ok {path} is not there yet" in chat_core_("doctor", *option).stdout
    make(path).write(STATE)
    shown = chat_core_("doctor", *option).stdout
    assert f"database: ok {path}, mode 0600, 1 chats" in shown
    assert "canary" not in shown
