"""Packages with one thing wrong, and odd ones that are right. Each is a wheel; all are installed at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from conformance.mutant import Mutant, Odd
from support.wheels import install, write_wheel

_CODE = """
from attrs import field, frozen
from chat_core import StorageProvider, hookimpl


@frozen(kw_only=True)
class Options:
    path: str = "states"
    password: str | None = field(default=None, repr=False)


class Storage:
    def __init__(self, context):
        self.state = None

    def read(self):
        return self.state

    def write(self, state):
        self.state = state


provider = StorageProvider(name="NAME", summary="kept in the instance", factory=Storage, options=Options)


@hookimpl
def chat_storages():
    return [provider]
"""
_METADATA: Mapping[str, str | Iterable[str]] = {
    "Summary": "A storage",
    "License-Expression": "Apache-2.0",
    "Requires-Python": ">=3.11",
    "Requires-Dist": "chat-core>=0.1,<0.2",
}


@frozen(kw_only=True)
class Package:
    """What a wheel is made from."""

    name: str
    code: str = _CODE
    files: Mapping[str, str] = field(factory=dict)
    metadata: Mapping[str, Any] = field(factory=lambda: dict(_METADATA))
    entry_point: str | None = "storage_NAME"
    typed: bool = True

    def write(self, place: Path) -> Path:
        module = f"chat_storage_{self.name.replace('-', '_')}"
        code = self.code.replace("NAME", self.name)
        files = {f"{module}/__init__.py": code, **{f"{module}/{path}": text for path, text in self.files.items()}}
        if self.typed:
            files[f"{module}/py.typed"] = ""
        point = self.entry_point
        points = {} if point is None else {point.replace("NAME", self.name.replace("-", "_")): module}
        return write_wheel(place, f"chat-storage-{self.name}", files, metadata=self.metadata, entry_points=points)


_numbers = iter(range(1, 100))


def _mutant(name: str, fails: dict[str, str], **changes: Any) -> Mutant:
    return Mutant(name=name, subject=Package(name=f"mutant{next(_numbers)}", **changes), fails=fails)


def _without(*names: str) -> dict[str, Any]:
    return {key: value for key, value in _METADATA.items() if key not in names}


def _code(old: str, new: str) -> str:
    assert old in _CODE
    return _CODE.replace(old, new)


MUTANTS = [
    _mutant("there is no entry point", {"PK-001": "no entry point"}, entry_point=None),
    _mutant("importing it raises", {"PK-002": "ModuleNotFoundError"}, code="import nothing_of_that_name\n" + _CODE),
    _mutant("importing it ends the process", {"PK-002": "ended with status 3"}, code="import os\nos._exit(3)\n"),
    _mutant("its name is taken", {"PK-002": "so does chat-core"}, code=_code('name="NAME"', 'name="file"')),
    _mutant(
        "importing it warns",
        {"PK-003": "UserWarning: be careful"},
        code="import warnings\nwarnings.warn('be careful')\n" + _CODE,
    ),
    _mutant("importing it prints", {"PK-003": "prints 'hello"}, code="print('hello')\n" + _CODE),
    _mutant("it imports a library at once", {"PK-004": "pytest"}, code="import pytest\n" + _CODE),
    _mutant("its entry point has another name", {"PK-005": "not 'storage_mutant8'"}, entry_point="plugin"),
    _mutant("its summary is empty", {"PK-006": "the summary of"}, code=_code("kept in the instance", " ")),
    _mutant("its summary has two lines", {"PK-006": "two\\nlines"}, code=_code("kept in the instance", "two\\nlines")),
    _mutant("it was made for interface 0", {"PK-007": "is 0"}, code=_code("options=Options", "options=Options, api=0")),
    _mutant(
        "an option's type is missing",
        {"PK-008": "no type that can be resolved for path"},
        code=_code('path: str = "states"', 'path = field(default="states")').replace(
            "password: str | None = field(default=None, repr=False)", "password = field(default=None, repr=False)"
        ),
    ),
    _mutant(
        "an option's type cannot be resolved",
        {"PK-008": "no type that can be resolved"},
        code=_code('path: str = "states"', 'path: "Unknown" = "states"'),
    ),
    _mutant(
        "its options are positional", {"PK-009": "without a keyword"}, code=_code("@frozen(kw_only=True)", "@frozen")
    ),
    _mutant(
        "its options can be changed",
        {"PK-009": "not frozen"},
        code=_code("@frozen(kw_only=True)", "@define(kw_only=True)").replace("field, frozen", "define, field"),
    ),
    _mutant("its options show a password", {"PK-010": "shows password"}, code=_code(", repr=False", "")),
    _mutant("it has no py.typed", {"PK-011": "no py.typed"}, typed=False),
    _mutant("it says nothing of Python", {"PK-012": "requires-python"}, metadata=_without("Requires-Python")),
    _mutant("it does not depend on chat-core", {"PK-013": "does not depend"}, metadata=_without("Requires-Dist")),
    _mutant(
        "it depends on a neighbour only",
        {"PK-013": "does not depend"},
        metadata={**_METADATA, "Requires-Dist": "chat-core-extras>=1"},
    ),
    _mutant(
        "it depends on any chat-core",
        {"PK-013": "whatever its version"},
        metadata={**_METADATA, "Requires-Dist": "chat-core"},
    ),
    _mutant(
        "it imports what is private",
        {"PK-014": "chat_core._storages.codec"},
        files={"_inner.py": "from chat_core._storages.codec import encode_state\n"},
    ),
    _mutant(
        "it imports a private module by its package",
        {"PK-014": "chat_core._storages"},
        files={"_inner.py": "def f():\n    from chat_core import _storages\n"},
    ),
    _mutant("it has no summary in its metadata", {"PK-015": "no summary"}, metadata=_without("Summary")),
    _mutant("it has no licence", {"PK-015": "no licence"}, metadata=_without("License-Expression")),
    _mutant(
        "its hook has an argument",
        {"PK-016": "chat_storages(config)"},
        code=_code("storages():", "storages(config=None):"),
    ),
]

ODD = [
    Odd(name="no options", subject=Package(name="odd1", code=_code(", options=Options", ""))),
    Odd(
        name="a licence by classifier, several requirements",
        subject=Package(
            name="odd-two",
            metadata={
                **_without("License-Expression"),
                "Classifier": ["License :: OSI Approved :: Apache Software License"],
                "Requires-Dist": ["httpx>=0.27", "chat_core (>=0.1)"],
            },
        ),
    ),
    Odd(
        name="the factory's own module imports a library",
        subject=Package(name="odd3", files={"_impl.py": "import pytest\n"}),
    ),
]


def install_all(place: Path) -> Path:
    """Write every wheel and install them; returns the folder."""
    wheels = place / "wheels"
    wheels.mkdir()
    packages = [one.subject.write(wheels) for one in [*MUTANTS, *ODD]]
    install(place / "installed", *packages)
    return place / "installed"


def name_of(one: Mutant | Odd) -> str:
    """Return the name of its distribution."""
    return f"chat-storage-{one.subject.name}"
