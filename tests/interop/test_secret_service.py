"""The keyring storage on a real Secret Service: gnome-keyring under ``dbus-run-session``, without a display."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_core import (
    StateCorruptError,
    StorageContext,
    StorageError,
    StorageLockedError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_core._storages.runner import StorageRunner
from chat_sandbox import Sandbox
from chat_storage_keyring import KeyringOptions, provider
from support.commands import Command
from support.secret_service import SecretService, desktopless, require_secret_service
from support.sessions import MemoryLog

BACKEND = "keyring.backends.SecretService.Keyring"
STATE = {"version": 1, "transport": "cometd", "link": {"secure_key": "CANARY"}, "delivered": 7}

#: A program of a user's: what it is asked to do, or the error's name and text.
PROGRAM = """
import asyncio, sys
import chat_core

async def main(action, url):
    given = {"server_url": url, "state_storage": "keyring"}
    if action == "start":
        session = await chat_core.start_session(username="Ada", **given)
        await session.send_message("from the first process", until="echoed")
        await session.detach()
        print("started", session.id)
    else:
        async with chat_core.restore_session(**given) as session:
            async for event in session.events():
                if isinstance(event, chat_core.MessageReceived):
                    print(event)
                    if event.text == "meanwhile":
                        break
        print("left", session.id)

try:
    asyncio.run(main(*sys.argv[1:]))
except chat_core.ChatError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretService]:
    require_secret_service()
    with SecretService(tmp_path) as running:
        for name in ("PYTHON_KEYRING_BACKEND", "DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", running.environment["DBUS_SESSION_BUS_ADDRESS"])
        yield running


async def program(action: str, sandbox: Sandbox, environment: dict[str, str]) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", PROGRAM, action, sandbox.cometd_url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert "Traceback" not in errors.decode()
    return output.decode().splitlines()


