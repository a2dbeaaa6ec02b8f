"""How a breach of the page is told."""

from __future__ import annotations

__all__ = ["ViolationError"]


class ViolationError(Exception):
    """A client did what the page does not allow.

    Args:
        section: of the page.
        words: what happened.
        status: the HTTP status of the answer; 200 with statusCode 2 where the page does not tell another one (2.5).
        code: the API error code of the answer (2.5).
    """

    def __init__(self, section: str, words: str, *, status: int = 200, code: int = 100) -> None:
        super().__init__(f"section {section}: {words}")
        self.section = section
        self.words = words
        self.status = status
        self.code = code
