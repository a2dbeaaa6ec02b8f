"""What a test may make go wrong, each met in the wild or documented."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from chat_gms import Operation

__all__ = ["Faults"]


class Faults:
    """The switches of one sandbox. Everything can be switched while chats go on.

    Attributes:
        refuse_websocket: answer the upgrade to WebSocket with HTTP 403 and do not offer it.
        refuse_handshake: answer handshakes with 403, None to let them through.
        refuse_chat: code and words with which requestChat is refused, None to let chats begin.
    """

    def __init__(self) -> None:
        self.refuse_websocket = False
        self.refuse_handshake: str | None = None
        self.refuse_chat: tuple[int, str] | None = None
        self._lost_answers: dict[str, int] = {}
        self._refused: dict[str, tuple[int, str]] = {}
        self._dropped_pushes = 0
        self._hiccups = 0
        self._statuses: list[tuple[int, int | None, str]] = []
        self._running = asyncio.Event()
        self._running.set()
        #: Set by the server.
        self.drop: Callable[[], None] = lambda: None
        self.forget: Callable[[], None] = lambda: None
        self.close_port: Callable[[], Awaitable[None]] | None = None
        self.open_port: Callable[[], Awaitable[None]] | None = None

    def drop_connections(self) -> None:
        """Abort every connection, as a network that fails."""
        self.drop()

    def forget_sessions(self) -> None:
        """Forget every CometD session; the chats live on. Requests of forgotten sessions are answered with 402."""
        self.forget()

    def lose_answer(self, operation: str = Operation.SEND_MESSAGE, count: int = 1) -> None:
        """Perform the next operations of a kind and answer nothing: the connection breaks in place of the answer."""
        self._lost_answers[operation] = self._lost_answers.get(operation, 0) + count

    def refuse_next(self, operation: str, code: int, advice: str) -> None:
        """Refuse the next operation of a kind with a code and words; the chat goes on."""
        self._refused[operation] = (code, advice)

    def drop_push(self, count: int = 1) -> None:
        """Leave out the next deliveries of chat events, though the connection is healthy."""
        self._dropped_pushes += count

    def hiccup(self, count: int = 1) -> None:
        """Answer the next REST requests with statusCode 1, an error that may pass, and do nothing."""
        self._hiccups += count

    def answer_http(self, status: int, count: int = 1, *, retry_after: int | None = None, body: str = "") -> None:
        """Answer the next REST requests with an HTTP status and a body in place of the service's answer."""
        self._statuses += [(status, retry_after, body)] * count

    def stall(self) -> None:
        """Accept connections and requests and answer nothing, until ``resume``."""
        self._running.clear()

    def resume(self) -> None:
        """Answer again."""
        self._running.set()

    async def cut(self) -> None:
        """Cut the network: abort every connection and refuse new ones, until ``mend``."""
        if self.close_port is not None:
            await self.close_port()
        self.drop()

    async def mend(self) -> None:
        """Mend the network."""
        if self.open_port is not None:
            await self.open_port()

    # The server's side

    @property
    def stalled(self) -> bool:
        """True between ``stall`` and ``resume``."""
        return not self._running.is_set()

    async def pass_through(self) -> None:
        """Wait while the server is stalled."""
        await self._running.wait()

    def takes_answer(self, operation: object) -> bool:
        """Say whether this operation's answer gets lost, and count it."""
        left = self._lost_answers.get(operation, 0) if isinstance(operation, str) else 0
        if left and isinstance(operation, str):
            self._lost_answers[operation] = left - 1
        return left > 0

    def refusal_of(self, operation: object) -> tuple[int, str] | None:
        """Return why this operation is refused, and forget it."""
        return self._refused.pop(operation, None) if isinstance(operation, str) else None

    def takes_hiccup(self) -> bool:
        """Say whether this request is answered with statusCode 1, and count it."""
        if self._hiccups:
            self._hiccups -= 1
            return True
        return False

    def http_status(self) -> tuple[int, int | None, str] | None:
        """Return status, Retry-After and body of the answer in place of the service's, and forget it."""
        return self._statuses.pop(0) if self._statuses else None

    def takes_push(self) -> bool:
        """Say whether this delivery gets lost, and count it."""
        if self._dropped_pushes:
            self._dropped_pushes -= 1
            return True
        return False
