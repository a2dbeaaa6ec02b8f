"""What may stand between a client and its server: a TLS front, a proxy, a gatekeeper."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Gate:
    """Listens on loopback and passes connections on to a port.

    Attributes:
        heads: the first request's head of each connection, in lower case.
        answer: given in place of passing a connection on.
        needs: a header line without which the answer is 401.
    """

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._target = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.heads: list[str] = []
        self.answer: bytes | None = None
        self.needs: str | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def through(self, url: str) -> str:
        """Return an address of the server behind, as it is reached through this gate."""
        parts = urlsplit(url)
        scheme = "https" if self._tls is not None else "http"
        return parts._replace(scheme=scheme, netloc=f"127.0.0.1:{self.port}").geturl()

    def drop(self) -> None:
        """Abort every connection."""
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # what nobody reads would keep it open
            raise
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode("latin-1").lower())
        if self.needs is not None and self.needs.lower() not in self.heads[-1]:
            writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
            return
        if self.answer is not None:
            writer.write(self.answer)
            await writer.drain()
            return
        await self._pass_on(head, reader, writer)

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        if head:
            back.write(head)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, back))
                group.create_task(_copy(there, writer))
        finally:
            back.close()


class Proxy(Gate):
    """An HTTP proxy: CONNECT, and requests with a whole address."""

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.decode("latin-1").split(" ", 2)
        if method == "CONNECT":
            self._target = int(target.rpartition(":")[2])
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await super()._pass_on(b"", reader, writer)
            return
        self._target = int(urlsplit(target).netloc.rpartition(":")[2])
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            while True:  # one request after the other, each with its whole address
                method, target, rest = head.decode("latin-1").split(" ", 2)
                path = urlsplit(target)._replace(scheme="", netloc="").geturl()
                await _message(f"{method} {path} {rest}".encode("latin-1"), reader, back)
                await _message(await there.readuntil(b"\r\n\r\n"), there, writer)
                head = await reader.readuntil(b"\r\n\r\n")
        finally:
            back.close()


async def _message(head: bytes, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    target.write(head + await source.readexactly(length))
    await target.drain()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError, NotImplementedError):
        target.close()
