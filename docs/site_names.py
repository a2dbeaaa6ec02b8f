"""Public names: written as code on a page they lead to the reference, and annotations name them as a user does."""

from __future__ import annotations

import builtins
import enum
import importlib
import inspect
import re
from functools import cache
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms import SphinxTransform

from chat_core import ChatError, Event
from chat_core._launch.launchers import Options

__all__ = ["MODULES", "public", "setup"]

#: Every public module, the nearest one to a user first: where two have the same name, it wins.
MODULES = (
    "chat_core",
    "chat_sandbox",
    "chat_core.blocking",
    "chat_core.compat.genesys",
    "chat_core.fleet",
    "chat_core.testing",
    "chat_sandbox.blocking",
    "chat_sandbox.conformance",
    "chat_sandbox.pytest",
    "chat_gms",
)
#: Modules of others, and of typing alone, that have no page on a site without a network.
_ELSEWHERE = re.compile(
    r"(_?asyncio|_?pytest|abc|collections|datetime|enum|httpx|logging|os|pathlib|ssl|starlette|types|typing)\."
)
#: What an annotation names and no user can: private classes, variables of types, a word of a ``Literal``.
_PRIVATE = re.compile(r"\b_\w|^(\w+\.)*[A-Z]$|^'\w+'$|^(LoggerLike|FileSource|Progress|datetime)$")
#: Defaults without a literal are shown by their names.
_UNREADABLE = r"<(?:built-in |bound )?(?:function|method) ([\w.]+)(?: of <[^>]*>)?(?: at \w+)?>"
_COMMAND = re.compile(r"(?:await )?session\.([a-z]\w+)(?:\(.*\))?")


