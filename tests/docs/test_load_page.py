"""What the page about load with Locust, and the plugin's README, claim."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from chat_load_locust import _figures
from chat_sandbox import echo
from chat_sandbox.blocking import Sandbox
from support import locusts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "load.md").read_text("utf-8")
README = (ROOT / "plugins" / "load_locust" / "README.md").read_text("utf-8")
SOURCES = ROOT / "plugins" / "load_locust" / "src" / "chat_load_locust"


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column has that heading."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def locustfile(text: str) -> str:
    (found,) = (one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "@scenario" in one)
    return str(found)


def defaults() -> dict[str, str]:
    """Read the shape's attributes from its source: importing it would patch this process."""
    (shape,) = (
        node for node in ast.parse((SOURCES / "_shape.py").read_text("utf-8")).body if isinstance(node, ast.ClassDef)
    )
    assigned = [node for node in shape.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    return {ast.unparse(node.target): ast.unparse(node.value) for node in assigned if node.value is not None}


def test_the_load_runs_as_the_page_says(tmp_path: Path):
    """The locustfile and the command as printed, but for the server's address; the reports hold the figures."""
    locusts.require()
    (tmp_path / "locustfile.py").write_text(locustfile(PAGE), "utf-8")
    (line,) = re.findall(r"^locust (.*)$", PAGE, re.MULTILINE)
    with Sandbox(agent=echo) as sandbox:
        line = line.replace("http://127.0.0.1:8080/genesys/cometd", sandbox.cometd_url)
        done = subprocess.run(
            [sys.executable, "-m", "locust", *shlex.split(line)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=90,
        )
        assert all(chat.ended for chat in sandbox.chats)
    assert done.returncode == 0, done.stdout + done.stderr
    found = locusts.figures(tmp_path / "load")
    # Six seconds on a machine that is busy elsewhere may not be enough for each of them.
    assert "Aggregated" in found
    assert set(found) <= {*locusts.FIGURES, "Aggregated"}
    report = (tmp_path / "load.html").read_text("utf-8")
    assert all(name in report for name in found)


def test_the_readmes_locustfile_can_be_loaded(tmp_path: Path):
    """And its command has no option that Locust does not know."""
    locusts.require()
    file = tmp_path / "locustfile.py"
    file.write_text(locustfile(README), "utf-8")
    (line,) = re.findall(r"^locust (.*)$", README, re.MULTILINE)
    done = locusts.run(*shlex.split(line), "--show-task-ratio", file=file)
    assert done.returncode == 0, done.stderr
    assert "asks" in done.stdout


def test_the_table_of_figures_is_complete():
    """Each name, in the order in which the code has them."""
    names = [_figures.START, _figures.AGENT, _figures.REPLY, _figures.ECHO, _figures.BLIND, _figures.CONTINUITY]
    assert [row[0].strip("`") for row in rows("name")] == [*names, _figures.SESSION]
    assert f"`{_figures.ACCEPTED}`" in PAGE


def test_the_table_of_the_shape_is_complete_and_its_defaults_are_right():
    """Each attribute, in order."""
    expected = {name: value for name, value in defaults().items() if name != "abstract"}
    assert {row[0].strip("`"): row[1] for row in rows("attribute")} == expected


@pytest.mark.parametrize("what", ["`chat_options`", "`start_options`", "`echo_timeout`", "`server_url`", "`host`"])
def test_what_a_user_class_may_set_stands_on_the_page(what: str):
    """By its name."""
    assert what in PAGE


def test_the_curve_of_the_day_is_the_one_shown():
    """Computed with the attributes that the page's class sets."""
    locusts.require()
    (day,) = (one for one in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "ShiftChange" in one)
    (shown,) = (one for one in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) if "visitors" in one)
    seconds = [int(line.split()[0]) for line in shown.splitlines()]
    code = (
        "import locust\n"
        f"{day}\n"
        "day = Day()\n"
        f"for second in {seconds}:\n"
        "    print(f'{second:3} s  {day.users_at(second):3} visitors')\n"
        "day.get_run_time = lambda: 310.0\n"
        "assert day.tick() == (500, 100.0)\n"
        "day.get_run_time = lambda: 600.0\n"
        "assert day.tick() is None\n"
        "assert ShiftChange.abstract and not Day.abstract, 'Locust would take the class itself for a shape'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown


def test_the_time_for_leaving_is_the_one_in_the_code():
    """In seconds."""
    (seconds,) = re.findall(
        r"^LEAVE_TIMEOUT: Final = ([\d.]+)$", (SOURCES / "_loop.py").read_text("utf-8"), re.MULTILINE
    )
    assert f"left behind after {float(seconds):g} seconds" in PAGE
