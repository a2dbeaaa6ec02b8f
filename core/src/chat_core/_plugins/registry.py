"""All plugins of this process and what became of each."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from chat_core._contracts.providers import AnyProvider, Kind
from chat_core._model.errors import PluginError
from chat_core._plugins.discovery import canonical, discover
from chat_core._plugins.loader import BUILTIN, load, load_object, resolve_conflicts
from chat_core._plugins.records import PluginRecord, PluginSource, Status

__all__ = ["Registry", "names_in", "registry"]


class Registry:
    """What is there to choose from.

    Args:
        records: what became of each plugin.
    """

    def __init__(self, records: Iterable[PluginRecord]) -> None:
        self.records = tuple(resolve_conflicts(records))

    def providers(self, kind: Kind) -> dict[str, tuple[AnyProvider, PluginRecord]]:
        """Return what can be selected, by name."""
        return {
            provider.name: (provider, record)
            for record in self.records
            for provider in record.providers
            if provider.kind is kind
        }

    def claimants(self, kind: Kind, name: str) -> list[PluginRecord]:
        """Return the plugins in conflict over a name."""
        return [
            record
            for record in self.records
            if any(provider.kind is kind and provider.name == name for provider in record.claimed)
        ]

    def broken(self) -> list[PluginRecord]:
        """Return the plugins that did not load, blocked ones left out."""
        return [record for record in self.records if record.status not in {Status.OK, Status.BLOCKED}]

    def check(self) -> None:
        """In strict mode a plugin that does not load is an error.

        Raises:
            PluginError: the first one; its text names all.
        """
        broken = self.broken()
        if broken:
            raise PluginError(
                "CHAT_CORE_STRICT_PLUGINS is set and plugins do not load: " + "; ".join(map(str, broken)),
                advice="repair or uninstall them, or unset the variable",
            )


def names_in(variable: str, environ: Mapping[str, str]) -> frozenset[str] | None:
    """Return the names that a list variable holds, None when it is not set."""
    value = environ.get(variable)
    if value is None:
        return None
    return frozenset(canonical(name.strip()) for name in value.split(",") if name.strip())


def is_strict(environ: Mapping[str, str]) -> bool:
    """Say whether strict mode is on."""
    return environ.get("CHAT_CORE_STRICT_PLUGINS", "").strip().lower() not in {"", "0", "false", "no"}


def builtin_record() -> PluginRecord:
    """Return what comes with the core."""
    from chat_core import __version__  # noqa: PLC0415 - the package is complete by now
    from chat_core._plugins import builtins  # noqa: PLC0415 - provider classes are imported only when asked for

    source = PluginSource(distribution="chat-core", version=__version__, entry_point=BUILTIN)
    return load_object(builtins, source)


@functools.lru_cache(maxsize=8)
def _loaded(path: tuple[str, ...], allowed: frozenset[str] | None, denied: frozenset[str]) -> Registry:
    del path  # what is installed depends on it
    return Registry([builtin_record(), *load(discover(), allowed=allowed, denied=denied)])


def registry(environ: Mapping[str, str] | None = None) -> Registry:
    """Return this process's registry; plugins are loaded once.

    The lists in ``CHAT_CORE_PLUGINS`` (only these) and ``CHAT_CORE_DISABLE_PLUGINS`` (not these) hold names of
    distributions or entry points, separated by commas.

    Raises:
        PluginError: strict mode is on and a plugin does not load.
    """
    environ = os.environ if environ is None else environ
    allowed = names_in("CHAT_CORE_PLUGINS", environ)
    denied = names_in("CHAT_CORE_DISABLE_PLUGINS", environ) or frozenset()
    result = _loaded(tuple(sys.path), allowed, denied)
    if is_strict(environ):
        result.check()
    return result


def forget() -> None:
    """Load plugins anew next time; for tests and long-lived shells after an installation."""
    _loaded.cache_clear()


def registry_of(*plugins: Any) -> Registry:
    """Return a registry of the built-ins and some imported plugins, without what is installed."""
    records = [builtin_record()]
    for plugin in plugins:
        name = getattr(plugin, "__name__", type(plugin).__name__)
        records.append(load_object(plugin, PluginSource(distribution=name, entry_point=name)))
    return Registry(records)
