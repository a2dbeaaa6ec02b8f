"""The page of what long runs counted, and its plots."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from support.bars import bars

ROOT = Path(__file__).parents[2]


def test_the_generated_pages_are_up_to_date():
    """Each is what its generator writes."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_plot_shows_each_count_and_the_bar():
    """Stacked, to scale, with a name for each series."""
    drawn = bars({"A & B": {"one": [4, 0, 2], "two": [4, 1]}}, {"A & B": 16.0}, step=0.1, most=10)
    svg = ET.fromstring(drawn)
    name = "{http://www.w3.org/2000/svg}"
    heights = [float(one.get("height")) for one in svg.iter(f"{name}rect") if one.get("width") == "7"]
    assert heights == [30.0, 30.0, 7.5, 15.0]
    texts = [one.text for one in svg.iter(f"{name}text")]
    assert {"A & B", "one", "two", "16", "0 s"} <= set(texts)
    assert sum(one.get("stroke-dasharray") is not None for one in svg.iter(f"{name}path")) == 1
