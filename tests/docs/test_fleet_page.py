"""What the page about fleets claims."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

from chat_core.fleet import Fleet
from support.redis_server import RedisServer

PAGE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text("utf-8")


def test_the_program_prints_what_the_page_shows():
    """As it stands there, on a real Redis."""
    (program,) = (one for one in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "REDIS_URL" in one)
    (output,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    with RedisServer() as server:
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "REDIS_URL": server.url},
        )
    assert result.returncode == 0, result.stderr
    assert result.stdout == output


def test_the_tables_of_arguments_and_members_are_complete():
    """In order, with the defaults."""
    parameters = inspect.signature(Fleet).parameters
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d.]*)", PAGE[PAGE.index("| argument |") : PAGE.index("| member |")], re.MULTILINE
    )
    assert [name for name, _ in rows] == [name for name in parameters if name != "options"]
    for name, default in rows:
        if default:
            assert float(default) == parameters[name].default, name
    members = {name for name in vars(Fleet) if not name.startswith("_")}
    assert {name for name in members if f"`fleet.{name}" not in PAGE and f"`await fleet.{name}" not in PAGE} == set()