def doctor(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "chat_core", "doctor", "--storage", "keyring"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def storage(**options: Any) -> Any:
    context = StorageContext(profile="default", options=KeyringOptions(backend=BACKEND, **options), log=MemoryLog())
    return provider.factory(context)


def test_a_chat_is_stored_restored_and_cleared_across_processes(service: SecretService):
    """One item of the promised name, in ASCII JSON; another process takes the chat up; leaving deletes it."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            starting = asyncio.create_task(program("start", sandbox, service.environment))
            agent = await sandbox.next_chat(timeout=30)
            await agent.join("Eve")
            (started,) = await starting
            session = started.removeprefix("started ")
            ((attributes, label, secret),) = service.items()
            assert (attributes["service"], attributes["username"]) == ("chat-core:default", "state")
            assert json.loads(secret.decode("ascii"))["session_id"] == session
            assert json.loads(secret)["link"]["secure_key"] not in label + str(attributes)
            await agent.say("meanwhile")
            assert await program("restore", sandbox, service.environment) == [
                "Ada: from the first process",
                "Eve: meanwhile",
                f"left {session}",
            ]
            assert service.items() == []
            assert agent.chat.ended
            (nothing,) = await program("restore", sandbox, service.environment)
            assert nothing.startswith("NoSessionToRestore ")

    asyncio.run(main())


def test_a_killed_owners_chat_is_restored(service: SecretService, tmp_path: Path):
    """By the commands, with the keyring named by the environment."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            talk = await Command.begin(tmp_path, "talk", sandbox.cometd_url, "--name", "Ada")
            agent = await sandbox.next_chat(timeout=30)
            await agent.join("Eve")
            await agent.say("Hi")
            await talk.shows("Eve: Hi")
            talk.process.send_signal(signal.SIGKILL)
            await talk.ended()
            assert len(service.items()) == 1
            await agent.say("meanwhile")
            restore = await Command.begin(tmp_path, "restore")
            await restore.shows("Eve: meanwhile")
            restore.say("/leave")
            assert await restore.ended() == 0, restore.lines
            assert service.items() == []

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAT_CORE_STORAGE", "keyring")
        for name, value in service.environment.items():
            patch.setenv(name, value)
        asyncio.run(main())


def test_a_locked_collection_is_not_an_absent_chat(service: SecretService):
    """Neither restoring nor starting goes on, and the server hears nothing. Once it is unlocked the chat is there."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            starting = asyncio.create_task(program("start", sandbox, service.environment))
            agent = await sandbox.next_chat(timeout=30)
            await agent.join("Eve")
            await starting
            await agent.say("meanwhile")
            service.lock()
            for action in ("restore", "start"):
                (line,) = await program(action, sandbox, service.environment)
                assert line.startswith(
                    f"StorageLockedError the keyring backend {BACKEND} was asked to read and is locked"
                )
                assert "which is not the same as holding nothing" in line
            assert len(sandbox.chats) == 1
            assert not agent.chat.ended
            service.unlock()
            assert (await program("restore", sandbox, service.environment))[-1].startswith("left ")

    asyncio.run(main())


def test_a_collection_locked_in_mid_chat_does_not_end_it(service: SecretService):
    """The chat goes on; the state is saved once the collection is unlocked, and cleared at the end."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            heard: asyncio.Queue[str] = asyncio.Queue()
            async with chat_core.start_session(
                server_url=sandbox.cometd_url,
                state_storage="keyring",
                storage_options={"backend": BACKEND, "prompt_pause": 0},
            ) as session:
                session.on_message_received(lambda event: heard.put_nowait(event.text))
                agent = await sandbox.next_chat(timeout=5)
                await agent.join("Eve")
                await session.checkpoint()
                service.lock()
                for text in ("one", "two"):
                    await agent.say(text)
                    async with asyncio.timeout(10):
                        while await heard.get() != text:
                            pass
                with pytest.raises(StorageLockedError):
                    await session.checkpoint()
                service.unlock()
                await session.checkpoint()
                ((_, _, secret),) = service.items()
                assert json.loads(secret)["delivered"] >= 2
            assert service.items() == []

    asyncio.run(main())


def test_a_service_that_does_not_answer_is_left_behind(service: SecretService):
    """The call ends at its deadline, no second one piles up beside it, and all is well once the service answers."""

    async def main() -> None:
        log = MemoryLog()
        one = storage(timeout=0.5)
        runner = StorageRunner(one, name="keyring", log=log)
        await runner.write(STATE)
        service.stop()
        with pytest.raises(StorageTimeoutError, match=r"did not return from read within 0\.5 s"):
            await runner.read()
        with pytest.raises(StorageTimeoutError, match="has not come back from read"):
            await runner.write({**STATE, "delivered": 8})
        service.go_on()
        async with asyncio.timeout(20):
            while True:
                try:
                    await runner.write({**STATE, "delivered": 9})
                except StorageTimeoutError:
                    await asyncio.sleep(0.01)  # the service does not say when it has caught up
                else:
                    break
        assert await runner.read() == {**STATE, "delivered": 9}
        await runner.release()

    asyncio.run(main())


def test_what_others_left_in_the_item_is_damaged(service: SecretService):
    """Bytes that are no text, and text that is no state."""
    for secret in (b"\xff\xfe\x00", b"hunter2", b""):
        with service.collection() as collection:
            attributes = {"service": "chat-core:default", "username": "state"}
            collection.create_item("by hand", attributes, secret, replace=True)
        with pytest.raises(StateCorruptError) as caught:
            storage().read()
        assert "hunter2" not in str(caught.value)
    storage().write(None)
    assert service.items() == []


def test_the_size_is_not_limited_here(service: SecretService):
    """2560 bytes are Windows' limit; ``max_bytes`` sets one anywhere."""
    state = {**STATE, "cookie": "x" * 100_000}
    storage().write(state)
    assert storage().read() == state
    with pytest.raises(StorageError, match="holds 2560"):
        storage(max_bytes=2560).write(state)
    storage().write(None)


def test_doctor_names_the_backend_in_use(service: SecretService):
    """With keyring's reason for it; nothing is wrong."""
    result = doctor(service.environment)
    assert result.returncode == 0, result.stdout
    assert "storage keyring (chosen)\n  in use: ok" in result.stdout
    assert f"{BACKEND} (keyring's own choice)" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(f"  {BACKEND}: ok")]
    assert line.endswith("viable (priority 5)")
    assert service.items() == []


