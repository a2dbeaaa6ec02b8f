"""A Bayeux session as the server keeps it: queue, held connect, acknowledgements, expiry (5.1, 5.3, 5.5)."""

from __future__ import annotations

import asyncio
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from interop.strict_gms.chats import Chat
from interop.strict_gms.violations import ViolationError

__all__ = ["BayeuxSession", "Hold", "Socket", "identifier"]


def identifier(length: int) -> str:
    """5.3: base 36, as CometD makes its ids and cookies."""
    return "".join(secrets.choice(string.digits + string.ascii_lowercase) for _ in range(length))


class Socket(Protocol):
    """A WebSocket that takes frames in order."""

    @property
    def open(self) -> bool: ...

    def put(self, frame: str) -> None: ...


class Hold:
    """A connect that is held back (5.1)."""

    def __init__(self, alive: Callable[[], bool]) -> None:
        self._done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.alive = alive

    def wake(self, *, superseded: bool = False) -> None:
        if not self._done.done():
            self._done.set_result(superseded)

    async def wait(self, seconds: float) -> bool:
        """Wait for an event or the time to pass. Returns whether another connect took its place."""
        try:
            async with asyncio.timeout(seconds):
                return await self._done
        except TimeoutError:
            return False


@dataclass
class BayeuxSession:
    """One ``clientId``."""

    cookie: str
    types: list[str]
    ack: bool
    max_interval: float
    expire: Callable[[BayeuxSession], None]
    client_id: str = field(default_factory=lambda: identifier(25))
    #: Events in JSON that have not left.
    queue: list[str] = field(default_factory=list)
    batch: int = 0
    unacknowledged: list[tuple[int, list[str]]] = field(default_factory=list)
    last_ack: int = -1
    ids: set[str] = field(default_factory=set)
    subscriptions: set[str] = field(default_factory=set)
    connected: bool = False
    hold: Hold | None = None
    socket: Socket | None = None
    #: How many requests are being worked on; events wait until their replies are out.
    busy: int = 0
    chat: Chat | None = None
    #: Whether requestChat or requestNotifications came (3.2, 3.5).
    bound: bool = False
    #: When the operation ``disconnect`` came (3.2).
    left_at: float | None = None
    gone: bool = False
    _timer: asyncio.TimerHandle | None = None

    def deliver(self, message: str) -> None:
        """3.4: events go out separately from replies."""
        self.queue.append(message)
        self.flush()

    def flush(self) -> None:
        """5.3 point 11: over WebSocket at once, one per frame, unless acks are on; else by the held connect."""
        if self.busy or not self.queue:
            return
        if self.socket is not None and self.socket.open and not self.ack:
            events, self.queue = self.queue, []
            for event in events:
                self.socket.put(f"[{event}]")
        elif self.hold is not None:
            self.hold.wake()

    def take(self) -> list[str]:
        """What a connect answer brings; with acks also what has not been acknowledged (5.5)."""
        events, self.queue = self.queue, []
        if not self.ack:
            return events
        if events:
            self.batch += 1
            self.unacknowledged.append((self.batch, events))
        return [event for _, batch in self.unacknowledged for event in batch]

    def acknowledge(self, value: object) -> None:
        """5.5: ``ext.ack`` of a connect is the last batch received.

        Raises:
            ViolationError: it is something else.
        """
        if not isinstance(value, int) or isinstance(value, bool):
            raise ViolationError("5.5", f"with acknowledgements each connect carries ext.ack, not {value!r}")
        if not self.last_ack <= value <= self.batch:
            raise ViolationError("5.5", f"ext.ack is {value}, after {self.last_ack}; the last batch was {self.batch}")
        self.last_ack = value
        self.unacknowledged = [(number, batch) for number, batch in self.unacknowledged if number > value]

    def watch(self) -> None:
        """3.5: without a connect the session is dropped after maxInterval."""
        self.unwatch()
        self._timer = asyncio.get_running_loop().call_later(self.max_interval, self.expire, self)

    def unwatch(self) -> None:
        """A connect is there."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
