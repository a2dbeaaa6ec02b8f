"""Chats on a service of the tests' own, and where their state is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from server import ORIGIN, Service

import chat_core

__all__ = ["OPTIONS", "Shelf", "names", "restore", "run", "start"]

OPTIONS = {"deployment_id": "d-1", "origin": ORIGIN}


class Shelf:
    """A state storage of the test's own."""

    blocking = False

    def __init__(self) -> None:
        self.state: Any = None

    def read(self) -> Any:
        return self.state

    def write(self, state: Any) -> None:
        self.state = state


def start(service: Service, **options: Any) -> Any:
    given = {**OPTIONS, **options.pop("transport_options", {})}
    options = {"state_storage": "memory", **options}
    return chat_core.start_session(server_url=service.url, transport="webmessaging", transport_options=given, **options)


def restore(storage: Any) -> Any:
    return chat_core.restore_session(transport="webmessaging", transport_options=OPTIONS, state_storage=storage)


def run(test: Callable[[Service], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with Service() as service, asyncio.timeout(30):
            return await test(service)

    return asyncio.run(main())


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]
