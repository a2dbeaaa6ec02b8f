"""The application: two pages, what they are made of, and the WebSocket that carries the chat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from chat_page._connections import serve_page
from chat_page._rooms import Rooms
from chat_page._settings import Settings
from chat_page._shield import Shield
from chat_page._visitors import Visitor

__all__ = ["make_app"]

_HERE: Final = Path(__file__).parent


def make_app(settings: Settings) -> Starlette:
    """Return the application; one process serves it.

    ``app.state.rooms`` has the chats that are at hand.
    """
    rooms = Rooms(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        rooms.vault.open()
        signs_of_life = asyncio.get_running_loop().create_task(rooms.keep_alive())
        try:
            yield
        finally:
            signs_of_life.cancel()
            await asyncio.gather(signs_of_life, return_exceptions=True)
            await rooms.close()
            rooms.vault.close()

    async def chat(socket: WebSocket) -> None:
        await serve_page(socket, rooms, settings)

    app = Starlette(
        routes=[
            Route("/", _page("home.html", settings)),
            Route("/help", _page("help.html", settings)),
            WebSocketRoute("/chat", chat),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ],
        middleware=[Middleware(Shield), Middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts)],
        lifespan=lifespan,
    )
    app.state.rooms = rooms
    return app


def _page(name: str, settings: Settings) -> Callable[[Request], Awaitable[Response]]:
    """Serve a page, with a cookie for who has none. Nothing is changed by any request but those of the WebSocket."""
    text = (_HERE / "pages" / name).read_text("utf-8")

    async def page(request: Request) -> Response:
        response = HTMLResponse(text)
        if Visitor.of(request, settings) is None:
            Visitor.new().give_cookie(response, settings)
            response.headers["Cache-Control"] = "no-store"
        return response

    return page
