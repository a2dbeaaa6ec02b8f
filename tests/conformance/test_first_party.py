"""What comes with chat-core conforms, and so do the plugins of this repository."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from chat_core.testing import LoggerConformance, PackagingConformance, StorageConformance, TransportConformance
from chat_sandbox.conformance import CometdHarness, LongPollingHarness, RestHarness
from conformance.vaults import FileVault


class TestFile(StorageConformance):
    provider = "file"

    def options(self, folder: Path) -> dict[str, Any]:
        return {"directory": str(folder / "states")}


class TestMemory(StorageConformance):
    provider = "memory"


class TestKeyring(StorageConformance):
    provider = "keyring"

    def options(self, folder: Path) -> dict[str, Any]:
        return {"backend": FileVault(folder / "vault.json")}

    def damage(self, folder: Path) -> None:
        FileVault(folder / "vault.json").damage()


class TestStdlib(LoggerConformance):
    provider = "stdlib"


class TestCometd(TransportConformance):
    provider = "cometd"
    harness = CometdHarness


class TestCometdOverLongPolling(TransportConformance):
    provider = "cometd"
    harness = LongPollingHarness


class TestRest(TransportConformance):
    provider = "rest"
    harness = RestHarness


class TestCometdPackage(PackagingConformance):
    provider = "cometd"


class TestRestPackage(PackagingConformance):
    provider = "rest"


class TestKeyringPackage(PackagingConformance):
    provider = "keyring"


class TestRedisPackage(PackagingConformance):
    provider = "redis"


def test_the_sandbox_harness_is_a_harness_without_importing_it():
    """It has every method of ``TransportHarness``, which the sandbox does not know."""
    from chat_core.testing import TransportHarness

    names = {name for name in vars(TransportHarness) if not name.startswith("_")} | {"__aenter__", "__aexit__"}
    for harness in (CometdHarness, LongPollingHarness, RestHarness):
        made = harness()
        assert not [name for name in names if not hasattr(made, name)]
        assert not asyncio.iscoroutinefunction(made.heard)
