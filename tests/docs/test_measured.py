"""The plots of what long runs counted."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from support.bars import bars


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
