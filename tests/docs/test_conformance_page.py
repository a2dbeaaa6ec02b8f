"""The page of the conformance suites says what there is, and what it shows works."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from chat_core._cli.conformance import add_arguments
from chat_core.testing import Verdict, catalogue

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text("utf-8")


def test_every_check_verdict_and_flag_is_on_the_page():
    """An author finds whatever the suite says."""
    for suite in catalogue().values():
        for check in suite:
            assert f"| {check.id} | {check.level} |" in PAGE
    for verdict in Verdict:
        assert f"| {verdict} |" in PAGE
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for action in parser._actions:
        if action.dest != "help":
            assert all(flag in PAGE for flag in action.option_strings), action


def test_a_storages_test_file_has_six_lines(tmp_path: Path):
    """What the page shows runs as it stands, with another plugin's name and option in it."""
    program = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    lines = [line for line in program.splitlines() if line.strip()]
    assert len(lines) <= 6
    program = program.replace('"mine"', '"file"').replace('"path"', '"directory"')
    (tmp_path / "test_mine.py").write_text(program, "utf-8")
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout
    assert "storage file (chat-core 0.1.0) conforms to chat-core's suite" in result.stdout


def test_ids_are_never_given_twice():
    """They are what deviations and reports refer to."""
    ids = [check.id for suite in catalogue().values() for check in suite]
    assert len(set(ids)) == len(ids)
    for suite in catalogue().values():
        numbers = [int(check.id[3:]) for check in suite]
        assert numbers == list(range(1, len(numbers) + 1))
