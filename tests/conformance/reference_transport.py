"""A transport that keeps the whole contract, against a server that is an object: what the mutants are made from."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from attrs import evolve, frozen

from chat_core import (
    AmbiguousError,
    Batch,
    Capability,
    Command,
    ConnectError,
    ConnectionOptions,
    Ended,
    EndReason,
    Event,
    LeaveCommand,
    LinkDown,
    LinkUp,
    MessageReceived,
    NotSentError,
    Opened,
    ParticipantJoined,
    Party,
    PartyType,
    RefusedError,
    Reply,
    SendMessageCommand,
    StartRequest,
    TransportContext,
    TransportProvider,
    TypingCommand,
    UnsupportedCommandError,
)

_numbers = itertools.count(1)


class Chat:
    def __init__(self) -> None:
        self.id = f"chat-{next(_numbers)}"
        self.key = f"canary-key-{self.id}"
        self.events: list[Event] = []
        self.over = False
        self.listeners: list[Any] = []
        self.add(ParticipantJoined(party=Party(id=1, name="Ada", type=PartyType.CLIENT), own=True))

    def add(self, event: Event) -> None:
        event = evolve(event, index=len(self.events) + 1, timestamp=datetime.now(UTC))
        self.events.append(event)
        for listener in list(self.listeners):
            listener(event)

    def end(self) -> None:
        self.over = True
        for listener in list(self.listeners):
            listener(None)


class Network:
    """What is between the transport and its chats."""

    current: ClassVar[Network]

    def __init__(self) -> None:
        self.up = True
        self.chats: list[Chat] = []
        self.known: dict[str, Chat] = {}
        self.refuse_start = self.refuse_next = self.lose_answer = False
        self.changed: list[Any] = []

    def set_up(self, up: bool) -> None:
        self.up = up
        for listener in list(self.changed):
            listener()


class Harness:
    """The server's side; as long as the one that an author writes."""

    options: ClassVar[Mapping[str, Any]] = {}
    disable_websockets = False
    patience = 0.4
    url = "https://chat.example.com/"

    def __init__(self) -> None:
        self.network = Network.current = Network()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def chats(self) -> int:
        return len(self.network.chats)

    def heard(self) -> list[str]:
        return [one.text for one in self.network.chats[-1].events if isinstance(one, MessageReceived) and one.own]

    def over(self) -> bool:
        return self.network.chats[-1].over

    def secrets(self) -> list[str]:
        return [chat.key for chat in self.network.chats]

    def say(self, text: str) -> None:
        agent = Party(id=2, name="Grace", type=PartyType.AGENT)
        self.network.chats[-1].add(MessageReceived(text=text, party=agent))

    def end(self) -> None:
        self.network.chats[-1].end()

    def forget(self) -> None:
        self.network.known.clear()

    def cut(self) -> None:
        self.network.set_up(False)

    def mend(self) -> None:
        self.network.set_up(True)

    def refuse_start(self) -> int:
        self.network.refuse_start = True
        return 161

    def refuse_next(self) -> int:
        self.network.refuse_next = True
        return 247

    def lose_answer(self) -> None:
        self.network.lose_answer = True


