"""What an installed plugin is like: its metadata, and what happens when a fresh process loads it.

Nothing of the plugin is imported here. ``python -m chat_core.testing._facts DISTRIBUTION`` is that fresh process.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import inspect
import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import field, frozen

from chat_core._contracts.providers import Kind
from chat_core._model.errors import UnknownPluginError
from chat_core._plugins.discovery import GROUP, Found
from chat_core._plugins.hooks import HOOKS
from chat_core._plugins.loader import load, resolve_conflicts
from chat_core._plugins.options import hints_of
from chat_core._plugins.records import PluginSource, Status
from chat_core._plugins.registry import builtin_record

__all__ = ["Installed", "find_distribution"]

#: Seconds for a fresh Python to load one plugin.
_PATIENCE: Final = 60.0
#: What entry modules may import beside the standard library and themselves.
_LIGHT: Final = frozenset({"attr", "attrs", "chat_core", "pluggy", "typing_extensions"})


@frozen(kw_only=True)
class Installed:
    """A distribution, as it lies on the disk.

    Attributes:
        name: of the distribution.
        version: of the distribution.
        metadata: the fields that are looked at.
        entry_points: of the group chat_core: name and value.
        roots: the folders of the packages that the entry points name.
        path: where it was looked for, None for ``sys.path``.
    """

    name: str
    version: str = ""
    metadata: Mapping[str, tuple[str, ...]] = field(factory=dict)
    entry_points: tuple[tuple[str, str], ...] = ()
    roots: tuple[Path, ...] = ()
    path: tuple[str, ...] | None = None

    def imported(self) -> dict[str, Any]:
        """Load it in a fresh process and return what happened; done once."""
        return _imported(self.name, self.path)

    def sources(self) -> Iterator[tuple[Path, ast.Module]]:
        """Yield its modules, parsed."""
        for root in self.roots:
            for file in sorted(root.rglob("*.py") if root.is_dir() else [root]):
                with contextlib.suppress(SyntaxError):
                    yield file, ast.parse(file.read_text("utf-8"))


def find_distribution(name: str, *, path: Iterable[str] | None = None) -> Installed:
    """Find a distribution by its own name, by an entry point's, or by a provider's (``kind_name`` or ``name``).

    Raises:
        UnknownPluginError: there is none.
    """
    wanted = _canonical(str(name))
    where = None if path is None else tuple(path)
    known, bare = [], None
    for one in distributions() if where is None else distributions(path=list(where)):
        own = _canonical(one.metadata["Name"] or "")
        points = [point for point in one.entry_points if point.group == GROUP]
        if not points:
            bare = one if wanted == own else bare
            continue
        known.append(one.metadata["Name"])
        names = {_canonical(point.name) for point in points}
        if wanted in names | {own} | {one.partition("-")[2] for one in names}:
            return _describe(one, points, where)
    if bare is not None:  # a package without a plugin is only meant where no plugin has that name
        return _describe(bare, [], where)
    raise UnknownPluginError(
        f"no installed distribution provides the plugin {name!r} (there is: {', '.join(sorted(set(known))) or 'none'})",
        advice="install it, also with pip install -e, and give its name as 'pip list' shows it",
    )


def _describe(one: Distribution, points: list[EntryPoint], where: tuple[str, ...] | None) -> Installed:
    fields = (
        "Summary",
        "License",
        "License-Expression",
        "License-File",
        "Requires-Python",
        "Requires-Dist",
        "Classifier",
    )
    metadata = {name: tuple(one.metadata.get_all(name) or ()) for name in fields}
    roots = dict.fromkeys(root for point in points if (root := _root_of(point, one, where)) is not None)
    return Installed(
        name=one.metadata["Name"],
        version=one.version,
        metadata=metadata,
        entry_points=tuple(sorted((point.name, point.value) for point in points)),
        roots=tuple(roots),
        path=where,
    )


def _root_of(point: EntryPoint, one: Distribution, where: tuple[str, ...] | None) -> Path | None:
    """Return the folder, or the file, of an entry point's top-level package, without importing it."""
    top = point.value.partition(":")[0].strip().partition(".")[0]
    if where is not None:
        for name in (top, f"{top}.py"):
            found = Path(str(one.locate_file(name)))
            if found.exists():
                return found
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ())
    return Path(places[0]) if places else Path(spec.origin) if spec.origin else None


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


