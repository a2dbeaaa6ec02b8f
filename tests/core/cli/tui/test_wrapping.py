"""Text is broken into lines that fit, and nothing of it is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chat_core._cli._tui.wrapping import fitted, wrap


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("one", 5, ["one"]),
        ("one two three", 7, ["one two", "three"]),
        ("one\n\ntwo", 7, ["one", "", "two"]),
        ("unbreakable", 4, ["unbr", "eaka", "ble"]),
        ("a unbreakable b", 6, ["a", "unbrea", "kable", "b"]),
        ("  indented", 20, ["  indented"]),
        ("漢字漢字", 5, ["漢字", "漢字"]),
        ("exactly fits", 7, ["exactly", "fits"]),
    ],
)
def test_lines_are_broken_at_blanks_where_there_are_any(text: str, width: int, lines: list[str]):
    """A word that is longer than a line is broken where the line ends; wide characters count twice."""
    assert wrap(text, width) == lines


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z", "M")) | st.sampled_from(" \n")),
    st.integers(2, 30),
)
def test_nothing_is_lost_and_every_line_fits(text: str, width: int):
    """Only blanks at the ends of lines are left out."""
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in lines)


@given(st.text(max_size=20), st.integers(0, 20))
def test_what_is_fitted_has_exactly_that_width(text: str, width: int):
    """Longer, shorter, empty."""
    assert cell_len(fitted(text, width)) == width


def test_what_is_cut_says_so():
    """By an ellipsis."""
    assert fitted("Countess of Lovelace", 9) == "Countess…"
