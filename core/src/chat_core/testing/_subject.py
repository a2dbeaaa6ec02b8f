"""What is checked: a provider, found by its name or given, with the options it is tried with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from attrs import field, frozen

from chat_core._contracts.providers import AnyProvider, Kind, Provider
from chat_core._model.errors import OptionTypeError
from chat_core._plugins.loader import BUILTIN
from chat_core._plugins.options import build_options
from chat_core._plugins.registry import registry
from chat_core._plugins.selection import select

__all__ = ["OptionsFor", "Subject", "make_subject"]

#: Options, or what makes them from a fresh folder.
OptionsFor: TypeAlias = "Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]"


def _none(_: Path) -> Mapping[str, Any]:
    return {}


@frozen(kw_only=True)
class Subject:
    """What is checked.

    Attributes:
        provider: makes it.
        given: the provider's name where it was found by that, else the provider; another process starts from it.
        distribution: the package it comes from, empty where a provider was given.
        version: of that package.
        builtin: whether it comes with the core.
        options_for: makes the options from a folder.
        uses_folder: whether the options depend on that folder.
        harness: makes the transport's harness.
        damage: spoils what is saved in a folder, where the author gave such a function.
    """

    provider: AnyProvider
    given: str | AnyProvider
    distribution: str = ""
    version: str = ""
    builtin: bool = False
    options_for: Callable[[Path], Mapping[str, Any]] = field(default=_none, repr=False)
    uses_folder: bool = False
    harness: Callable[[], Any] | None = field(default=None, repr=False)
    damage: Callable[[Path], object] | None = field(default=None, repr=False)

    @property
    def capabilities(self) -> frozenset[str]:
        """What the provider declares."""
        return self.provider.capabilities

    def make(self, context: Any) -> Any:
        """Return what the factory returns. A coroutine is closed: nobody awaits it."""
        raw: Any = self.provider.factory(context)
        if inspect.iscoroutine(raw):
            raw.close()
        return raw

    def build_options(self, folder: Path) -> Any:
        """Return an instance of the provider's options class for a folder."""
        return build_options(
            self.provider.options, self.options_for(folder), name="options", owner=f"{self.provider.name!r}"
        )


def make_subject(
    kind: Kind,
    given: Any,
    *,
    options: OptionsFor | None = None,
    harness: Callable[[], Any] | None = None,
    damage: Callable[[Path], object] | None = None,
) -> Subject:
    """Find a provider by name, or take the one that is given.

    Raises:
        PluginError: there is none of that name, or it did not load.
        OptionTypeError: it is neither a name nor a provider of that kind.
    """
    distribution = version = ""
    builtin = False
    if isinstance(given, str):
        known = registry()
        provider = select(kind, given, registry=lambda: known, environ={}).provider
        assert provider is not None
        source = known.providers(kind)[given][1].source
        distribution, version, builtin = source.distribution, source.version, source.entry_point == BUILTIN
    elif isinstance(given, Provider) and given.kind is kind:
        provider = given  # type: ignore[assignment] # one of the three kinds
    else:
        raise OptionTypeError(
            f"provider must be the name of a {kind}, or a {str(kind).capitalize()}Provider, not {given!r}",
            advice='write provider = "name" in the class',
        )
    assert provider is not None
    return Subject(
        provider=provider,
        given=given,
        distribution=distribution,
        version=version,
        builtin=builtin,
        options_for=_options_maker(options),
        uses_folder=callable(options),
        harness=harness,
        damage=damage,
    )


def _options_maker(options: OptionsFor | None) -> Callable[[Path], Mapping[str, Any]]:
    if options is None:
        return _none
    if callable(options):
        return options
    fixed = dict(options)
    return lambda _: fixed
