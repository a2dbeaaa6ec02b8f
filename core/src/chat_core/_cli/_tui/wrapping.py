"""Breaking text into lines of a width, in cells: some characters take two, and some none."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells, set_cell_size

__all__ = ["fitted", "wrap"]


def wrap(text: str, width: int) -> list[str]:
    """Return text as lines of at most ``width`` cells, broken at blanks where there are any. Nothing is left out."""
    return [line for paragraph in text.split("\n") for line in _wrap_paragraph(paragraph, max(width, 2))]


def fitted(text: str, width: int) -> str:
    """Return text in exactly so many cells, with an ellipsis where it is longer."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(width - 1, 0)) + "…"[:width]


def _wrap_paragraph(paragraph: str, width: int) -> list[str]:
    if cell_len(paragraph) <= width:
        return [paragraph]
    lines, line, room = [], "", width
    for word in _words(paragraph):
        letters = word.rstrip(" ")
        if line and cell_len(letters) > room:
            lines.append(line.rstrip(" "))
            line, room = "", width
        if cell_len(letters) > width:
            *full, rest = chop_cells(letters, width)
            lines += full
            word = rest + word[len(letters) :]  # noqa: PLW2901 - what is left of it
        line += word
        room -= cell_len(word)
    return [*lines, line.rstrip(" ")] if line else lines


def _words(paragraph: str) -> list[str]:
    """Split behind blanks, which stay with the word before them."""
    words: list[str] = []
    for part in paragraph.split(" "):
        if part or not words:
            words.append(part + " ")
        else:
            words[-1] += " "
    words[-1] = words[-1][:-1]
    return words
