"""SQLite storage for chat-core. This module is the entry point: it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from attrs import Attribute, field, frozen

from chat_core import Capability, OptionError, ProbeStep, StorageContext, StorageProvider, hookimpl

if TYPE_CHECKING:
    from chat_core import StateStorage

__all__ = ["SqliteOptions", "provider"]


def _check_path(_: Any, __: Attribute[Any], value: object) -> None:
    if value in {"", ":memory:"}:
        raise OptionError(
            f"storage_options: path must name a file, not {value!r}",
            advice="for no file at all: state_storage='memory'",
        )


@frozen(kw_only=True)
class SqliteOptions:
    """What the SQLite storage can be told.

    Attributes:
        path: the database file; made if need be, its folder is not. Beside it stands one small file per profile that
            says who the owner is.
    """

    path: str = field(validator=_check_path)


def _make(context: StorageContext) -> StateStorage:
    from chat_storage_sqlite._storage import SqliteStorage  # noqa: PLC0415 - sqlite3 only once it is needed

    return SqliteStorage(context.options.path, context.profile)


def _look(context: StorageContext) -> Iterable[ProbeStep]:
    from chat_storage_sqlite._storage import probe  # noqa: PLC0415 - as above

    return probe(context.options.path)


provider = StorageProvider(
    name="sqlite",
    summary="a row per profile in a SQLite database",
    factory=_make,
    options=SqliteOptions,
    capabilities=frozenset({Capability.PERSISTENT, Capability.OUTBOX, Capability.OWNERSHIP, Capability.ATOMIC}),
    probe=_look,
)


@hookimpl
def chat_storages() -> list[StorageProvider]:
    """Provide the storage ``sqlite``."""
    return [provider]
