"""The checks of how a plugin is packaged: what its metadata says, and what loading it does to a fresh process."""

from __future__ import annotations

import ast
import re
from types import TracebackType
from typing import Any, Final, Self

from chat_core._contracts.providers import API
from chat_core._model.redaction import names_a_secret
from chat_core.testing._checks import Level, Suite, require
from chat_core.testing._facts import Installed

__all__ = ["SUITE", "PackagingBench"]

SUITE: Final = Suite("packaging", "PK")

_CORE: Final = re.compile(r"chat[-_.]core(?![\w-])", re.IGNORECASE)
#: Characters of a summary, which stands in the last column of a list.
_LONGEST_SUMMARY: Final = 100


class PackagingBench:
    """What the packaging checks look at.

    Args:
        installed: the distribution.
    """

    def __init__(self, installed: Installed) -> None:
        self.installed = installed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def fact(self, name: str) -> Any:
        """Return what was found when it was loaded."""
        return self.installed.imported().get(name) or []

    def meta(self, name: str) -> tuple[str, ...]:
        """Return a field of the metadata."""
        return self.installed.metadata.get(name, ())


@SUITE.check("PK-001", "The distribution has an entry point in the group chat_core.")
async def has_an_entry_point(bench: PackagingBench) -> None:
    require(bench.installed.entry_points, f"{bench.installed.name} has no entry point in the group chat_core")


@SUITE.check("PK-002", "It loads by itself in a fresh process, and its status is ok.")
async def it_loads(bench: PackagingBench) -> None:
    problems = bench.fact("problems")
    require(not problems, f"it does not load: {'; '.join(problems)}")


@SUITE.check("PK-003", "Loading it prints nothing and warns of nothing.")
async def loading_is_silent(bench: PackagingBench) -> None:
    printed, warned = bench.fact("printed"), bench.fact("warnings")
    require(not warned, f"loading it warns: {'; '.join(warned)}")
    require(not printed, f"loading it prints {str(printed)[:60]!r}")


@SUITE.check(
    "PK-004",
    "Its entry module imports no library but chat-core and attrs: what is heavy is imported by the factory.",
)
async def the_entry_module_is_light(bench: PackagingBench) -> None:
    foreign = bench.fact("foreign")
    require(not foreign, f"loading it imports {', '.join(foreign)}")


@SUITE.check(
    "PK-005",
    "An entry point is named <kind>_<name> after a provider of it, so that a plugin that does not load can be told.",
    level=Level.SHOULD,
)
async def entry_points_tell_the_provider(bench: PackagingBench) -> None:
    providers = bench.fact("providers")
    for point, _ in bench.installed.entry_points:
        names = sorted(
            f"{one['kind']}_{one['name'].replace('-', '_')}" for one in providers if one["entry point"] == point
        )
        require(not names or point in names, f"the entry point is named {point!r}, not {' or '.join(names)!r}")


@SUITE.check("PK-006", "Each provider has a summary of one line, 1 to 100 characters.")
async def summaries_are_lines(bench: PackagingBench) -> None:
    for one in bench.fact("providers"):
        text = one["summary"]
        good = 1 <= len(text.strip()) <= _LONGEST_SUMMARY and text.isprintable()
        require(good, f"the summary of {one['name']!r} is {text[:60]!r}")


@SUITE.check("PK-007", "Each provider names a plugin interface that there is: api is a whole number from 1 on.")
async def the_api_is_known(bench: PackagingBench) -> None:
    for one in bench.fact("providers"):
        require(one["api"] is not None and 1 <= one["api"] <= API, f"the api of {one['name']!r} is {one['api']!r}")


@SUITE.check("PK-008", "Every option has a type that can be resolved: chat-core checks what users give by it.")
async def options_are_typed(bench: PackagingBench) -> None:
    for name, options in _options(bench):
        untyped = ", ".join(options["untyped"])
        require(not untyped, f"{options['class']} of {name!r} has no type that can be resolved for {untyped}")


@SUITE.check("PK-009", "The options class is frozen and keyword-only.", level=Level.SHOULD)
async def options_are_frozen(bench: PackagingBench) -> None:
    for name, options in _options(bench):
        positional = ", ".join(options["positional"])
        require(not positional, f"{options['class']} of {name!r} takes {positional} without a keyword")
        require(options["frozen"], f"{options['class']} of {name!r} is not frozen")


@SUITE.check("PK-010", "Options that hold secrets are left out of the repr.", security=True)
async def secret_options_are_hidden(bench: PackagingBench) -> None:
    for name, options in _options(bench):
        shown = ", ".join(one for one in options["shown"] if names_a_secret(one))
        require(not shown, f"the repr of {options['class']} of {name!r} shows {shown}; write field(repr=False)")


@SUITE.check("PK-011", "Its package has a py.typed, so that users' type checkers see its types.", level=Level.SHOULD)
async def it_is_typed(bench: PackagingBench) -> None:
    for root in bench.installed.roots:
        require(root.is_dir() and (root / "py.typed").exists(), f"there is no py.typed in {root.name}")


@SUITE.check("PK-012", "It says which versions of Python it needs (requires-python).")
async def it_requires_a_python(bench: PackagingBench) -> None:
    require(bench.meta("Requires-Python"), f"{bench.installed.name} has no requires-python")


@SUITE.check("PK-013", "It depends on chat-core, from a version on.")
async def it_depends_on_the_core(bench: PackagingBench) -> None:
    found = [one for one in bench.meta("Requires-Dist") if _CORE.match(one)]
    require(found, f"{bench.installed.name} does not depend on chat-core")
    require(any(">" in one or "=" in one for one in found), f"it depends on {found[0]!r}, whatever its version")


@SUITE.check("PK-014", "It imports public names of chat-core only.")
async def it_uses_public_names(bench: PackagingBench) -> None:
    for file, tree in bench.installed.sources():
        for node in ast.walk(tree):
            for module in _modules_in(node):
                private = module.startswith("chat_core.") and any(part.startswith("_") for part in module.split("."))
                require(not private, f"{file.name} imports {module}, which may change without notice")


@SUITE.check("PK-015", "Its metadata has a summary and a licence.", level=Level.SHOULD)
async def its_metadata_is_complete(bench: PackagingBench) -> None:
    require(bench.meta("Summary"), f"{bench.installed.name} has no summary in its metadata")
    classifiers = [one for one in bench.meta("Classifier") if one.startswith("License ::")]
    licence = classifiers or bench.meta("License") or bench.meta("License-Expression") or bench.meta("License-File")
    require(licence, f"{bench.installed.name} has no licence in its metadata")


@SUITE.check("PK-016", "Its hooks take no arguments, with or without a default.")
async def hooks_take_nothing(bench: PackagingBench) -> None:
    hooks = bench.fact("hooks")
    require(not hooks, f"its hook is {', '.join(hooks)}, and nobody gives it anything")


def _options(bench: PackagingBench) -> list[tuple[str, dict[str, Any]]]:
    return [(one["name"], one["options"]) for one in bench.fact("providers") if one["options"] is not None]


def _modules_in(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []
