"""The web page's application in this process, and pages that speak its protocol without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Self

import uvicorn
from attrs import field, frozen
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chat_page import Settings, make_app
from chat_page.__main__ import server_config
from chat_page._rooms import Rooms
from chat_page._visitors import Visitor

__all__ = ["SOURCES", "Served", "Tab", "serving"]

SOURCES = Path(__file__).parents[2] / "examples" / "web" / "src"
PAGE = {"title": "Help", "url": "", "referrer": ""}


class _Uvicorn(uvicorn.Server):
    """Leaves signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@frozen(kw_only=True)
class Served:
    """A running application."""

    port: int
    rooms: Rooms
    settings: Settings
    visitor: Visitor = field(factory=Visitor.new)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tab(self, visitor: Visitor | None = None, **seen: Any) -> Tab:
        """Return a page of a visitor, who has been here before."""
        return Tab(self, visitor or self.visitor, seen)

    async def detached(self) -> None:
        """Wait until no chat is at hand."""
        async with asyncio.timeout(30):
            while len(self.rooms):
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def serving(server_url: str, folder: Path, **options: Any) -> AsyncIterator[Served]:
    """Serve the application on a free port, as the command does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        settings = Settings(server_url=server_url, folder=folder, origins={f"http://127.0.0.1:{port}"}, **options)
        app = make_app(settings)
        config = server_config(app, port=port)
        server = _Uvicorn(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(30):
            while not server.started:
                assert not task.done()
                await asyncio.sleep(0.01)
        try:
            yield Served(port=port, rooms=app.state.rooms, settings=settings)
        finally:
            server.should_exit = True
            await task


class Tab:
    """A page that keeps what it is told."""

    def __init__(self, served: Served, visitor: Visitor, seen: dict[str, Any]) -> None:
        self._served = served
        self._visitor = visitor
        self._hello = {"do": "hello", "session": "", "index": 0, "epoch": 0, **seen}
        self.socket: ClientConnection
        self.frames: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self.socket = await connect(
            f"ws://127.0.0.1:{self._served.port}/chat",
            origin=self._served.origin,
            additional_headers={"Cookie": f"chat={self._visitor.id}.{self._visitor.key}"},
            proxy=None,
        )
        with contextlib.suppress(ConnectionClosed):  # it may be sent away at once
            await self.tell(**self._hello)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.socket.close()

    async def tell(self, **order: Any) -> None:
        await self.socket.send(json.dumps(order))

    async def start(self, name: str = "Ada", **page: Any) -> None:
        await self.until("none")
        await self.tell(do="start", name=name, subject="", **{**PAGE, **page})
        await self.until("chat")

    async def say(self, text: str, name: str = "message-1") -> None:
        await self.tell(do="say", name=name, text=text)

    async def until(self, kind: str, /, **wanted: Any) -> dict[str, Any]:
        """Return the next frame of a kind with these values; what came before it is kept in ``frames``."""
        async with asyncio.timeout(30):
            while True:
                frame = json.loads(await self.socket.recv())
                self.frames.append(frame)
                if frame["is"] == kind and all(frame.get(key) == value for key, value in wanted.items()):
                    return frame

    @property
    def texts(self) -> list[str]:
        """What was said, as far as it was told."""
        return [frame["text"] for frame in self.frames if frame.get("kind") == "message"]
