"""Plugins as they are installed, good ones and broken ones."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from random import Random

import pytest

from chat_core import (
    InvalidPluginError,
    PluginBlockedError,
    PluginConflictError,
    PluginError,
    PluginIncompatibleError,
    PluginLoadError,
    StorageProvider,
    hookimpl,
)
from chat_core._contracts.providers import Kind
from chat_core._plugins import registry as registries
from chat_core._plugins.discovery import discover
from chat_core._plugins.records import Status
from chat_core._plugins.registry import forget, registry, registry_of
from chat_core._plugins.selection import select
from support.distributions import install

GOOD = """
    from chat_core import StorageProvider, hookimpl

    @hookimpl
    def chat_storages():
        return [StorageProvider(name="good", summary="works", factory=lambda context: None)]
"""

BROKEN = {
    "missing import": (
        "import nothing_of_that_name",
        Status.FAILED,
        PluginLoadError,
        "ModuleNotFoundError",
        "install what provides the module 'nothing_of_that_name'",
    ),
    "syntax error": (
        "def broken(:",
        Status.FAILED,
        PluginLoadError,
        "SyntaxError",
        "pip install --upgrade chat-broken",
    ),
    "SystemExit": ("raise SystemExit(3)", Status.FAILED, PluginLoadError, "SystemExit: 3", "report it"),
    "raising hook": (
        """
        from chat_core import hookimpl

        @hookimpl
        def chat_storages():
            raise ValueError("no luck")
        """,
        Status.FAILED,
        PluginLoadError,
        "its hook chat_storages raised ValueError: no luck",
        "report it to its author",
    ),
    "wrong type": (
        """
        from chat_core import hookimpl

        @hookimpl
        def chat_storages():
            return ["keyring"]
        """,
        Status.INVALID,
        InvalidPluginError,
        "returned 'keyring', which is no StorageProvider",
        "return a list of chat_core.StorageProvider",
    ),
    "newer api": (
        """
        from chat_core import StorageProvider, hookimpl

        @hookimpl
        def chat_storages():
            return [StorageProvider(name="broken", summary="", factory=print, api=99)]
        """,
        Status.INCOMPATIBLE,
        PluginIncompatibleError,
        "needs plugin interface 99",
        "pip install --upgrade chat-core",
    ),
    "duplicate name": (
        """
        from chat_core import StorageProvider, hookimpl

        @hookimpl
        def chat_storages():
            return [StorageProvider(name="file", summary="", factory=print)]
        """,
        Status.CONFLICT,
        PluginConflictError,
        "it provides the storage 'file', and so does chat-core",
        "rename the provider",
    ),
    "async hook": (
        """
        from chat_core import hookimpl

        @hookimpl
        async def chat_storages():
            return []
        """,
        Status.INVALID,
        InvalidPluginError,
        "its hook chat_storages is async",
        "plain function",
    ),
    "no hook": ("", Status.INVALID, InvalidPluginError, "it answers none of", "hookimpl"),
    "not a list": (
        """
        from chat_core import hookimpl

        @hookimpl
        def chat_storages():
            return 5
        """,
        Status.INVALID,
        InvalidPluginError,
        "did not return a list",
        "return a list",
    ),
    "damaged exception": (
        """
        class Bad(Exception):
            def __str__(self):
                raise ValueError

        raise Bad
        """,
        Status.FAILED,
        PluginLoadError,
        "importing it raised Bad, which cannot be shown",
        "report it",
    ),
    "damaged answer": (
        """
        from chat_core import hookimpl

        class Bad:
            def __repr__(self):
                raise ValueError

        @hookimpl
        def chat_storages():
            return [Bad()]
        """,
        Status.INVALID,
        InvalidPluginError,
        "returned a Bad that cannot be shown, which is no StorageProvider",
        "return a list of chat_core.StorageProvider",
    ),
    "exit while it is looked at": (
        """
        from chat_core import hookimpl

        class Bad:
            def __getattribute__(self, name):
                raise SystemExit(4)

        bad = Bad()
        """,
        Status.INVALID,
        InvalidPluginError,
        "SystemExit: 4",
        "signatures",
    ),
    "arguments": (
        """
        from chat_core import hookimpl

        @hookimpl
        def chat_storages(config):
            return []
        """,
        Status.INVALID,
        InvalidPluginError,
        "config",
        "signatures",
    ),
}


#: Two plugins that claim one name, a good one, and one for each way of being broken.
MANY = {
    **{f"chat-broken-{way.lower().replace(' ', '-')}": code for way, (code, *_) in BROKEN.items()},
    "chat-good": GOOD,
    "chat-rival-1": GOOD.replace('"good"', '"rival"'),
    "chat-rival-2": GOOD.replace('"good"', '"rival"'),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield tmp_path
    forget()
    for name in list(sys.modules):
        if name.startswith(("chat_broken", "chat_good", "chat_other", "chat_rival")):
            del sys.modules[name]


def record_of(distribution: str, environ: dict[str, str] | None = None):
    return next(one for one in registry(environ or {}).records if one.source.distribution == distribution)


@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_plugin_leaves_the_others_working(place: Path, way: str):
    """The record names distribution, version, entry point, cause and remedy; the others can be selected."""
    code, status, error, cause, remedy = BROKEN[way]
    install(place, "chat-broken", code)
    install(place, "chat-good", GOOD)
    broken = record_of("chat-broken")
    assert broken.status is status
    text = str(broken.problem())
    for part in ("chat-broken", "1.2", "entry point thing", cause, remedy):
        assert part in text
    assert isinstance(broken.problem(), error)
    assert select(Kind.STORAGE, "good", registry=lambda: registry({}), environ={}).name == "good"
    assert select(Kind.STORAGE, None, registry=lambda: registry({}), environ={}).name == "file"


def test_the_cause_is_chained(place: Path):
    """The exception of the plugin is the error's cause."""
    install(place, "chat-broken", "import nothing_of_that_name")
    assert isinstance(record_of("chat-broken").problem().__cause__, ModuleNotFoundError)


