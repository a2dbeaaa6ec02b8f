"""What the page about ``chat_core.blocking`` claims."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from chat_core._blocking.portal import EXIT_TIMEOUT

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "blocking.md").read_text("utf-8")
PROGRAM, VIEW = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_program_prints_what_the_page_shows():
    """As it stands there, and without a warning."""
    (output,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    result = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == output


def test_the_view_is_the_one_that_is_executed():
    """To the letter."""
    assert VIEW in (ROOT / "examples" / "view_django.py").read_text("utf-8")


def test_the_time_for_the_end_is_the_one_in_the_code():
    """In seconds."""
    assert f"within {EXIT_TIMEOUT:g} seconds" in PAGE