READING = """
from chat_core import StorageContext, StorageError
from chat_storage_keyring import KeyringOptions, provider

class Log:
    info = print

try:
    provider.factory(StorageContext(profile="p", options=KeyringOptions(), log=Log())).read()
except StorageError as error:
    print(type(error).__name__, error)
"""
#: A session bus on which nothing is started by being asked for.
BUS = """<busconfig>
  <type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>"""


def on_a_bus(home: Path, *arguments: str, bus: str = "") -> subprocess.CompletedProcess[str]:
    command = ["dbus-run-session"]
    if bus:
        (home / "bus.conf").write_text(bus, "ascii")
        command.append(f"--config-file={home / 'bus.conf'}")
    return subprocess.run(
        [*command, "--", sys.executable, *arguments], capture_output=True, text=True, timeout=60, env=desktopless(home)
    )


def test_a_bus_without_a_secret_service_is_an_error_with_advice(tmp_path: Path):
    """As in a container: the storage says what to do, and doctor why the backend is not viable."""
    require_secret_service()
    result = on_a_bus(tmp_path, "-W", "error", "-c", READING, bus=BUS)
    assert result.stdout.startswith("StorageUnavailableError the keyring backend keyring.backends.fail.Keyring")
    assert "gnome-keyring-daemon --unlock" in result.stdout
    result = on_a_bus(tmp_path, "-m", "chat_core", "doctor", "--storage", "keyring", bus=BUS)
    assert result.returncode == 1
    assert "not viable: The Secret Service daemon is neither running nor activatable through D-Bus" in result.stdout


def test_a_service_that_nobody_can_unlock_is_locked_and_leaves_no_connection_open(tmp_path: Path):
    """A server where the bus starts gnome-keyring by itself: it wants a prompt, and there is no display."""
    require_secret_service()
    result = on_a_bus(tmp_path, "-W", "error", "-c", READING)
    (_, line) = result.stdout.splitlines()
    assert line.startswith("StorageLockedError ")
    assert "could not be opened" in line
    assert "(InitError)" in line
    assert "a machine without a desktop has no unlocked keyring" in line
    assert "ResourceWarning" not in result.stderr


def test_the_readmes_line_for_machines_without_a_desktop_works(tmp_path: Path):
    """As it stands there: the program finds an unlocked keyring, and finds the state again the next time."""
    require_secret_service()
    readme = Path(__file__).parents[2] / "plugins" / "storage_keyring" / "README.md"
    (line,) = re.findall(r"```sh\n(dbus-run-session .*)\n```", readme.read_text("utf-8"))
    (tmp_path / "password-file").write_text("secret\n", "ascii")
    (tmp_path / "program.py").write_text(
        "from chat_core import StorageContext\n"
        "from chat_storage_keyring import KeyringOptions, provider\n"
        "class Log:\n    info = print\n"
        "one = provider.factory(StorageContext(profile='p', options=KeyringOptions(), log=Log()))\n"
        "print(one.read())\n"
        "one.write({'a': 1})\n",
        "ascii",
    )
    environment = desktopless(tmp_path)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    for expected in ("None", "{'a': 1}"):
        result = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment
        )
        assert result.stdout.splitlines()[-1:] == [expected], result.stderr


def test_no_bus_at_all_is_an_error_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A named backend that cannot be used gives its reason."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(StorageUnavailableError, match="Environment variable DBUS_SESSION_BUS_ADDRESS is unset"):
        storage().read()