def setup(app: Sphinx) -> dict[str, bool]:
    """Extend Sphinx."""
    for name, home in public().items():
        if home == "chat_core":
            _show_source_order(name)
    # Overloads with a parameter specification cannot be read either; the signature that they share can.
    blocking = ModuleAnalyzer.for_module("chat_sandbox.blocking")
    blocking.analyze()
    blocking.overloads.pop("Sandbox.run")
    app.connect("autodoc-process-signature", _as_it_is_called)
    app.connect("autodoc-process-docstring", _before_napoleon, priority=100)
    app.connect("autodoc-process-docstring", _one_error_a_line, priority=900)
    app.connect("missing-reference", _resolve)
    app.connect("doctree-read", _name_attributes)
    app.add_transform(_Names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


@cache
def public() -> dict[str, str]:
    """Return the module of each public name."""
    found: dict[str, str] = {}
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            found.setdefault(name, module)
    return found


def _as_it_is_called(  # noqa: PLR0917 - Sphinx calls it so
    app: Sphinx, what: str, name: str, it: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Show what a user gives: no constructor that is not theirs, and no argument that stands at the base class."""
    del app, options
    if _is_launcher(name):
        return f"(*, {', '.join(f'{option}=None' for option in Options.__annotations__)})", returns
    # What is no Python here could not be read, and then no name in it would lead anywhere.
    signature = re.sub(_UNREADABLE, r"\1", signature or "") or None
    if what not in {"class", "exception"}:
        return signature, returns
    if issubclass(it, enum.Enum) or (issubclass(it, ChatError) and it is not ChatError):
        return "", None
    if issubclass(it, Event) and it is not Event:
        own = re.sub(r"\bindex: .*?\brestored: bool = False(, )?", "", signature or "")
        return "" if own == "(*, )" else own, None
    private = re.findall(r"\b_\w+(?:\.\w+)*\.(\w+)|\b(Portal)\b", signature or "")
    return ("" if any(one not in public() for one, _ in private) else signature), None


def _before_napoleon(  # noqa: PLR0917 - Sphinx calls it so
    app: Sphinx, what: str, name: str, it: Any, options: Any, lines: list[str]
) -> None:
    """Give a launcher its options; keep a colon in what is said of a property from being taken for a type's."""
    del app, it, options
    if _is_launcher(name):
        said = inspect.getdoc(Options) or ""
        place = lines.index("Raises:") if "Raises:" in lines else len(lines)
        lines[place:place] = ["Args:", *said.partition("Attributes:\n")[2].splitlines(), ""]
    elif what in {"property", "data", "attribute"} and lines:
        lines[0] = f": {lines[0]}"


def _is_launcher(name: str) -> bool:
    return name.startswith(
        ("chat_core.start_", "chat_core.restore_", "chat_core.blocking.start_", "chat_core.blocking.restore_")
    )


def _one_error_a_line(  # noqa: PLR0917 - Sphinx calls it so
    app: Sphinx, what: str, name: str, it: Any, options: Any, lines: list[str]
) -> None:
    """Split ``:raises A, B: words``, so that each leads to its error."""
    del app, what, name, it, options
    lines[:] = [
        f":raises {error}:{split[2]}" if split else line
        for line in lines
        for split in [re.fullmatch(r":raises ([\w, ]+):(.*)", line)]
        for error in (split[1].split(", ") if split else [""])
    ]


def _name_attributes(app: Sphinx, document: nodes.document) -> None:
    """Call attributes what a Python user calls them."""
    del app
    for field in document.findall(nodes.field_name):
        if field.astext() == "Variables":
            field.children = [nodes.Text("Attributes")]


def _resolve(app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, text: nodes.Node) -> nodes.Node | None:
    """Lead a private module's name to the public one, and let names from elsewhere be plain text."""
    if node.get("refdomain") != "py":
        return None
    target = str(node.get("reftarget", ""))
    if home := _home(target, str(node.get("py:module", ""))):
        name = f"{home}.{target.rpartition('.')[2]}"
        return env.domains.python_domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, text)
    return text if _ELSEWHERE.match(target) or _PRIVATE.search(target) or hasattr(builtins, target) else None


def _home(target: str, here: str) -> str | None:
    """Return the public module of what an annotation in a module names, if it has one."""
    place, _, name = target.rpartition(".")
    if not place:
        return here if name in _names(here) else public().get(name)
    try:
        meant = getattr(importlib.import_module(place), name)
    except (ImportError, AttributeError):
        return here if name in _names(here) else None
    homes = (one for one in MODULES if name in _names(one))
    return next((one for one in homes if getattr(importlib.import_module(one), name) is meant), None)


def _names(module: str) -> list[str]:
    return importlib.import_module(module).__all__ if module in MODULES else []


class _Names(SphinxTransform):
    """Makes links of code that is a public name, such as ``start_session`` or ``session.leave()``."""

    default_priority = 5  # before references are resolved

    def apply(self, **_: Any) -> None:
        """Do it."""
        for literal in list(self.document.findall(nodes.literal)):
            target = self._target(literal.astext())
            if target is None or isinstance(literal.parent, nodes.reference | addnodes.pending_xref | nodes.title):
                continue
            reference = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=target, refexplicit=True, refwarn=True
            )
            reference["refdoc"] = self.env.docname
            literal.replace_self(reference)
            reference += literal

    def _target(self, text: str) -> str | None:
        if command := _COMMAND.fullmatch(text):
            return f"chat_core.Session.{command[1]}" if hasattr(_session(), command[1]) else None
        bare = re.sub(r"\(.*\)$", "", text)
        module, _, name = bare.rpartition(".")
        if module:
            return bare if module in MODULES and name in importlib.import_module(module).__all__ else None
        return f"{public()[name]}.{name}" if name in public() else None


@cache
def _session() -> type[Any]:
    return importlib.import_module("chat_core").Session


def _show_source_order(name: str) -> None:
    """Tell autodoc in which module a class stands; ``chat_core`` shows the public one."""
    value = getattr(importlib.import_module("chat_core"), name)
    if isinstance(value, type) and value.__module__ == "chat_core":
        value.__module__ = importlib.import_module("chat_core")._HOME[name]  # noqa: SLF001 - nobody else knows
