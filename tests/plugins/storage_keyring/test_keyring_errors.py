"""No exception of a backend escapes, and none of ours shows the state."""

from __future__ import annotations

from typing import Any

import keyring
import pytest
from keyring.errors import InitError, KeyringError, KeyringLocked, NoKeyringError, PasswordDeleteError, PasswordSetError

from chat_core import (
    StorageCapacityError,
    StorageError,
    StorageLockedError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from plugins.storage_keyring.vaults import (
    STATE,
    Keychain,
    Vault,
    Wallet,
    failing,
    kde,
    mac,
    shown,
    storage,
)


def foreign(module: str, kind: str, /, **attributes: Any) -> Exception:
    """An error of a library that need not be installed."""
    error: Exception = type(kind, (Exception,), {"__module__": module})("words of the library")
    for key, value in attributes.items():
        setattr(error, key, value)
    return error


JEEPNEY = ("jeepney.wrappers", "DBusErrorResponse")
DBUS = "org.freedesktop.DBus.Error."
ERRORS: list[tuple[BaseException, type[StorageError]]] = [
    (NoKeyringError("x"), StorageUnavailableError),
    (KeyringLocked("x"), StorageLockedError),
    (InitError("x"), StorageLockedError),
    (PasswordSetError("x"), StorageError),
    (KeyringError("x"), StorageError),
    (foreign("secretstorage.exceptions", "LockedException"), StorageLockedError),
    (foreign("secretstorage.exceptions", "PromptDismissedException"), StorageLockedError),
    (foreign("secretstorage.exceptions", "SecretServiceNotAvailableException"), StorageUnavailableError),
    (foreign("secretstorage.exceptions", "ItemNotFoundException"), StorageError),
    (foreign(*JEEPNEY, name="org.freedesktop.Secret.Error.IsLocked"), StorageLockedError),
    (foreign(*JEEPNEY, name=DBUS + "NoReply"), StorageTimeoutError),
    (foreign(*JEEPNEY, name=DBUS + "ServiceUnknown"), StorageUnavailableError),
    (foreign(*JEEPNEY, name=DBUS + "Failed"), StorageError),
    (foreign("dbus.exceptions", "DBusException", get_dbus_name=lambda: DBUS + "Disconnected"), StorageUnavailableError),
    (foreign("dbus.exceptions", "DBusException", get_dbus_name=lambda: 1 / 0), StorageError),
    (foreign("pywintypes", "error", winerror=1783), StorageCapacityError),
    (foreign("pywintypes", "error", winerror=1312), StorageUnavailableError),
    (foreign("pywintypes", "error", winerror=87), StorageError),
    (ConnectionResetError(104, "x"), StorageUnavailableError),
    (TimeoutError(), StorageTimeoutError),
    (EOFError(), StorageUnavailableError),
    (NotImplementedError(), StorageUnavailableError),
    (ImportError("x"), StorageUnavailableError),
    (ZeroDivisionError(), StorageError),
    (StopIteration(), StorageError),
    (SystemExit(3), StorageError),
    (ExceptionGroup("x", [ValueError("y")]), StorageError),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=lambda one: getattr(one, "__name__", type(one).__name__))
@pytest.mark.parametrize("doing", ["read", "write", "clear"])
def test_no_exception_of_a_backend_escapes(error: BaseException, kind: type[StorageError], doing: str):
    """It becomes exactly one of ours, which names it, the backend and what was asked, and is chained to it."""
    vault = Vault()
    one = storage(vault)
    one.write(STATE)
    vault.before = failing(error)
    with pytest.raises(StorageError) as caught:
        one.read() if doing == "read" else one.write(STATE if doing == "write" else None)
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error
    text = str(caught.value)
    assert f"vaults.Vault was asked to {doing}" in text
    assert type(error).__name__ in text
    assert "words of the library" not in text
    assert "CANARY" not in shown(caught.value)
    vault.before = lambda _: None
    assert storage(vault).read() == STATE


def test_the_user_can_still_interrupt():
    """Ctrl-C is nobody's error."""
    vault = Vault()
    vault.before = failing(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        storage(vault).read()


TOLD = {**STATE, "more": [1, ["CANARY-in-a-list"]]}


class UnshowableError(Exception):
    def __repr__(self) -> str:
        raise ZeroDivisionError

    __str__ = __repr__


def chained(inner: BaseException) -> BaseException:
    outer = ValueError("cannot")
    outer.__context__ = inner
    return outer


def noted(text: str) -> BaseException:
    error = ValueError("cannot")
    error.add_note(text)
    return error


@pytest.mark.parametrize(
    "make",
    [
        ValueError,
        lambda text: ValueError({"password": text}),
        lambda text: ValueError(text[60:100]),
        lambda text: ValueError("refused CANARY-secure-key"),
        lambda text: ValueError("refused CANARY-in-a-list"),
        lambda text: UnicodeEncodeError("latin-1", text, 0, 1, "ordinal not in range"),
        lambda text: foreign("x", "E", attempted=text),
        lambda text: chained(ValueError(text)),
        lambda text: ExceptionGroup("cannot", [OSError(text)]),
        noted,
    ],
)
def test_rp10_an_error_that_shows_the_state_is_not_chained(make: Any):
    """However it shows it. What is left says so, and names the error's type."""

    class Telling(Vault):
        def set_password(self, service: str, username: str, password: str) -> None:
            raise make(password)

    with pytest.raises(StorageError, match="withheld because it shows the state") as caught:
        storage(Telling()).write(TOLD)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "CANARY" not in shown(caught.value)


def test_an_error_that_cannot_be_shown_is_chained():
    """Its own trouble is not ours."""
    vault = Vault()
    vault.before = failing(UnshowableError())
    with pytest.raises(StorageError, match="UnshowableError") as caught:
        storage(vault).write(STATE)
    assert isinstance(caught.value.__cause__, UnshowableError)


def test_a_cancelled_prompt_on_macos_and_kde_is_locked_and_not_absent(monkeypatch: pytest.MonkeyPatch):
    """As keyring's own backends report it."""
    backend = mac(monkeypatch)
    keychain = keyring.backends.macOS.api  # type: ignore[attr-defined]
    assert isinstance(keychain, Keychain)
    keychain.denied = True
    with pytest.raises(StorageLockedError, match="is locked or could not be opened"):
        storage(backend).read()
    wallet = Wallet()
    wallet.handle = -1
    with pytest.raises(StorageLockedError):
        storage(kde(monkeypatch, wallet)).read()


def test_macos_that_cannot_delete_is_an_error_and_says_so(monkeypatch: pytest.MonkeyPatch):
    """Its backend raises the same for an absent item and for a refusal: the item decides."""
    backend = mac(monkeypatch)
    one = storage(backend)
    one.write(STATE)
    keychain = keyring.backends.macOS.api  # type: ignore[attr-defined]
    monkeypatch.setattr(keychain, "delete_generic_password", failing_with(Keychain.Error(-25308, "not allowed")))
    monkeypatch.setattr(keychain, "set_generic_password", lambda *_: None)
    with pytest.raises(StorageError, match=r"asked to clear and failed \(PasswordDeleteError\)") as caught:
        one.write(None)
    assert isinstance(caught.value.__cause__, PasswordDeleteError)


def failing_with(error: Exception) -> Any:
    def fail(*_: Any) -> None:
        raise error

    return fail
