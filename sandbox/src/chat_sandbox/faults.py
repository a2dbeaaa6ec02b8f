"""What a test may make go wrong, each met in the wild or documented."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define

from chat_gms import Envelope, GmsError, Operation
from chat_sandbox._backend.chats import Chat

__all__ = ["Faults"]


@define
class _Rule:
    kind: str
    value: Any
    count: int
    after: int
    operation: str | None
    chat: Chat | None

    def concerns(self, kind: str, operation: object, chat: Chat | None) -> bool:
        return (
            kind == self.kind
            and (self.operation is None or self.operation == operation)
            and (self.chat is None or self.chat is chat)
        )


class Faults:
    """The switches of one sandbox. Everything can be switched while chats go on.

    Faults of single requests befall the next one. ``count``: so many of them; ``after``: leave so many alone first;
    ``operation``: only those of this kind, such as ``sendMessage`` (``requestNotifications`` is the poll over REST);
    ``chat``: only those of this chat.

    Attributes:
        refuse_websocket: answer the upgrade to WebSocket with HTTP 403 and do not offer it.
        refuse_handshake: answer handshakes with 403, None to let them through.
        refuse_chat: code and words with which requestChat is refused, None to let chats begin.
    """

    def __init__(self) -> None:
        self.refuse_websocket = False
        self.refuse_handshake: str | None = None
        self.refuse_chat: tuple[int, str] | None = None
        self._rules: list[_Rule] = []
        self._running = asyncio.Event()
        self._running.set()
        #: Set by the server.
        self.drop: Callable[[], None] = lambda: None
        self.forget: Callable[[], None] = lambda: None
        self.close_port: Callable[[], Awaitable[None]] | None = None
        self.open_port: Callable[[], Awaitable[None]] | None = None

    # The whole server

    def drop_connections(self) -> None:
        """Abort every connection, as a network that fails."""
        self.drop()

    def forget_sessions(self) -> None:
        """Forget every CometD session; the chats live on. Requests of forgotten sessions are answered with 402."""
        self.forget()

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

    # Single requests

    def lose_answer(
        self, operation: str = Operation.SEND_MESSAGE, count: int = 1, *, after: int = 0, chat: Chat | None = None
    ) -> None:
        """Perform the operation and answer nothing: the connection breaks in place of the answer."""
        self._rules.append(_Rule("lose answer", 1, count, after, operation, chat))

    def refuse_next(
        self,
        operation: str,
        code: int,
        advice: str,
        *,
        chat_ended: bool = False,
        count: int = 1,
        after: int = 0,
        chat: Chat | None = None,
    ) -> None:
        """Refuse the operation with statusCode 2, a code and words; the chat goes on, whatever ``chat_ended`` says."""
        answer = Envelope(status_code=2, chat_ended=chat_ended, errors=(GmsError(code=code, advice=advice),))
        self._rules.append(_Rule("refuse", answer, count, after, operation, chat))

    def hiccup(self, count: int = 1, *, after: int = 0, operation: str | None = None, chat: Chat | None = None) -> None:
        """Answer REST requests with statusCode 1, an error that may pass, and do nothing."""
        self._rules.append(_Rule("hiccup", 1, count, after, operation, chat))

    def answer_http(
        self,
        status: int,
        count: int = 1,
        *,
        retry_after: int | None = None,
        body: str = "",
        after: int = 0,
        operation: str | None = None,
        chat: Chat | None = None,
    ) -> None:
        """Answer REST requests with an HTTP status and a body in place of the service's answer, and do nothing."""
        self._rules.append(_Rule("http", (status, retry_after, body), count, after, operation, chat))

    def delay_answer(
        self,
        seconds: float,
        *,
        count: int = 1,
        after: int = 0,
        operation: str | None = None,
        chat: Chat | None = None,
    ) -> None:
        """Perform REST requests and answer late."""
        self._rules.append(_Rule("delay", seconds, count, after, operation, chat))

    # What answers and deliveries hold

    def drop_push(self, count: int = 1, *, after: int = 0, chat: Chat | None = None) -> None:
        """Leave out deliveries of chat events over CometD, though the connection is healthy."""
        self._rules.append(_Rule("drop push", 1, count, after, None, chat))

    def overlap(self, events: int, *, count: int = 1, after: int = 0, chat: Chat | None = None) -> None:
        """Begin the answer to a poll, or a transcript, so many events too early."""
        self._rules.append(_Rule("overlap", events, count, after, None, chat))

    def double_events(self, count: int = 1, *, after: int = 0, chat: Chat | None = None) -> None:
        """Put each event of an answer or a delivery into it twice."""
        self._rules.append(_Rule("double", 1, count, after, None, chat))

    def reverse_events(self, count: int = 1, *, after: int = 0, chat: Chat | None = None) -> None:
        """Put the events of an answer or a delivery into it in the opposite order."""
        self._rules.append(_Rule("reverse", 1, count, after, None, chat))

    def strip_index(self, count: int = 1, *, after: int = 0, chat: Chat | None = None) -> None:
        """Leave the index of the events in an answer or a delivery out."""
        self._rules.append(_Rule("strip index", 1, count, after, None, chat))

    def omit(
        self,
        *fields: str,
        count: int = 1,
        after: int = 0,
        operation: str | None = None,
        chat: Chat | None = None,
    ) -> None:
        """Leave fields out of an answer or a delivery, such as ``chatEnded``, ``nextPosition`` or ``secureKey``."""
        self._rules.append(_Rule("omit", fields, count, after, operation, chat))

    # The server's side

    @property
    def stalled(self) -> bool:
        """True between ``stall`` and ``resume``."""
        return not self._running.is_set()

    async def pass_through(self) -> None:
        """Wait while the server is stalled."""
        await self._running.wait()

    def take(self, kind: str, operation: object = None, chat: Chat | None = None) -> Any:
        """Return a fault's value if one befalls this request, else None, and count it."""
        for rule in self._rules:
            if not rule.concerns(kind, operation, chat):
                continue
            if rule.after > 0:
                rule.after -= 1
                continue
            rule.count -= 1
            if rule.count <= 0:
                self._rules.remove(rule)
            return rule.value
        return None

    def mangle(self, answer: dict[str, Any], operation: object = None, chat: Chat | None = None) -> dict[str, Any]:
        """Return an answer, or a delivery, as the faults leave it."""
        messages = answer.get("messages") or []
        if messages and self.take("double", operation, chat):
            messages = [message for message in messages for _ in range(2)]
        if len(messages) > 1 and self.take("reverse", operation, chat):
            messages = messages[::-1]
        if messages and self.take("strip index", operation, chat):
            messages = [{key: value for key, value in message.items() if key != "index"} for message in messages]
        omitted = self.take("omit", operation, chat) or ()
        return {key: value for key, value in {**answer, "messages": messages}.items() if key not in omitted}
