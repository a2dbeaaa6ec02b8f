"""The page of speed and size, and its picture, from what ``benchmarks/run.py --write`` measured."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["REPORT", "page", "picture"]

REPORT = Path(__file__).parent / "measured" / "performance.json"

#: Pixels of the picture: a row, a name, the longest bar.
ROW, NAMES, LONGEST = 20, 300, 360
COLOURS = {"chat-core": "#4477aa", "noloop": "#ee6677", "cometd.js": "#ccbb44", "floor": "#bbbbbb"}
#: By how much the cost of a session may rise from 100 sessions to 5,000.
_LINEAR = 0.2
#: Figures in the picture, with words that are short.
SHOWN = {
    "burst-ws": "events per second, WebSocket",
    "burst-lp": "events per second, long polling",
    "echo-ws": "send to echo, ms, WebSocket",
    "echo-lp": "send to echo, ms, long polling",
    "start-ws": "start of a session, ms, WebSocket",
    "memory-ws-1000": "KiB per idle session, WebSocket",
    "memory-lp-1000": "KiB per idle session, long polling",
}
NAMED = {
    "chat-core:burst_speed": "chat-core with `chat-gms[speed]`",
    "chat-core:echo_file": "chat-core, state in a file",
    "chat-core:echo_without_ack": "chat-core without `ack`",
    "chat-core+uvloop": "chat-core on uvloop",
}


def _figures() -> list[dict[str, Any]]:
    return json.loads(REPORT.read_text("utf-8"))["figures"]  # type: ignore[no-any-return]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - four digits want a comma


def _section(figure: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {NAMED.get(client, client)} | {_number(one['median'])} | {_number(one['from'])} to {_number(one['to'])} |"
        for client, one in figure["figures"].items()
    )
    bars = "".join(
        f"\n* {'met' if bar['met'] else '**not met**'}: {bar['bar']}; "
        f"it is {_number(bar['ratio'])} ({_number(bar['from'])} to {_number(bar['to'])})"
        for bar in figure["bars"]
    )
    what = figure["what"][0].upper() + figure["what"][1:]
    return f"""### {what}

| who | median | spread |
| --- | --- | --- |
{rows}
{bars}

{figure["date"]}, commit `{figure["commit"]}`, {figure["rounds"]} rounds.
"""


def page() -> str:
    """Return the page."""
    figures = _figures()
    met = sum(bar["met"] for figure in figures for bar in figure["bars"])
    bars = sum(len(figure["bars"]) for figure in figures)
    text = (Path(__file__).parent / "performance.in.md").read_text("utf-8")
    for name, value in {
        "MET": str(met),
        "BARS": str(bars),
        "PYTHON": figures[0]["python"],
        "CORES": str(figures[0]["cores"]),
        "BREAKDOWN": _breakdown(),
        "GROWTH": _growth({figure["name"]: figure for figure in figures}),
        "FIGURES": "\n".join(_section(figure) for figure in figures).rstrip(),
    }.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def _breakdown() -> str:
    """Say where the time of an event goes."""
    found = json.loads(REPORT.read_text("utf-8"))["breakdown"]
    rows = "\n".join(f"| {name} | {value:.1f} |" for name, value in found["microseconds"].items())
    return f"""| stage | µs |
| --- | --- |
{rows}

{found["date"]}, commit `{found["commit"]}`, medians of {found["rounds"]} rounds."""


def _growth(figures: dict[str, dict[str, Any]]) -> str:
    """Say how what a session costs changes with their number, where that was measured."""
    rows = []
    for kind, what in (("memory", "KiB per idle session"), ("open", "ms of processor time to open a session")):
        for carrier, name in (("ws", "WebSocket"), ("lp", "long polling")):
            names = {number: f"{kind}-{carrier}-{number}" for number in (100, 1000, 5000)}
            some = {n: figures[name]["figures"]["chat-core"]["median"] for n, name in names.items() if name in figures}
            if len(some) > 1:
                told = ", ".join(f"{_number(value)} at {n:,}" for n, value in some.items())
                rows.append(f"* {what}, {name}: {told}{_verdict(some)}")
    return "\n".join(rows)


def _verdict(costs: dict[int, float]) -> str:
    """Say whether the cost of a session rises with their number, once that of the most is known."""
    if not {100, 5000} <= costs.keys():
        return ""
    ratio = costs[5000] / costs[100]
    met = "met" if ratio <= 1 + _LINEAR else "**not met**"
    return f"; {ratio:.2f} times as much ({met}: at most {1 + _LINEAR:g})"


def picture() -> str:
    """Draw each client's figures as bars, the longest of each figure as long as any."""
    out, y = [], 24
    for figure in _figures():
        if figure["name"] not in SHOWN:
            continue
        out.append(f'<text x="8" y="{y}" font-weight="bold">{escape(SHOWN[figure["name"]])}</text>')
        y += 8
        shown = {name: one["median"] for name, one in figure["figures"].items() if name in COLOURS}
        most = max(shown.values())
        for name, value in shown.items():
            width = max(1.0, value / most * LONGEST)
            out.append(f'<text x="{NAMES - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
            out.append(f'<rect x="{NAMES}" y="{y + 2}" width="{width:.1f}" height="13" fill="{COLOURS[name]}"/>')
            out.append(f'<text x="{NAMES + width + 6:.1f}" y="{y + 12}">{_number(value)}</text>')
            y += ROW
        y += ROW
    size = f'width="{NAMES + LONGEST + 90}" height="{y}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect {size} fill="#fff"/>', *out, "</svg>"]) + "\n"
