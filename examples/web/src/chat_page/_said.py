"""Which messages the pages asked for, so that each is sent once however often a page that lost touch asks again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["Said"]

#: How many are remembered. A page has a few at a time that it does not know the fate of.
_LIMIT: Final = 200


class Said:
    """What became of the messages of one chat, by the name that the page gave each.

    Args:
        saved: what ``to_json`` returned in an earlier process.
    """

    def __init__(self, saved: Iterable[Any] = ()) -> None:
        #: The last position when it was said, and what became of it: an index, words, or None while that is open.
        self._outcomes: dict[str, tuple[int, int | str | None]] = {
            str(name): (int(before), outcome) for name, before, outcome in saved
        }

    def __contains__(self, name: str) -> bool:
        return name in self._outcomes

    def take(self, name: str, *, before: int) -> None:
        """Note that a message is about to be sent; the transcript can show it above that index only."""
        self._outcomes[name] = (before, None)
        while len(self._outcomes) > _LIMIT:
            del self._outcomes[next(iter(self._outcomes))]

    def settle(self, name: str, outcome: int | str) -> None:
        """Note where the transcript shows it, or why it never will."""
        if name in self._outcomes:
            self._outcomes[name] = (self._outcomes[name][0], outcome)

    def forget(self, name: str) -> None:
        """Note that a message surely never left, and may be sent when the page asks again."""
        self._outcomes.pop(name, None)

    def before(self, name: str) -> int:
        """Return the last position when it was said."""
        return self._outcomes[name][0]

    def outcome(self, name: str) -> int | str | None:
        """Return what became of it, None while that is open."""
        return self._outcomes[name][1]

    @property
    def claimed(self) -> set[int]:
        """The indexes that are known to be one of them."""
        return {outcome for _, outcome in self._outcomes.values() if isinstance(outcome, int)}

    def clear(self) -> None:
        """Forget everything: the chat is over."""
        self._outcomes.clear()

    def to_json(self) -> list[Any]:
        """Return what an earlier process can be asked for."""
        return [[name, before, outcome] for name, (before, outcome) in list(self._outcomes.items())]
