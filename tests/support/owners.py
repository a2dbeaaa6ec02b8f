"""One chat and the processes that own it one after the other, each of which ends in a way that a seed decides.

Smaller and quicker than ``simulation``: no network, no server but a fake one, and all that is hard about the end of an
owner: a disk that is slow, full or does not answer, withdrawals, a server that counts anew, several endings at once.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
from collections.abc import Coroutine, Mapping
from typing import Any

from attrs import Factory, define, evolve

from chat_core import (
    AmbiguousError,
    ChatError,
    ErrorReported,
    Event,
    NotSentError,
    Receipt,
    SessionEndedError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_core._session.session import Session, save_first_state
from chat_core._session.state import SavedState
from chat_core._storages.runner import StorageRunner
from support.backend import Backend, FakeTransport
from support.clock import VirtualLoop
from support.lives import KEEPS
from support.sessions import MemoryLog, open_session

__all__ = ["BrokenPromiseError", "play"]

#: Events before anything happens, so that a server that counts anew shows it.
PAST = 60
#: The time of day at which a virtual clock shows 0.
EPOCH = 1.7e9


class BrokenPromiseError(AssertionError):
    """Something was told that is not so, or was left behind."""


class Chat(Backend):
    """Remembers each message that the server ever took, and wherever it stood."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []
        self.places: set[tuple[int | None, str]] = set()

    def visitor_says(self, text: str, *, push: bool = True) -> Event:
        event = super().visitor_says(text, push=push)
        self.taken.append(text)
        self.places.add((event.index, text))
        return event

    def count_anew(self, kept: int) -> None:
        """Keep the last events, and number them from 1."""
        self.transcript = [evolve(event, index=place) for place, event in enumerate(self.transcript[-kept:], 1)]
        self.places |= {(event.index, getattr(event, "text", "")) for event in self.transcript}


@define(eq=False)
class Disk:
    """A storage with trouble of its own."""

    chance: random.Random
    state: Any = None
    #: Seconds for a write, at most.
    slowness: float = 0.0
    #: What happens to a write, and how often: ``full``, ``no answer, not written``, ``no answer, written``.
    trouble: tuple[str, ...] = ()
    share: float = 0.0
    alive: bool = True

    async def read(self) -> Any:
        return self.state

    async def write(self, state: Mapping[str, Any] | None) -> None:
        await asyncio.sleep(self.chance.random() * self.slowness)
        what = self.chance.choice(self.trouble) if self.trouble and self.chance.random() < self.share else ""
        if what == "full":
            raise StorageUnavailableError("the disk is gone")
        if self.alive and what != "no answer, not written":
            self.state = json.loads(json.dumps(state))
        if what:
            raise StorageTimeoutError("it did not answer")


@define(eq=False)
class _Owner:
    """One process: what it sent, and what it was told of that."""

    session: Session
    transport: FakeTransport
    log: MemoryLog
    reading: asyncio.Task[None]
    sends: dict[str, asyncio.Future[Receipt]] = Factory(dict)
    receipts: dict[str, Receipt] = Factory(dict)


