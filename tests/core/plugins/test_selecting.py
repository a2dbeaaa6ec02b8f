"""Choosing a plugin, and saying why."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from chat_core import (
    AmbiguousPluginError,
    Capability,
    InvalidPluginError,
    LoggerProvider,
    OptionTypeError,
    StorageProvider,
    TransportProvider,
    UnknownPluginError,
    hookimpl,
)
from chat_core._contracts.providers import Kind
from chat_core._plugins.registry import Registry, registry_of
from chat_core._plugins.selection import Selection, select
from support.backend import FakeTransport


def transports(*names: str) -> Registry:
    class Plugin:
        @hookimpl
        def chat_transports(self) -> list[TransportProvider]:
            return [TransportProvider(name=name, summary="", factory=lambda context: None) for name in names]  # type: ignore[arg-type,return-value]

    return registry_of(Plugin())


def choose(kind: Kind, wanted: Any = None, known: Registry | None = None, **environ: str) -> Selection:
    return select(kind, wanted, registry=lambda: known or transports("cometd", "rest"), environ=environ)


def test_an_argument_comes_before_the_environment_and_that_before_the_default():
    """Each choice remembers its origin and reason."""
    default = choose(Kind.TRANSPORT)
    assert (default.name, default.origin, default.reason) == ("cometd", "default", "it is the default transport")
    environment = choose(Kind.TRANSPORT, CHAT_CORE_TRANSPORT="rest")
    assert (environment.name, environment.origin) == ("rest", "environment")
    assert "CHAT_CORE_TRANSPORT" in environment.reason
    argument = choose(Kind.TRANSPORT, "cometd", CHAT_CORE_TRANSPORT="rest")
    assert (argument.name, argument.origin) == ("cometd", "argument")


def test_the_only_transport_installed_is_chosen():
    """Without the default transport a single other one is taken, and the reason says so."""
    assert choose(Kind.TRANSPORT, known=transports("mine")).reason == "it is the only transport installed"


def test_among_several_transports_none_is_guessed():
    """Without the default one, several others need a name."""
    with pytest.raises(AmbiguousPluginError, match="mine, yours"):
        choose(Kind.TRANSPORT, known=transports("mine", "yours"))


def test_no_transport_names_the_line_that_installs_one():
    """Somebody who installed the core alone is told what is missing."""
    with pytest.raises(UnknownPluginError, match="pip install chat-transport-cometd"):
        choose(Kind.TRANSPORT, known=registry_of())


def test_a_third_party_storage_is_never_chosen_because_it_is_installed():
    """The default stays ``file``."""

    class Plugin:
        @hookimpl
        def chat_storages(self) -> list[StorageProvider]:
            return [StorageProvider(name="vault", summary="", factory=lambda context: None)]  # type: ignore[arg-type,return-value]

    assert choose(Kind.STORAGE, known=registry_of(Plugin())).name == "file"


@pytest.mark.parametrize(
    ("kind", "wanted", "advice"),
    [
        (Kind.TRANSPORT, "rest", "pip install chat-transport-rest"),
        (Kind.STORAGE, "keyring", "pip install chat-storage-keyring"),
        (Kind.STORAGE, "flie", "did you mean 'file'"),
        (Kind.LOGGER, "zzz", "chat-core plugins"),
    ],
)
def test_an_unknown_name_is_answered_with_what_helps(kind: Kind, wanted: str, advice: str):
    """The pip line, the closest name, or where to look."""
    with pytest.raises(UnknownPluginError, match=advice):
        choose(kind, wanted, known=transports("cometd"))


def test_a_provider_can_be_given_itself():
    """No registry is asked for."""
    provider = StorageProvider(name="mine", summary="", factory=lambda context: None, capabilities=[Capability.SHARED])  # type: ignore[arg-type,return-value]
    chosen = select(Kind.STORAGE, provider, registry=lambda: pytest.fail("asked"), environ={})
    assert chosen.capabilities == {Capability.SHARED}
    with pytest.raises(OptionTypeError, match="state_storage must provide a storage"):
        choose(Kind.STORAGE, LoggerProvider(name="x", summary="", factory=lambda context: print))


def test_an_instance_is_named_by_its_class():
    """``module:qualname`` stands in the saved state."""
    chosen = choose(Kind.TRANSPORT, FakeTransport())
    assert chosen.name == "support.backend:FakeTransport"
    assert chosen.capabilities == frozenset()


def test_an_instance_with_missing_methods_is_told_which():
    """A storage without ``read``, a transport without most."""

    class Half:
        def write(self, state: object) -> None: ...

    with pytest.raises(InvalidPluginError, match="lacks read"):
        choose(Kind.STORAGE, Half())
    with pytest.raises(InvalidPluginError, match="lacks start, resume, fetch, send, incoming, saved, aclose"):
        choose(Kind.TRANSPORT, Half())
    with pytest.raises(InvalidPluginError, match=r"not the class .*Half"):
        choose(Kind.STORAGE, Half)
    with pytest.raises(InvalidPluginError, match=r"must be callable or a logging\.Logger"):
        choose(Kind.LOGGER, 5)


def test_any_callable_and_any_logger_serves():
    """``print`` is the documented console.log."""
    assert choose(Kind.LOGGER, print).instance is print
    assert choose(Kind.LOGGER, logging.getLogger("x")).instance.name == "x"
