"""Acme storage for chat-core. This module is the entry point: it imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from chat_core import Capability, StorageContext, StorageProvider, hookimpl

if TYPE_CHECKING:
    from chat_core import StateStorage

__all__ = ["AcmeOptions", "provider"]


@frozen(kw_only=True)
class AcmeOptions:
    """What the Acme storage can be told: the ``storage_options`` of its users.

    Attributes:
        path: the file in which the states are kept; its folder must be there.
    """

    path: str


def _make(context: StorageContext) -> StateStorage:
    from chat_storage_acme._storage import AcmeStorage  # noqa: PLC0415 - what is heavy is imported once it is chosen

    return AcmeStorage(context.options.path, context.profile)


provider = StorageProvider(
    name="acme",
    summary="the states of all profiles in one JSON file",
    factory=_make,
    options=AcmeOptions,
    capabilities=frozenset({Capability.PERSISTENT, Capability.ATOMIC}),
)


@hookimpl
def chat_storages() -> list[StorageProvider]:
    """Provide the storage ``acme``."""
    return [provider]