class _Story:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.chat = Chat()
        self.disk = Disk(self.chance)
        self.told: dict[str, str] = {}
        self.reported = 0
        self.left = False
        self.numbers = 0
        self.counted_anew = False
        self.complaints: list[str] = []

    # One owner after the other

    async def own(self, *, last: bool = False) -> None:
        """Take the chat up, or start it; do this and that, and end."""
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.complaints.append(str(context)))
        self.disk.trouble, self.disk.slowness, self.disk.alive = (), 0.0, True
        if self.chat.over:
            return
        owner = await self._begin()
        if last:
            await self._rest(owner)
            return
        self.disk.slowness = self.chance.choice([0.0, 0.0, 0.05, 0.3, 1.0, 3.0])
        for _ in range(self.chance.randint(1, 10)):
            await self._act(owner)
            await asyncio.sleep(self.chance.choice([0, 0, 0.001, 0.005, 0.01, 0.015, 0.1, 0.25, 1, 2.2, 5]))
        if self.chance.random() < 0.4:
            await self._die(owner)
            return
        await (self._leave(owner) if self.chance.random() < 0.2 else self._detach(owner))
        await self._listen(owner)
        await self._look_round(owner)

    async def _begin(self) -> _Owner:
        self.chat.links.clear()
        log = MemoryLog()
        runner = StorageRunner(self.disk, name="disk", log=log)
        saved = await runner.read()
        state = SavedState.from_mapping(saved) if saved is not None else None
        transport = FakeTransport(self.chat)
        session = await open_session(
            transport,
            place=runner,  # type: ignore[arg-type] # what is asked of a place it can do
            log=log,
            resume=state is not None,
            storage_capabilities=KEEPS,
            restored=state is not None,
            delivered=0 if state is None else state.delivered,
            outbox=() if state is None else state.outbox,
        )
        await save_first_state(session)
        if state is None:
            for number in range(PAST):
                self.chat.agent_says(f"a{number}")
        return _Owner(session, transport, log, asyncio.ensure_future(self._read(session)))

    async def _read(self, session: Session) -> None:
        async for event in session.events():
            self.reported += isinstance(event, ErrorReported)

    async def _rest(self, owner: _Owner) -> None:
        """Let the last owner come to an end with whatever it found."""
        await asyncio.sleep(700)
        open_ones = [receipt for receipt in owner.session.outbox if receipt.state != "accepted"]
        if open_ones:
            raise BrokenPromiseError(f"open for ever: {open_ones}")
        await owner.session.detach()

    # What it does

    async def _act(self, owner: _Owner) -> None:
        chance, transport = self.chance, owner.transport
        match chance.choices(["send", "link", "fault", "withdraw", "agent", "anew", "disk"], [45, 10, 17, 8, 4, 6, 10])[
            0
        ]:
            case "send":
                for _ in range(chance.choice([1, 1, 1, 3])):
                    await self._send(owner)
            case "link":
                (transport.cut if transport.up else transport.mend)()
            case "fault" if chance.random() < 0.7:
                transport.faults.append((chance.choice(["before", "after"]), AmbiguousError("no answer")))
            case "fault":
                error = NotSentError("too many", retry_after=chance.choice([None, 0, 0.3]))
                transport.faults.append(("before", error))
            case "withdraw" if owner.sends:
                chance.choice(list(owner.sends.values())).cancel()
            case "agent":
                self.chat.agent_says("text")
            case "anew" if len(self.chat.transcript) > PAST / 2:
                # With enough said before, what is said after it cannot hide it.
                self.counted_anew = True
                self.chat.count_anew(chance.randint(1, 3))
                if chance.random() < 0.7:
                    self.chat.agent_says("anew", push=chance.random() < 0.5)
            case "disk":
                kinds = ["full", "no answer, not written", "no answer, written"]
                self.disk.trouble = tuple(chance.sample(kinds, chance.randint(0, 3)))
                self.disk.share = chance.random()

    async def _send(self, owner: _Owner) -> None:
        self.numbers += 1
        text = f"m{self.numbers}"
        resend: Any = self.chance.choice(["if absent", "if absent", "never"])
        owner.sends[text] = asyncio.ensure_future(owner.session.send_message(text, resend=resend))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        owner.receipts |= {receipt.text: receipt for receipt in owner.session.outbox if receipt.text == text}

    # How it ends

    async def _die(self, owner: _Owner) -> None:
        """End as ``kill -9`` does: nothing of it reaches disk or server any more."""
        self.disk.alive = False
        owner.transport.backend, owner.transport.up = Chat(), False
        self.chat.links.clear()
        for sending in owner.sends.values():
            if not sending.done():
                sending.cancel()
        await self._listen(owner)
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    async def _detach(self, owner: _Owner) -> None:
        detaching = [asyncio.ensure_future(owner.session.detach()) for _ in range(self.chance.choice([1, 1, 2]))]
        await asyncio.sleep(self.chance.choice([0, 0, 0.01, 0.1, 0.5, 1.9, 2.0]))
        match self.chance.choice(["cancel", "cut", "mend", "withdraw", "", "", "", ""]):
            case "cancel":
                detaching[0].cancel()
            case "cut":
                owner.transport.cut()
            case "mend":
                owner.transport.mend()
            case "withdraw" if owner.sends:
                self.chance.choice(list(owner.sends.values())).cancel()
        await self._ended(owner, detaching)

    async def _leave(self, owner: _Owner) -> None:
        self.left = True
        ways = self.chance.sample(
            [owner.session.leave, owner.session.detach, owner.session.aclose], self.chance.choice([1, 2, 3])
        )
        ending: list[asyncio.Future[Any]] = []
        for way in ways:
            coroutine: Coroutine[Any, Any, Any] = way()
            ending.append(asyncio.ensure_future(coroutine))
            await asyncio.sleep(self.chance.choice([0, 0, 0.01, 0.3, 1.9]))
        if self.chance.random() < 0.3:
            self.chance.choice(ending).cancel()
        await self._ended(owner, ending)

    async def _ended(self, owner: _Owner, ending: list[asyncio.Future[Any]]) -> None:
        engine = owner.session._engine
        async with asyncio.timeout(90):
            for result in await asyncio.gather(*ending, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, SessionEndedError):
                    raise BrokenPromiseError(f"RP-9: the end raised {result!r}") from result
            for task in (engine._detaching, engine._finishing):
                if task is not None:
                    await task

    # What must be true

    async def _listen(self, owner: _Owner) -> None:
        """Note what became of each message, as who sent it was told."""
        await asyncio.sleep(0)
        for text, sending in owner.sends.items():
            receipt = owner.receipts.get(text)
            try:
                async with asyncio.timeout(1):
                    receipt = await asyncio.shield(sending)
            except asyncio.CancelledError:
                # Killed, or withdrawn: then the receipt alone can be looked at.
                self.told[text] = f"cancelled, {receipt.state}" if receipt is not None else "cancelled"
            except SessionEndedError as error:
                self.told[text] = "saved" if "it is saved" in str(error) else "over"
            except ChatError as error:
                self.told[text] = type(error).__name__
            except TimeoutError:
                raise BrokenPromiseError(f"RP-4: nobody is told what became of {receipt}") from None
            else:
                self.told[text] = str(receipt.state)
            if receipt is not None and receipt.index is not None and (receipt.index, text) not in self.chat.places:
                raise BrokenPromiseError(f"RP-4: {receipt} never stood there")

    async def _look_round(self, owner: _Owner) -> None:
        await asyncio.sleep(15)
        await owner.reading
        gc.collect()
        ours = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("chat-core")]
        if ours:
            raise BrokenPromiseError(f"RP-9: tasks are left: {ours}")
        if owner.log.at("error"):
            raise BrokenPromiseError(f"an error that nobody expected: {owner.log.at('error')}")

    def check(self) -> None:
        """Compare what was told with what the server has."""
        if self.complaints:
            raise BrokenPromiseError(f"asyncio complains: {self.complaints}")
        lost = []
        for text, what in self.told.items():
            copies = self.chat.taken.count(text)
            right = {
                "accepted": copies == 1,
                "echoed": copies == 1,
                "SendExpiredError": copies == 0,
                "cancelled, expired": copies == 0,
            }.get(what, copies <= 1)
            if not right:
                raise BrokenPromiseError(f"RP-4: {text} was told as {what}, and the server took it {copies} times")
            if what == "saved" and not copies:
                lost.append(text)
        if len(lost) > self.reported and not self.left:
            raise BrokenPromiseError(f"RP-5: {lost} were saved, never sent, and only {self.reported} were reported")
        numbers = [int(text[1:]) for text in self.chat.taken]
        if numbers != sorted(numbers):
            raise BrokenPromiseError(f"RP-5: the order of the messages is {numbers}")


def play(seed: int) -> None:
    """Play the story of a seed.

    Raises:
        BrokenPromiseError: what was told of a message is not so, or something was left behind.
    """
    story = _Story(seed)
    try:
        for _ in range(story.chance.randint(1, 3)):
            _run(story.own())
        _run(story.own(last=True))
        story.check()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise


def _run(main: Coroutine[Any, Any, None]) -> None:
    loop = VirtualLoop()
    wall = time.time
    time.time = lambda: EPOCH + loop.now  # what is saved has the time of day in it
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main)
    finally:
        time.time = wall
