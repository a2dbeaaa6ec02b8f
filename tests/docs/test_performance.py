"""The page of speed: every figure of the report is on it, with who was measured and whether the bar is met."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FIGURE = {
    "name": "echo-ws",
    "what": "from sending to the echo, ms",
    "figures": {
        "chat-core": {"median": 0.4, "from": 0.3, "to": 1234.5},
        "chat-core:echo_file": {"median": 0.9, "from": 0.8, "to": 1.0},
        "floor": {"median": 0.2, "from": 0.2, "to": 0.2},
    },
    "bars": [
        {"bar": "at most 1.25 times floor", "ratio": 2.0, "from": 1.5, "to": 2.5, "met": False},
        {"bar": "at most 10", "ratio": 0.4, "from": 0.3, "to": 0.5, "met": True},
    ],
    "date": "2026-11-26",
    "commit": "abc",
    "python": "3.11",
    "cores": 2,
    "rounds": 5,
}
BREAKDOWN = {"date": "2026-11-26", "commit": "def", "rounds": 9, "microseconds": {"typed events": 4.27}}


def cost(name: str, median: float) -> dict[str, object]:
    return {
        **FIGURE,
        "name": name,
        "figures": {"chat-core": {"median": median, "from": median, "to": median}},
        "bars": [],
    }


GROWTH = [
    *(cost(f"memory-ws-{number}", value) for number, value in ((100, 40), (5000, 36))),
    *(cost(f"open-lp-{number}", value) for number, value in ((100, 2), (5000, 2.5))),
    cost("open-ws-100", 2),
]


@pytest.fixture
def performance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("performance", DOCS / "performance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "report.json").write_text(json.dumps({"figures": [FIGURE, *GROWTH], "breakdown": BREAKDOWN}), "utf-8")
    monkeypatch.setattr(module, "REPORT", tmp_path / "report.json")
    return module


def test_the_page_says_what_is_not_met(performance: ModuleType):
    """Beside it stands what is, and the spread."""
    page = performance.page()
    assert "Of 2 bars that chat-core set itself, 1 are met." in page
    assert "| chat-core | 0.4 | 0.3 to 1,234 |" in page
    assert "| chat-core, state in a file | 0.9 | 0.8 to 1 |" in page
    assert "* **not met**: at most 1.25 times floor; it is 2 (1.5 to 2.5)" in page
    assert "{{" not in page


def test_the_page_says_where_the_time_of_an_event_goes(performance: ModuleType):
    """And when that was measured."""
    page = performance.page()
    assert "| typed events | 4.3 |" in page
    assert "commit `def`, medians of 9 rounds" in page


def test_the_page_says_how_the_cost_of_a_session_grows(performance: ModuleType):
    """A session may cost up to a fifth more among 5,000 than among 100, and as much less as it likes."""
    page = performance.page()
    assert "KiB per idle session, WebSocket: 40 at 100, 36 at 5,000; 0.90 times as much (met: at most" in page
    assert "open a session, long polling: 2 at 100, 2.5 at 5,000; 1.25 times as much (**not met**: at most 1.2)" in page
    assert "open a session, WebSocket" not in page, "one of the two was not measured"


def test_the_longest_bar_is_as_long_as_any(performance: ModuleType):
    """The others are to scale; what only chat-core has a variant of is not in the picture."""
    svg = ET.fromstring(performance.picture())
    name = "{http://www.w3.org/2000/svg}"
    widths = [float(one.get("width")) for one in svg.iter(f"{name}rect") if one.get("height") == "13"]
    assert widths == [float(performance.LONGEST), performance.LONGEST / 2]


def test_the_breakdown_can_be_made_anew():
    """It reaches into the client where nothing public does; its stages are those of the page."""
    done = subprocess.run(
        [sys.executable, str(DOCS.parent / "benchmarks" / "breakdown.py"), "--rounds", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.rpartition(" ") for line in done.stdout.splitlines()]
    measured = {name.strip(): float(value) for name, _, value in lines}
    shown = json.loads((DOCS / "measured" / "performance.json").read_text("utf-8"))["breakdown"]["microseconds"]
    assert list(measured) == list(shown)
    assert measured["all of it"] > 0
