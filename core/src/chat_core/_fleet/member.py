"""One session of a worker, from taking it up to giving it up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from chat_core._contracts.logger import Log
from chat_core._model.errors import ChatError, LeaseLostError, NoSessionToRestore, SessionInUseError
from chat_core._session.guard import is_being_cancelled
from chat_core._session.parts import ConnectionState
from chat_core._session.session import Session

__all__ = ["Handler", "Member"]

#: What a worker does with each of its sessions.
Handler: TypeAlias = Callable[[Session], Awaitable[object]]


class Member:
    """Opens one session and runs the handler on it.

    Args:
        profile: its name.
        opens: opens the session when it is its turn.
        handler: the user's.
        log: hears of what goes wrong.

    Attributes:
        session: None until it is open.
        failed: it could not be opened, or its handler raised: it is not to be taken again at once.
    """

    def __init__(self, profile: str, opens: Callable[[], Awaitable[Session]], handler: Handler, log: Log) -> None:
        self.profile = profile
        self.session: Session | None = None
        self.failed = False
        self._opens = opens
        self._handler = handler
        self._log = log
        self._leaving_worker = False
        #: Set once the session is open; holds why not where it is not.
        self.opened: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self.task = asyncio.get_running_loop().create_task(self._live(), name="chat-core: fleet")

    async def give_up(self) -> None:
        """Detach: another worker may take the session. The handler's readers end."""
        self._leaving_worker = True
        if self.session is None:
            self.task.cancel()
            await asyncio.wait({self.task})
        else:
            await self.session.detach()

    async def _live(self) -> None:
        try:
            self.session = await self._opens()
        except BaseException as error:
            self._not_opened(error)
            if not isinstance(error, ChatError):
                raise
            return
        if not self.opened.done():
            self.opened.set_result(self.session)
        try:
            await self._handle(self.session)
        finally:
            await self.session.detach()

    def _not_opened(self, error: BaseException) -> None:
        self.failed = isinstance(error, ChatError) and not isinstance(error, NoSessionToRestore | SessionInUseError)
        if self.failed:
            self._log.warning("a session could not be taken", self.profile, str(error))
        if not self.opened.done():
            if not isinstance(error, ChatError):
                error = ChatError("the worker is ending; the session was not opened", retryable=True)
            self.opened.set_exception(error)
            self.opened.exception()  # seen: an orphan's is nobody's

    async def _handle(self, session: Session) -> None:
        """Run the handler; a session that it returns from is left, one that it fails on is given up."""
        try:
            await self._handler(session)
            if session.connection_state not in {ConnectionState.ENDED, ConnectionState.DETACHED}:
                await session.leave()
        except LeaseLostError as error:
            self._log.info("a session is another worker's now", self.profile, str(error))
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            self._handler_failed(error)  # something that it awaited was cancelled, and not the handler
        except Exception as error:  # noqa: BLE001 - one handler's fault must not end the other sessions
            self._handler_failed(error)

    def _handler_failed(self, error: BaseException) -> None:
        if not self._leaving_worker:
            self.failed = True
            # Its text may hold anything, a message's included.
            name = type(error).__name__
            self._log.error("the handler of a session failed; the session is given up", self.profile, name)
