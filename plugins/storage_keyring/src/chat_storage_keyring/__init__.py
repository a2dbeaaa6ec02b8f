"""Keyring storage for chat-core. This version holds the place and says so; it keeps nothing yet."""

from __future__ import annotations

from chat_core import PluginError, StateStorage, StorageContext, StorageProvider, hookimpl

__all__ = ["provider"]


def _make(context: StorageContext) -> StateStorage:
    del context
    raise PluginError(
        "the storage 'keyring' is not there yet in chat-storage-keyring 0.1.0; nothing was written",
        advice="use the storage 'file' or 'memory'",
    )


provider = StorageProvider(name="keyring", summary="not there yet in this version: the system's keyring", factory=_make)


@hookimpl
def chat_storages() -> list[StorageProvider]:
    """Provide the name ``keyring``, which says that it is not there yet."""
    return [provider]
