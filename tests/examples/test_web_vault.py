"""What the web page's storage keeps, and what nobody can read of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chat_core
from chat_core import NoSessionToRestore, StateCorruptError, StorageUnavailableError
from chat_page._said import Said
from chat_page._vault import Vault
from chat_page._visitors import Visitor
from chat_sandbox import Sandbox


@pytest.fixture
def vault(tmp_path: Path):
    one = Vault(tmp_path / "states", max_offline_duration=60)
    one.open()
    yield one
    one.close()


def test_what_was_written_is_read_again_with_the_same_cookie(vault: Vault):
    """By any process; and cleared it is gone."""
    visitor = Visitor.new()
    vault.storage(visitor).write({"session_id": "Grüße", "n": [1, None]})
    assert vault.storage(visitor).read() == {"session_id": "Grüße", "n": [1, None]}
    vault.storage(visitor).write(None)
    assert vault.storage(visitor).read() is None
    vault.storage(visitor).write(None)


def test_nothing_of_a_real_chat_can_be_read_on_disk_without_the_cookie(tmp_path: Path):
    """Neither ids nor keys, addresses or messages on their way, nor who it is; a chat of two messages, one unsent."""

    async def main() -> None:
        vault = Vault(tmp_path / "states", max_offline_duration=60)
        vault.open()
        visitor = Visitor.new()
        storage = vault.storage(visitor)
        async with Sandbox() as sandbox:
            session = await chat_core.start_session(
                server_url=sandbox.cometd_url, username="Ada Lovelace", state_storage=storage
            )
            await session.send_message("the first secret", until="echoed")
            sandbox.faults.stall()
            unsent = asyncio.ensure_future(session.send_message("the second secret"))
            state = await wait_for_text(storage, "the second secret")
            assert state["outbox"]
            (file,) = [path for path in vault.folder.iterdir() if path.suffix == ".state"]
            found = b"".join(path.read_bytes() for path in vault.folder.iterdir()) + str(file).encode()
            for secret in secrets_in(state) | {visitor.id, visitor.key, "Lovelace", "second secret"}:
                assert secret.encode() not in found
            for stranger in (Visitor.new(), attrs.evolve(visitor, key=Visitor.new().key)):
                assert vault.storage(stranger).read() is None
                shutil.copy2(file, vault.path(stranger))
                with pytest.raises(StateCorruptError):
                    vault.storage(stranger).read()
                vault.path(stranger).unlink()
            sandbox.faults.resume()
            await unsent
            await session.leave()
        assert [path.name for path in vault.folder.iterdir()] == ["lock"]
        vault.close()

    asyncio.run(main())


async def wait_for_text(storage, text):
    async with asyncio.timeout(10):
        while True:
            state = storage.read()
            if text in str(state):
                return state
            await asyncio.sleep(0.02)


def secrets_in(value) -> set[str]:
    """Every text of five characters or more that stands anywhere in a state."""
    if isinstance(value, dict):
        return set().union(*map(secrets_in, value.values()))
    if isinstance(value, list):
        return set().union(*map(secrets_in, value))
    return {value} if isinstance(value, str) and len(value) > 4 else set()


def test_files_are_for_this_user_alone(vault: Vault):
    """The folder as well."""
    visitor = Visitor.new()
    vault.storage(visitor).write({})
    assert vault.folder.stat().st_mode & 0o777 == 0o700
    for path in vault.folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_max_offline_duration_is_counted_from_the_last_sign_of_life(tmp_path: Path):
    """Written or touched; what is too old is gone, whoever looks first."""
    now = [1_000_000.0]
    vault = Vault(tmp_path / "states", max_offline_duration=60, clock=lambda: now[0])
    vault.open()
    ada, grace = Visitor.new(), Visitor.new()
    for visitor in (ada, grace):
        vault.storage(visitor).write({"of": visitor.id})
    vault.touch([ada, grace, Visitor.new()])
    now[0] += 50
    vault.touch([ada])
    now[0] += 50
    assert vault.storage(ada).read() == {"of": ada.id}
    assert vault.storage(grace).read() is None
    now[0] += 11
    vault.sweep()
    assert [path.name for path in vault.folder.iterdir()] == ["lock"]
    vault.close()


def test_an_expired_chat_is_nothing_to_restore(tmp_path: Path):
    """The storage itself sees to that: the option of the launchers binds the built-in ones."""

    async def main() -> None:
        vault = Vault(tmp_path / "states", max_offline_duration=60)
        vault.open()
        visitor = Visitor.new()
        async with Sandbox() as sandbox:
            session = await chat_core.start_session(server_url=sandbox.cometd_url, state_storage=vault.storage(visitor))
            await session.detach()
            session = await chat_core.restore_session(state_storage=vault.storage(visitor))
            await session.detach()
            long_ago = vault.path(visitor).stat().st_mtime - 61
            os.utime(vault.path(visitor), (long_ago, long_ago))
            with pytest.raises(NoSessionToRestore):
                await chat_core.restore_session(state_storage=vault.storage(visitor))
        vault.close()

    asyncio.run(main())


def test_a_damaged_file_is_an_error_and_stays(vault: Vault):
    """It is never taken for an empty one."""
    visitor = Visitor.new()
    vault.storage(visitor).write({"a": 1})
    path = vault.path(visitor)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(StateCorruptError):
        vault.storage(visitor).read()
    assert path.exists()


def test_an_interrupted_write_leaves_the_old_state(vault: Vault, monkeypatch: pytest.MonkeyPatch):
    """Nothing is written into the file itself."""
    visitor = Visitor.new()
    storage = vault.storage(visitor)
    storage.write({"a": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageUnavailableError, match="No space left"):
        storage.write({"a": 2})
    assert storage.read() == {"a": 1}


def test_what_a_killed_process_had_half_written_goes_when_its_time_is_over(tmp_path: Path):
    """It holds a chat as well; no file stays for ever."""
    now = [time.time()]
    vault = Vault(tmp_path / "states", max_offline_duration=60, clock=lambda: now[0])
    vault.open()
    beside = vault.path(Visitor.new()).with_suffix(".new")
    beside.write_bytes(b"half of it")
    vault.sweep()
    assert beside.exists()
    now[0] += 61
    vault.sweep()
    assert [path.name for path in vault.folder.iterdir()] == ["lock"]
    vault.close()


def test_two_processes_never_share_a_folder(vault: Vault, tmp_path: Path):
    """The second one says what to do."""
    with pytest.raises(StorageUnavailableError, match="a folder of its own"):
        Vault(vault.folder, max_offline_duration=60).open()
    vault.close()
    vault.open()
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailableError):
        Vault(tmp_path / "file", max_offline_duration=60).open()


def test_what_the_pages_asked_for_is_kept_with_the_state(vault: Vault):
    """And is gone from the disk with it."""
    visitor = Visitor.new()
    storage = vault.storage(visitor)
    storage.said.take("one", before=3)
    storage.said.take("two", before=4)
    storage.said.settle("one", 5)
    storage.write({})
    other = vault.storage(visitor)
    other.read()
    assert (other.said.outcome("one"), other.said.outcome("two"), other.said.before("two")) == (5, None, 4)
    assert other.said.claimed == {5}
    storage.write(None)
    other = vault.storage(visitor)
    assert other.read() is None
    assert "one" not in other.said


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.one_of(st.none(), st.integers(1, 9), st.text())), max_size=20))
def test_what_became_of_messages_survives_the_way_to_disk(steps):
    """Whatever it was."""
    said = Said()
    for name, outcome in steps:
        said.take(name, before=0)
        if outcome is not None:
            said.settle(name, outcome)
    again = Said(said.to_json())
    assert again.to_json() == said.to_json()
    assert all(again.outcome(name) == said.outcome(name) for name, _ in steps)


def test_what_is_remembered_of_messages_is_bounded():
    """The oldest go first."""
    said = Said()
    for number in range(1000):
        said.take(str(number), before=number)
    assert len(said.to_json()) == 200
    assert "999" in said
    assert "799" not in said
    said.settle("0", 5)
    assert "0" not in said


def test_who_a_visitor_is_stands_in_no_repr():
    """A repr reaches logs."""
    visitor = Visitor.new()
    assert visitor.key not in repr(visitor)
    assert visitor.id not in repr(visitor)