@functools.lru_cache(maxsize=256)
def _imported(name: str, path: tuple[str, ...] | None) -> dict[str, Any]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CHAT_CORE_", "PYTHONWARN"))}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [*(path or ()), *sys.path]))
    result = subprocess.run(  # noqa: S603 - this Python, our own module
        [sys.executable, "-m", "chat_core.testing._facts", name],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        env=environment,
        check=False,
    )
    lines = result.stdout.splitlines()
    try:
        facts: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        end = result.stderr.strip().splitlines()[-1:]
        return {"problems": [f"the process that loads it ended with status {result.returncode}: {''.join(end)}"]}
    return facts


# In the fresh process


def _load(name: str) -> dict[str, Any]:
    (distribution,) = [one for one in distributions() if _canonical(one.metadata["Name"] or "") == _canonical(name)][:1]
    found = [
        Found(PluginSource(distribution=name, version=distribution.version, entry_point=one.name, value=one.value), one)
        for one in distribution.entry_points
        if one.group == GROUP
    ]
    builtin = builtin_record()
    before = set(sys.modules)
    printed = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        warnings.simplefilter("always")
        records = load(found, allowed=None, denied=frozenset())
    own = {one.value.partition(":")[0].partition(".")[0] for one in distribution.entry_points if one.group == GROUP}
    tops = {module.partition(".")[0] for module in set(sys.modules) - before}
    foreign = tops - own - _LIGHT - sys.stdlib_module_names
    records = [one for one in resolve_conflicts([builtin, *records]) if one.source != builtin.source]
    return {
        "problems": [str(one) for one in records if one.status is not Status.OK],
        "warnings": [f"{one.category.__name__}: {one.message}" for one in caught],
        "printed": printed.getvalue(),
        "foreign": sorted(one for one in foreign if not one.startswith("_")),
        "providers": [
            {
                "entry point": record.source.entry_point,
                "kind": str(provider.kind),
                "name": provider.name,
                "summary": provider.summary,
                "api": provider.api if isinstance(provider.api, int) and not isinstance(provider.api, bool) else None,
                "options": _options(provider.options),
            }
            for record in records
            for provider in record.providers
        ],
        "hooks": [text for one in found if one.entry_point for text in _hook_arguments(one.entry_point)],
    }


def _options(options: type[Any] | None) -> dict[str, Any] | None:
    if options is None:
        return None
    hints = hints_of(options)
    fields = attrs.fields(options)
    return {
        "class": options.__qualname__,
        "untyped": [one.name for one in fields if one.name not in hints],
        "positional": [one.name for one in fields if not one.kw_only and one.init],
        "shown": [one.name for one in fields if one.repr is True],
        "frozen": bool(getattr(options.__setattr__, "__name__", "") == "_frozen_setattrs"),
    }


def _hook_arguments(point: EntryPoint) -> list[str]:
    try:
        plugin = point.load()
    except BaseException:  # noqa: BLE001 - said by the loader already
        return []
    found = []
    for name in HOOKS:
        function = getattr(plugin, name, None)
        if inspect.isfunction(function) and (taken := list(inspect.signature(function).parameters)):
            found.append(f"{name}({', '.join(taken)})")
    return found


def main() -> None:
    """Load one distribution's plugins and print what happened."""
    assert Kind.STORAGE  # the provider classes are there before what the plugin imports is counted
    facts = _load(sys.argv[1])
    sys.__stdout__.write("\n" + json.dumps(facts) + "\n")  # type: ignore[union-attr] # there is one


if __name__ == "__main__":
    main()
