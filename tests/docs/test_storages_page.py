"""What the page about storages and the READMEs of the two plugins claim."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

import chat_core
from chat_core import Capability
from chat_core._contracts.providers import Kind
from chat_core._plugins.registry import registry
from chat_storage_keyring import KeyringOptions
from chat_storage_redis import RedisOptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "storages.md").read_text("utf-8")
READMES = {
    name: ((ROOT / "plugins" / f"storage_{name}" / "README.md").read_text("utf-8"), options)
    for name, options in {"keyring": KeyringOptions, "redis": RedisOptions}.items()
}


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column has that heading."""
    table = text[text.index(f"| {heading} |") :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def test_the_program_prints_what_the_page_shows():
    """As it stands there."""
    (program,) = (one for one in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "asyncio.run" in one)
    (output,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == output


@pytest.mark.parametrize("name", ["file", "memory", "keyring", "redis"])
def test_the_table_of_storages_agrees_with_what_they_declare(name: str):
    """Outliving the process and knowing the owner are capabilities."""
    (row,) = [row for row in rows(PAGE, "`state_storage`") if f'"{name}"' in row[0]]
    capabilities = registry({}).providers(Kind.STORAGE)[name][0].capabilities
    assert (row[2] == "yes") is (Capability.PERSISTENT in capabilities)
    assert row[3].startswith("yes") is (Capability.OWNERSHIP in capabilities)
    assert ("lease" in row[3]) is (Capability.LEASE in capabilities)


@pytest.mark.parametrize("plugin", READMES)
def test_the_table_of_options_is_complete_and_its_defaults_are_right(plugin: str):
    """Each option of the storage, in order."""
    readme, options = READMES[plugin]
    found = {row[0].strip("`"): row[1] for row in rows(readme, "option")}
    fields = attrs.fields_dict(options)
    assert list(found) == list(fields)
    made = options()
    for name, default in found.items():
        shown = default.strip("`").strip('"').removesuffix(" s")
        value = getattr(made, name)
        assert shown == (f"{value:g}" if isinstance(value, float) else str(value))


@pytest.mark.parametrize("plugin", READMES)
def test_the_errors_that_are_listed_exist(plugin: str):
    """By the names that a program catches."""
    for row in rows(READMES[plugin][0], "error"):
        assert issubclass(getattr(chat_core, row[0].strip("`")), chat_core.StorageError)
