"""Which backend is used, why, and those that keep nothing."""

from __future__ import annotations

from typing import Any

import keyring
import pytest
from keyring.backends import chainer, fail, null

from chat_core import (
    StorageCapacityError,
    StorageError,
    StorageUnavailableError,
)
from plugins.storage_keyring.vaults import (
    ITEM,
    STATE,
    Vault,
    shown,
    storage,
)


def test_keyrings_own_choice_is_used_when_nothing_is_named():
    """What the program set, for one."""

    class Mine(null.Keyring):
        priority = 1  # type: ignore[assignment]
        vault = Vault()

        def get_password(self, service: str, username: str, password: None = None) -> Any:
            return self.vault.get_password(service, username)

        def set_password(self, service: str, username: str, password: str) -> None:
            self.vault.set_password(service, username, password)

    # A class of its own, not derived from the one that keeps nothing.
    mine = type("Mine", (keyring.backend.KeyringBackend,), {**vars(Mine)})
    keyring.backend.KeyringBackend._classes -= {Mine, mine}
    keyring.set_keyring(mine())
    one = storage(None)
    one.write(STATE)
    assert Mine.vault.items[ITEM]
    assert repr(one).endswith("Mine>")


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (
            "nowhere.at.all.Keyring",
            r"backend nowhere\.at\.all\.Keyring cannot be used \(storage_options names it\): Mod",
        ),
        ("keyring.backends.null.Missing", r"AttributeError: .*Missing"),
        ("keyring.backends.macOS.Keyring", r"RuntimeError: macOS required"),
        ("keyring.backend.KeyringBackend", "cannot be used"),
    ],
)
def test_a_named_backend_that_cannot_be_used_is_an_error_with_the_reason(backend: str, words: str):
    """The chain shows what keyring said."""
    with pytest.raises(StorageUnavailableError, match=words) as caught:
        storage(backend).read()
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", ["nowhere.Keyring", "keyring.backends.macOS.Keyring", "", "plain"])
def test_a_wrong_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch):
    """Keyring raises ImportError, RuntimeError or ValueError for it, none of which is an error of its own."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", name)
    with pytest.raises(StorageUnavailableError, match="keyring could not choose a backend") as caught:
        storage(None).read()
    assert not name or f"PYTHON_KEYRING_BACKEND={name}" in str(caught.value)


def test_a_variable_that_names_the_null_backend_is_named(monkeypatch: pytest.MonkeyPatch):
    """Somebody switched keyring off with it."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    with pytest.raises(StorageUnavailableError, match=r"PYTHON_KEYRING_BACKEND=keyring\.backends\.null\.Keyring"):
        storage(None).write(STATE)


def test_a_configuration_file_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    """``keyring --disable`` writes one."""
    file = tmp_path / "python_keyring" / "keyringrc.cfg"
    file.parent.mkdir()
    file.write_text("[backend]\ndefault-keyring=keyring.backends.null.Keyring\n", "utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(StorageUnavailableError, match=rf"the file {file} is there"):
        storage(None).read()


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (null.Keyring(), r"null\.Keyring \(storage_options holds it\) takes everything and keeps nothing"),
        (fail.Keyring(), r"fail\.Keyring .* is what keyring takes when it finds no usable one"),
        ("keyring.backends.null.Keyring", r"null\.Keyring \(storage_options names it\) takes everything"),
        ("keyring.backends.chainer.ChainerBackend", "has no usable backend behind it"),
    ],
)
def test_a_backend_that_keeps_nothing_is_found_out_by_looking(
    backend: Any, reason: str, monkeypatch: pytest.MonkeyPatch
):
    """Reading, too: what it says would be taken for "nothing saved". The advice helps on machines without a desktop."""
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [])
    for act in (lambda one: one.read(), lambda one: one.write(STATE), lambda one: one.write(None)):
        with pytest.raises(StorageUnavailableError, match=reason) as caught:
            act(storage(backend))
        for part in ("dbus-run-session", "gnome-keyring-daemon --unlock", 'state_storage="file"', "chat-core doctor"):
            assert part in str(caught.value)


@pytest.mark.parametrize(
    ("keep", "kind", "words"),
    [
        (lambda text: None, StorageUnavailableError, "took the state without an error and kept nothing"),
        (lambda text: text[:40], StorageCapacityError, r"was given \d+ characters and gave back only the first 40"),
        (lambda text: "CANARY" + text, StorageUnavailableError, r"was given \d+ characters and gave back \d+ others"),
    ],
)
def test_the_first_write_is_read_back(keep: Any, kind: type[StorageError], words: str):
    """What is lost, cut or changed on the way is an error, without the content."""

    class Lossy(Vault):
        def set_password(self, service: str, username: str, password: str) -> None:
            super().set_password(service, username, password)
            self.items[service, username] = keep(password)

    with pytest.raises(kind, match=words) as caught:
        storage(Lossy()).write(STATE)
    assert "CANARY" not in shown(caught.value)


def test_later_writes_are_not_read_back():
    """One call for each saved position, not two."""
    vault = Vault()
    one = storage(vault)
    for number in range(3):
        one.write({"n": number})
    assert vault.calls == ["set", "get", "set", "set"]
