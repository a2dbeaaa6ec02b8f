"""Chooses a transport, a storage and a logger, and remembers why."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

from chat_core._contracts.providers import AnyProvider, Kind, Provider
from chat_core._model.errors import (
    AmbiguousPluginError,
    InvalidPluginError,
    OptionTypeError,
    PluginConflictError,
    UnknownPluginError,
)
from chat_core._plugins.records import PluginRecord, Status
from chat_core._plugins.registry import Registry

__all__ = ["Selection", "select"]

_VARIABLES: Final = {
    Kind.TRANSPORT: "CHAT_CORE_TRANSPORT",
    Kind.STORAGE: "CHAT_CORE_STORAGE",
    Kind.LOGGER: "CHAT_CORE_LOGGER",
}
_OPTIONS: Final = {Kind.TRANSPORT: "transport", Kind.STORAGE: "state_storage", Kind.LOGGER: "logger"}
_DEFAULTS: Final = {Kind.TRANSPORT: "cometd", Kind.STORAGE: "file", Kind.LOGGER: "stdlib"}
#: What an instance must have.
_METHODS: Final = {
    Kind.TRANSPORT: ("start", "resume", "fetch", "send", "incoming", "saved", "aclose"),
    Kind.STORAGE: ("read", "write"),
    Kind.LOGGER: (),
}
#: Where the first-party names come from, for the line that helps.
_PACKAGES: Final = {
    (Kind.TRANSPORT, "cometd"): "chat-transport-cometd",
    (Kind.TRANSPORT, "rest"): "chat-transport-rest",
    (Kind.STORAGE, "keyring"): "chat-storage-keyring",
    (Kind.STORAGE, "redis"): "chat-storage-redis",
}


@frozen(kw_only=True)
class Selection:
    """What was chosen, and why.

    Attributes:
        kind: what for.
        name: the provider's name, or ``module:qualname`` of an instance.
        provider: what makes it, None when an instance was given.
        instance: what was given, None when a provider makes it.
        reason: why, in one sentence.
        origin: ``argument``, ``environment`` or ``default``.
    """

    kind: Kind
    name: str
    provider: AnyProvider | None = None
    instance: Any = field(default=None, repr=False)
    reason: str = ""
    origin: str = "default"

    @property
    def capabilities(self) -> frozenset[str]:
        """What it declares it can do; an instance may have an attribute of that name."""
        if self.provider is not None:
            return self.provider.capabilities
        return frozenset(getattr(self.instance, "capabilities", ()))


def select(kind: Kind, wanted: Any, *, registry: Callable[[], Registry], environ: Mapping[str, str]) -> Selection:
    """Choose: an argument before the environment before the default.

    A third-party storage or logger is never chosen because it is merely installed.

    Args:
        kind: what for.
        wanted: a name, a provider, an instance, or None.
        registry: returns what is there; not called when an instance was given.
        environ: the environment.

    Raises:
        UnknownPluginError, AmbiguousPluginError, PluginConflictError: nothing or too much has that name.
        PluginLoadError, PluginBlockedError, PluginIncompatibleError, InvalidPluginError: it cannot be used.
    """
    option = _OPTIONS[kind]
    if isinstance(wanted, Provider):
        if wanted.kind is not kind:
            raise OptionTypeError(f"{option} must provide a {kind}, and {wanted.name!r} provides a {wanted.kind}")
        return Selection(kind=kind, name=wanted.name, provider=wanted, reason=f"{option} was given", origin="argument")  # type: ignore[arg-type]
    if isinstance(wanted, str):
        provider = _named(kind, wanted, registry(), f"{option}={wanted!r}")
        return Selection(
            kind=kind, name=wanted, provider=provider, reason=f"{option}={wanted!r} was given", origin="argument"
        )
    if wanted is not None:
        return _instance(kind, wanted, option)
    variable = _VARIABLES[kind]
    if name := environ.get(variable, "").strip():
        provider = _named(kind, name, registry(), f"the variable {variable}={name}")
        return Selection(
            kind=kind, name=name, provider=provider, reason=f"the variable {variable} names it", origin="environment"
        )
    return _default(kind, registry())


def _default(kind: Kind, known: Registry) -> Selection:
    name = _DEFAULTS[kind]
    providers = known.providers(kind)
    reason = f"it is the default {kind}"
    if name not in providers and kind is Kind.TRANSPORT and not known.claimants(kind, name):
        if len(providers) == 1:
            (name,) = providers
            reason = "it is the only transport installed"
        elif providers:
            raise AmbiguousPluginError(
                f"several transports are installed ({', '.join(sorted(providers))}) and none was named",
                advice="name one with transport=",
            )
        else:
            raise UnknownPluginError(
                "no transport is installed" + _broken(known),
                advice="pip install chat-transport-cometd, or chat-transport-rest",
            )
    return Selection(kind=kind, name=name, provider=_named(kind, name, known, f"the default {kind}"), reason=reason)


def _named(kind: Kind, name: str, known: Registry, wanted_by: str) -> AnyProvider:
    providers = known.providers(kind)
    if name in providers:
        return providers[name][0]
    claimants = known.claimants(kind, name)
    if claimants:
        raise PluginConflictError(
            f"{wanted_by} is claimed by {' and '.join(str(record.source) for record in claimants)}",
            advice="uninstall one of them, or switch one off with CHAT_CORE_DISABLE_PLUGINS",
        )
    suspect = _suspect(kind, name, known)
    if suspect is not None:
        raise suspect.problem()
    package = _PACKAGES.get((kind, name))
    close = difflib.get_close_matches(name, providers, n=1)
    if package is not None:
        advice = f"pip install {package}"
    elif close:
        advice = f"did you mean {close[0]!r}?"
    else:
        advice = "'chat-core plugins' lists what is installed"
    there = ", ".join(sorted(providers)) or "none"
    raise UnknownPluginError(f"{wanted_by}: no {kind} of that name is installed (there is: {there})", advice=advice)


def _suspect(kind: Kind, name: str, known: Registry) -> PluginRecord | None:
    """Return the plugin that most likely would have provided a name, if it did not load."""
    package = _PACKAGES.get((kind, name))
    for record in known.records:
        if record.status in {Status.OK, Status.CONFLICT}:
            continue
        words = record.source.entry_point.lower().replace("_", "-").split("-")
        if record.source.distribution == package or name in words or name == record.source.entry_point:
            return record
    return None


def _broken(known: Registry) -> str:
    broken = known.broken()
    return f"; {len(broken)} plugins did not load: " + "; ".join(map(str, broken)) if broken else ""


def _instance(kind: Kind, instance: Any, option: str) -> Selection:
    missing = [name for name in _METHODS[kind] if not callable(getattr(instance, name, None))]
    if isinstance(instance, type):
        raise InvalidPluginError(
            f"{option} must be an instance, a provider or a name, not the class {instance.__qualname__}",
            advice="call it",
        )
    if missing:
        raise InvalidPluginError(
            f"{option}: an object of type {type(instance).__qualname__} lacks {', '.join(missing)}",
            advice=f"a {kind} needs {', '.join(_METHODS[kind])}",
        )
    if kind is Kind.LOGGER and not callable(instance) and not callable(getattr(instance, "log", None)):
        raise InvalidPluginError(
            f"logger must be callable or a logging.Logger, not {type(instance).__qualname__}",
            advice="give a function that takes any arguments, such as print",
        )
    name = f"{type(instance).__module__}:{type(instance).__qualname__}"
    return Selection(kind=kind, name=name, instance=instance, reason=f"{option} was given", origin="argument")
