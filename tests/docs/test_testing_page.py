"""What the page about testing claims."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

from attrs import fields

from chat_sandbox import FaultProxy, Rule
from chat_sandbox._proxy.actions import ACTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")


def test_the_program_prints_what_the_page_shows():
    """As it stands there."""
    (program,) = (one for one in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "asyncio.run" in one)
    (output,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == output


def test_the_tests_on_the_page_pass_as_printed(tmp_path: Path):
    """In a project of their own, with no plugin but the one that is named; and they fail when the bot is broken."""
    files = re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in files] == ["bot.py", "conftest.py", "test_bot.py"]
    for name, text in files:
        (tmp_path / name).write_text(text, "utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "4 passed" in result.stdout, result.stdout + result.stderr
    bot = (tmp_path / "bot.py").read_text("utf-8")
    (tmp_path / "bot.py").write_text(bot.replace("session.send_message(name)", "return name"), "utf-8")
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "1 failed, 3 passed" in result.stdout, result.stdout + result.stderr


def test_every_action_and_argument_of_the_fault_proxy_stands_on_the_page():
    """The actions with their defaults, what a rule can be about, and what the proxy is told."""
    for action in ACTIONS:
        assert f"`{action.__name__}(" in PAGE
    for name in (field.name for field in fields(Rule) if field.init and field.name != "action"):
        assert f"`{name}`" in PAGE, name
    for name in set(inspect.signature(FaultProxy).parameters) - {"upstream_url", "ssl_context"}:
        assert name in PAGE, name
