"""One chat and the processes that hold it, one after the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from chat_core import AmbiguousError, Capability, Receipt, StorageError
from chat_core._session.session import Session, save_first_state
from chat_core._session.state import SavedState
from support.backend import Backend, FakeTransport
from support.sessions import MemoryLog, Place, open_session

Sending = asyncio.Future[Receipt]
KEEPS = frozenset({Capability.PERSISTENT, Capability.OUTBOX})


class Life:
    """One process after another with one chat, whose storage keeps the outbox."""

    def __init__(self) -> None:
        self.backend = Backend()
        self.place = Place()
        self.log = MemoryLog()

    async def begin(self) -> Session:
        self.backend.links.clear()
        transport = FakeTransport(self.backend)
        saved = self.place.states[-1] if self.place.states else None
        state = SavedState.from_mapping(json.loads(json.dumps(saved))) if saved is not None else None
        session = await open_session(
            transport,
            place=self.place,
            log=self.log,
            resume=state is not None,
            storage_capabilities=KEEPS,
            delivered=0 if state is None else state.delivered,
            outbox=() if state is None else state.outbox,
        )
        self.transport = transport
        await save_first_state(session)
        return session

    async def begin_undecided(
        self, *texts: str, arrived: bool = False
    ) -> tuple[Session, list[asyncio.Future[Receipt]]]:
        """Begin, and send texts of which the first has no answer, so that the others wait behind it."""
        session = await self.begin()
        self.transport.faults = [("after" if arrived else "before", AmbiguousError("no answer"))]
        sends = [asyncio.ensure_future(session.send_message(text)) for text in texts]
        await asyncio.sleep(0.3)  # into the settle time
        return session, sends

    async def finish(self) -> None:
        """Begin, see every message of before to its place in the transcript, and leave."""
        session = await self.begin()
        for receipt in session.outbox:
            await receipt.reached("echoed")
        await session.leave()

    @property
    def saved(self) -> list[tuple[str, str]]:
        """Texts and stages of the saved outbox."""
        return [(message["text"], message["stage"]) for message in self.place.states[-1]["outbox"]]

    def slow_down(self, session: Session, seconds: float) -> None:
        """Let each write of a session take long; one is due."""

        async def slow(state: Mapping[str, Any] | None) -> None:
            await asyncio.sleep(seconds)
            await self.place.write(state)

        session._engine.saver._write = slow
        session._engine.saver._written = None

    def fail_once(self, session: Session, error: StorageError) -> None:
        """Let the next write of a session fail; one is due."""
        errors = [error]

        async def fail(state: Mapping[str, Any] | None) -> None:
            if errors:
                raise errors.pop()
            await self.place.write(state)

        session._engine.saver._write = fail
        session._engine.saver._written = None
