"""Loads plugins one by one, so that a broken one costs nothing but itself."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pluggy
from attrs import evolve

from chat_core._contracts.providers import (
    API,
    AnyProvider,
    Kind,
    LoggerProvider,
    Provider,
    StorageProvider,
    TransportProvider,
)
from chat_core._plugins.discovery import Found, canonical
from chat_core._plugins.hooks import HOOKS, PROJECT, HookSpecs
from chat_core._plugins.records import PluginRecord, PluginSource, Status

__all__ = ["Lists", "load", "resolve_conflicts"]

_KINDS: dict[str, type[Provider]] = {
    "chat_transports": TransportProvider,
    "chat_storages": StorageProvider,
    "chat_loggers": LoggerProvider,
}

Lists = tuple[frozenset[str] | None, frozenset[str]]


def load(found: Sequence[Found], *, allowed: frozenset[str] | None, denied: frozenset[str]) -> list[PluginRecord]:
    """Load each plugin on its own and return what became of it.

    Args:
        found: what is installed.
        allowed: names of distributions or entry points that may be loaded, None for all.
        denied: names that may not.
    """
    return [_load_one(one, allowed, denied) for one in found]


def load_object(plugin: Any, source: PluginSource) -> PluginRecord:
    """Ask a plugin that is already imported."""
    return _ask(plugin, source)


def resolve_conflicts(records: Iterable[PluginRecord]) -> list[PluginRecord]:
    """Take out every plugin that claims a name which another one claims too; neither can be selected."""
    records = list(records)
    claims: dict[tuple[Kind, str], list[PluginRecord]] = {}
    for record in records:
        for provider in record.providers:
            claims.setdefault((provider.kind, provider.name), []).append(record)
    result = []
    for record in records:
        fault = _conflict(record, claims)
        result.append(fault or record)
    return result


def _conflict(record: PluginRecord, claims: dict[tuple[Kind, str], list[PluginRecord]]) -> PluginRecord | None:
    for provider in record.providers:
        rivals = [other for other in claims[provider.kind, provider.name] if other is not record]
        if not rivals:
            continue
        others = " and ".join(str(other.source) for other in rivals)
        builtin = any(other.source.entry_point == BUILTIN for other in rivals)
        if record.source.entry_point == BUILTIN:
            return None  # nobody takes a built-in name away
        return evolve(
            record,
            status=Status.CONFLICT,
            reason=f"it provides the {provider.kind} {provider.name!r}, and so does {others}",
            remedy="rename the provider"
            if builtin
            else f"uninstall one of them, or set CHAT_CORE_DISABLE_PLUGINS={record.source.distribution}",
            providers=(),
            claimed=record.providers,
        )
    return None


BUILTIN = "built-in"


def _load_one(found: Found, allowed: frozenset[str] | None, denied: frozenset[str]) -> PluginRecord:
    source = found.source
    names = {canonical(source.distribution), canonical(source.entry_point)}
    if names & denied:
        return PluginRecord(
            source=source,
            status=Status.BLOCKED,
            reason="CHAT_CORE_DISABLE_PLUGINS names it",
            remedy="take it out of that variable",
        )
    if allowed is not None and not names & allowed:
        return PluginRecord(
            source=source,
            status=Status.BLOCKED,
            reason="CHAT_CORE_PLUGINS does not name it",
            remedy=f"add {source.distribution} to that variable",
        )
    if found.entry_point is None:
        return PluginRecord(
            source=source,
            status=Status.FAILED,
            reason=f"its list of entry points cannot be read: {_describe(found.fault or ValueError())}",
            remedy=f"pip install --force-reinstall {source.distribution}",
            error=found.fault,
        )
    try:
        plugin = found.entry_point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit and the like end here too
        return PluginRecord(
            source=source,
            status=Status.FAILED,
            reason=f"importing it raised {_describe(error)}",
            remedy=_import_remedy(source, error),
            error=error,
        )
    return _ask(plugin, source)


def _ask(plugin: Any, source: PluginSource) -> PluginRecord:
    """Call a plugin's hooks. A manager of its own: pluggy stops at the first hook that raises."""

    def bad(status: Status, reason: str, remedy: str, error: BaseException | None = None) -> PluginRecord:
        return PluginRecord(source=source, status=status, reason=reason, remedy=remedy, error=error)

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HookSpecs)
    try:
        manager.register(plugin)
        manager.check_pending()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - pluggy validates with several exceptions, and looks at all names
        return bad(Status.INVALID, _describe(error), "see the hooks' signatures in the documentation", error)
    implemented = [name for name in HOOKS if manager.subset_hook_caller(name, []).get_hookimpls()]
    if not implemented:
        return bad(
            Status.INVALID,
            f"it answers none of {', '.join(HOOKS)}",
            "decorate a function of that name with chat_core.hookimpl",
        )
    providers: list[AnyProvider] = []
    for name in implemented:
        for implementation in manager.subset_hook_caller(name, []).get_hookimpls():
            if fault := _collect(name, implementation.function, providers, bad):
                return fault
    return PluginRecord(source=source, providers=tuple(providers))


def _collect(
    name: str, function: Callable[..., Any], providers: list[AnyProvider], bad: Callable[..., PluginRecord]
) -> PluginRecord | None:
    """Ask one hook; returns what is wrong with its answer, or adds its providers."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return bad(Status.INVALID, f"its hook {name} is async", "make it a plain function: nothing is awaited there")
    try:
        answer = function()
        if inspect.isawaitable(answer):
            getattr(answer, "close", lambda: None)()
            return bad(Status.INVALID, f"its hook {name} returned an awaitable", "return the providers themselves")
        given = list(answer)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises ends with it
        if isinstance(error, TypeError) and not _raised_within(error, function):
            return bad(
                Status.INVALID, f"its hook {name} did not return a list of providers", "return a list of them", error
            )
        return bad(Status.FAILED, f"its hook {name} raised {_describe(error)}", "report it to its author", error)
    for provider in given:
        if not isinstance(provider, _KINDS[name]):
            return bad(
                Status.INVALID,
                f"its hook {name} returned {_shown(provider)}, which is no {_KINDS[name].__name__}",
                f"return a list of chat_core.{_KINDS[name].__name__}",
            )
        if provider.api > API:
            return bad(
                Status.INCOMPATIBLE,
                f"its {provider.kind} {provider.name!r} needs plugin interface {provider.api}; there is {API}",
                "pip install --upgrade chat-core",
            )
        providers.append(provider)  # type: ignore[arg-type] # one of the three kinds
    return None


def _raised_within(error: BaseException, function: Callable[..., Any]) -> bool:
    """Say whether an error came from inside the hook, not from reading its answer."""
    code = getattr(function, "__code__", None)
    return any(frame.f_code is code for frame, _ in traceback.walk_tb(error.__traceback__))


def _describe(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a stranger's exception may do anything
        return f"{name}, which cannot be shown"
    return f"{name}: {text}" if text else name


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - as above
        return f"a {type(value).__name__} that cannot be shown"


def _import_remedy(source: PluginSource, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = error.name.partition(".")[0]
        return f"install what provides the module {missing!r}, or pip install --force-reinstall {source.distribution}"
    return f"pip install --upgrade {source.distribution}, or report it to its author"
