"""Which messages the storage shows as waiting, or may show so (RP-4), without I/O.

Who takes a session up sends what its saved state shows as waiting, without looking for it. So a message that is shown
so must not leave before the storage is told, and its sender is told that it never left only once nobody else would send
it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from chat_core._model.errors import ChatError
from chat_core._session.claims import Entry
from chat_core._session.receipts import ReceiptState
from chat_core._session.state import Stage

__all__ = ["Kept", "Shown"]


#: Python makes a new empty set each time.
_NONE: Final[frozenset[Entry]] = frozenset()


class Kept(enum.Enum):
    """What the storage holds after a write."""

    LAST = "the last snapshot"
    EARLIER = "what it held before, since nothing was written"
    PERHAPS = "either"


class Shown:
    """Follows what is written of one session's outbox."""

    def __init__(self) -> None:
        # Replaced and never changed: mostly they are empty, and all of these are one and the same.
        #: What the last snapshot shows as waiting, and what the storage may show so.
        self._last: frozenset[Entry] = _NONE
        self._kept: frozenset[Entry] = _NONE
        #: The same, with what is shown as on its way: who takes that up sends it where no transcript shows it.
        self._last_open: frozenset[Entry] = _NONE
        self._kept_open: frozenset[Entry] = _NONE
        #: What was taken out of the queue while the storage may show it, and what is said of it once that is over.
        self.withdrawn: tuple[tuple[Entry, ChatError], ...] = ()
        #: What never left, and is told so once the state is cleared.
        self._uncleared: tuple[Entry, ...] = ()

    def __contains__(self, entry: Entry) -> bool:
        """Say whether the storage may show it as waiting, by what has been written."""
        return entry in self._kept

    def adopt(self, entry: Entry) -> None:
        """Note what an earlier process left."""
        if entry.stage is Stage.QUEUED:
            self._kept |= {entry}
        self._kept_open |= {entry}

    def snapshot(self, entries: Iterable[Entry]) -> None:
        """Note what a snapshot shows that is about to be written."""
        self._last_open = frozenset([entry for entry in entries if entry.stage is not Stage.ACCEPTED]) or _NONE
        self._last = frozenset([entry for entry in self._last_open if entry.stage is Stage.QUEUED]) or _NONE

    def note_kept(self, kept: Kept) -> None:
        """Note what the storage holds. No write is under way."""
        match kept:
            case Kept.LAST:
                self._kept, self._kept_open = self._last, self._last_open
            case Kept.EARLIER:
                self._last, self._last_open = self._kept, self._kept_open
            case Kept.PERHAPS:
                self._kept |= self._last
                self._kept_open |= self._last_open
        for entry, why in self.withdrawn:
            if entry not in self._kept_open:
                entry.receipt.move(ReceiptState.EXPIRED, error=why)
        self.withdrawn = tuple([one for one in self.withdrawn if one[0] in self._kept_open])

    def withdraw(self, entry: Entry, why: ChatError) -> None:
        """Say that a message will not leave, now or once the storage has been told."""
        if self._may_be_shown(entry):
            self.withdrawn += ((entry, why),)
        else:
            entry.receipt.move(ReceiptState.EXPIRED, error=why)

    def never_left(self, entry: Entry, over: ChatError) -> None:
        """Say at a session's end that a message never left, now or once the state is cleared."""
        if self._may_be_shown(entry):
            self._uncleared += (entry,)
        else:
            entry.receipt.move(ReceiptState.EXPIRED, error=over)

    def cleared(self, over: ChatError, problem: ChatError | None) -> None:
        """Note that the state is cleared, or, with a problem, that who takes it up may send what it shows."""
        state = ReceiptState.EXPIRED if problem is None else ReceiptState.UNKNOWN
        for entry in self._uncleared:
            entry.receipt.move(state, error=problem or over)
        self._uncleared = ()

    def _may_be_shown(self, entry: Entry) -> bool:
        # A write of the last snapshot may be under way.
        return entry in self._kept_open or entry in self._last_open
