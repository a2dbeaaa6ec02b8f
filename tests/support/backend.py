"""A chat back end in a few lines and a transport to it, with every fault at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import (
    Batch,
    Command,
    Ended,
    Incoming,
    LeaveCommand,
    LinkDown,
    LinkUp,
    Opened,
    Reply,
    SendMessageCommand,
    StartRequest,
    UserDataCommand,
)
from chat_core._model.errors import ConnectError, NotSentError, RefusedError
from chat_core._model.events import (
    AgentConnected,
    EndReason,
    Event,
    MessageReceived,
    ParticipantJoined,
    ParticipantLeft,
    Party,
    PartyType,
)

ALL = frozenset(
    {
        Capability.POSITION,
        Capability.PUSH,
        Capability.TYPING,
        Capability.TYPING_PREVIEW,
        Capability.SET_USER_DATA,
        Capability.NICKNAME,
        Capability.CUSTOM_NOTICE,
    }
)

VISITOR = Party(id=1, name="Ada", type=PartyType.CLIENT)
AGENT = Party(id=2, name="Grace", type=PartyType.AGENT)


class Backend:
    """The server's side of one chat."""

    def __init__(self) -> None:
        self.transcript: list[Event] = []
        self.over = False
        self.links: list[FakeTransport] = []
        self.user_data: dict[str, Any] = {}
        self.commands: list[Command] = []

    @property
    def next_position(self) -> int:
        return len(self.transcript) + 1

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.transcript if isinstance(event, MessageReceived)]

    def add(self, make: Callable[[int], Event], *, push: bool = True) -> Event:
        event = make(self.next_position)
        self.transcript.append(event)
        if push:
            for link in self.links:
                link.push(Batch(events=(event,), next_position=self.next_position))
        return event

    def visitor_says(self, text: str, *, push: bool = True) -> Event:
        return self.add(lambda index: MessageReceived(index=index, party=VISITOR, own=True, text=text), push=push)

    def agent_says(self, text: str, *, push: bool = True) -> Event:
        return self.add(lambda index: MessageReceived(index=index, party=AGENT, text=text), push=push)

    def agent_joins(self, *, push: bool = True) -> Event:
        return self.add(lambda index: AgentConnected(index=index, party=AGENT), push=push)

    def end(self, reason: EndReason = EndReason.CLOSED, *, push: bool = True) -> None:
        self.over = True
        if push:
            for link in self.links:
                link.put(Ended(reason=reason, batch=Batch(next_position=self.next_position)))

    def answer(self, position: int) -> Batch:
        return Batch(events=tuple(self.transcript[position - 1 :]), next_position=self.next_position)


class FakeTransport:
    """A link to a ``Backend``. ``faults`` are taken one per send: an exception to raise before or after the commit."""

    def __init__(self, backend: Backend | None = None) -> None:
        self.backend = backend or Backend()
        self.up = True
        self.closed = False
        self.fetches: list[int] = []
        #: What happens to the next sends: ``(when, error)`` with when in before, after, late.
        self.faults: list[tuple[str, BaseException]] = []
        #: What happens to the next fetches.
        self.fetch_faults: list[BaseException | Batch] = []
        self.start_fault: BaseException | None = None
        self.request: StartRequest | None = None
        self._queue: asyncio.Queue[Incoming | None] = asyncio.Queue()

    # The contract

    async def start(self, request: StartRequest) -> Opened:
        self.request = request
        await asyncio.sleep(0)
        if self.start_fault is not None:
            raise self.start_fault
        self.backend.links.append(self)
        self.backend.add(lambda index: ParticipantJoined(index=index, party=VISITOR, own=True), push=False)
        return Opened(session_id="chat-1", batch=self.backend.answer(1))

    async def resume(self, saved: Mapping[str, Any]) -> Opened:
        await asyncio.sleep(0)
        if self.start_fault is not None:
            raise self.start_fault
        if saved.get("key") != "secret-key":
            raise RefusedError("no such chat", session_unknown=True, code=249)
        self.backend.links.append(self)
        ended = Ended(reason=EndReason.CLOSED) if self.backend.over else None
        return Opened(session_id="chat-1", batch=self.backend.answer(1), ended=ended)

    async def fetch(self, position: int) -> Batch:
        self.fetches.append(position)
        await asyncio.sleep(0.01)
        if self.fetch_faults:
            fault = self.fetch_faults.pop(0)
            if isinstance(fault, Batch):
                return fault
            raise fault
        if not self.up:
            raise NotSentError("no link")
        return self.backend.answer(position)

    async def send(self, command: Command) -> Reply:
        await asyncio.sleep(0.01)
        if not self.up:
            raise NotSentError("no link")
        when, error = self.faults.pop(0) if self.faults else ("never", None)
        if when == "before" and error is not None:
            raise error
        self.backend.commands.append(command)
        if when == "late" and error is not None:
            asyncio.get_running_loop().call_later(3.0, self._commit, command)
            raise error
        self._commit(command)
        if when == "after" and error is not None:
            raise error
        return Reply()

    async def incoming(self) -> AsyncIterator[Incoming]:
        while (item := await self._queue.get()) is not None:
            yield item

    def saved(self) -> Mapping[str, Any]:
        return {"key": "secret-key"}

    async def aclose(self) -> None:
        self.closed = True
        if self in self.backend.links:
            self.backend.links.remove(self)
        self._queue.put_nowait(None)

    # The test's side

    def put(self, item: Incoming) -> None:
        self._queue.put_nowait(item)

    def push(self, batch: Batch) -> None:
        if self.up:
            self.put(batch)

    def cut(self) -> None:
        self.up = False
        self.put(LinkDown(reason="cut by the test"))

    def mend(self) -> None:
        self.up = True
        self.put(LinkUp())

    def _commit(self, command: Command) -> None:
        backend = self.backend
        match command:
            case SendMessageCommand(text=text):
                backend.visitor_says(text)
            case LeaveCommand():
                backend.add(lambda index: ParticipantLeft(index=index, party=VISITOR, own=True))
                backend.end()
            case UserDataCommand(user_data=data):
                backend.user_data.update(data)
            case _:
                pass


def unreachable() -> ConnectError:
    return ConnectError("the server cannot be reached")
