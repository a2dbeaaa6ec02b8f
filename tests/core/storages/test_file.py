"""The storage ``file``: private, crash-proof, one owner, and a time that counts from the owner's disappearance."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from chat_core import (
    SessionInUseError,
    StateCorruptError,
    StateVersionError,
    StorageCapacityError,
    StorageContext,
    StorageUnavailableError,
)
from chat_core._storages import codec, signs
from chat_core._storages import file as file_module
from chat_core._storages.file import FileStorage, make_file_storage
from chat_core._storages.inspect import inspect_file_storage
from chat_core._storages.options import FileOptions
from chat_core._storages.paths import file_name, prepare_directory, state_directory

STATE = {"version": 1, "delivered": 3, "link": {"key": "secret"}}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "state"


def storage(place: Path, profile: str = "p", **options: Any) -> FileStorage:
    return FileStorage(profile, directory=place, **options)


def owned(place: Path, profile: str = "p", **options: Any) -> FileStorage:
    made = storage(place, profile, **options)
    made.acquire()
    return made


def test_what_was_written_is_read_by_the_next_owner(place: Path):
    """The state survives the object."""
    first = owned(place)
    first.write(STATE)
    first.release()
    second = owned(place)
    assert second.read() == STATE
    second.release()


def test_files_are_private(place: Path):
    """0600 in a 0700 directory."""
    first = owned(place)
    first.write(STATE)
    first.write({**STATE, "delivered": 4})
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in place.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"p.json", "p.lock", "p.position"} <= set(modes)
    first.release()


def test_the_position_alone_goes_to_a_file_of_its_own(place: Path):
    """A change of ``delivered`` leaves the state file as it is."""
    first = owned(place)
    first.write(STATE)
    before = (place / "p.json").read_bytes()
    first.write({**STATE, "delivered": 9})
    assert (place / "p.json").read_bytes() == before
    assert first.read() == {**STATE, "delivered": 9}
    first.write({**STATE, "delivered": 9, "link": {"key": "new"}})
    assert (place / "p.json").read_bytes() != before
    first.release()
    second = owned(place)
    assert second.read() == {**STATE, "delivered": 9, "link": {"key": "new"}}
    second.release()


def test_a_position_of_an_earlier_state_is_not_applied(place: Path):
    """A position file belongs to the state it was written for."""
    first = owned(place)
    first.write(STATE)
    first.write({**STATE, "delivered": 9})
    first.write({**STATE, "delivered": 1, "session_id": "another"})
    assert first.read()["delivered"] == 1  # type: ignore[index]
    first.release()


def test_a_damaged_position_costs_a_repeated_hand_over_and_nothing_else(place: Path):
    """The state is read with the position it holds itself."""
    first = owned(place)
    first.write(STATE)
    first.write({**STATE, "delivered": 9})
    (place / "p.position").write_bytes(b"\xff garbage")
    assert first.read() == STATE
    first.release()


def test_none_clears_everything(place: Path):
    """Also when there is nothing."""
    first = owned(place)
    first.write(None)
    first.write(STATE)
    first.write({**STATE, "delivered": 4})
    first.write(None)
    assert first.read() is None
    assert not list(place.glob("p.json")) + list(place.glob("p.position"))
    first.release()


def test_rp06_damage_is_an_error_and_never_no_state(place: Path):
    """Any changed byte is found."""
    first = owned(place)
    first.write(STATE)
    whole = (place / "p.json").read_bytes()
    for cut in (whole[:-5], whole[:20], b"", whole.replace(b"secret", b"sacred")):
        (place / "p.json").write_bytes(cut)
        with pytest.raises(StateCorruptError, match=r"p\.json is damaged"):
            first.read()
    first.release()


def test_rp06_a_newer_format_is_an_error_that_says_so(place: Path):
    """With both numbers."""
    first = owned(place)
    first.write(STATE)
    first.release()
    stored = json.loads((place / "p.json").read_bytes().partition(b"\n")[2])
    body = json.dumps({**stored, "format": 99}).encode()
    (place / "p.json").write_bytes(codec._sum(body).encode() + b"\n" + body)
    with pytest.raises(StateVersionError, match="has format 99 and this chat-core reads up to 1"):
        storage(place).read()
    body = json.dumps({"format": 1}).encode()
    (place / "p.json").write_bytes(codec._sum(body).encode() + b"\n" + body)
    with pytest.raises(StateCorruptError, match="KeyError"):
        storage(place).read()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states=st.lists(st.dictionaries(st.text(), JSON, max_size=4), min_size=1, max_size=4))
def test_any_json_state_comes_back_as_it_was(tmp_path: Path, states: list[dict[str, Any]]):
    """The last one written, whatever it holds."""
    one = owned(tmp_path / "state")
    try:
        for state in states:
            one.write(state)
        assert one.read() == states[-1]
    finally:
        one.release()


def test_one_owner_within_a_process(place: Path):
    """Code 200, and the message names what helps; release is idempotent."""
    first = owned(place)
    with pytest.raises(SessionInUseError, match="profile=") as caught:
        storage(place).acquire()
    assert caught.value.code == 200
    assert "state_storage='memory'" in str(caught.value)
    owned(place, "other").release()
    first.release()
    first.release()
    owned(place).release()


CHILD = """
import sys, time
from chat_core._storages.file import FileStorage
storage = FileStorage("p", directory=sys.argv[1], max_offline_duration=float(sys.argv[2]))
storage.acquire()
storage.write({"version": 1, "delivered": 0, "pid": 1})
print("ready", flush=True)
number = 0
while True:
    number += 1
    storage.write({"version": 1, "delivered": number, "pid": number // 7})
"""


def child(place: Path, lasts: float = 60.0) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(place), str(lasts)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


def test_rp14_one_owner_among_processes(place: Path):
    """Code 201 with the owner's pid while it lives; free as soon as it is killed."""
    process = child(place)
    try:
        with pytest.raises(SessionInUseError, match=f"another process \\(pid {process.pid}\\)") as caught:
            storage(place).acquire()
        assert caught.value.code == 201
        (report,) = inspect_file_storage(place).profiles
        assert (report.name, report.owner) == ("p", process.pid)
    finally:
        kill(process)
    second = owned(place)
    assert second.read() is not None
    second.release()


@pytest.mark.parametrize("round_", range(5))
def test_rp06_kill_9_between_any_two_writes_leaves_a_whole_state(place: Path, round_: int):
    """The old one or the new one is read, never a damaged one."""
    process = child(place)
    time.sleep(0.02 * round_)  # not to synchronise: the moment of the kill is what varies
    kill(process)
    second = owned(place)
    state = second.read()
    assert state is not None
    assert state["delivered"] >= 0
    second.release()


def test_the_time_counts_from_the_owners_disappearance(place: Path, monkeypatch: pytest.MonkeyPatch):
    """A killed owner's last sign of life starts the clock, as a release does."""
    process = child(place, lasts=5.0)
    kill(process)
    now = signs.boot_time()
    for module in (signs, file_module):
        monkeypatch.setattr(module, "boot_time", lambda: now + 4.0)
    assert storage(place).read() is not None
    for module in (signs, file_module):
        monkeypatch.setattr(module, "boot_time", lambda: now + 6.5)
    assert storage(place).read() is None


def test_the_gone_owners_duration_is_in_force(place: Path, monkeypatch: pytest.MonkeyPatch):
    """Started with 5, restored with 60 after 10 s: nothing to restore. Infinity never ends."""
    first = owned(place, max_offline_duration=5.0)
    first.write(STATE)
    first.release()
    for_ever = owned(place, "q", max_offline_duration=math.inf)
    for_ever.write(STATE)
    for_ever.release()
    now = signs.boot_time()
    for module in (signs, file_module):
        monkeypatch.setattr(module, "boot_time", lambda: now + 10.0)
    assert storage(place, max_offline_duration=60.0).read() is None
    assert storage(place, "q").read() == STATE


def test_a_live_owner_keeps_its_state_alive(place: Path):
    """The sign of life is touched each second, one file a process however many sessions there are."""
    first, second = owned(place, "a"), owned(place, "b")
    (sign,) = place.glob("alive-*")
    before = sign.read_text()
    deadline = time.monotonic() + 5
    while sign.read_text() == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.release()
    assert sign.exists()
    second.release()
    assert not sign.exists()


def test_across_a_boot_the_wall_clock_counts(place: Path, monkeypatch: pytest.MonkeyPatch):
    """The boot clock begins anew, so it says nothing about a state of an earlier boot."""
    first = owned(place, max_offline_duration=5.0)
    first.write(STATE)
    first.release()
    for module in (signs, file_module):
        monkeypatch.setattr(module, "boot_id", lambda: "another boot")
    assert storage(place).read() == STATE
    wall = time.time()
    monkeypatch.setattr(time, "time", lambda: wall + 60)
    assert storage(place).read() is None


def test_rp13_a_wall_clock_that_jumps_changes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch):
    """A day's skew within one boot neither expires a state nor keeps one."""
    first = owned(place, max_offline_duration=5.0)
    first.write(STATE)
    first.release()
    wall = time.time()
    monkeypatch.setattr(time, "time", lambda: wall + 86400)
    assert storage(place).read() == STATE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_not_the_owner(place: Path):
    """The child neither holds the lock nor gives the parent's up."""
    first = owned(place)
    first.write(STATE)
    script = (
        "import os, sys\n"
        "from chat_core._storages.file import FileStorage\n"
        "one = FileStorage('q', directory=sys.argv[1]); one.acquire()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    one.release()\n"
        "    try:\n"
        "        FileStorage('q', directory=sys.argv[1]).acquire()\n"
        "    except Exception as error:\n"
        "        os._exit(error.code % 256)\n"
        "    os._exit(1)\n"
        "_, status = os.waitpid(pid, 0)\n"
        "one.write({'still': 'owner'})\n"
        "print(os.waitstatus_to_exitcode(status), one.read())\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(place)], capture_output=True, text=True, timeout=30)
    assert result.stdout == "201 {'still': 'owner'}\n", result.stderr
    first.release()


def test_a_directory_that_others_can_write_to_is_refused(place: Path):
    """With the line that mends it."""
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(StorageUnavailableError, match=r"can be written to by others \(mode 0777\).*chmod go-w"):
        storage(place).acquire()
    assert "written to by others" in inspect_file_storage(place).problem


def test_a_directory_of_another_user_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch):
    """Named by uid."""
    place.mkdir(mode=0o700)
    mine = os.getuid()
    os.chown(place, 12345, -1) if mine == 0 else monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    with pytest.raises(StorageUnavailableError, match="belongs to another user"):
        prepare_directory(place)


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path):
    """A file in its place, or one above it."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageUnavailableError, match="cannot be used"):
        prepare_directory(tmp_path / "file")
    with pytest.raises(StorageUnavailableError, match="cannot be used"):
        prepare_directory(tmp_path / "file" / "below")


def test_no_space_leaves_the_old_state_unharmed(place: Path, monkeypatch: pytest.MonkeyPatch):
    """ENOSPC is a capacity error, others are unavailability."""
    first = owned(place)
    first.write(STATE)
    for number, error in ((errno.ENOSPC, StorageCapacityError), (errno.EROFS, StorageUnavailableError)):

        def fail(descriptor: int, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fail)
            with pytest.raises(error):
                first.write({**STATE, "other": number})
    assert first.read() == STATE
    assert not list(place.glob("*.tmp"))
    first.release()


PLAIN = ["default", "a.b_c-1"]
HASHED = ["Ünïcode", "UPPER", "../../etc/passwd", "x" * 65, ".", "..", "nul", "a/b", "h-x", "con.txt", "end."]


@pytest.mark.parametrize("profile", PLAIN + HASHED)
def test_every_profile_has_a_safe_file_name(profile: str):
    """Names that are not plain are hashed, so that two profiles never share a file, also without regard to case."""
    name = file_name(profile)
    assert "/" not in name
    assert not name.startswith(".")
    assert len(name) <= 64
    plain = profile in PLAIN
    assert (name == profile) is plain


def test_profiles_that_differ_in_case_have_different_files():
    """Also where the file system ignores case."""
    assert file_name("Ada").lower() != file_name("ada").lower()


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "/home/a"}, PurePosixPath("/home/a/.local/state/chat-core")),
        ("linux", {"HOME": "/home/a", "XDG_STATE_HOME": "/x"}, PurePosixPath("/x/chat-core")),
        ("linux", {"HOME": "/home/a", "XDG_STATE_HOME": "rel"}, PurePosixPath("/home/a/.local/state/chat-core")),
        ("darwin", {"HOME": "/Users/a"}, PurePosixPath("/Users/a/Library/Application Support/chat-core")),
        ("win32", {"LOCALAPPDATA": "C:\\L"}, PureWindowsPath("C:\\L\\chat-core\\State")),
        ("win32", {"USERPROFILE": "C:\\U"}, PureWindowsPath("C:\\U\\AppData\\Local\\chat-core\\State")),
    ],
)
def test_the_state_directory_of_each_system(platform: str, environ: dict[str, str], expected: Any):
    """By the rules that platformdirs follows."""
    assert state_directory(platform=platform, environ=environ) == expected


def test_the_factory_reads_its_context(place: Path):
    """Profile, directory and duration come from the launcher."""
    context = StorageContext(
        profile="x",
        options=FileOptions(directory=str(place)),
        max_offline_duration=7.0,
        log=None,  # type: ignore[arg-type]
    )
    made = make_file_storage(context)
    made.acquire()
    made.write(STATE)
    made.release()
    assert (place / "x.json").exists()


def test_inspecting_shows_no_content(place: Path):
    """Place, mode, sizes, ages and owners, and nothing of a state; a place that is not there is no problem."""
    assert inspect_file_storage(place).mode == ""
    first = owned(place)
    first.write(STATE)
    report = inspect_file_storage(place)
    assert report.mode == "0700"
    assert report.profiles[0].owner == os.getpid()
    assert "secret" not in repr(report)
    first.release()
    assert inspect_file_storage(place).profiles[0].owner == 0
