"""A server on a loopback port, in the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

__all__ = ["AppServer"]

#: Seconds within which a connection that was accepted before the port was closed is known.
_ACCEPTING: Final = 0.01


class _Uvicorn(uvicorn.Server):
    """Leaves signals to the program it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AppServer:
    """Serves one application until it is stopped; may be started again on the same port."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._server: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: list[asyncio.Task[None]] = []

    async def start(self, app: Starlette) -> None:
        """Listen and serve. With port 0 a free one is taken, and kept for later starts."""
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            ws_ping_interval=None,
            timeout_graceful_shutdown=1,
        )
        config.load()  # before the port is open: whoever connects meanwhile would wait
        listener = await self._listen()
        self.port = listener.getsockname()[1]
        self._server = server = _Uvicorn(config)
        self._task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]), name="chat-sandbox")
        while not server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the sandbox's server did not start")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Stop serving: connections are aborted, the port is free. What uvicorn has left to do is for ``wound_up``."""
        server, self._server = self._server, None
        task, self._task = self._task, None
        if server is None or task is None:
            return
        # First of all: whoever comes back at once must find nobody, and uvicorn takes two tenths of a second to notice.
        for listening in server.servers:
            listening.close()
        server.should_exit = True
        server.force_exit = True
        self._abort_all(server)
        await asyncio.sleep(_ACCEPTING)
        self._abort_all(server)
        self._ending.append(asyncio.get_running_loop().create_task(self._wind_up(server, task)))

    async def wound_up(self) -> None:
        """Wait until nothing is left of the servers that were stopped."""
        ending, self._ending = self._ending, []
        await asyncio.gather(*ending, return_exceptions=True)

    async def _wind_up(self, server: _Uvicorn, task: asyncio.Task[None]) -> None:
        await asyncio.gather(task, return_exceptions=True)
        self._abort_all(server)
        tasks = list(server.server_state.tasks)
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def abort_connections(self) -> None:
        """Abort every connection; new ones are accepted."""
        if self._server is not None:
            self._abort_all(self._server)

    def abort(self, scope: Any) -> None:
        """Abort the connection that a request or socket came over."""
        if self._server is None:
            return
        client = scope.get("client")
        for connection in list(self._server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None and tuple((transport.get_extra_info("peername") or ())[:2]) == tuple(client or ()):
                transport.abort()

    @staticmethod
    def _abort_all(server: _Uvicorn) -> None:
        for connection in list(server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    async def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # The protocol is named: asyncio switches Nagle's algorithm off for TCP only, and each answer is two writes.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self.port))
        except OSError:
            listener.close()
            raise
        listener.listen(1024)
        listener.settimeout(0)
        return listener
