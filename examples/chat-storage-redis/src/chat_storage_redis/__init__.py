"""Redis storage for chat-core. This module is the entry point: redis-py is imported once the storage is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from chat_core import Capability, OptionError, ProbeStep, StorageContext, StorageProvider, hookimpl

if TYPE_CHECKING:
    from chat_core import StateStorage

__all__ = ["RedisOptions", "provider"]


def _check_url(_: Any, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
        # It may hold a password, so it is not shown.
        raise OptionError(
            "storage_options: url must be the address of a Redis server",
            advice="write it as redis://host:6379/0, rediss://... for TLS, or unix:///path/to/socket",
        )


def _check_seconds(_: Any, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.001 <= value <= 10**9:  # noqa: PLR2004
        raise OptionError(f"storage_options: {attribute.name} must be seconds above 0, not {value!r}")


@frozen(kw_only=True)
class RedisOptions:
    """What the Redis storage can be told.

    Attributes:
        url: ``redis://``, ``rediss://`` or ``unix://``, with user and password if need be.
        prefix: begins the name of each key.
        keep: seconds after the last change for which a state is kept.
        timeout: seconds for one read or write.
    """

    url: str = field(default="redis://127.0.0.1:6379/0", repr=False, validator=_check_url)
    prefix: str = "chat-core:"
    keep: float = field(default=86400.0, validator=_check_seconds)
    timeout: float = field(default=5.0, validator=_check_seconds)


def _make(context: StorageContext) -> StateStorage:
    from chat_storage_redis._storage import RedisStorage  # noqa: PLC0415 - redis only once it is needed

    return RedisStorage(context.options, context.profile)


def _look(context: StorageContext) -> Iterable[ProbeStep]:
    from chat_storage_redis._storage import probe  # noqa: PLC0415 - as above

    return probe(context.options)


provider = StorageProvider(
    name="redis",
    summary="a key per profile on a Redis server",
    factory=_make,
    options=RedisOptions,
    # No ownership: a lease in Redis can run out under an owner that was stopped for a while, and two would drive one
    # chat. Whoever needs it gives each process profiles of its own.
    capabilities=frozenset({Capability.PERSISTENT, Capability.SHARED, Capability.OUTBOX, Capability.ATOMIC}),
    probe=_look,
)


@hookimpl
def chat_storages() -> list[StorageProvider]:
    """Provide the storage ``redis``."""
    return [provider]
