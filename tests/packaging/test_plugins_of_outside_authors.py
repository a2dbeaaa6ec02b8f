"""The packages under ``examples/``: built, installed and tested as their authors and users would."""

from __future__ import annotations

import json

import pytest

from support.workshop import ROOT, Workshop

EXAMPLES = {
    "chat-storage-sqlite": ("storage", "sqlite"),
    "chat-transport-webmessaging": ("transport", "webmessaging"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_passes_its_own_tests_and_the_conformance_suite(name: str, workshop: Workshop):
    """Against its wheel; it is listed, and once uninstalled it is gone."""
    package = ROOT / "examples" / name
    workshop.install(package)
    listed = json.loads(workshop.chat_core("plugins", "--json").stdout)
    (row,) = [row for row in listed if row["distribution"] == name]
    assert (row["status"], row["reason"]) == ("ok", "")
    assert [(one["kind"], one["name"]) for one in row["providers"]] == [EXAMPLES[name]]
    said = workshop.test(package)
    kind, plugin = EXAMPLES[name]
    assert f"{kind} {plugin} ({name} 1.0) conforms to chat-core's suite" in said
    assert f"packaging {plugin} ({name} 1.0) conforms to chat-core's suite" in said
    workshop.uninstall(name)
    assert plugin not in workshop.chat_core("plugins").stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_complete(name: str):
    """Like a distribution of the project: README, types, sources apart from tests."""
    package = ROOT / "examples" / name
    module = name.replace("-", "_")
    for file in ("README.md", "pyproject.toml", f"src/{module}/py.typed", "tests/test_conformance.py"):
        assert (package / file).exists(), file


def test_the_test_file_of_a_storage_is_six_lines():
    """As the tutorial promises; options that need a folder cost two more."""
    text = (ROOT / "examples" / "chat-storage-sqlite" / "tests" / "test_conformance.py").read_text("utf-8")
    storage = text.split("class TestPackage")[0]
    assert len([line for line in storage.splitlines() if line.strip()]) <= 6
    harness = (ROOT / "examples" / "chat-transport-webmessaging" / "tests" / "test_conformance.py").read_text("utf-8")
    inside = harness[harness.index("class Harness") : harness.index("class TestWebMessaging")]
    assert len([line for line in inside.splitlines() if line.strip()]) <= 40