def test_two_plugins_of_one_name_are_both_refused(place: Path):
    """Neither can be selected, and the error names both."""
    install(place, "chat-good", GOOD)
    install(place, "chat-other", GOOD, version="7.0")
    with pytest.raises(PluginConflictError) as caught:
        select(Kind.STORAGE, "good", registry=lambda: registry({}), environ={})
    assert "chat-good 1.2" in str(caught.value)
    assert "chat-other 7.0" in str(caught.value)
    assert "CHAT_CORE_DISABLE_PLUGINS" in str(caught.value)


def test_the_deny_list_resolves_a_conflict(place: Path):
    """A plugin that is switched off claims no name."""
    install(place, "chat-good", GOOD)
    install(place, "chat-other", GOOD)
    environ = {"CHAT_CORE_DISABLE_PLUGINS": "Chat_Other"}  # as packages may be written
    assert record_of("chat-other", environ).status is Status.BLOCKED
    assert isinstance(record_of("chat-other", environ).problem(), PluginBlockedError)
    assert select(Kind.STORAGE, "good", registry=lambda: registry(environ), environ=environ).name == "good"


def test_the_allow_list_keeps_everything_else_out(place: Path):
    """Only what is named is imported; built-ins are always there."""
    install(place, "chat-good", "raise AssertionError('imported')")
    environ = {"CHAT_CORE_PLUGINS": "chat-transport-cometd"}
    assert record_of("chat-good", environ).status is Status.BLOCKED
    assert "CHAT_CORE_PLUGINS does not name it" in str(record_of("chat-good", environ))
    assert set(registry(environ).providers(Kind.STORAGE)) == {"file", "memory"}


def test_strict_mode_makes_a_broken_plugin_an_error(place: Path):
    """``CHAT_CORE_STRICT_PLUGINS=1`` names every plugin that does not load."""
    install(place, "chat-broken", "1/0")
    with pytest.raises(PluginError, match=r"CHAT_CORE_STRICT_PLUGINS is set.*chat-broken 1\.2.*ZeroDivisionError"):
        registry({"CHAT_CORE_STRICT_PLUGINS": "1"})
    assert registry({"CHAT_CORE_STRICT_PLUGINS": "0"}).broken()


