"""Transports with one thing wrong, and odd ones that are right."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from attrs import evolve

from chat_core import (
    AmbiguousError,
    Batch,
    Capability,
    ConnectError,
    Ended,
    Event,
    LinkDown,
    LinkUp,
    MessageReceived,
    NotSentError,
    Opened,
    ProtocolError,
    RefusedError,
    Reply,
    SendMessageCommand,
)
from conformance.mutant import Mutant, Odd
from conformance.reference_transport import CAPABILITIES, Chat, Harness, ReferenceTransport, provider

__all__ = ["MUTANTS", "ODD", "Harness"]


async def _factory(context: Any) -> Any:
    return ReferenceTransport(context)


class TaskInFactory(ReferenceTransport):
    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.early = asyncio.get_running_loop().create_task(asyncio.sleep(3600), name="early")

    async def aclose(self) -> None:
        self.early.cancel()
        await super().aclose()


class NoName(ReferenceTransport):
    def opened(self) -> Opened:
        return evolve(super().opened(), session_id="")


class StartsTwice(ReferenceTransport):
    async def start(self, request: Any) -> Opened:
        await super().start(request)
        await self.aclose()
        self.closed = False
        self.queue = asyncio.Queue()
        return await super().start(request)


class Trims(ReferenceTransport):
    def hear(self, chat: Chat, text: str) -> None:
        super().hear(chat, " ".join(text.split()))


class DropsEqualTexts(ReferenceTransport):
    last = ""

    def hear(self, chat: Chat, text: str) -> None:
        if text != self.last:
            super().hear(chat, text)
        self.last = text


class Escapes(ReferenceTransport):
    def batch(self, events: tuple[Event, ...]) -> Batch:
        return super().batch(tuple(map(self.escaped, events)))

    def escaped(self, event: Event) -> Event:
        if isinstance(event, MessageReceived) and not event.own:
            return evolve(event, text=event.text.replace("&", "&amp;").replace("<", "&lt;"))
        return event


class Doubles(ReferenceTransport):
    def arrived(self, event: Event | None) -> None:
        super().arrived(event)
        if event is not None:
            super().arrived(event)


class NothingIsOwn(ReferenceTransport):
    def batch(self, events: tuple[Event, ...]) -> Batch:
        return super().batch(tuple(evolve(event, own=False) for event in events))


class AllIsOwn(ReferenceTransport):
    """Knows no party: what is heard while a message is on its way is taken for it."""

    def arrived(self, event: Event | None) -> None:
        own = isinstance(event, MessageReceived) and event.text == "of the agent"
        super().arrived(evolve(event, own=True) if own and event is not None else event)


class NaiveTimes(ReferenceTransport):
    def batch(self, events: tuple[Event, ...]) -> Batch:
        return super().batch(
            tuple(evolve(event, timestamp=event.timestamp and event.timestamp.replace(tzinfo=None)) for event in events)
        )


class YieldsEvents(ReferenceTransport):
    async def incoming(self) -> AsyncIterator[Any]:
        async for item in super().incoming():
            yield item
            if isinstance(item, Batch) and item.events and isinstance(item.events[0], MessageReceived):
                yield item.events[0]


class CountsFromZero(ReferenceTransport):
    def arrived(self, event: Event | None) -> None:
        super().arrived(None if event is None else evolve(event, index=(event.index or 0) - 2))


class NextPositionIsTheLast(ReferenceTransport):
    def batch(self, events: tuple[Event, ...]) -> Batch:
        return evolve(super().batch(events), next_position=len(self.chat.events) if self.chat else None)


class NoNextPosition(ReferenceTransport):
    async def fetch(self, position: int) -> Batch:
        return evolve(await super().fetch(position), next_position=None)


class BackToFront(ReferenceTransport):
    async def fetch(self, position: int) -> Batch:
        batch = await super().fetch(position)
        return evolve(batch, events=batch.events[::-1])


class LeavesOwnOut(ReferenceTransport):
    async def fetch(self, position: int) -> Batch:
        batch = await super().fetch(position)
        return evolve(batch, events=tuple(one for one in batch.events if not one.own or one.index == 1))


class OtherIndexes(ReferenceTransport):
    """Numbers what arrives by itself, one beside the transcript."""

    def arrived(self, event: Event | None) -> None:
        super().arrived(None if event is None else evolve(event, index=(event.index or 0) + 1))


class FetchesAll(ReferenceTransport):
    async def fetch(self, position: int) -> Batch:
        return await super().fetch(1)


class EndIsRefused(ReferenceTransport):
    async def fetch(self, position: int) -> Batch:
        batch = await super().fetch(position)
        if not batch.events:
            raise RefusedError("nothing there")
        return batch


class LinkFirst(ReferenceTransport):
    async def send(self, command: Any) -> Reply:
        await self.reach()
        return await super().send(command)


class TakesEverything(ReferenceTransport):
    async def send(self, command: Any) -> Reply:
        return await super().send(command) if self.supports(command) else Reply()


class NoTyping(ReferenceTransport):
    def supports(self, command: Any) -> bool:
        return isinstance(command, SendMessageCommand) or type(command).__name__ == "LeaveCommand"


class ReturnsNothing(ReferenceTransport):
    async def send(self, command: Any) -> Any:
        reply = await super().send(command)
        return None if type(command).__name__ == "TypingCommand" else reply


class OnlyGoes(ReferenceTransport):
    def leave(self, chat: Chat) -> None:
        pass


class SavesAFloat(ReferenceTransport):
    def saved(self) -> Mapping[str, Any]:
        return {**super().saved(), "position": float("inf")}


class NewName(ReferenceTransport):
    async def resume(self, saved: Any) -> Opened:
        return evolve(await super().resume(saved), session_id="another")


class StartsAnew(ReferenceTransport):
    async def resume(self, saved: Any) -> Opened:
        opened = await super().resume(saved)
        self.network.chats.insert(0, Chat())
        return opened


class DeafAfterResume(ReferenceTransport):
    async def resume(self, saved: Any) -> Opened:
        opened = await super().resume(saved)
        assert self.chat is not None
        self.chat.listeners.remove(self.arrived)
        return opened


class NoTranscript(ReferenceTransport):
    async def resume(self, saved: Any) -> Opened:
        return evolve(await super().resume(saved), batch=Batch())


class OneQueue(ReferenceTransport):
    """Keeps what arrives in its class, for all instances."""

    seen: list[ReferenceTransport] = []  # noqa: RUF012 - that is what is wrong

    def arrived(self, event: Event | None) -> None:
        super().arrived(event)
        for other in self.seen:
            if other is not self and other.network is self.network and not other.closed:
                other.queue.put_nowait(Batch(events=() if event is None else (event,)))

    def open(self, chat: Chat) -> None:
        self.seen.append(self)
        super().open(chat)


class HoldsTheLoop(ReferenceTransport):
    def hear(self, chat: Chat, text: str) -> None:
        if text == "Hello":
            time.sleep(0.12)
        super().hear(chat, text)


class StartLetsNotSentOut(ReferenceTransport):
    async def start(self, request: Any) -> Opened:
        try:
            return await super().start(request)
        except ConnectError as error:
            raise NotSentError("no link") from error


class StartLetsOSErrorOut(ReferenceTransport):
    async def start(self, request: Any) -> Opened:
        try:
            return await super().start(request)
        except ConnectError as error:
            raise ConnectionRefusedError(111, "refused") from error


class StartsLater(ReferenceTransport):
    """Goes on trying after it said that the server cannot be reached."""

    async def start(self, request: Any) -> Opened:
        try:
            return await super().start(request)
        except ConnectError:
            self.network.changed.append(lambda: self.network.chats.append(Chat()))
            raise


class NoCode(ReferenceTransport):
    def refusal(self, code: int) -> Exception:
        return RefusedError("not now", code=0 if code == 161 else code)


class RefusalIsAProtocolError(ReferenceTransport):
    def refusal(self, code: int) -> Exception:
        return ProtocolError("HTTP 400") if code == 161 else super().refusal(code)


class JustRefused(ReferenceTransport):
    def unknown(self) -> Exception:
        return RefusedError("no such chat")


class UnknownIsOutOfReach(ReferenceTransport):
    def unknown(self) -> Exception:
        return ConnectError("no such chat")


class OutOfReachIsUnknown(ReferenceTransport):
    async def resume(self, saved: Any) -> Opened:
        try:
            return await super().resume(saved)
        except ConnectError as error:
            raise RefusedError("no such chat", session_unknown=True) from error


class OverIsNotSaid(ReferenceTransport):
    def opened(self) -> Opened:
        return evolve(super().opened(), ended=None)


class RefusalIsAmbiguous(ReferenceTransport):
    def refusal(self, code: int) -> Exception:
        return AmbiguousError("HTTP 400", code=code) if code == 247 else super().refusal(code)


class RefusalWithoutCode(ReferenceTransport):
    def refusal(self, code: int) -> Exception:
        return RefusedError("not now", code=1 if code == 247 else code)


class RefusalEndsTheChat(ReferenceTransport):
    refused = False

    def refusal(self, code: int) -> Exception:
        self.refused = code == 247
        return super().refusal(code)

    def check(self) -> Chat:
        if self.refused:
            raise NotSentError("refused before")
        return super().check()


class Sends(ReferenceTransport):
    """Sends later what it said that it could not send."""

    async def send(self, command: Any) -> Reply:
        try:
            return await super().send(command)
        except NotSentError:
            if isinstance(command, SendMessageCommand) and not self.closed and self.chat is not None:
                self.hear(self.chat, command.text)
            raise


class UnsentIsAmbiguous(ReferenceTransport):
    async def send(self, command: Any) -> Reply:
        try:
            return await super().send(command)
        except NotSentError as error:
            raise NotSentError("closed") if self.closed else AmbiguousError("perhaps") from error


class UnsentIsAnOSError(ReferenceTransport):
    async def send(self, command: Any) -> Reply:
        try:
            return await super().send(command)
        except NotSentError as error:
            raise NotSentError("closed") if self.closed else OSError("no route") from error


class LostIsNotSent(ReferenceTransport):
    def lost(self, chat: Chat, text: str) -> Exception:
        return NotSentError("the connection broke")


class LostIsTaken(ReferenceTransport):
    async def deliver(self, chat: Chat, command: Any) -> Reply:
        try:
            return await super().deliver(chat, command)
        except AmbiguousError:
            return Reply()


class Repeats(ReferenceTransport):
    def lost(self, chat: Chat, text: str) -> Exception:
        self.hear(chat, text)
        return super().lost(chat, text)


class SilentBreak(ReferenceTransport):
    def put(self, item: Any) -> None:
        if not isinstance(item, LinkDown | LinkUp):
            super().put(item)


class DownTwice(ReferenceTransport):
    def put(self, item: Any) -> None:
        super().put(item)
        if isinstance(item, LinkDown):
            super().put(item)


class NeverBack(ReferenceTransport):
    def put(self, item: Any) -> None:
        if not isinstance(item, LinkUp):
            super().put(item)


class DeafAfterTheBreak(ReferenceTransport):
    def down(self) -> Any:
        assert self.chat is not None
        if self.arrived in self.chat.listeners:
            self.chat.listeners.remove(self.arrived)
            self.chat.listeners.append(self.only_the_end)
        return super().down()

    def only_the_end(self, event: Event | None) -> None:
        if event is None:
            self.arrived(None)


class Forgets(ReferenceTransport):
    """Its transcript is what it has seen itself."""

    async def fetch(self, position: int) -> Batch:
        batch = await super().fetch(position)
        return evolve(
            batch, events=tuple(one for one in batch.events if getattr(one, "text", "") != "during the break")
        )


class EndsTwice(ReferenceTransport):
    async def incoming(self) -> AsyncIterator[Any]:
        async for item in super().incoming():
            yield item
            if isinstance(item, Ended):
                yield item


class EndsWithoutAWord(ReferenceTransport):
    async def incoming(self) -> AsyncIterator[Any]:
        async for item in super().incoming():
            if not isinstance(item, Ended):
                yield item


class GoesOnAfterTheEnd(ReferenceTransport):
    async def incoming(self) -> AsyncIterator[Any]:
        async for item in super().incoming():
            yield item
        if self.ended:
            await asyncio.Event().wait()


class EndBreaks(ReferenceTransport):
    async def incoming(self) -> AsyncIterator[Any]:
        async for item in super().incoming():
            yield item
            if isinstance(item, Ended):
                raise ProtocolError("nothing more")


class ClosesOnce(ReferenceTransport):
    async def aclose(self) -> None:
        if self.closed:
            raise NotSentError("closed already")
        await super().aclose()


class ClosesOnlyWhatIsOpen(ReferenceTransport):
    async def aclose(self) -> None:
        self.keeper.cancel()  # type: ignore[union-attr]
        await super().aclose()


class WaitsForTheLink(ReferenceTransport):
    async def aclose(self) -> None:
        while not self.network.up:
            await asyncio.sleep(0.01)
        await super().aclose()


class GoesOnWaiting(ReferenceTransport):
    def finish(self) -> None:
        self.closed = True


class BreaksOff(ReferenceTransport):
    async def incoming(self) -> AsyncIterator[Any]:
        async for item in super().incoming():
            yield item
        if self.closed:
            raise NotSentError("closed")


class LeavesATask(ReferenceTransport):
    async def aclose(self) -> None:
        self.keeper = None
        await super().aclose()


class LeavesASocket(ReferenceTransport):
    kept: list[Any] = []  # noqa: RUF012 - that is what is wrong

    def open(self, chat: Chat) -> None:
        super().open(chat)
        self.kept.append(socket.socket())

    @classmethod
    def close_all(cls) -> None:
        while cls.kept:
            cls.kept.pop().close()


class LeavesTheChat(ReferenceTransport):
    async def aclose(self) -> None:
        if not self.closed and self.chat is not None and any(one.own for one in self.chat.events[1:]):
            self.chat.over = True
        await super().aclose()


class SendsAfterClosing(ReferenceTransport):
    def check(self) -> Chat:
        assert self.chat is not None
        return self.chat


class RefusesAfterClosing(ReferenceTransport):
    def check(self) -> Chat:
        if self.closed:
            raise ProtocolError("closed")
        return super().check()


class SwallowsCancellation(ReferenceTransport):
    async def start(self, request: Any) -> Opened:
        try:
            return await super().start(request)
        except asyncio.CancelledError:
            raise ConnectError("cancelled") from None


class StartLeavesATask(ReferenceTransport):
    async def start(self, request: Any) -> Opened:
        self.trying = asyncio.get_running_loop().create_task(asyncio.sleep(3600), name="trying")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        opened = await super().start(request)
        self.trying.cancel()
        return opened


class StartIsShielded(ReferenceTransport):
    async def start(self, request: Any) -> Opened:
        while True:
            try:
                await asyncio.sleep(0.0)
                return await super().start(request)
            except asyncio.CancelledError:
                await asyncio.sleep(3600)


class SendBreaksAtCancellation(ReferenceTransport):
    broken = False

    async def send(self, command: Any) -> Reply:
        try:
            return await super().send(command)
        except asyncio.CancelledError:
            self.broken = True
            raise

    def check(self) -> Chat:
        if self.broken:
            raise NotSentError("a send was interrupted")
        return super().check()


class SwallowsCancelledSend(ReferenceTransport):
    async def send(self, command: Any) -> Reply:
        try:
            return await super().send(command)
        except asyncio.CancelledError:
            raise AmbiguousError("interrupted") from None


class SavesCredentials(ReferenceTransport):
    def saved(self) -> Mapping[str, Any]:
        return {**super().saved(), "headers": dict(self.context.options.headers)}


class ShowsItself(ReferenceTransport):
    def __repr__(self) -> str:
        return f"<transport {self.chat.key if self.chat else None}>"


class LogsTexts(ReferenceTransport):
    def hear(self, chat: Chat, text: str) -> None:
        line = f"sending {text}"
        self.log.info(line)
        super().hear(chat, text)


class QuotesInErrors(ReferenceTransport):
    def lost(self, chat: Chat, text: str) -> Exception:
        error = super().lost(chat, text)
        error.__cause__ = ValueError(f"no answer to {text}")
        return error


class LogsAtDebug(ReferenceTransport):
    def hear(self, chat: Chat, text: str) -> None:
        logging.getLogger("library").debug("> %s", text)
        super().hear(chat, text)


class CancelsItself(ReferenceTransport):
    def lost(self, chat: Chat, text: str) -> Exception:
        return asyncio.CancelledError()  # type: ignore[return-value]


# Odd ones


class NoPositions(ReferenceTransport):
    """No indexes, no transcript: what was missed is missed."""

    def batch(self, events: tuple[Event, ...]) -> Batch:
        return Batch(events=tuple(evolve(event, index=None, timestamp=None) for event in events))

    async def fetch(self, position: int) -> Batch:
        raise RefusedError("there is no transcript")

    def opened(self) -> Opened:
        return evolve(super().opened(), batch=Batch())

    def supports(self, command: Any) -> bool:
        return type(command).__name__ in {"SendMessageCommand", "LeaveCommand"}


class Slow(ReferenceTransport):
    async def reach(self) -> None:
        await asyncio.sleep(0.01)
        await super().reach()


class InReplies(ReferenceTransport):
    """What a message brought along comes with its reply as well as with the next delivery."""

    async def deliver(self, chat: Chat, command: Any) -> Reply:
        reply = await super().deliver(chat, command)
        return evolve(reply, batch=self.batch(tuple(chat.events[-1:])))


class Chatty(ReferenceTransport):
    """Empty batches now and then, several events at a time, and again what was there before."""

    def arrived(self, event: Event | None) -> None:
        self.put(Batch())
        super().arrived(event)


class Restless(ReferenceTransport):
    """Sleeps between everything it does."""

    async def incoming(self) -> AsyncIterator[Any]:
        async for item in super().incoming():
            await asyncio.sleep(0.001)
            yield item


class OverIsUnknown(ReferenceTransport):
    """Its server forgets a chat as soon as that is over."""

    async def resume(self, saved: Any) -> Opened:
        opened = await super().resume(saved)
        if opened.ended is not None:
            raise self.unknown()
        return opened


def _mutant(name: str, factory: Any, fails: dict[str, str], hangs: bool = False, **more: Any) -> Mutant:
    return Mutant(name=name, subject=provider(factory, **more), fails=fails, hangs=hangs)


def _odd(name: str, factory: Any, **more: Any) -> Odd:
    return Odd(name=name, subject=provider(factory, **more))


MUTANTS = [
    _mutant(
        "the factory is async",
        _factory,
        {
            "TR-001": "the factory returned a coroutine, which lacks",
            "TR-003": "AttributeError came out: 'coroutine' object has",
            "TR-004": "AttributeError came out: 'coroutine' object has",
            "TR-005": "AttributeError came out: 'coroutine' object has",
            "TR-006": "AttributeError came out: 'coroutine' object has",
            "TR-007": "AttributeError came out: 'coroutine' object has",
            "TR-008": "AttributeError came out: 'coroutine' object has",
            "TR-009": "AttributeError came out: 'coroutine' object has",
            "TR-010": "AttributeError came out: 'coroutine' object has",
            "TR-011": "AttributeError came out: 'coroutine' object has",
            "TR-012": "AttributeError came out: 'coroutine' object has",
            "TR-013": "AttributeError came out: 'coroutine' object has",
            "TR-014": "AttributeError came out: 'coroutine' object has",
            "TR-015": "AttributeError came out: 'coroutine' object has",
            "TR-016": "AttributeError came out: 'coroutine' object has",
            "TR-017": "AttributeError came out: 'coroutine' object has",
            "TR-018": "AttributeError came out: 'coroutine' object has",
            "TR-019": "AttributeError came out: 'coroutine' object has",
            "TR-020": "AttributeError came out: 'coroutine' object has",
            "TR-021": "AttributeError came out: 'coroutine' object has",
            "TR-022": "AttributeError came out: 'coroutine' object has",
            "TR-023": "AttributeError came out: 'coroutine' object has",
            "TR-024": "AttributeError came out: 'coroutine' object has",
            "TR-025": "AttributeError came out: 'coroutine' object has",
            "TR-026": "AttributeError came out: 'coroutine' object has",
            "TR-027": "AttributeError came out: 'coroutine' object has",
            "TR-028": "AttributeError came out: 'coroutine' object has",
            "TR-029": "AttributeError came out: 'coroutine' object has",
            "TR-030": "AttributeError came out: 'coroutine' object has",
            "TR-031": "AttributeError came out: 'coroutine' object has",
            "TR-032": "AttributeError came out: 'coroutine' object has",
            "TR-033": "AttributeError came out: 'coroutine' object has",
            "TR-034": "AttributeError came out: 'coroutine' object has",
            "TR-035": "AttributeError came out: 'coroutine' object has",
            "TR-036": "AttributeError came out: 'coroutine' object has",
            "TR-037": "AttributeError came out: 'coroutine' object has",
            "TR-038": "AttributeError came out: 'coroutine' object has",
            "TR-039": "AttributeError came out: 'coroutine' object has",
            "TR-040": "AttributeError came out: 'coroutine' object has",
        },
    ),
    _mutant("the factory begins a task", TaskInFactory, {"TR-002": "the factory made the task 'early' (sleep)"}),
    _mutant(
        "the chat has no name",
        NoName,
        {"TR-003": "the session_id is ''", "TR-017": "two chats have the same session_id"},
    ),
    _mutant(
        "every start opens two chats",
        StartsTwice,
        {"TR-003": "one start opened 2 chats", "TR-015": "resume opened a new chat: there are 2"},
    ),
    _mutant("blanks and line ends are made one", Trims, {"TR-004": "the server did not hear ['Hello', 'quotes \" \\'"}),
    _mutant(
        "a message with the text of the last one is left out",
        DropsEqualTexts,
        {"TR-004": "the server did not hear ['Hello', 'quotes \" \\'"},
    ),
    _mutant(
        "what the agent says is escaped", Escapes, {"TR-005": "what came out is ['Hello', 'quotes \" \\' and \\\\"}
    ),
    _mutant("everything comes out twice", Doubles, {"TR-005": "what came out is ['Hello', 'Hello', 'quotes \""}),
    _mutant("nothing is own", NothingIsOwn, {"TR-006": "the visitor's message is not said to be the"}),
    _mutant("the agent's message is own", AllIsOwn, {"TR-006": "the agent's message is said to be the visitor's"}),
    _mutant("times have no time zone", NaiveTimes, {"TR-007": "the timestamp of a ParticipantJoined is"}),
    _mutant("events come out beside the batches", YieldsEvents, {"TR-007": "incoming yielded a MessageReceived"}),
    _mutant(
        "indexes count from zero",
        CountsFromZero,
        {"TR-007": "the index of a MessageReceived is 0", "TR-009": "the MessageReceived at 0 came out and is not in"},
    ),
    _mutant(
        "next_position is the last index",
        NextPositionIsTheLast,
        {"TR-008": "next_position is 4, and the transcript has an"},
    ),
    _mutant(
        "fetch does not say how far it goes",
        NoNextPosition,
        {
            "TR-008": "the transcript does not say its next_position,",
            "TR-010": "the transcript does not say its next_position",
        },
    ),
    _mutant(
        "the transcript is back to front",
        BackToFront,
        {
            "TR-008": "the indexes of the transcript are [4, 3, 2, 1]",
            "TR-009": "the messages of the transcript are ['three',",
            "TR-016": "resume brought the indexes [1, 2, 3, 4], and",
        },
    ),
    _mutant(
        "the transcript lacks the visitor's messages",
        LeavesOwnOut,
        {
            "TR-009": "the messages of the transcript are ['one',",
            "TR-016": "resume brought the indexes [1, 2, 3, 4], and",
        },
    ),
    _mutant(
        "events have other indexes than in the transcript",
        OtherIndexes,
        {"TR-009": "the event at 3 came out as", "TR-029": "after LinkUp fetch(4) returned the texts []"},
    ),
    _mutant(
        "fetch always returns everything", FetchesAll, {"TR-010": "fetch(2) returned the indexes [1, 2, 3, 4], and"}
    ),
    _mutant(
        "fetch beyond the end is an error", EndIsRefused, {"TR-010": "fetch(5) raised RefusedError: nothing there"}
    ),
    _mutant(
        "undeclared commands need a link to be refused", LinkFirst, {"TR-011": "set-user-data is not declared, and a"}
    ),
    _mutant(
        "undeclared commands are taken and nothing is done",
        TakesEverything,
        {"TR-011": "set-user-data is not declared, and a"},
    ),
    _mutant("typing is declared and refused", NoTyping, {"TR-012": "sending a TypingCommand, which is declared,"}),
    _mutant("typing returns nothing", ReturnsNothing, {"TR-012": "sending a TypingCommand, which is declared,"}),
    _mutant("leaving does not end the chat", OnlyGoes, {"TR-013": "the visitor left, and the chat was not over on"}),
    _mutant("infinity is saved", SavesAFloat, {"TR-014": "saved returned what is no JSON: Out of range"}),
    _mutant("a chat that is taken up gets another name", NewName, {"TR-015": "and is 'another'"}),
    _mutant("taking a chat up opens another one", StartsAnew, {"TR-015": "resume opened a new chat: there are 2"}),
    _mutant(
        "nothing comes out after a chat was taken up",
        DeafAfterResume,
        {"TR-015": "after resume the agent's message did not come"},
    ),
    _mutant(
        "a chat is taken up without its transcript", NoTranscript, {"TR-016": "resume brought the indexes [], and the"}
    ),
    _mutant(
        "what arrives goes to every instance", OneQueue, {"TR-017": "a message of one chat came out of another one's"}
    ),
    _mutant("sending holds the event loop for 0.12 s", HoldsTheLoop, {"TR-018": "the event loop was held for"}),
    _mutant(
        "start raises NotSentError", StartLetsNotSentOut, {"TR-019": "the server cannot be reached, and start raised"}
    ),
    _mutant(
        "start lets an OSError out", StartLetsOSErrorOut, {"TR-019": "start let ConnectionRefusedError out, which is"}
    ),
    _mutant(
        "start goes on trying after it has failed",
        StartsLater,
        {"TR-019": "start raised ConnectError and opened a chat"},
    ),
    _mutant("a refused start loses the code", NoCode, {"TR-020": "the server refused with 161, and the error's"}),
    _mutant(
        "a refused start is a ProtocolError",
        RefusalIsAProtocolError,
        {"TR-020": "the server refused, and start raised"},
    ),
    _mutant("an unknown chat is a plain refusal", JustRefused, {"TR-021": "the server does not know the chat, and"}),
    _mutant(
        "an unknown chat is a ConnectError",
        UnknownIsOutOfReach,
        {"TR-021": "the server does not know the chat, and resume"},
    ),
    _mutant(
        "a chat out of reach is unknown",
        OutOfReachIsUnknown,
        {"TR-022": "the server cannot be reached, and resume raised"},
    ),
    _mutant(
        "a chat that is over is taken up as if it were not",
        OverIsNotSaid,
        {"TR-023": "the chat is over, and ended is not set"},
    ),
    _mutant(
        "a refused message is ambiguous",
        RefusalIsAmbiguous,
        {"TR-024": "the server refused a message, and send raised"},
    ),
    _mutant(
        "a refused message loses the code",
        RefusalWithoutCode,
        {"TR-024": "the server refused with 247, and the error's"},
    ),
    _mutant(
        "a refused message ends the sending",
        RefusalEndsTheChat,
        {"TR-024": "sending a message raised NotSentError: refused"},
    ),
    _mutant("a message that was not sent is sent later", Sends, {"TR-025": "a message that was not sent, by its"}),
    _mutant(
        "a message that was not sent is ambiguous", UnsentIsAmbiguous, {"TR-025": "there is no link, and send raised"}
    ),
    _mutant(
        "a message that was not sent is an OSError",
        UnsentIsAnOSError,
        {
            "TR-025": "sending a message let OSError out, which is no",
            "TR-039": "sending a message let OSError out, which is no",
            "TR-040": "sending a message let OSError out, which is no",
        },
    ),
    _mutant("a lost answer is NotSentError", LostIsNotSent, {"TR-026": "the answer was lost, and send raised"}),
    _mutant("a lost answer is success", LostIsTaken, {"TR-026": "the answer was lost, and send did not fail"}),
    _mutant("a lost answer makes it send again", Repeats, {"TR-026": "a message whose answer was lost was sent by"}),
    _mutant(
        "a lost answer cancels it",
        CancelsItself,
        {
            "TR-026": "sending a message gave up in the middle: it",
            "TR-039": "sending a message gave up in the middle: it",
            "TR-040": "sending a message gave up in the middle: it",
        },
    ),
    _mutant(
        "the link breaks without a word",
        SilentBreak,
        {
            "TR-025": "the network was cut, and no LinkDown came out",
            "TR-027": "the network was cut, and no LinkDown came out",
            "TR-028": "the network was cut, and no LinkDown came out",
            "TR-029": "the network was cut, and no LinkDown came out",
            "TR-033": "the network was cut, and no LinkDown came out",
        },
    ),
    _mutant("the link breaks twice", DownTwice, {"TR-027": "LinkDown and LinkUp do not take turns:"}),
    _mutant(
        "the link is never said to be back",
        NeverBack,
        {
            "TR-027": "the network was mended, and no LinkUp came out",
            "TR-028": "the network was mended, and no LinkUp came out",
            "TR-029": "the network was mended, and no LinkUp came out",
        },
    ),
    _mutant(
        "nothing comes out after the link was down",
        DeafAfterTheBreak,
        {"TR-028": "after LinkUp the agent's message did not come"},
    ),
    _mutant("the transcript lacks what was missed", Forgets, {"TR-029": "after LinkUp fetch(3) returned the texts []"}),
    _mutant("the end comes twice", EndsTwice, {"TR-030": "of 3 items Ended stands at [1, 2]"}),
    _mutant("the end comes without Ended", EndsWithoutAWord, {"TR-030": "of 1 items Ended stands at []"}),
    _mutant(
        "incoming goes on after the end", GoesOnAfterTheEnd, {"TR-030": "the chat is over, and incoming did not end"}
    ),
    _mutant("incoming raises after the end", EndBreaks, {"TR-030": "incoming raised ProtocolError"}),
    _mutant("a second aclose raises", ClosesOnce, {"TR-031": "aclose raised NotSentError"}),
    _mutant(
        "aclose before start raises",
        ClosesOnlyWhatIsOpen,
        {"TR-031": "aclose raised AttributeError", "TR-036": "aclose raised AttributeError"},
    ),
    _mutant(
        "aclose waits for the link",
        WaitsForTheLink,
        {
            "TR-031": "aclose did not return within 0.3 s",
            "TR-033": "aclose did not return within 0.3 s",
            "TR-039": "aclose did not return within 0.3 s",
            "TR-040": "aclose did not return within 0.3 s",
        },
        hangs=True,
    ),
    _mutant(
        "aclose does not end incoming", GoesOnWaiting, {"TR-032": "the transport was closed, and incoming did not"}
    ),
    _mutant("incoming raises after aclose", BreaksOff, {"TR-032": "incoming raised NotSentError when the transport"}),
    _mutant(
        "aclose leaves a task",
        LeavesATask,
        {
            "TR-033": "after aclose there is left: the task 'keeper'",
            "TR-036": "after a start that was cancelled and aclose",
            "TR-037": "after a send that was cancelled and aclose",
        },
    ),
    _mutant(
        "aclose leaves a socket",
        LeavesASocket,
        {
            "TR-033": "after aclose there is left: 1 sockets",
            "TR-036": "after a start that was cancelled and aclose",
            "TR-037": "after a send that was cancelled and aclose",
        },
    ),
    _mutant(
        "aclose leaves the chat",
        LeavesTheChat,
        {"TR-015": "a chat that goes on is said to be over", "TR-034": "aclose ended the chat on the server"},
    ),
    _mutant("messages are sent after aclose", SendsAfterClosing, {"TR-035": "send after aclose did not fail"}),
    _mutant(
        "sending after aclose is a ProtocolError",
        RefusesAfterClosing,
        {"TR-035": "send after aclose raised ProtocolError('closed')"},
    ),
    _mutant(
        "a cancelled start is a ConnectError",
        SwallowsCancellation,
        {"TR-036": "start was cancelled, and raised ConnectError in"},
    ),
    _mutant(
        "a cancelled start leaves a task", StartLeavesATask, {"TR-036": "after a start that was cancelled and aclose"}
    ),
    _mutant("a cancelled start goes on", StartIsShielded, {"TR-036": "start was cancelled and goes on"}),
    _mutant(
        "a cancelled send breaks the sending", SendBreaksAtCancellation, {"TR-037": "no message can be sent any more:"}
    ),
    _mutant(
        "a cancelled send is ambiguous",
        SwallowsCancelledSend,
        {"TR-037": "send was cancelled, and raised AmbiguousError"},
    ),
    _mutant("the caller's headers are saved", SavesCredentials, {"TR-038": "saved holds a header"}),
    _mutant(
        "the repr shows the key",
        ShowsItself,
        {
            "TR-039": "key 1 of the server can be read in what it",
            "TR-040": "key 1 of the server can be read in what it, or",
        },
    ),
    _mutant(
        "texts are logged",
        LogsTexts,
        {
            "TR-039": "a message sent can be read in what it logs,",
            "TR-040": "a message sent can be read in what it, or a",
        },
    ),
    _mutant(
        "an error's cause quotes the message",
        QuotesInErrors,
        {
            "TR-039": "a message sent can be read in what it logs,",
            "TR-040": "a message sent can be read in what it, or a",
        },
    ),
    _mutant("a library logs texts at DEBUG", LogsAtDebug, {"TR-040": "a message sent can be read in what it, or a"}),
]

ODD = [
    _odd("no indexes and no transcript", NoPositions, capabilities=frozenset({Capability.PUSH})),
    _odd("slow", Slow),
    _odd("replies bring events that are delivered as well", InReplies),
    _odd("empty batches", Chatty),
    _odd("incoming takes a while", Restless),
    _odd("its server forgets a chat that is over", OverIsUnknown),
    _odd("no options of its own", ReferenceTransport, options=None, capabilities=CAPABILITIES | {"x-emoji"}),
]
