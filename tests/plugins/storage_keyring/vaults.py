"""Keyrings for tests: one in memory that misbehaves on request, and keyring's own backends on imitated systems."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import Windows, chainer, kwallet, macOS
from keyring.errors import PasswordDeleteError

from chat_storage_keyring import KeyringOptions
from chat_storage_keyring._storage import KeyringStorage

#: A state as the core writes it, with canaries where the secrets are.
STATE: dict[str, Any] = {
    "version": 1,
    "transport": "cometd",
    "server_url": "https://gms.example.com/genesys/cometd",
    "session_id": "CANARY-session",
    "link": {"secure_key": "CANARY-secure-key", "cookies": {"BAYEUX_BROWSER": "CANARY-cookie"}},
    "delivered": 7,
    "websockets_disabled": False,
}
ITEM = ("chat-core:default", "state")


class Vault:
    """A keyring in memory. Its repr shows what it holds, as a careless backend's would."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], str] = {}
        self.calls: list[str] = []
        #: Called before each call with the method's name; may raise or hang.
        self.before: Callable[[str], object] = lambda _: None

    def __repr__(self) -> str:
        return f"Vault({self.items})"

    def _begin(self, method: str) -> None:
        self.calls.append(method)
        self.before(method)

    def get_password(self, service: str, username: str) -> str | None:
        self._begin("get")
        return self.items.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._begin("set")
        self.items[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._begin("delete")
        if (service, username) not in self.items:
            raise PasswordDeleteError("No such password!")
        del self.items[service, username]


def failing(error: BaseException, *methods: str) -> Callable[[str], None]:
    """Raise in these methods, in all when none is named."""

    def before(method: str) -> None:
        if not methods or method in methods:
            raise error

    return before


def storage(backend: Any, profile: str = "default", **options: Any) -> KeyringStorage:
    """Make a storage on a backend; ``clock`` and ``log`` go to the storage itself."""
    extra = {name: options.pop(name) for name in ("clock", "log") if name in options}
    return KeyringStorage(profile, KeyringOptions(backend=backend, **options), **extra)


class Win32Error(Exception):
    def __init__(self, winerror: int, funcname: str) -> None:
        super().__init__(winerror, funcname, "words of Windows")
        self.winerror = winerror
        self.funcname = funcname


class CredentialManager:
    """Windows' store behind keyring's own backend: names without case, 2560 bytes of UTF-16."""

    CRED_TYPE_GENERIC = 1
    CRED_PERSIST_ENTERPRISE = 3

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}

    def CredRead(self, *, Type: int, TargetName: str) -> dict[str, Any]:  # noqa: N802, N803
        if TargetName.lower() not in self.held:
            raise Win32Error(1168, "CredRead")
        return dict(self.held[TargetName.lower()])

    def CredWrite(self, credential: dict[str, Any], flags: int) -> None:  # noqa: N802
        blob = credential["CredentialBlob"].encode("utf-16-le")
        if len(blob) > 2560:
            raise Win32Error(1783, "CredWrite")
        self.held[credential["TargetName"].lower()] = {**credential, "CredentialBlob": blob}

    def CredDelete(self, *, Type: int, TargetName: str) -> None:  # noqa: N802, N803
        if self.held.pop(TargetName.lower(), None) is None:
            raise Win32Error(1168, "CredDelete")


def windows(patch: pytest.MonkeyPatch) -> KeyringBackend:
    patch.setattr(Windows, "win32cred", CredentialManager(), raising=False)
    patch.setattr(Windows, "pywintypes", SimpleNamespace(error=Win32Error), raising=False)
    return Windows.WinVaultKeyring()


class Keychain:
    """macOS' Security API behind keyring's own backend."""

    class Error(Exception):
        pass

    class NotFound(Error):  # noqa: N818 - as there
        pass

    class KeychainDenied(Error):  # noqa: N818 - as there
        pass

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.denied = False

    def _enter(self) -> None:
        if self.denied:
            raise self.KeychainDenied(-128, "Keychain Access Denied")

    def find_generic_password(self, _: Any, service: str, username: str) -> str:
        self._enter()
        if (service, username) not in self.held:
            raise self.NotFound(-25300, "Item not found")
        return self.held[service, username]

    def set_generic_password(self, _: Any, service: str, username: str, password: str) -> None:
        self._enter()
        self.held[service, username] = password

    def delete_generic_password(self, _: Any, service: str, username: str) -> None:
        self._enter()
        if self.held.pop((service, username), None) is None:
            raise self.NotFound(-25300, "Item not found")


def mac(patch: pytest.MonkeyPatch) -> KeyringBackend:
    patch.setattr(macOS, "api", Keychain(), raising=False)
    return macOS.Keyring()


class Wallet:
    """KWallet's D-Bus interface behind keyring's own backend."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.handle = 1

    def networkWallet(self) -> str:  # noqa: N802
        return "kdewallet"

    def open(self, *_: Any) -> int:
        return self.handle

    def isOpen(self, _: int) -> bool:  # noqa: N802
        return True

    def hasFolder(self, *_: Any) -> bool:  # noqa: N802
        return False

    def hasEntry(self, _: int, folder: str, key: str, __: str) -> bool:  # noqa: N802
        return (folder, key) in self.held

    def readPassword(self, _: int, folder: str, key: str, __: str) -> str:  # noqa: N802
        return self.held[folder, key]

    def writePassword(self, _: int, folder: str, key: str, value: str, __: str) -> int:  # noqa: N802
        self.held[folder, key] = value
        return 0

    def removeEntry(self, _: int, folder: str, key: str, __: str) -> int:  # noqa: N802
        del self.held[folder, key]
        return 0


def kde(patch: pytest.MonkeyPatch, wallet: Wallet | None = None) -> KeyringBackend:
    wallet = wallet or Wallet()
    bus = SimpleNamespace(get_object=lambda *_: wallet)
    dbus = SimpleNamespace(
        SessionBus=lambda **_: bus, Interface=lambda one, _: one, DBusException=type("DBusException", (Exception,), {})
    )
    patch.setattr(kwallet, "dbus", dbus, raising=False)
    patch.setattr(kwallet, "DBusGMainLoop", lambda: None, raising=False)
    return kwallet.DBusKeyring()


def chain(patch: pytest.MonkeyPatch, *backends: Any) -> KeyringBackend:
    """Keyring's chainer over these backends."""

    class Chain(chainer.ChainerBackend):
        pass

    patch.setattr(Chain, "backends", list(backends), raising=False)
    KeyringBackend._classes.discard(Chain)  # the other tests have their own
    return Chain()


BACKENDS: dict[str, Callable[[pytest.MonkeyPatch], Any]] = {
    "memory": lambda _: Vault(),
    "Windows": windows,
    "macOS": mac,
    "KWallet": kde,
    "chainer": lambda patch: chain(patch, Vault(), Vault()),
}


class Gate:
    """Lets a call hang until it is opened."""

    def __init__(self) -> None:
        self.hangs = True
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, _: str) -> None:
        if self.hangs:
            self.reached.set()
            assert self.open.wait(30)


def shown(error: BaseException) -> str:
    """Everything that a traceback, a log or a debugger's summary would show of an error."""
    parts = ["".join(traceback.format_exception(error)), repr(error)]
    one: BaseException | None = error
    while one is not None:
        parts += [str(one), repr(one.args), repr(vars(one))]
        one = one.__cause__ or one.__context__
    return "\n".join(parts)
