"""Redis storage for chat-core. This module is the entry point: redis-py is imported once the storage is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from chat_core import Capability, ProbeStep, StorageContext, StorageProvider, hookimpl
from chat_storage_redis.options import RedisOptions

if TYPE_CHECKING:
    from chat_core import StateStorage

__all__ = ["RedisOptions", "provider"]


def _make(context: StorageContext) -> StateStorage:
    from chat_storage_redis._storage import make_storage  # noqa: PLC0415 - redis only once it is needed

    return make_storage(context)


def _look(context: StorageContext) -> Iterable[ProbeStep]:
    from chat_storage_redis._probe import probe  # noqa: PLC0415 - as above

    return probe(context)


provider: Final[StorageProvider] = StorageProvider(
    name="redis",
    summary="a key per profile on Redis or Valkey, owned by lease",
    factory=_make,
    options=RedisOptions,
    capabilities=frozenset(
        {
            Capability.PERSISTENT,
            Capability.OUTBOX,
            Capability.OWNERSHIP,
            Capability.LEASE,
            Capability.SHARED,
            Capability.ATOMIC,
        }
    ),
    probe=_look,
)


@hookimpl
def chat_storages() -> list[StorageProvider]:
    """Provide the storage ``redis``."""
    return [provider]
