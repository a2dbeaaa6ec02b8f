"""Sessions on a fake back end, without launcher, storage or plugins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import StartRequest
from chat_core._model.errors import StorageError
from chat_core._session.parts import SessionParts
from chat_core._session.session import Session
from support.backend import ALL, FakeTransport


class MemoryLog:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, tuple[Any, ...]]] = []

    def debug(self, *args: Any) -> None:
        self.lines.append(("debug", args))

    def info(self, *args: Any) -> None:
        self.lines.append(("info", args))

    def warning(self, *args: Any) -> None:
        self.lines.append(("warning", args))

    def error(self, *args: Any) -> None:
        self.lines.append(("error", args))

    def at(self, level: str) -> list[str]:
        return [" ".join(map(str, args)) for name, args in self.lines if name == level]


class Place:
    """Where a test's state is kept."""

    def __init__(self) -> None:
        self.states: list[Mapping[str, Any] | None] = []
        self.fail: StorageError | None = None
        self.released = 0

    async def write(self, state: Mapping[str, Any] | None) -> None:
        if self.fail is not None:
            raise self.fail
        self.states.append(state)

    async def release(self) -> None:
        self.released += 1

    @property
    def last(self) -> Mapping[str, Any] | None:
        return self.states[-1]


async def open_session(
    transport: FakeTransport,
    *,
    place: Place | None = None,
    log: MemoryLog | None = None,
    resume: bool = False,
    capabilities: frozenset[str] = ALL,
    storage_capabilities: frozenset[str] = frozenset({Capability.PERSISTENT}),
    **parts: Any,
) -> Session:
    place = place or Place()
    if resume:
        opened = await transport.resume({"key": "secret-key"})
    else:
        opened = await transport.start(StartRequest(username="Ada"))
    return Session(
        SessionParts(
            transport=transport,
            transport_name="fake",
            capabilities=capabilities,
            server_url="https://chat.example/cometd",
            write=place.write,
            release=place.release,
            storage_capabilities=storage_capabilities,
            log=log or MemoryLog(),
            **parts,
        ),
        opened,
    )
