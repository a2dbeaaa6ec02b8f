"""One visitor's chat, whatever number of pages shows it, and all of them together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, Final, Protocol

import chat_core
from chat_core import (
    ChatError,
    ConnectionState,
    ContinuityLost,
    ErrorReported,
    Event,
    MessageReceived,
    NoSessionToRestore,
    SendError,
    SendExpiredError,
    SendUnknownError,
    Session,
    SessionEndedError,
)
from chat_page._settings import Settings
from chat_page._vault import Vault
from chat_page._visitors import Visitor
from chat_page._wire import Frame, Leave, Say, Start, Typing

__all__ = ["FullError", "Listener", "Room", "Rooms"]

_log = logging.getLogger(__name__)
#: Seconds between two removals of states whose time is over.
_SWEEP: Final = 60.0
_NOBODY_KNOWS: Final = "Nobody can tell whether this arrived."


class FullError(Exception):
    """There is no room for one more page."""


class Listener(Protocol):
    """A page, as far as a room knows it."""

    def tell(self, frame: Frame) -> None:
        """Show this to the visitor, soon."""


class Room:
    """One visitor's chat. Pages read ``session.events()``, each for itself; what is not in there they are told."""

    def __init__(self, visitor: Visitor, vault: Vault, settings: Settings) -> None:
        self.visitor = visitor
        self.listeners: set[Listener] = set()
        self.session: Session | None = None
        #: How often the server had begun to count anew before the session was taken up: events have the same keys in
        #: each process.
        self.epoch = 0
        self._vault = vault
        self._settings = settings
        self._storage = vault.storage(visitor)
        #: One start, restore or detaching at a time.
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting: asyncio.Task[None] | None = None
        #: The names of the messages that this process is sending.
        self._sending: set[str] = set()
        self._position = 0

    async def wake(self) -> None:
        """Take the visitor's chat up, if there is one and it is not at hand.

        Raises:
            ChatError: it cannot be had now.
        """
        async with self._turn:
            if self.session is None:
                storage = self._vault.storage(self.visitor)
                try:
                    session = await chat_core.restore_session(state_storage=storage, **self._options)
                except NoSessionToRestore:
                    return
                self._storage = storage
                self._take(session)

    async def sleep(self) -> None:
        """Detach, unless a page has come meanwhile: the chat can be taken up, here or in the next process."""
        async with self._turn:
            if self.session is not None and not self.listeners:
                await self.session.detach()
                self._change(None)

    async def close(self) -> None:
        """Detach, whoever is there: the process ends. A chat that has not begun yet does not begin."""
        if self._starting is not None:
            self._starting.cancel()
        self.listeners.clear()
        await self.sleep()

    async def another(self, than: Session | None) -> Session | None:
        """Wait until the room's session is another one, and return it."""
        while self.session is than:
            await self._news.wait()
        return self.session

    def obey(self, order: Start | Say | Typing | Leave) -> None:
        """Do what a page asks for. It goes on when that page goes."""
        match order:
            case Start():
                if self._starting is None or self._starting.done():
                    self._starting = self._run(self._start(order))
            case Say():
                self._run(self._say(order))
            case Typing(on=on):
                if self.session is not None:
                    self._run(self._quietly(self.session.send_typing(on)))
            case Leave():
                if self.session is not None:
                    self._run(self._quietly(self.session.leave()))

    def tell(self, frame: Frame) -> None:
        """Tell every page."""
        for listener in self.listeners:
            listener.tell(frame)

    @property
    def _options(self) -> dict[str, Any]:
        settings = self._settings
        return {"server_url": settings.server_url, "transport": settings.transport, "on_exit": "detach"}

    def _change(self, session: Session | None) -> None:
        self.session = session
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _take(self, session: Session) -> None:
        self._position = 0
        self.epoch = self._storage.epoch
        session.on_event(self._heard)
        self._change(session)

    def _heard(self, event: Event) -> None:
        if isinstance(event, ContinuityLost) and event.counts_anew:
            self._storage.epoch += 1
        elif event.index is not None:
            self._position = event.index
        elif isinstance(event, ErrorReported):
            self.tell({"is": "trouble", "text": event.error.description})

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _quietly(self, command: chat_core.Pending[Any]) -> None:
        try:
            await command
        except ChatError as error:
            _log.info("a command of a page was not carried out: %s", type(error).__name__)

    async def _start(self, order: Start) -> None:
        async with self._turn:
            if self.session is not None:
                if self.session.ended is None:
                    return  # another page of this visitor was quicker
                await self.session.detach()  # what clears its state must not clear the next one's
            storage = self._vault.storage(self.visitor)
            try:
                session = await chat_core.start_session(
                    username=order.name,
                    subject=order.subject or None,
                    page=order.page,
                    state_storage=storage,
                    **self._options,
                )
            except ChatError as error:
                _log.warning("a chat could not be started: %s", error)
                self.tell({"is": "refused", "text": "The chat could not be started. Please try again in a moment."})
                return
            storage.said.clear()  # what the chat before it had left
            storage.epoch = 0
            self._storage = storage
            self._take(session)

    async def _say(self, order: Say) -> None:
        session, said = self.session, self._storage.said
        if order.name in self._sending:
            return  # the page asks again, and will be told as soon as there is something to tell
        if order.name in said and said.outcome(order.name) is not None:
            self._report(order.name, said.outcome(order.name))
            return
        if session is None or session.ended is not None:
            self._report(order.name, "The chat was over before this could be sent.")
            return
        self._sending.add(order.name)
        try:
            if order.name in said:
                outcome = await self._look_for(order, session)
            else:
                # It is saved together with the outbox, before the wire: the next process will know that it was said.
                said.take(order.name, before=self._position)
                receipt = await session.send_message(order.text)
                self.tell({"is": "receipt", "name": order.name, "state": "sent"})
                await receipt.reached("echoed")
                outcome = receipt.index or 0
        except ChatError as error:
            _log.info("a message of a page was not confirmed: %s", error)
            if session.connection_state is ConnectionState.DETACHED:
                # The page asks again, here or in the next process. What never left is sent then, all else looked for.
                if isinstance(error, SendExpiredError):
                    said.forget(order.name)
                return
            match error:
                case SendUnknownError():
                    outcome = _NOBODY_KNOWS
                case SessionEndedError():
                    outcome = "The chat ended before this was confirmed."
                case _:
                    outcome = "This was not sent."
        finally:
            self._sending.discard(order.name)
        said.settle(order.name, outcome)
        self._report(order.name, outcome)

    async def _look_for(self, order: Say, session: Session) -> int | str:
        """Find out what became of a message that an earlier process had begun to send; it is not sent again here."""
        for receipt in session.outbox:  # which the session itself settles
            with contextlib.suppress(SendError):
                await receipt.reached("echoed")
        said = self._storage.said
        for event in await session.get_transcript(said.before(order.name) + 1):
            mine = isinstance(event, MessageReceived) and event.own and event.text == order.text
            if mine and event.index is not None and event.index not in said.claimed:
                return event.index
        return _NOBODY_KNOWS

    def _report(self, name: str, outcome: int | str | None) -> None:
        if isinstance(outcome, int):
            self.tell({"is": "receipt", "name": name, "state": "delivered", "index": outcome})
        elif outcome is not None:
            self.tell({"is": "receipt", "name": name, "state": "failed", "text": outcome})


