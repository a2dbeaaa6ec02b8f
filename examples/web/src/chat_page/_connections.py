"""One page's WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from chat_core import (
    ChatError,
    ConnectionState,
    Continued,
    ContinuityLost,
    Event,
    Interrupted,
    ParticipantTyping,
    Session,
    SessionEnded,
    TransportError,
)
from chat_page._rooms import FullError, Room, Rooms
from chat_page._settings import Settings
from chat_page._visitors import Visitor
from chat_page._wire import Frame, Hello, PageMessage, WireError, event_frame, read_message

__all__ = ["serve_page"]

_log = logging.getLogger(__name__)

#: Seconds within which a page has to say what it shows.
_HELLO: Final = 10.0
#: Seconds of silence after which a page is told that its connection lives: browsers do not show it pings.
_BEAT: Final = 15.0
#: Frames that may wait for a page; one that takes them no quicker is cut off, and continues when it is back.
_WAITING: Final = 200
#: Messages from a page at once, and in a second on the average.
_BURST, _RATE = 30, 5.0

# Close codes of the page's own protocol; the page knows them too.
_UNKNOWN_VISITOR: Final = 4401
_FULL: Final = 4429
_NOT_OURS: Final = 1008
_AGAIN: Final = 1013


class _GoneError(Exception):
    """The page is gone, or is sent away."""

    def __init__(self, code: int = 1000, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve_page(socket: WebSocket, rooms: Rooms, settings: Settings) -> None:
    """Serve one page until it goes."""
    # Browsers send cookies with a WebSocket whichever page opens it, and say which one: only ours may (CSWSH).
    origin = socket.headers.get("origin", "")
    if origin not in settings.origins:
        await socket.close(_NOT_OURS)
        return
    await socket.accept()
    visitor = Visitor.of(socket, settings)
    if visitor is None:
        await socket.close(_UNKNOWN_VISITOR, "no cookie")
        return
    connection = _Connection(socket, origin)
    try:
        room = rooms.enter(visitor, connection)
    except FullError as error:
        await socket.close(_FULL, str(error))
        return
    try:
        await connection.run(room)
    except* (_GoneError, WebSocketDisconnect) as group:
        cause = group.exceptions[0]
        if isinstance(cause, _GoneError) and socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it went by itself meanwhile
                await socket.close(cause.code, cause.reason)
    finally:
        rooms.leave(room, connection)


class _Connection:
    """Brings what happens in a room to one page, and what the page asks for to the room."""

    def __init__(self, socket: WebSocket, origin: str) -> None:
        self._socket = socket
        self._origin = origin
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(_WAITING)
        self._stalled = asyncio.Event()
        self._pace = _Pace()
        #: How often the server began to count anew in the session that is read.
        self._epoch = 0

    def tell(self, frame: Frame) -> None:
        """Show this to the visitor, soon. A page that does not keep up is cut off, and asks again when it is back."""
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self._stalled.set()

    async def run(self, room: Room) -> None:
        """Serve the page until it goes."""
        async with asyncio.TaskGroup() as tasks:
            try:
                async with asyncio.timeout(_HELLO):
                    hello = await self._receive()
            except TimeoutError:
                raise _GoneError(_NOT_OURS, "no hello") from None
            if not isinstance(hello, Hello):
                raise _GoneError(_NOT_OURS, "no hello")
            tasks.create_task(self._write())
            tasks.create_task(self._cut_off())
            tasks.create_task(self._read(room, hello))
            while True:
                order = await self._receive()
                if isinstance(order, Hello):
                    raise _GoneError(_NOT_OURS, "a second hello")
                room.obey(order)

    async def _receive(self) -> PageMessage:
        try:
            text = await self._socket.receive_text()
        except KeyError as error:  # a binary message has none
            raise _GoneError(_NOT_OURS, "the message is no text") from error
        if not self._pace.allows():
            raise _GoneError(_NOT_OURS, "too fast")
        try:
            return read_message(text, origin=self._origin)
        except WireError as error:
            raise _GoneError(_NOT_OURS, str(error)) from error

    async def _write(self) -> None:
        while True:
            frame: Frame = {"is": "beat"}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEAT):
                    frame = await self._frames.get()
            await self._socket.send_json(frame)

    async def _cut_off(self) -> None:
        await self._stalled.wait()
        raise _GoneError(_AGAIN, "too slow")

    async def _read(self, room: Room, hello: Hello) -> None:
        """Bring the page what it has not shown yet of the room's chat, and of each that follows."""
        await self._wake(room)
        session = room.session
        if session is None:
            await self._frames.put({"is": "none"})
        while True:
            if session is None:
                session = await room.another(None)
            else:
                await self._read_session(session, hello, room.epoch)
                session = await room.another(session)

    async def _wake(self, room: Room) -> None:
        pause = 0.5
        while True:
            try:
                await room.wake()
            except TransportError:
                await self._frames.put({"is": "link", "up": False})
                await asyncio.sleep(pause)
                pause = min(pause * 2, 8.0)
            except ChatError as error:
                # Damaged, or another server's: nothing that a visitor could mend. A new chat can be started.
                _log.warning("a chat cannot be taken up: %s", error)
                await self._frames.put({"is": "trouble", "text": "The earlier chat cannot be opened."})
                return
            else:
                return

    async def _read_session(self, session: Session, hello: Hello, epoch: int) -> None:
        self._epoch = epoch
        # An index of another numbering says nothing; the page knows by their keys what it has shown.
        after = hello.index if hello.session == session.id and hello.epoch == epoch else 0
        await self._frames.put({"is": "chat", "session": session.id})
        await self._frames.put(_link(session))
        async with contextlib.aclosing(session.events(after=after)) as events:
            async for event in events:
                frame = self._frame(event, session)
                if frame is not None:
                    await self._frames.put(frame)

    def _frame(self, event: Event, session: Session) -> Frame | None:
        """Return what the page is told of an event."""
        match event:
            case SessionEnded(reason=reason):
                return {"is": "ended", "reason": str(reason)}
            case Interrupted() | Continued():
                return _link(session)  # as it is now, also for who reads this later
            case ParticipantTyping(is_typing=on, own=False, party=party):
                return {"is": "typing", "on": on, "who": party.name if party is not None else ""}
            case ContinuityLost(counts_anew=True):
                self._epoch += 1
        return event_frame(event, session=session.id, epoch=self._epoch)


def _link(session: Session) -> Frame:
    return {"is": "link", "up": session.connection_state is not ConnectionState.INTERRUPTED}


class _Pace:
    """How fast a page may send."""

    def __init__(self) -> None:
        self._left = float(_BURST)
        self._at = time.monotonic()

    def allows(self) -> bool:
        """Count one message; False when it is too soon for it."""
        now = time.monotonic()
        self._left = min(_BURST, self._left + (now - self._at) * _RATE)
        self._at = now
        self._left -= 1
        return self._left >= 0