def test_discovery_imports_nothing(place: Path):
    """Listing names distribution, version and entry point without running a line of the plugin."""
    install(place, "chat-broken", "raise AssertionError('imported')")
    found = {one.source.distribution: one.source for one in discover()}
    assert str(found["chat-broken"]) == "chat-broken 1.2 (entry point thing = chat_broken)"
    assert "chat_broken" not in sys.modules


def test_a_distribution_on_two_paths_counts_once(place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch):
    """The first one on the path wins, as it does for imports."""
    other = tmp_path_factory.mktemp("other")
    install(place, "chat-good", GOOD)
    install(other, "chat-good", GOOD, version="0.1")
    monkeypatch.setattr(sys, "path", [*sys.path, str(other)])
    versions = [one.source.version for one in discover() if one.source.distribution == "chat-good"]
    assert versions == ["1.2"]


def test_a_plugin_without_a_name_is_passed_over(place: Path):
    """What an interrupted installation left behind does no harm."""
    (place / "half-1.0.dist-info").mkdir()
    (place / "half-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\n", "utf-8")
    (place / "half-1.0.dist-info" / "entry_points.txt").write_text("[chat_core]\nhalf = nothing\n", "utf-8")
    assert all(one.source.entry_point != "half" for one in discover())


@pytest.mark.skipif(
    importlib.util.find_spec("importlib_metadata") is None, reason="importlib_metadata is not installed"
)
def test_half_an_installation_does_no_harm_beside_importlib_metadata_either(tmp_path: Path):
    """Once imported it answers for the standard library, and raises where that has None. keyring imports it."""
    for name, text in (("half", "Metadata-Version: 2.1\n"), ("empty", None), ("whole", "Name: whole\n")):
        place = tmp_path / f"{name}-1.0.dist-info"
        place.mkdir()
        (place / "entry_points.txt").write_text(f"[chat_core]\n{name} = nothing\n", "utf-8")
        if text is not None:
            (place / "METADATA").write_text(text, "utf-8")
    code = (
        "import importlib_metadata\n"
        "from chat_core._plugins.discovery import discover\n"
        "print(*(one.source.entry_point for one in discover() if one.source.value == 'nothing'))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert result.stdout == "whole\n", result.stderr


def test_a_plugin_object_can_be_registered_without_installing_it():
    """Tests of plugin authors make a registry of what they have in hand."""

    class Plugin:
        @hookimpl
        def chat_storages(self) -> list[StorageProvider]:
            return [StorageProvider(name="mine", summary="", factory=lambda context: None)]

    known = registry_of(Plugin())
    assert set(known.providers(Kind.STORAGE)) == {"file", "memory", "mine"}


def test_the_built_in_plugins_are_good():
    """The core's own providers load like anybody's."""
    record = registries.builtin_record()
    assert record.status is Status.OK
    assert {provider.name for provider in record.providers} == {"file", "memory", "stdlib"}


def test_an_awaitable_answer_is_invalid():
    """A plain hook that returns a coroutine is told apart, and the coroutine does not warn."""

    class Plugin:
        @hookimpl
        def chat_storages(self):
            async def answer() -> list[StorageProvider]:
                return []

            return answer()

    (record,) = [one for one in registry_of(Plugin()).records if one.source.entry_point != registries.BUILTIN]
    assert record.status is Status.INVALID
    assert "awaitable" in record.reason


def test_keyboard_interrupt_is_not_swallowed():
    """Ctrl-C while plugins load ends the program, not the plugin."""

    class Plugin:
        @hookimpl
        def chat_storages(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry_of(Plugin())


def test_importing_chat_core_does_nothing_else():
    """No I/O library, no loop, no entry point: names are resolved on first use."""
    code = (
        "import sys, chat_core;"
        "bad = {'asyncio', 'pluggy', 'attr', 'importlib.metadata', 'httpx', 'websockets'} & set(sys.modules);"
        "assert not bad, bad"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert result.returncode == 0, result.stderr


def test_an_entry_module_imports_nothing_heavy():
    """Loading the CometD plugin imports no HTTP or WebSocket library."""
    code = "import sys, chat_transport_cometd; assert not {'httpx', 'websockets', 'chat_gms'} & set(sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_damaged_list_of_entry_points_is_that_plugins_trouble_alone(place: Path):
    """It is named where it concerns chat-core, and passed over where it does not; the others work."""
    install(place, "chat-good", GOOD)
    install(place, "chat-broken", "")
    install(place, "unrelated", "")
    (place / "chat_broken-1.2.dist-info" / "entry_points.txt").write_text("[chat_core]\nno equals sign\n", "utf-8")
    (place / "unrelated-1.2.dist-info" / "entry_points.txt").write_text("[console_scripts]\nnone either\n", "utf-8")
    broken = record_of("chat-broken")
    assert broken.status is Status.FAILED
    assert "its list of entry points cannot be read" in broken.reason
    assert "pip install --force-reinstall chat-broken" in broken.remedy
    assert all(one.source.distribution != "unrelated" for one in discover())
    assert select(Kind.STORAGE, "good", registry=lambda: registry({}), environ={}).name == "good"


@pytest.mark.parametrize(
    "files",
    [
        {"stray-1.dist-info/RECORD": ""},
        {"stray-1.dist-info/METADATA": "Version: 1\n", "stray-1.dist-info/entry_points.txt": "[chat_core]\na = b\n"},
        {"stray-1.dist-info/METADATA": b"Name: \xff\xfe\n"},
    ],
    ids=["no metadata", "no name", "not UTF-8"],
)
def test_a_damaged_distribution_in_an_archive_hides_no_plugin(place: Path, tmp_path: Path, monkeypatch, files):
    """The standard library looks into its metadata for a name, and raises what the damage makes it raise."""
    install(place, "chat-good", GOOD)
    archive = tmp_path / "strays.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    monkeypatch.setattr(sys, "path", [str(archive), *sys.path])
    assert "chat-good" in {one.source.distribution for one in discover()}


def in_some_orders(names: list[str], count: int = 12) -> list[list[str]]:
    """Return a few orders: as it is, backwards, and shuffled ones from a fixed seed."""
    random = Random(6)
    return [names, names[::-1], *(random.sample(names, len(names)) for _ in range(count - 2))]


def test_the_order_of_distributions_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Records, reasons and choices are the same for every order in which an installer may have left them."""
    for name, code in MANY.items():
        (tmp_path / name).mkdir()
        install(tmp_path / name, name, code, entry_point=name)
    path, seen = list(sys.path), set()
    try:
        for order in in_some_orders(list(MANY)):
            forget()
            for name in [name for name in sys.modules if name.startswith(("chat_broken", "chat_good", "chat_rival"))]:
                del sys.modules[name]
            monkeypatch.setattr(sys, "path", [*(str(tmp_path / name) for name in order), *path])
            known = registry({})
            with pytest.raises(PluginConflictError) as conflict:
                select(Kind.STORAGE, "rival", registry=lambda known=known: known, environ={})
            chosen = [
                select(kind, None, registry=lambda known=known: known, environ={})
                for kind in (Kind.STORAGE, Kind.LOGGER)
            ]
            good = select(Kind.STORAGE, "good", registry=lambda known=known: known, environ={})
            # A traceback's addresses and a function's place in memory are no part of the result.
            seen.add(
                (
                    *map(str, known.records),
                    str(conflict.value),
                    *(f"{one.name}: {one.reason}" for one in [*chosen, good]),
                )
            )
    finally:
        forget()
    (result,) = seen
    assert len(result) > len(MANY)


@pytest.mark.parametrize("command", [["plugins"], ["plugins", "--no-load"], ["doctor"]], ids=" ".join)
def test_no_broken_plugin_keeps_a_command_from_working(command: list[str], tmp_path: Path):
    """All of them at once, in two orders: the same lines, each broken one named, no traceback."""
    for name, code in MANY.items():
        (tmp_path / name).mkdir()
        install(tmp_path / name, name, code, entry_point=name)
    shown = []
    for order in in_some_orders(list(MANY), 2):
        result = subprocess.run(
            [sys.executable, "-m", "chat_core", *command],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(str(tmp_path / name) for name in order)},
        )
        assert result.returncode == (0 if "--no-load" in command else 1), result.stderr
        assert result.stderr == ""
        assert all(name in result.stdout for name in MANY)
        shown.append(re.sub(r"\([0-9.]+ ms\)", "", result.stdout))
    assert shown[0] == shown[1]
