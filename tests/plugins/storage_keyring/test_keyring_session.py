"""Whole sessions whose state is in a keyring: starting, restoring, ending, and keyrings that do not work."""

from __future__ import annotations

import asyncio
import json
import traceback
from typing import Any

import pytest
from keyring.errors import KeyringLocked, NoKeyringError

import chat_core
from chat_core import (
    MessageReceived,
    NoSessionToRestore,
    StateCorruptError,
    StorageError,
    StorageLockedError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_core._storages.runner import StorageRunner
from chat_sandbox import Sandbox, echo
from plugins.storage_keyring.vaults import ITEM, STATE, Gate, Vault, failing, storage
from support.sessions import MemoryLog


def options(sandbox: Sandbox, backend: Any, **more: Any) -> dict[str, Any]:
    return {
        "server_url": sandbox.cometd_url,
        "state_storage": "keyring",
        "storage_options": {"backend": backend, **more},
    }


async def texts_until(session: Any, last: str) -> list[str]:
    texts = []
    async for event in session.events():
        if isinstance(event, MessageReceived):
            texts.append(event.text)
            if event.text == last:
                break
    return texts


def test_rp06_a_session_is_started_restored_and_cleared():
    """The second owner sees what the first one left and what came meanwhile; leaving clears the item."""

    async def main() -> None:
        vault = Vault()
        async with Sandbox() as sandbox:
            session = await chat_core.start_session(username="Ada", **options(sandbox, vault))
            agent = await sandbox.next_chat(timeout=5)
            await agent.join("Eve")
            await session.send_message("one", until="echoed")
            await session.detach()
            assert list(vault.items) == [ITEM]
            assert json.loads(vault.items[ITEM])["session_id"] == session.id
            assert 300 < len(vault.items[ITEM]) < 500  # Windows has room for 1280 characters
            await agent.say("meanwhile")
            async with chat_core.restore_session(**options(sandbox, vault)) as restored:
                assert restored.id == session.id
                assert await texts_until(restored, "meanwhile") == ["one", "meanwhile"]
                await restored.send_message("two", until="echoed")
                assert restored.guarantees.survives_the_process
                assert not restored.guarantees.single_owner
            assert vault.items == {}
            with pytest.raises(NoSessionToRestore):
                await chat_core.restore_session(**options(sandbox, vault))

    asyncio.run(main())


def test_an_exception_in_the_block_keeps_the_chat():
    """The storage outlives the process, so the session is detached and not left."""

    async def main() -> None:
        vault = Vault()
        async with Sandbox(agent=echo) as sandbox:
            with pytest.raises(ZeroDivisionError):
                async with chat_core.start_session(**options(sandbox, vault)):
                    raise ZeroDivisionError
            async with chat_core.restore_session(**options(sandbox, vault)) as session:
                await session.send_message("still here", until="echoed")

    asyncio.run(main())


@pytest.mark.parametrize("text", ["damaged", '{"version":99}', '{"version":1}', "[]"])
def test_rp06_a_damaged_item_is_never_a_silent_new_chat(text: str):
    """Restoring raises and leaves it there; so does restore_or_start. Starting on purpose replaces it."""

    async def main() -> None:
        vault = Vault()
        vault.items[ITEM] = text
        async with Sandbox(agent=echo) as sandbox:
            for launch in (chat_core.restore_session, chat_core.restore_or_start_session):
                with pytest.raises((StateCorruptError, chat_core.StateVersionError)):
                    await launch(**options(sandbox, vault))
            assert vault.items[ITEM] == text
            assert not sandbox.chats
            async with chat_core.start_session(**options(sandbox, vault)):
                assert vault.items[ITEM] != text

    asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "kind"), [(KeyringLocked("x"), StorageLockedError), (NoKeyringError("x"), StorageUnavailableError)]
)
def test_a_keyring_that_does_not_work_is_told_before_the_server_hears_of_a_chat(
    error: Exception, kind: type[StorageError]
):
    """Starting opens no chat that nobody could keep; restoring does not take locked for absent."""

    async def main() -> None:
        vault = Vault()
        vault.items[ITEM] = json.dumps(STATE)
        vault.before = failing(error)
        async with Sandbox(agent=echo) as sandbox:
            for launch in (chat_core.start_session, chat_core.restore_session, chat_core.restore_or_start_session):
                with pytest.raises(kind):
                    await launch(**options(sandbox, vault))
            assert not sandbox.chats
        assert vault.items == {ITEM: json.dumps(STATE)}

    asyncio.run(main())


def test_a_keyring_locked_in_mid_chat_does_not_end_it():
    """The user is told once, the chat goes on, and the state is saved when it can be again."""

    async def main() -> None:
        vault, log = Vault(), []
        async with Sandbox(agent=echo) as sandbox:
            async with chat_core.start_session(
                **options(sandbox, vault, prompt_pause=0), logger=lambda *args: log.append(" ".join(map(str, args)))
            ) as session:
                heard: asyncio.Queue[str] = asyncio.Queue()
                session.on_message_received(lambda event: heard.put_nowait(str(event)))
                await session.checkpoint()
                before = vault.items[ITEM]
                vault.before = failing(KeyringLocked("x"))
                for number in range(3):
                    await session.send_message(f"message {number}", until="echoed")
                    async with asyncio.timeout(5):
                        while await heard.get() != f"Echo: message {number}":
                            pass
                    with pytest.raises(StorageLockedError):
                        await session.checkpoint()
                assert vault.items[ITEM] == before
                assert sum("its state cannot be saved" in line for line in log) == 1
                vault.before = lambda _: None
                await session.checkpoint()
                assert vault.items[ITEM] != before
            assert vault.items == {}

    asyncio.run(main())


