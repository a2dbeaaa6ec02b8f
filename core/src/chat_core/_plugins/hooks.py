"""The hooks: three synchronous, collecting, argument-less questions that a plugin answers with providers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pluggy

if TYPE_CHECKING:
    from chat_core._contracts.providers import LoggerProvider, StorageProvider, TransportProvider

__all__ = ["GROUP", "HOOKS", "PROJECT", "HookSpecs", "hookimpl"]

F = TypeVar("F", bound=Callable[..., Any])

#: The entry-point group, and the name under which pluggy keeps the markers.
PROJECT: Final = "chat_core"
GROUP: Final = "chat_core"

_hookspec = pluggy.HookspecMarker(PROJECT)
_hookimpl = pluggy.HookimplMarker(PROJECT)


def hookimpl(function: F) -> F:
    """Mark a function as the answer to a hook: ``chat_transports``, ``chat_storages`` or ``chat_loggers``."""
    return _hookimpl(function)


class HookSpecs:
    """What a plugin module (or object) may define."""

    @_hookspec
    def chat_transports(self) -> Iterable[TransportProvider]:
        """Return the transports this plugin provides."""
        raise NotImplementedError

    @_hookspec
    def chat_storages(self) -> Iterable[StorageProvider]:
        """Return the state storages this plugin provides."""
        raise NotImplementedError

    @_hookspec
    def chat_loggers(self) -> Iterable[LoggerProvider]:
        """Return the loggers this plugin provides."""
        raise NotImplementedError


HOOKS: Final = ("chat_transports", "chat_storages", "chat_loggers")
