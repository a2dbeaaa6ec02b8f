"""What an application shows, as text that can be kept beside a test and read in a review."""

from __future__ import annotations

import os
from difflib import unified_diff
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

from rich.style import Style

__all__ = ["check_screen", "screen_text"]

_LETTERS = ascii_letters + digits


def screen_text(app: Any) -> str:
    """Return the characters on the screen, without colours."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in _lines(app)) + "\n"


def check_screen(app: Any, file: Path) -> None:
    """Compare the screen with the one that is kept; with UPDATE_SCREENS=1 in the environment, keep this one.

    A kept screen is its characters, then a letter per cell for the style, then what each letter means. A picture would
    hold the same and change with every release of the libraries that draw it.
    """
    shown = _kept(app)
    if os.environ.get("UPDATE_SCREENS") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, "utf-8")
    kept = file.read_text("utf-8")
    if shown != kept:
        lines = unified_diff(kept.splitlines(), shown.splitlines(), "kept", "shown", lineterm="")
        raise AssertionError(f"{file.name} (UPDATE_SCREENS=1 keeps what is shown)\n" + "\n".join(lines))


def _lines(app: Any) -> list[list[tuple[str, str]]]:
    return [
        [(segment.text, _named(segment.style)) for segment in strip if not segment.control]
        for strip in app.screen._compositor.render_strips()
    ]


def _kept(app: Any) -> str:
    lines = _lines(app)
    letters: dict[str, str] = {}
    grid = [
        "".join(letters.setdefault(style, _LETTERS[len(letters)]) * len(text) for text, style in line) for line in lines
    ]
    legend = "\n".join(f"{letter} {style}" for style, letter in letters.items())
    return f"{screen_text(app)}\n" + "\n".join(grid) + f"\n\n{legend}\n"


def _named(style: Style | None) -> str:
    if style is None:
        return "-"
    marks = [name for name in ("bold", "dim", "italic", "underline", "reverse") if getattr(style, name)]
    return " ".join([*marks, _colour(style.color), "on", _colour(style.bgcolor)])


def _colour(colour: Any) -> str:
    if colour is None:
        return "default"
    return colour.triplet.hex if colour.triplet is not None else str(colour.name)
