"""Telling the other side that the visitor types: when typing starts, now and then while it goes on, when it stops."""

from __future__ import annotations

import asyncio

from chat_core._model.errors import ChatError, UnsupportedCommandError
from chat_core._session.session import Session

__all__ = ["TypingNotices"]

#: Seconds after which typing that goes on is told again, and after which a pause counts as a stop.
AGAIN = 4.0
PAUSE = 6.0


class TypingNotices:
    """Sends the notices of one session; the text itself is sent by nothing but Enter. A notice that fails is let go."""

    def __init__(self, session: Session, *, pause: float = PAUSE) -> None:
        self._session = session
        self._pause = pause
        self._told_at: float | None = None
        self._stop: asyncio.TimerHandle | None = None
        self._possible = True
        self._taken = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def seen(self) -> bool:
        """True while the server has it that the visitor types."""
        return self._told_at is not None and self._taken

    def changed(self, text: str) -> None:
        """Note what the line holds now. Commands are nobody's business."""
        if not text or text.startswith("/"):
            self.stopped()
            return
        loop = asyncio.get_running_loop()
        if self._told_at is None or loop.time() - self._told_at >= AGAIN:
            self._told_at = loop.time()
            self._tell(is_typing=True)
        self._disarm()
        self._stop = loop.call_later(self._pause, self.stopped)

    def stopped(self) -> None:
        """Note that typing has stopped."""
        self._disarm()
        if self._told_at is not None:
            self._told_at = None
            self._tell(is_typing=False)

    def close(self) -> None:
        """Send nothing more."""
        self._disarm()
        self._possible = False
        for task in self._tasks:
            task.cancel()

    def _disarm(self) -> None:
        if self._stop is not None:
            self._stop.cancel()
            self._stop = None

    def _tell(self, *, is_typing: bool) -> None:
        if self._possible and self._session.ended is None:
            task = asyncio.get_running_loop().create_task(self._send(is_typing=is_typing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, *, is_typing: bool) -> None:
        try:
            await self._session.send_typing(is_typing)
            self._taken = is_typing
        except UnsupportedCommandError:
            self._possible = False
        except ChatError:
            self._taken = False  # the next one may get through, and a message says the same
