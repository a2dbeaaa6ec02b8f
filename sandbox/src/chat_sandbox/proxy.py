"""A proxy between a client and its server that knows HTTP and WebSocket, and makes things go wrong between them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from chat_sandbox._proxy.relay import Relay, Shared, Upstream
from chat_sandbox._proxy.rules import Book, Rule

__all__ = ["FaultProxy"]

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: Final = {"http": 80, "https": 443}


class FaultProxy:
    """Passes everything on, less what its rules do, while it is entered with ``async with``.

    It stands before any server that speaks HTTP/1.1 and WebSocket. Without a rule that strikes each byte passes as it
    came, but for two: the client's offer of WebSocket extensions is left out, since compressed frames cannot be read,
    and ``Host`` becomes the server's where that is not on this machine.

    Args:
        upstream_url: the server, ``http`` or ``https``; its path becomes that of ``url``.
        seed: of the dice that rules with a probability throw: the same seed and the same order of things, the same
            faults.
        ssl_context: for an ``https`` server; None for the system's authorities.
        max_message_size: bytes of one request, answer or WebSocket message; larger ones pass untouched by any rule.

    Attributes:
        rules: in the order in which they are asked; the first one that strikes decides.
        connections: how many the client has opened so far.

    Raises:
        ValueError: an argument cannot be used.
    """

    def __init__(
        self,
        upstream_url: str,
        *,
        seed: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        max_message_size: int = 4 * 1024 * 1024,
    ) -> None:
        if isinstance(max_message_size, bool) or not isinstance(max_message_size, int) or max_message_size < 1:
            raise ValueError(f"FaultProxy: max_message_size must be bytes, 1 or more, not {max_message_size!r}")
        self._path, upstream = _upstream(upstream_url, ssl_context)
        self._book = Book(seed)
        self._shared = Shared(book=self._book, upstream=upstream, limit=max_message_size, hit=self._on_hit)
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self._waiters: set[asyncio.Future[None]] = set()
        self.connections = 0

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return tuple(self._book.rules)

    @property
    def unreadable(self) -> int:
        """How many streams were neither HTTP/1.1 nor WebSocket; they pass, and no rule applies to them."""
        return self._shared.unreadable

    @property
    def url(self) -> str:
        """What a client takes as ``server_url``."""
        if self._server is None:
            raise RuntimeError("the proxy has no address yet; enter it with 'async with' first")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self._path}"

    def add(self, rule: Rule) -> Rule:
        """Put a rule in force, behind the others, and return it.

        Raises:
            ValueError: it serves a proxy already.
        """
        if not isinstance(rule, Rule):
            raise ValueError(f"FaultProxy.add takes a Rule, not {rule!r}; write Rule({rule!r})")  # noqa: TRY004 - as all
        self._book.add(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Take a rule out of force; its counts stay readable. One that is not in force is left alone."""
        with contextlib.suppress(ValueError):
            self._book.rules.remove(rule)

    def clear(self) -> None:
        """Take every rule out of force. What is held or halved already stays so."""
        self._book.rules.clear()

    async def wait_for(self, rule: Rule, *, hits: int = 1, timeout: float = 5.0) -> None:
        """Wait until a rule has struck.

        Args:
            rule: which.
            hits: so often since it was made.
            timeout: seconds.

        Raises:
            TimeoutError: it has not, and how often it did.
        """
        try:
            async with asyncio.timeout(timeout):
                while rule.hits < hits:
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiters.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiters.discard(waiter)
        except TimeoutError:
            raise TimeoutError(
                f"within {timeout:g} s {rule!r} struck {rule.hits} of {hits} times; it was about {rule.seen} things"
            ) from None

    def drop_connections(self) -> None:
        """Close every connection; new ones are accepted."""
        for relay in self._relays:
            relay.cancel()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.drop_connections()
        await asyncio.gather(*self._relays, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        try:
            await Relay(self._shared).run(reader, writer)
        except asyncio.CancelledError:
            pass  # asyncio's server would report it; whoever cancelled knows
        finally:
            self._relays.discard(task)
            writer.close()

    def _on_hit(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def _upstream(url: object, context: ssl.SSLContext | None) -> tuple[str, Upstream]:
    remedy = "give the server's address, such as http://127.0.0.1:8080/genesys/cometd"
    if not isinstance(url, str):
        raise ValueError(f"FaultProxy: upstream_url must be text, not {url!r}; {remedy}")  # noqa: TRY004 - one class
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"FaultProxy: upstream_url cannot be read: {error}; {remedy}") from None
    if parts.scheme not in _PORTS or not host:
        raise ValueError(f"FaultProxy: upstream_url must be an http or https address, not {url!r}; {remedy}")
    tls = (context or ssl.create_default_context()) if parts.scheme == "https" else None
    authority = None if host in _LOOPBACK else parts.netloc.rpartition("@")[2]
    return parts.path, Upstream(
        host=host, port=_PORTS[parts.scheme] if port is None else port, tls=tls, authority=authority
    )
