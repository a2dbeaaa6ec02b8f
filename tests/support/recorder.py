"""An ASGI application in front of a sandbox's: notes when each visitor's requests arrive, and can be too busy for them.

A visitor is told by the request header ``x-visitor``. An attempt is what begins or takes up a link: an upgrade to
WebSocket, a request with a handshake, a poll over REST.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from attrs import Factory, define, frozen

from chat_sandbox import sandbox as sandbox_module

HANDSHAKE = b'"/meta/handshake"'
#: How the path of a poll over REST ends.
POLL = "/refresh"


@frozen
class Arrival:
    """A request: whose, in which life of the server, when (monotonic seconds), and whether it was turned away."""

    visitor: str
    life: int
    at: float
    turned_away: bool = False


@define
class Recorder:
    """What arrived.

    Attributes:
        arrivals: every request and upgrade, in order.
        busy: status and seconds of ``Retry-After`` with which every request and upgrade is turned away.
        slow: seconds for which attempts are kept waiting, so that a second one beside the first would be seen.
        most: attempts under way at one time, at most, per visitor.
    """

    arrivals: list[Arrival] = Factory(list)
    busy: tuple[int, int] | None = None
    slow: float = 0.0
    most: Counter[str] = Factory(Counter)
    life: int = 0
    _under_way: Counter[tuple[str, int]] = Factory(Counter)

    def first_arrivals(self, life: int) -> dict[str, float]:
        """Return when each visitor first came in one life of the server."""
        first: dict[str, float] = {}
        for one in self.arrivals:
            if one.life == life:
                first.setdefault(one.visitor, one.at)
        return first

    @contextmanager
    def in_front(self) -> Iterator[None]:
        """Stand in front of every sandbox that is made meanwhile, after each restart of it too."""
        make_app = sandbox_module.make_app

        def make(*args: Any, **kwargs: Any) -> Any:
            self.life += 1
            return _Front(self, make_app(*args, **kwargs), self.life)

        with patch.object(sandbox_module, "make_app", make):
            yield

    @contextmanager
    def attempt(self, visitor: str, life: int) -> Iterator[None]:
        """Count an attempt while it lasts; what an earlier life of the server has not dropped yet does not count."""
        self._under_way[visitor, life] += 1
        self.most[visitor] = max(self.most[visitor], self._under_way[visitor, life])
        try:
            yield
        finally:
            self._under_way[visitor, life] -= 1


@frozen
class _Front:
    recorder: Recorder
    app: Any
    life: int

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        recorder = self.recorder
        visitor = dict(scope["headers"]).get(b"x-visitor", b"").decode()
        recorder.arrivals.append(Arrival(visitor, self.life, time.monotonic(), recorder.busy is not None))
        if recorder.busy is not None:
            await _turn_away(scope, receive, send, *recorder.busy)
            return
        is_attempt = scope["type"] == "websocket" or scope["path"].endswith(POLL)
        if scope["type"] == "http":
            message = await receive()
            while message.get("more_body"):
                more = await receive()
                message = {**more, "body": message["body"] + more.get("body", b"")}
            is_attempt = is_attempt or HANDSHAKE in message.get("body", b"")
            given = [message]
            original = receive

            async def receive() -> Any:
                return given.pop() if given else await original()

        if not is_attempt:
            await self.app(scope, receive, send)
            return
        with recorder.attempt(visitor, self.life):
            await asyncio.sleep(recorder.slow)
            await self.app(scope, receive, send)


async def _turn_away(scope: Any, receive: Any, send: Any, status: int, wait: int) -> None:
    prefix = "websocket.http" if scope["type"] == "websocket" else "http"
    if scope["type"] == "websocket":
        await receive()
    headers = [(b"retry-after", str(wait).encode()), (b"content-length", b"0")]
    await send({"type": f"{prefix}.response.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": b""})
