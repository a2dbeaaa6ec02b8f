"""The command ``chat-page``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from chat_core import ChatError
from chat_page._app import make_app
from chat_page._settings import Settings
from chat_page._wire import MAX_FRAME

__all__ = ["main", "server_config"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="chat-page", description="A web page that chats.")
    parser.add_argument("server_url", nargs="?", help="the chat server, such as https://gms.example.com/genesys/cometd")
    parser.add_argument("--demo", action="store_true", help="chat with a sandbox instead (needs chat-page[demo])")
    parser.add_argument("--port", type=int, default=8000, help="on 127.0.0.1 (default: 8000)")
    parser.add_argument(
        "--origin",
        action="append",
        help="under which browsers see the pages, such as https://shop.example; may be repeated "
        "(default: http://127.0.0.1 and http://localhost with the port)",
    )
    parser.add_argument("--folder", type=Path, default=Path("chat-states"), help="for the encrypted states")
    parser.add_argument("--max-offline-duration", type=float, default=300.0, help="seconds (default: 300)")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds (default: 10)")
    given = parser.parse_args(arguments)
    if (given.server_url is None) is not given.demo:
        parser.error("give the chat server's address, or --demo")
    try:
        asyncio.run(_serve(given))
    except KeyboardInterrupt:
        return 130
    except (ChatError, OSError, ValueError) as error:
        print(f"chat-page: {error}", file=sys.stderr)
        return 1
    return 0


def server_config(app: Starlette, *, port: int) -> uvicorn.Config:
    """Return how the application is served: by one process, with bounded messages."""
    return uvicorn.Config(
        app,
        port=port,
        log_level="warning",
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME,
        ws_per_message_deflate=False,  # what is never inflated is no larger than what came
        timeout_graceful_shutdown=5,
    )


async def _serve(given: argparse.Namespace) -> None:
    async with contextlib.AsyncExitStack() as stack:
        url = given.server_url
        if given.demo:
            from chat_page._demo import demo  # noqa: PLC0415 - the sandbox is needed for this alone

            url = await stack.enter_async_context(demo())
        origins = given.origin or [f"http://{host}:{given.port}" for host in ("127.0.0.1", "localhost")]
        settings = Settings(
            server_url=url,
            folder=given.folder,
            origins=frozenset(origins),
            max_offline_duration=given.max_offline_duration,
            grace=given.grace,
        )
        app = make_app(settings)
        app.state.rooms.vault.open()  # what is wrong with the folder is said in a line, before anything is served
        server = uvicorn.Server(server_config(app, port=given.port))
        print(f"{min(origins)}/ (Ctrl-C ends it)", flush=True)
        await server.serve()
        if not server.started:
            raise OSError("the server did not start")


if __name__ == "__main__":
    sys.exit(main())
