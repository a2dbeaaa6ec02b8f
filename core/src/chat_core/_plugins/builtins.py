"""The plugins that come with the core. Their factories import the thing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat_core._contracts.logger import LoggerContext
from chat_core._contracts.providers import Capability, LoggerProvider, StorageProvider
from chat_core._contracts.storage import StorageContext
from chat_core._loggers.options import StdlibOptions
from chat_core._plugins.hooks import hookimpl
from chat_core._storages.options import FileOptions, MemoryOptions

if TYPE_CHECKING:
    import logging

    from chat_core._contracts.storage import StateStorage

__all__ = ["chat_loggers", "chat_storages"]


def _file(context: StorageContext) -> StateStorage:
    from chat_core._storages.file import make_file_storage  # noqa: PLC0415 - made when chosen

    return make_file_storage(context)


def _memory(context: StorageContext) -> StateStorage:
    from chat_core._storages.memory import make_memory_storage  # noqa: PLC0415 - made when chosen

    return make_memory_storage(context)


def _stdlib(context: LoggerContext) -> logging.Logger:
    from chat_core._loggers.stdlib import make_stdlib_logger  # noqa: PLC0415 - made when chosen

    return make_stdlib_logger(context)


@hookimpl
def chat_storages() -> list[StorageProvider]:
    """Provide ``file`` and ``memory``."""
    return [
        StorageProvider(
            name="file",
            summary="a file per profile in the user's state directory, mode 0600",
            factory=_file,
            options=FileOptions,
            capabilities=frozenset({Capability.PERSISTENT, Capability.OUTBOX, Capability.OWNERSHIP, Capability.ATOMIC}),
        ),
        StorageProvider(
            name="memory",
            summary="this process's memory; writes nothing",
            factory=_memory,
            options=MemoryOptions,
            capabilities=frozenset({Capability.OWNERSHIP, Capability.ATOMIC, Capability.INLINE}),
        ),
    ]


@hookimpl
def chat_loggers() -> list[LoggerProvider]:
    """Provide ``stdlib``."""
    return [
        LoggerProvider(
            name="stdlib",
            summary="the logger 'chat_core' of the standard library; prints nothing by itself",
            factory=_stdlib,
            options=StdlibOptions,
        )
    ]
