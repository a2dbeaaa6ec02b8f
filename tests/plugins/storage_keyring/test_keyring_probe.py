"""What ``chat-core doctor`` shows of keyrings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from importlib.metadata import EntryPoint
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer

from chat_core import ProbeStep, StorageContext
from chat_storage_keyring import KeyringOptions, _probe, provider
from plugins.storage_keyring.vaults import ITEM, Vault
from support.sessions import MemoryLog


def steps(deadline: float = 10, **options: Any) -> dict[str, ProbeStep]:
    context = StorageContext(profile="default", options=KeyringOptions(**options), log=MemoryLog())
    return {step.name: step for step in _probe.probe(context, deadline=deadline)}


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    """A backend class that is there for one test."""
    list(_probe._entry_points(10))  # what is known does not depend on the tests before
    known = set(KeyringBackend._classes)

    class Mine(KeyringBackend):
        priority: Any = 3
        vault = Vault()

        def get_password(self, service: str, username: str) -> str | None:
            return self.vault.get_password(service, username)

        def set_password(self, service: str, username: str, password: str) -> None:
            self.vault.set_password(service, username, password)

    Mine.__module__, Mine.__qualname__ = "mine", "Keyring"
    KeyringBackend._classes.discard(Mine)
    monkeypatch.setattr(KeyringBackend, "_classes", known | {Mine})
    # The class itself cannot be forgotten by its base; what is looked for is named.
    monkeypatch.setattr(_probe, "_kinds", lambda kinds=_probe._kinds: {Mine, *(k for k in kinds() if k in known)})
    return Mine


def test_every_backend_is_listed_with_the_reason(backend: type[Any], monkeypatch: pytest.MonkeyPatch):
    """Also those that ``keyring --list-backends`` hides: that one is not viable is no fault."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    found = steps(backend=Vault())
    assert found["in use"].ok
    assert found["in use"].detail == "plugins.storage_keyring.vaults.Vault (storage_options holds it)"
    assert (found["mine.Keyring"].ok, found["mine.Keyring"].detail) == (True, "viable (priority 3)")
    expected = {
        "keyring.backends.SecretService.Keyring": "not viable: Unable to initialize SecretService: .*unset",
        "keyring.backends.Windows.WinVaultKeyring": "not viable: Requires Windows and pywin32",
        "keyring.backends.macOS.Keyring": "not viable: macOS required",
        "keyring.backends.libsecret.Keyring": "not viable: libsecret required",
        "keyring.backends.kwallet.DBusKeyring": "not viable: python-dbus not installed",
        "keyring.backends.fail.Keyring": "not viable: is what keyring takes when it finds no usable one",
        "keyring.backends.null.Keyring": "not viable: takes everything and keeps nothing",
        "keyring.backends.chainer.ChainerBackend": "viable|has no usable backend",
    }
    for name, words in expected.items():
        assert re.search(words, found[name].detail), found[name]
    del expected["keyring.backends.chainer.ChainerBackend"]
    assert {found[name].ok for name in expected} == {None}


def test_a_low_priority_is_told(backend: type[Any]):
    """Such a backend has to be named to be used."""
    backend.priority = 0.5
    assert steps(backend=Vault())["mine.Keyring"].detail == "viable, not recommended by itself (priority 0.5)"


def test_a_backend_that_raises_or_hangs_is_named_and_the_others_are_asked(backend: type[Any]):
    """Each has a deadline of its own."""
    gate = threading.Event()

    class Hanging:
        def __get__(self, _: Any, __: Any) -> Any:
            gate.wait(30)

    class Raising:
        def __get__(self, _: Any, __: Any) -> Any:
            raise ZeroDivisionError("no")

    backend.priority = Hanging()
    found = steps(deadline=1, backend=Vault())
    gate.set()
    assert found["mine.Keyring"].detail == "it did not answer within 1 s"
    assert found["keyring.backends.macOS.Keyring"].detail == "not viable: macOS required"
    backend.priority = Raising()
    found = steps(backend=Vault())
    assert (found["mine.Keyring"].ok, found["mine.Keyring"].detail) == (None, "ZeroDivisionError: no")


def test_what_registers_backends_and_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch):
    """Keyring itself only logs it."""
    group = "keyring.backends"
    points = [EntryPoint("gone", "no.such.backend", group), EntryPoint("one", "math:pi", group)]
    monkeypatch.setattr(_probe, "entry_points", lambda group: points)
    found = steps(backend=Vault())
    assert found["no.such.backend"].detail == "ModuleNotFoundError: No module named 'no'"
    assert found["no.such.backend"].ok is None
    assert "math:pi" not in found


def test_nothing_is_read_written_or_unlocked(backend: type[Any]):
    """The item of the profile stays unseen."""
    vault = Vault()
    vault.items[ITEM] = "CANARY"
    backend.vault = vault
    found = steps(backend=vault)
    assert vault.calls == []
    assert "CANARY" not in repr(found)


def test_a_backend_in_use_that_keeps_nothing_is_a_failure(monkeypatch: pytest.MonkeyPatch):
    """With the advice."""
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [])
    monkeypatch.setattr(keyring.core, "_keyring_backend", chainer.ChainerBackend())
    step = steps()["in use"]
    assert step.ok is False
    assert "has no usable backend behind it" in step.detail
    assert "gnome-keyring-daemon --unlock" in step.detail


def test_doctor_lists_the_backends_and_fails_only_where_the_keyring_is_chosen():
    """On a machine without a desktop: shown beside the default storage, a problem for who wants the keyring."""
    environment = {name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"}

    def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "chat_core", "doctor", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**environment, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"},
        )

    beside = doctor()
    assert beside.returncode == 0, beside.stdout
    assert "storage keyring (not chosen)\n  in use: FAILED" in beside.stdout
    assert "  keyring.backends.Windows.WinVaultKeyring: - " in beside.stdout
    chosen = doctor("--storage", "keyring")
    assert chosen.returncode == 1
    assert "storage: keyring: state_storage='keyring' was given" in chosen.stdout
    assert "storage 'keyring': in use: the keyring backend keyring.backends.null.Keyring (the variable" in chosen.stdout
    report = json.loads(doctor("--json").stdout)
    assert report["storages"]["keyring"]["chosen"] is False
    names = [step["name"] for step in report["storages"]["keyring"]["steps"]]
    assert names[0] == "in use"
    assert "keyring.backends.macOS.Keyring" in names


def test_the_provider_has_the_probe():
    """Which is how the core gets at it: the core imports no plugin."""
    assert provider.probe is not None
    context = StorageContext(profile="default", options=KeyringOptions(backend=Vault()), log=MemoryLog())
    assert next(iter(provider.probe(context))).name == "in use"
