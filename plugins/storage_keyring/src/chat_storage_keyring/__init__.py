"""Keyring storage for chat-core. This module is the entry point: it imports nothing heavy, and keyring least of all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from chat_core import Capability, ProbeStep, StorageContext, StorageProvider, hookimpl
from chat_storage_keyring.options import KeyringOptions

if TYPE_CHECKING:
    from chat_core import StateStorage

__all__ = ["KeyringOptions", "provider"]


def _make(context: StorageContext) -> StateStorage:
    from chat_storage_keyring._storage import make_storage  # noqa: PLC0415 - made when chosen

    return make_storage(context)


def _look(context: StorageContext) -> Iterable[ProbeStep]:
    from chat_storage_keyring._probe import probe  # noqa: PLC0415 - as above

    return probe(context)


provider: Final[StorageProvider] = StorageProvider(
    name="keyring",
    summary="one item per profile in the operating system's keyring",
    factory=_make,
    options=KeyringOptions,
    # No ownership: a keyring cannot tell who is alive. Not atomic: macOS' backend deletes before it adds. No outbox:
    # Windows has 2,560 bytes.
    capabilities=frozenset({Capability.PERSISTENT}),
    probe=_look,
)


@hookimpl
def chat_storages() -> list[StorageProvider]:
    """Provide the storage ``keyring``."""
    return [provider]
