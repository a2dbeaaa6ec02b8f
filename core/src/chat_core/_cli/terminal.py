"""What a terminal is shown: control sequences are made visible instead of being obeyed."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["table", "visible"]

#: Letters that change the order or the look of what follows, and so can make a text say something else.
_FORMAT = {"Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_ALLOWED = {"\u200d", "\u200c", "\ufeff"}  # joiners: part of emoji and of some scripts


def visible(text: str) -> str:
    r"""Return text that a terminal shows as it is: control characters become ``\x1b`` and the like."""
    if text.isprintable():  # nothing of what is shown otherwise is; most texts end here
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character == "\n":
        return "\n"
    category = unicodedata.category(character)
    if category == "Cc" or (category in _FORMAT and character not in _ALLOWED):
        code = ord(character)
        return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - one byte
    return character


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns; the first row is the heading."""
    widths = [max(len(visible(row[column])) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(visible(cell).ljust(width) for cell, width in zip(row, widths, strict=False)), visible(row[-1])])
        for row in rows
    )
