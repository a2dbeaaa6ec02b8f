"""Whatever a user can write or be shown stands somewhere in the docs; names to import stand in the site's reference."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import attrs
import pytest

import chat_core
from chat_core import Capability, Kind
from chat_core._cli.doctor import _VARIABLES
from chat_core._cli.table import COMMANDS
from chat_core._launch.launchers import Options
from chat_core._plugins.hooks import HOOKS
from chat_core._plugins.records import Status
from chat_core._plugins.registry import registry
from chat_core.testing import catalogue

ROOT = Path(__file__).parents[2]
#: What a user reads: the pages, and what each distribution shows on its package's page.
PAGES = sorted(
    page
    for page in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("plugins/*/README.md"),
    ]
    if page.name != "CHANGELOG.md"
)
TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)
#: What stands in code: between backticks or in a listing.
CODE = "\n".join(re.findall(r"`[^`\n]+`", TEXT)) + "\n".join(re.findall(r"```.*?```", TEXT, re.DOTALL))


def missing(names: set[str], text: str = CODE) -> set[str]:
    """Return the names that stand nowhere as code, as a word of their own."""
    return {name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)}


def test_every_hook():
    """By its name."""
    assert missing(set(HOOKS)) == set()


def test_every_option_of_a_launcher():
    """By its name."""
    assert missing(set(Options.__annotations__)) == set()


@pytest.mark.parametrize("kind", Kind)
def test_every_option_of_a_first_party_plugin(kind: Kind):
    """Of all that are installed with this repository."""
    for name, (provider, record) in registry({}).providers(kind).items():
        if provider.options is not None and record.source.version == chat_core.__version__:
            assert missing({one.alias for one in attrs.fields(provider.options)}) == set(), name


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("chat-*")), ids=lambda path: path.name)
def test_every_option_of_an_example_stands_in_its_readme(example: Path):
    """Read from its source: it need not be installed."""
    source = next((example / "src").glob("*/__init__.py")).read_text("utf-8")
    options = re.search(r"^class \w+Options.*?(?=^\S)", source, re.DOTALL | re.MULTILINE)
    assert options is not None
    readme = (example / "README.md").read_text("utf-8")
    for name in re.findall(r"^    (\w+): ", options[0], re.MULTILINE):
        assert f"`{name}`" in readme


def test_every_status_and_capability():
    """In the words that are printed."""
    assert missing({*map(str, Status), *map(str, Capability)}) == set()


def test_every_check_of_the_conformance_suites():
    """By its permanent id."""
    ids = {check.id for suite in catalogue().values() for check in suite}
    assert len(ids) > 90
    assert missing(ids, TEXT) == set()


def test_every_command_and_flag():
    """Of ``chat-core`` and ``chat-sandbox``."""
    names = set()
    for command, (module, _) in COMMANDS.items():
        parser = argparse.ArgumentParser()
        __import__(module, fromlist=["add_arguments"]).add_arguments(parser)
        flags = {flag for one in parser._actions if one.help is not argparse.SUPPRESS for flag in one.option_strings}
        names |= {f"chat-core {command}", *flags}
    names -= {"-h", "--help"}
    sandbox = (ROOT / "sandbox" / "src" / "chat_sandbox" / "__main__.py").read_text("utf-8")
    names |= set(re.findall(r'"(--[a-z-]+)"', sandbox))
    assert "--no-load" in names
    assert {name for name in names if name not in CODE} == set()


def test_every_variable_of_the_environment():
    """All that ``chat-core doctor`` shows, and no other is read."""
    assert missing(set(_VARIABLES)) == set()
    read = set()
    for source in (ROOT / "core" / "src").rglob("*.py"):
        if "testing" not in source.parts:
            read |= set(re.findall(r"CHAT_CORE_[A-Z_]+", source.read_text("utf-8")))
    assert read == set(_VARIABLES)