def test_rp09_a_hung_keyring_is_left_behind_named_and_not_asked_again():
    """One call hangs, with the option's deadline. The next ones are refused at once until it has come back."""

    async def main() -> None:
        vault, gate, log = Vault(), Gate(), MemoryLog()
        vault.before = gate
        now = [0.0]  # the keyring's own clock, since on a busy machine the call's thread begins late

        def clock() -> float:
            return now[0]

        runner = StorageRunner(storage(vault, timeout=0.05, clock=clock), name="keyring", log=log)
        with pytest.raises(StorageTimeoutError, match=r"'keyring' did not return from read within 0\.05 s"):
            await runner.read()
        assert any("keyring read" in line for line in log.at("warning"))
        assert await asyncio.to_thread(gate.reached.wait, 5)
        now[0] = 0.05
        for state in (STATE, None):
            with pytest.raises(StorageTimeoutError, match=r"has not come back from read for .* so it was not asked to"):
                await runner.write(state)
        # Another session of this process does not pile up beside it either.
        with pytest.raises(StorageTimeoutError, match="has not come back from read"):
            storage(vault, "other", timeout=0.05, clock=clock).read()
        assert vault.calls == ["get"]
        # Another keyring is not concerned.
        storage(Vault()).write(STATE)
        gate.hangs = False
        gate.open.set()
        async with asyncio.timeout(5):
            while True:
                try:
                    await runner.write(STATE)
                except StorageTimeoutError:
                    await asyncio.sleep(0)  # the call's thread has to come to its end
                else:
                    break
        assert await runner.read() == STATE
        await runner.release()

    asyncio.run(main())


def test_a_call_that_merely_takes_its_time_delays_nobody_else():
    """Before its deadline is near it does not count as hanging for other profiles."""
    now = [0.0]
    vault, gate = Vault(), Gate()

    def clock() -> float:
        return now[0]

    async def main() -> None:
        vault.before = gate
        one = storage(vault, timeout=10, clock=clock)
        reading = asyncio.create_task(asyncio.to_thread(one.read))
        assert await asyncio.to_thread(gate.reached.wait, 5)
        gate.hangs = False
        now[0] = 8.9
        assert storage(vault, "other", clock=clock).read() is None
        now[0] = 9.0
        with pytest.raises(StorageTimeoutError, match=r"has not come back from read for 9\.0 s"):
            storage(vault, "other", clock=clock).read()
        gate.open.set()
        await reading
        assert storage(vault, "other", clock=clock).read() is None

    asyncio.run(main())


def test_rp09_a_hung_keyring_bounds_the_start():
    """And no chat is opened."""

    async def main() -> None:
        vault, gate = Vault(), Gate()
        vault.before = gate
        async with Sandbox(agent=echo) as sandbox:
            with pytest.raises(StorageTimeoutError):
                async with asyncio.timeout(10):
                    await chat_core.start_session(**options(sandbox, vault, timeout=0.05))
            assert not sandbox.chats
        gate.open.set()

    asyncio.run(main())


def test_rp10_no_secret_is_in_any_log_repr_or_exception(capfd: pytest.CaptureFixture[str]):
    """The secrets of a real session, looked for in everything that was shown while much went wrong."""
    shown: list[str] = []

    async def attempt(launching: Any) -> None:
        try:
            async with launching as session:
                shown.append(repr(session) + repr(session.options) + str(session.options.explain()))
                await session.send_message("hello", until="echoed")
        except chat_core.ChatError as error:
            shown.append("".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)))

    async def main() -> Vault:
        vault = Vault()

        def log(*args: Any) -> None:
            shown.append(" ".join(map(str, args)) + " ".join(map(repr, args)))

        async with Sandbox(agent=echo) as sandbox:
            given = {**options(sandbox, vault), "logger": log}
            session = await chat_core.start_session(**given)
            shown.append(repr(session) + repr(session.options) + str(session.options.explain()))
            await session.detach()
            kept = dict(vault.items)
            vault.before = failing(KeyringLocked("x"))
            await attempt(chat_core.restore_session(**given))
            vault.before = lambda _: None
            small = {"backend": vault, "max_bytes": 10}
            await attempt(chat_core.restore_session(**{**given, "storage_options": small}))
            vault.items = {ITEM: kept[ITEM][:-1]}
            await attempt(chat_core.restore_session(**given))
            vault.items = dict(kept)

            class Telling(Vault):
                def set_password(self, service: str, username: str, password: str) -> None:
                    raise ValueError(f"cannot keep {password}")

            telling = Telling()
            await attempt(chat_core.start_session(**{**given, "storage_options": {"backend": telling}}))
            telling.items = dict(kept)
            await attempt(chat_core.restore_session(**{**given, "storage_options": {"backend": telling}}))
            vault.items = dict(kept)
        return vault

    vault = asyncio.run(main())
    link = json.loads(vault.items[ITEM])["link"]
    secrets = [link["secure_key"], *link["cookies"].values()]
    assert len(secrets) >= 2
    everything = "\n".join(shown) + "".join(capfd.readouterr())
    assert "StorageLockedError" in everything
    assert "withheld because it shows the state" in everything
    assert "StateCorruptError" in everything
    for secret in secrets:
        assert secret not in everything


def test_the_storage_is_not_taken_because_it_is_installed():
    """``file`` stays the default; the environment may name ``keyring``."""
    from chat_core._contracts.providers import Kind
    from chat_core._plugins.registry import registry
    from chat_core._plugins.selection import select

    assert select(Kind.STORAGE, None, registry=registry, environ={}).name == "file"
    assert select(Kind.STORAGE, None, registry=registry, environ={"CHAT_CORE_STORAGE": "keyring"}).name == "keyring"
