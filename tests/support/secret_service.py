"""A real Secret Service for a test: gnome-keyring on a session bus of its own, with a home of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

SCRIPT = Path(__file__).parents[1] / "interop" / "counterparts" / "secret_service.py"
_PASSWORD = "of the keyring"


def require_secret_service() -> None:
    """Skip where the Debian packages are missing on a user's machine, fail in CI."""
    missing = [name for name in ("dbus-run-session", "gnome-keyring-daemon") if shutil.which(name) is None]
    if missing:
        reason = f"{' and '.join(missing)} not installed (Debian: apt install dbus gnome-keyring)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def desktopless(home: Path) -> dict[str, str]:
    """Return an environment without display, session bus and the user's own keyring."""
    private = ("DISPLAY", "WAYLAND", "DBUS", "XDG", "GNOME", "KEYRING", "PYTHON_KEYRING", "SSH_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    runtime = home / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return {**kept, "HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)}


class SecretService:
    """The service: ``environment`` is what a program needs to reach it."""

    def __init__(self, home: Path) -> None:
        self.environment = desktopless(home)
        self._process: subprocess.Popen[str] | None = None
        self._daemon = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["dbus-run-session", "--", sys.executable, str(SCRIPT), _PASSWORD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("READY "):
            _, errors = self._process.communicate(timeout=30)
            pytest.fail(f"the Secret Service did not start: {line!r} {errors}")
        _, self.environment["DBUS_SESSION_BUS_ADDRESS"], daemon = line.split()
        self._daemon = int(daemon)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self.go_on()
        self._process.communicate(timeout=30)

    @contextmanager
    def collection(self) -> Iterator[Any]:
        """Open the default collection over D-Bus, past the plugin and past keyring."""
        from jeepney.io.blocking import open_dbus_connection
        from secretstorage import Collection, add_match_rules

        with closing(open_dbus_connection(self.environment["DBUS_SESSION_BUS_ADDRESS"])) as bus:
            add_match_rules(bus)
            yield Collection(bus)

    def items(self) -> list[tuple[dict[str, str], str, bytes]]:
        """Return what is kept: attributes, label and secret."""
        with self.collection() as collection:
            return [(one.get_attributes(), one.get_label(), one.get_secret()) for one in collection.get_all_items()]

    def lock(self) -> None:
        """Lock the collection, as the screen saver or a user does."""
        with self.collection() as collection:
            collection.lock()
            assert collection.is_locked()

    def unlock(self) -> None:
        """Unlock it with its password, without a prompt: gnome-keyring has an interface of its own for that."""
        from secretstorage.util import DBusAddressWrapper, format_secret, open_session

        with self.collection() as collection:
            inner = DBusAddressWrapper(
                "/org/freedesktop/secrets",
                "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface",
                collection.connection,
            )
            secret = format_secret(open_session(collection.connection), _PASSWORD.encode(), "text/plain")
            inner.call("UnlockWithMasterPassword", "o(oayays)", collection.collection_path, secret)
            assert not collection.is_locked()

    def stop(self) -> None:
        """Stop answering, without going away."""
        os.kill(self._daemon, signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again."""
        os.kill(self._daemon, signal.SIGCONT)