class ReferenceTransport:
    """In steps, so that a mutant replaces one of them."""

    def __init__(self, context: TransportContext) -> None:
        self.context = context
        self.log = context.log
        self.network = Network.current
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.chat: Chat | None = None
        self.keeper: asyncio.Task[None] | None = None
        self.closed = False
        self.ended = False

    # The wire

    async def reach(self) -> None:
        await asyncio.sleep(0)
        if not self.network.up:
            raise NotSentError("no link")
        await asyncio.sleep(0)

    def put(self, item: Any) -> None:
        if not self.closed and not self.ended:
            self.queue.put_nowait(item)

    def arrived(self, event: Event | None) -> None:
        if event is None:
            self.put(Ended(reason=EndReason.CLOSED))
            self.ended = True
        elif self.network.up:
            self.put(self.batch((event,)))

    def batch(self, events: tuple[Event, ...]) -> Batch:
        assert self.chat is not None
        return Batch(events=events, next_position=len(self.chat.events) + 1)

    def open(self, chat: Chat) -> None:
        self.chat = chat
        chat.listeners.append(self.arrived)
        self.keeper = asyncio.get_running_loop().create_task(self.keep(), name="keeper")

    async def keep(self) -> None:
        up, changed = True, asyncio.Event()
        self.network.changed.append(changed.set)
        try:
            while True:
                await changed.wait()
                changed.clear()
                if up and not self.network.up:
                    self.put(self.down())
                if not up and self.network.up:
                    await asyncio.sleep(0)
                    self.put(LinkUp())
                up = self.network.up
        finally:
            self.network.changed.remove(changed.set)

    def down(self) -> Any:
        return LinkDown(reason="cut")

    # The contract

    async def start(self, request: StartRequest) -> Opened:
        try:
            await self.reach()
        except NotSentError as error:
            raise ConnectError("the server cannot be reached") from error
        if self.network.refuse_start:
            raise self.refusal(161)
        chat = Chat()
        self.network.chats.append(chat)
        self.network.known[chat.key] = chat
        self.open(chat)
        return self.opened()

    def opened(self) -> Opened:
        assert self.chat is not None
        ended = Ended(reason=EndReason.CLOSED) if self.chat.over else None
        return Opened(session_id=self.chat.id, batch=self.batch(tuple(self.chat.events)), ended=ended)

    async def resume(self, saved: Mapping[str, Any]) -> Opened:
        try:
            await self.reach()
        except NotSentError as error:
            raise ConnectError("the server cannot be reached") from error
        chat = self.network.known.get(saved["key"])
        if chat is None:
            raise self.unknown()
        self.open(chat)
        return self.opened()

    def unknown(self) -> Exception:
        return RefusedError("no such chat", session_unknown=True)

    def refusal(self, code: int) -> Exception:
        return RefusedError("not now", code=code)

    def check(self) -> Chat:
        if self.closed or self.chat is None:
            raise NotSentError("the transport is closed")
        return self.chat

    async def fetch(self, position: int) -> Batch:
        chat = self.check()
        await self.reach()
        return self.batch(tuple(chat.events[position - 1 :]))

    def supports(self, command: Command) -> bool:
        return isinstance(command, SendMessageCommand | LeaveCommand | TypingCommand)

    async def send(self, command: Command) -> Reply:
        if not self.supports(command):
            raise UnsupportedCommandError(f"no {type(command).__name__}")
        chat = self.check()
        await self.reach()
        return await self.deliver(chat, command)

    async def deliver(self, chat: Chat, command: Command) -> Reply:
        match command:
            case SendMessageCommand(text=text):
                if self.network.refuse_next:
                    self.network.refuse_next = False
                    raise self.refusal(247)
                self.hear(chat, text)
                if self.network.lose_answer:
                    self.network.lose_answer = False
                    raise self.lost(chat, text)
                await asyncio.sleep(0)
            case LeaveCommand():
                self.leave(chat)
        return Reply()

    def hear(self, chat: Chat, text: str) -> None:
        chat.add(self.own(text))

    def own(self, text: str) -> MessageReceived:
        return MessageReceived(text=text, own=True, party=Party(id=1, name="Ada", type=PartyType.CLIENT))

    def lost(self, chat: Chat, text: str) -> Exception:
        return AmbiguousError("the answer was lost")

    def leave(self, chat: Chat) -> None:
        chat.end()

    async def incoming(self) -> AsyncIterator[Any]:
        while (item := await self.queue.get()) is not None:
            yield item
            if isinstance(item, Ended):
                return

    def saved(self) -> Mapping[str, Any]:
        assert self.chat is not None
        return {"key": self.chat.key}

    async def aclose(self) -> None:
        if self.closed:
            return
        self.finish()
        if self.keeper is not None:
            self.keeper.cancel()
            await asyncio.gather(self.keeper, return_exceptions=True)

    def finish(self) -> None:
        self.closed = True
        if self.chat is not None and self.arrived in self.chat.listeners:
            self.chat.listeners.remove(self.arrived)
        self.queue.put_nowait(None)


@frozen(kw_only=True)
class ReferenceOptions(ConnectionOptions):
    pass


CAPABILITIES = frozenset({Capability.POSITION, Capability.PUSH, Capability.TYPING})


def provider(
    factory: Any = ReferenceTransport, *, capabilities: frozenset[str] = CAPABILITIES, options: Any = ReferenceOptions
) -> TransportProvider:
    return TransportProvider(
        name="reference", summary="an object", factory=factory, options=options, capabilities=capabilities
    )
