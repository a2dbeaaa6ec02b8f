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


def test_every_action_and_argument_of_the_fault_proxy_stands_on_the_page():
    """The actions with their defaults, what a rule can be about, and what the proxy is told."""
    for action in ACTIONS:
        assert f"`{action.__name__}(" in PAGE
    for name in (field.name for field in fields(Rule) if field.init and field.name != "action"):
        assert f"`{name}`" in PAGE, name
    for name in set(inspect.signature(FaultProxy).parameters) - {"upstream_url", "ssl_context"}:
        assert name in PAGE, name
