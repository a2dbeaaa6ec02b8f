"""The page about plugins that do not load: every status is there, and every example behaves as shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chat_core
from chat_core._plugins.records import _ERRORS, Status
from support.distributions import install

PAGE = (Path(__file__).parents[2] / "docs" / "plugins" / "does-not-load.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
#: Plugins and what is printed of them, by status.
EXAMPLES = [
    (status, number, code, output)
    for status, text in SECTIONS.items()
    for number, (code, output) in enumerate(re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL))
]
#: Sections whose example is the one under ``ok``, with something of the user's.
CHANGED = {
    "blocked": ([], {"CHAT_CORE_DISABLE_PLUGINS": "chat-storage-vault"}),
    "unloaded": (["--no-load"], {}),
}


def plugins(place: Path, code: str, *arguments: str, **environment: str) -> list[str]:
    install(place, "chat-storage-vault", code)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "chat_core", "plugins", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(place), **environment},
    )
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def lines(output: str) -> list[str]:
    return [" ".join(line.split()) for line in output.splitlines()]


def test_every_status_has_a_section_and_a_row_with_its_error():
    """In the words that ``chat-core plugins`` uses."""
    assert set(SECTIONS) == set(map(str, Status))
    for status in Status:
        (row,) = re.findall(rf"^\| \[`{status}`\]\(#{status}\) \|.*$", PAGE, re.MULTILINE)
        error = _ERRORS.get(status)
        assert (error.__name__ in row) if error else "Error`" not in row
        assert error is None or getattr(chat_core, error.__name__) is error


@pytest.mark.parametrize(("status", "number", "code", "output"), EXAMPLES, ids=lambda value: str(value)[:12])
def test_each_example_prints_what_the_page_shows(status: str, number: int, code: str, output: str, tmp_path: Path):
    """It is installed as it stands."""
    printed = plugins(tmp_path, code)
    for line in lines(output):
        assert line in printed
    assert any(f" {status} " in line for line in printed if line.startswith("chat-storage-vault 1.2"))


@pytest.mark.parametrize("status", CHANGED)
def test_what_a_user_switches_prints_what_the_page_shows(status: str, tmp_path: Path):
    """The good plugin, blocked and only listed."""
    arguments, environment = CHANGED[status]
    code = next(code for name, _, code, _ in EXAMPLES if name == "ok")
    (output,) = re.findall(r"```text\n(.*?)```", SECTIONS[status], re.DOTALL)
    printed = plugins(tmp_path, code, *arguments, **environment)
    for line in lines(output):
        assert line in printed


def test_every_reason_in_the_table_is_one_that_the_loader_gives():
    """Word for word."""
    loader = (Path(__file__).parents[2] / "core" / "src" / "chat_core" / "_plugins" / "loader.py").read_text("utf-8")
    from chat_core._plugins.hooks import HOOKS

    reasons = re.findall(r"^\| (`[^|]+) \|", SECTIONS["invalid"], re.MULTILINE)
    assert len(reasons) == 3
    for reason in re.findall(r"`([^`]+)`", " ".join(reasons)):
        words = reason.replace(", ".join(HOOKS), "").replace("StorageProvider", "").strip()
        assert words in loader, reason
