"""What tests of the browser library's names share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from chat_core import Capability, DeleteUserDataCommand, GetUserDataCommand, Reply, TransportProvider
from chat_core.compat.genesys import BrowserSession, Promise, startSession
from support.backend import ALL, Backend, FakeTransport
from support.clock import run_virtually


class Shelf:
    """A storage in the API page's form, as an object."""

    blocking = False  # virtual time waits for no thread

    def __init__(self) -> None:
        self.state: Any = None
        self.writes: list[Any] = []

    def read(self) -> Any:
        return self.state

    def write(self, state: Any) -> None:
        self.state = state
        self.writes.append(state)


class Link(FakeTransport):
    """A transport that can do whatever the browser library asks for."""

    capabilities = ALL | {Capability.GET_USER_DATA, Capability.DELETE_USER_DATA}

    async def send(self, command: Any) -> Reply:
        reply = await super().send(command)
        data = self.backend.user_data
        match command:
            case GetUserDataCommand(key=key):
                return Reply(data={key: data[key]} if key in data else {})
            case DeleteUserDataCommand(key=key):
                data.pop(key, None)
        return reply


class Rig:
    """A provider whose transports remember what they were made with."""

    def __init__(self) -> None:
        self.backend = Backend()
        self.contexts: list[Any] = []
        self.transports: list[Link] = []
        self.provider = TransportProvider(name="rig", summary="", factory=self.make)

    def make(self, context: Any) -> Link:
        self.contexts.append(context)
        self.transports.append(Link(self.backend))
        return self.transports[-1]


def begun(**options: Any) -> tuple[Any, Any]:
    """Start with these options; return what the transport was made with, and what it was asked for."""
    rig = Rig()

    async def main() -> Any:
        base = {"serverUrl": "https://gms.example/cometd", "transport": rig.provider, "stateStorage": Shelf()}
        session = await startSession({**base, **options})
        request = rig.transports[0].request
        await session.leave()
        return request

    request = run_virtually(main())
    return rig.contexts[0], request


async def detached(storage: Any, backend: Backend, **options: Any) -> None:
    """Start a chat and go away, as a page does."""
    session = await startSession({"transport": Link(backend), "stateStorage": storage, **options})
    await session.session.detach()


def chat(script: Callable[[BrowserSession, Link], Coroutine[Any, Any, Any]]) -> Any:
    """Run a script in a chat; leaves it where the script does not."""

    async def main() -> Any:
        link = Link()
        session = await startSession({"transport": link, "stateStorage": Shelf()})
        try:
            return await script(session, link)
        finally:
            await session.session.aclose()

    return run_virtually(main())


async def told(promise: Promise) -> tuple[Any, ...]:
    """The arguments that ``done`` was called with."""
    got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(*arguments: Any) -> None:
        got.set_result(arguments)

    promise.done(done).fail(lambda event: got.set_exception(event.exception))
    return await got


def failure(promise: Promise) -> asyncio.Future[Any]:
    """What ``fail`` is called with."""
    got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    promise.done(lambda value: got.set_exception(AssertionError(f"done was called with {value!r}")))
    promise.fail(got.set_result)
    return got