class Rooms:
    """All chats of the application."""

    def __init__(self, settings: Settings) -> None:
        self.vault = Vault(settings.folder, max_offline_duration=settings.max_offline_duration)
        self._settings = settings
        self._rooms: dict[Visitor, Room] = {}
        self._leaving: dict[Room, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._rooms)

    def enter(self, visitor: Visitor, page: Listener) -> Room:
        """Let a page in.

        Raises:
            FullError: the visitor has too many, or there are too many visitors.
        """
        room = self._rooms.get(visitor)
        if room is None:
            if len(self._rooms) >= self._settings.max_visitors:
                raise FullError("too many visitors are here; please try again later")
            room = self._rooms[visitor] = Room(visitor, self.vault, self._settings)
        elif len(room.listeners) >= self._settings.max_tabs:
            raise FullError("the chat is open in too many windows; close one of them")
        if (timer := self._leaving.pop(room, None)) is not None:
            timer.cancel()
        room.listeners.add(page)
        return room

    def leave(self, room: Room, page: Listener) -> None:
        """See a page off; after a grace without one its chat is detached."""
        room.listeners.discard(page)
        if not room.listeners:
            loop = asyncio.get_running_loop()
            self._leaving[room] = loop.call_later(self._settings.grace, self._depart, room)

    def _depart(self, room: Room) -> None:
        del self._leaving[room]

        async def depart() -> None:
            await room.sleep()
            if not room.listeners:
                self._rooms.pop(room.visitor, None)

        task = asyncio.get_running_loop().create_task(depart())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def keep_alive(self) -> None:
        """Give signs of life for the chats that are open, and remove states whose time is over, until cancelled."""
        beat = min(5.0, self._settings.max_offline_duration / 4)
        loop = asyncio.get_running_loop()
        swept = loop.time() - _SWEEP
        while True:
            open_chats = [room.visitor for room in self._rooms.values() if room.session is not None]
            try:
                await asyncio.to_thread(self.vault.touch, open_chats)
                if loop.time() - swept >= _SWEEP:
                    swept = loop.time()
                    await asyncio.to_thread(self.vault.sweep)
            except OSError as error:
                _log.warning("the folder of states cannot be used now: %s", error.strerror)
            await asyncio.sleep(beat)

    async def close(self) -> None:
        """Detach from every chat: they go on in the next process."""
        for timer in self._leaving.values():
            timer.cancel()
        self._leaving.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(room.close() for room in self._rooms.values()))
        self._rooms.clear()
