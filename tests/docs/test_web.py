"""What the page about the web page claims."""

from __future__ import annotations

import re
import struct
import textwrap
from pathlib import Path

import pytest
from attrs import fields_dict

from chat_page import Settings
from chat_page import _connections as connections
from chat_page import _wire as wire

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "web.md").read_text("utf-8")
SOURCES = ROOT / "examples" / "web" / "src" / "chat_page"


def test_the_code_on_the_page_is_the_applications():
    """To the letter, but for the depth at which it stands."""
    shown = re.findall(r"in `(_\w+\.py)`.*?```python\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in shown] == ["_rooms.py", "_connections.py"]
    for name, block in shown:
        source = (SOURCES / name).read_text("utf-8")
        assert any(textwrap.indent(block, " " * depth) in source for depth in range(4, 24, 4)), name


def test_every_module_has_a_line():
    """And no line is about one that is gone."""
    named = set(re.findall(r"`([\w/]+\.(?:py|js|css))`", PAGE)) - {
        "docs/pictures/web.py",
        "tests/interop/test_web_page.py",
    }
    there = {path.name for path in SOURCES.glob("*.py")} | {f"static/{name}" for name in ("chat.js", "chat.css")}
    assert there - {"__init__.py"} == named


def test_every_option_of_the_command_has_a_line_with_its_default():
    """As in the code."""
    source = (SOURCES / "__main__.py").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(--[a-z-]+)` \| .*? \| (.*?) ?\|$", PAGE, re.MULTILINE))
    assert set(rows) == set(re.findall(r'"(--[a-z-]+)"', source))
    defaults = fields_dict(Settings)
    assert rows["--grace"] == f"{defaults['grace'].default:g}"
    assert rows["--max-offline-duration"] == f"{defaults['max_offline_duration'].default:g}"
    assert rows["--port"] in re.search(r'"--port".*', source)[0]
    for name in ("grace", "max-offline-duration"):
        assert f"default={float(rows['--' + name])}" in re.search(rf'"--{name}".*', source)[0]


def test_the_bounds_are_those_in_the_code():
    """In the table of dangers."""
    assert f"{wire.MAX_FRAME // 1024} KiB a frame, {wire.MAX_TEXT:,} characters a message" in PAGE
    assert connections._RATE == 5.0
    assert "five a second" in PAGE
    defaults = fields_dict(Settings)
    assert f"{defaults['max_tabs'].default} and {defaults['max_visitors'].default:,}" in PAGE


@pytest.mark.parametrize("picture", re.findall(r"\]\((pictures/.*?)\)", PAGE))
def test_a_picture_is_small_and_has_words_beside_it(picture: str):
    """Under 150 KB, and not a placeholder."""
    data = (ROOT / "docs" / picture).read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) < 150_000
    width, height = struct.unpack(">II", data[16:24])
    assert width >= 390
    assert height >= 600
    assert re.search(rf"!\[[^\]]{{10,}}\]\({picture}\)", PAGE)
