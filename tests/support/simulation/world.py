"""One chat from its beginning to its end, through the faults that a seed brings upon it."""

from __future__ import annotations

import asyncio
import contextvars
import math
import random
from typing import Any, Final

from attrs import Factory, define

import chat_core
from chat_core import (
    ChatError,
    ConnectionState,
    ContinuityLost,
    Event,
    MessageReceived,
    Receipt,
    SendError,
    Session,
    SessionEnded,
    SessionEndedError,
)
from chat_sandbox import Agent
from support.simulation.client import CARRIERS, SimulatedDisk, client_options, patient_sandbox
from support.simulation.loop import SeededLoop, run_seeded
from support.simulation.network import Host, Network

__all__ = ["CARRIERS", "Outcome", "ViolationError", "run_world"]

#: Virtual seconds that everything has to arrive in once the faults are over.
CALM: Final = 240.0
#: Seconds within which a dead link is found: a held connect and its answer's time on the network.
HEARTBEAT: Final = 45.0
#: Seconds for which what a reader has finished is gathered before it is written.
GATHERED: Final = 0.2
#: Seconds that half a write takes at most, in one world of three the second.
DISKS: Final = (0.005, 0.005, 0.15)

_life: contextvars.ContextVar[object] = contextvars.ContextVar("life")


class ViolationError(AssertionError):
    """A promise was broken."""


@define
class Outcome:
    """What a world came to.

    Attributes:
        story: what happened, with the virtual seconds.
        lives: how many processes held the chat, one after the other.
        faults: how many befell it.
        inbound, outbound: messages of the agent and of the visitor.
        requests: HTTP requests that the client made.
        lost: indexes that the client said it lost.
    """

    story: list[tuple[float, str]] = Factory(list)
    lives: int = 0
    faults: int = 0
    inbound: int = 0
    outbound: int = 0
    requests: int = 0
    lost: int = 0


@define(eq=False)
class _Life:
    """One process and what its reader saw."""

    host: Host
    #: When an event was handed over, and which.
    handed: list[tuple[float, Event]] = Factory(list)
    receipts: list[Receipt] = Factory(list)
    died_at: float | None = None
    #: The server did not confirm that the visitor left, so the last words may be missing.
    may_lose_the_end: bool = False
    tasks: list[asyncio.Task[Any]] = Factory(list)


class _World:
    def __init__(self, seed: int, carrier: str, *, messages: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SeededLoop)
        self.loop = loop
        self.chance = random.Random(seed * 7 + 1)
        self.carrier = carrier
        self.outcome = Outcome(inbound=messages, outbound=messages)
        self.sandbox = patient_sandbox()
        self.network = Network(lambda: self.sandbox.app, self.chance)
        self.disk: dict[str, Any] = {}
        self.slowness = self.chance.choice(DISKS)
        self.lives: list[_Life] = []
        self.said = 0
        self.agent_is_done = False
        self.talker_is_done = False
        self._created: list[tuple[object, asyncio.Task[Any]]] = []

    def tell(self, what: str) -> None:
        self.outcome.story.append((round(self.loop.time() - 1000, 3), what))

    # The client

    async def live(self, life: _Life, *, first: bool) -> Session:
        _life.set(life)
        storage = SimulatedDisk(self.disk, life.host, self.chance, self.slowness)
        options = client_options(self.carrier, self.network, life.host, storage=storage)
        while True:
            try:
                if first:
                    return await chat_core.start_session(username="Ada", **options)
                return await chat_core.restore_session(**options)
            except chat_core.NoSessionToRestore as error:
                raise ViolationError("RP-6: the chat could not be taken up") from error
            except ChatError as error:
                self.tell(f"{'start' if first else 'restore'} failed: {type(error).__name__} {error.description}")
                if first:
                    raise
                await asyncio.sleep(1.0)

    async def read(self, session: Session, life: _Life) -> None:
        async for event in session.events():
            life.handed.append((self.loop.time(), event))
            if self.chance.random() < 0.1:
                await asyncio.sleep(self.chance.uniform(0, 0.3))

    async def talk(self, session: Session, life: _Life) -> None:
        """Say 1 to n; a process that takes over goes on behind what transcript and outbox hold."""
        known = [int(receipt.text) for receipt in session.outbox]
        while True:
            try:
                known += [int(event.text) for event in await session.get_transcript() if _is_own_message(event)]
                break
            except SessionEndedError:
                return
            except ChatError:
                await asyncio.sleep(1.0)
        life.receipts.extend(session.outbox)
        saying: set[asyncio.Task[bool]] = set()
        for number in range(max(known, default=0) + 1, self.outcome.outbound + 1):
            await asyncio.sleep(self.chance.choice([0.0, 0.1, self.chance.uniform(0, 12)]))
            saying.add(asyncio.create_task(self._say(session, life, number)))
            # One who waits for each message sends no burst, and nothing is saved while something waits behind it.
            if self.chance.random() < 0.6 and not all(await asyncio.gather(*saying)):
                return
        if saying and not all(await asyncio.gather(*saying)):
            return
        for receipt in session.outbox:
            try:
                await receipt.reached("echoed")
            except (SendError, SessionEndedError) as error:
                self.tell(f"at last: {type(error).__name__}")
        self.talker_is_done = True
        self.tell("the visitor has said everything")

    async def _say(self, session: Session, life: _Life, number: int) -> bool:
        """Say one number; False when the session is over."""
        try:
            receipt = await session.send_message(str(number))
        except SessionEndedError:
            return False
        except SendError as error:
            self.tell(f"message {number}: {error.receipt.state}")
            receipt = error.receipt
        life.receipts.append(receipt)
        return True

    # The server's side

    async def converse(self, agent: Agent) -> None:
        await agent.join("Grace")
        for number in range(1, self.outcome.inbound + 1):
            await asyncio.sleep(self.chance.choice([0.0, 0.05, self.chance.uniform(0, 12)]))
            if self.chance.random() < 0.3:
                await agent.typing()
            await agent.say(f"a{number}")
            self.said = number
        self.agent_is_done = True

    # What happens to them

    async def weather(self) -> str | None:
        """Bring one fault after the other; returns how the process ends, if it does."""
        for _ in range(self.chance.randint(1, 6)):
            await asyncio.sleep(self.chance.choice([self.chance.uniform(0, 3), self.chance.uniform(0, 30)]))
            kind = self.chance.choice(_FAULTS)
            self.outcome.faults += 1
            self.tell(kind)
            if kind in {"kill", "detach"}:
                return kind
            await self.befall(kind)
        return None

    async def befall(self, kind: str) -> None:
        network, chance, faults = self.network, self.chance, self.sandbox.faults
        match kind:
            case "abort":
                network.abort()
            case "vanish":
                network.vanish()
            case "refuse":
                network.abort()
                await self._for_a_while("refusing")
            case "restart":
                network.abort()
                network.refusing = True
                await asyncio.sleep(chance.uniform(0.1, 8))
                await self.sandbox.restart()
                network.refusing = False
            case "upstream_lost" | "downstream_lost":
                await self._for_a_while(kind)
            case "forget":
                faults.forget_sessions()
            case "drop push":
                faults.drop_push(chance.randint(1, 3))
            case "double":
                faults.double_events(chance.randint(1, 3))
            case "overlap":
                faults.overlap(chance.randint(1, 3))
            case "hiccup":
                faults.hiccup(chance.randint(1, 3))
            case "http":
                status = chance.choice([429, 500, 502, 503])
                faults.answer_http(status, chance.randint(1, 3), retry_after=chance.choice([None, 1, 5]))
            case "lose answer":
                faults.lose_answer(chance.choice(["sendMessage", "requestNotifications"]))
            case "late":
                faults.delay_answer(chance.uniform(0.1, 1.5), count=2)
            case "swap" | "repeat" | "drop" | "spoil":
                setattr(network, kind, chance.randint(1, 3))
            case "slow":
                network.latency = (0.1, 1.0)
                await asyncio.sleep(chance.uniform(1, 20))
                network.latency = (0.001, 0.05)
            case "refuse websocket":
                faults.refuse_websocket = not faults.refuse_websocket
            case "fail over":
                self.sandbox.chats[0].fail_over()

    async def _for_a_while(self, switch: str) -> None:
        setattr(self.network, switch, True)
        await asyncio.sleep(self.chance.choice([self.chance.uniform(0.1, 3), self.chance.uniform(1, 60)]))
        setattr(self.network, switch, False)

    def kill(self, life: _Life) -> None:
        """End a process as ``kill -9`` does: nothing of it reaches disk or network any more."""
        life.host.alive = False
        life.died_at = self.loop.time()
        self.network.abort(host=life.host)
        for owner, task in self._created:
            if owner is life:
                task.cancel()

    def _make_task(self, loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        context = options.get("context") or contextvars.copy_context()
        self._created.append((context.get(_life), task))
        return task

    # The whole story

    async def run(self) -> Outcome:
        self.loop.set_task_factory(self._make_task)
        async with self.sandbox:
            life = self._begin_life()
            session = await asyncio.create_task(self.live(life, first=True))
            agent = await self.sandbox.next_chat()
            conversing = asyncio.create_task(self.converse(agent))
            while True:
                how = await self._through_the_weather(life, session)
                if how is None:
                    break
                life = self._begin_life()
                session = await asyncio.create_task(self.live(life, first=False))
                self.tell("restored")
            await self._calm_down(life, session)
            await conversing
            await self._end(life, session, agent)
            await self.network.stop()
        await self._check_leftovers()
        self._check()
        self.outcome.lives = len(self.lives)
        self.outcome.requests = self.network.requests
        return self.outcome

    def _begin_life(self) -> _Life:
        life = _Life(Host())
        self.lives.append(life)
        return life

    async def _through_the_weather(self, life: _Life, session: Session) -> str | None:
        async def both() -> None:
            _life.set(life)
            life.tasks = [asyncio.create_task(self.read(session, life)), asyncio.create_task(self.talk(session, life))]

        await asyncio.create_task(both())
        how = await self.weather() if len(self.lives) < 4 else None
        if how is not None and self.chance.random() < 0.5:
            await self._wait_for_an_outbox(session)
        if how == "kill":
            self.kill(life)
        elif how == "detach":
            await session.detach()
        return how

    async def _wait_for_an_outbox(self, session: Session) -> None:
        """Wait a little until messages are on their way: that is when the end of a process is most delicate."""
        until = self.loop.time() + 12.0
        while len(session.outbox) < 2 and self.loop.time() < until:
            await asyncio.sleep(0.01)
        await asyncio.sleep(self.chance.choice([0.0, self.chance.uniform(0, 0.5)]))

    async def _calm_down(self, life: _Life, session: Session) -> None:
        self.tell("calm")
        self.network.calm()
        self.sandbox.faults._rules.clear()
        began = self.loop.time()
        chat = self.sandbox.chats[0]
        while not (
            self.agent_is_done
            and self.talker_is_done
            and _last_index(life) == chat.next_position - 1
            and session.connection_state is ConnectionState.CONNECTED
            # A connection that nobody knows to be dead would swallow the farewell.
            and self.loop.time() > began + HEARTBEAT
        ):
            if self.loop.time() > began + CALM:
                raise ViolationError(
                    f"stuck: agent {self.agent_is_done}, talker {self.talker_is_done}, reader at {_last_index(life)} "
                    f"of {chat.next_position - 1}, {session.connection_state}, outbox {session.outbox}"
                )
            if session.ended is not None:
                raise ViolationError(f"RP-15: the session ended though the chat goes on: {session.ended!r}")
            await asyncio.sleep(0.5)

    async def _end(self, life: _Life, session: Session, agent: Agent) -> None:
        how = self.chance.choice(["agent", "leave", "stormy"])
        self.tell(f"the end: {how}")
        began = self.loop.time()
        if how == "agent":
            await agent.end()
        elif how == "leave":
            ended = await session.leave()
            if ended.error is not None:
                raise ViolationError(f"RP-9: the server did not confirm the leaving: {ended.error}")
        else:
            fault = asyncio.create_task(self.befall(self.chance.choice(_ANYWHERE)))
            await asyncio.sleep(self.chance.choice([0, 0, 1]))
            began = self.loop.time()
            ended = await session.leave()
            life.may_lose_the_end = ended.error is not None
            fault.cancel()
        try:
            async with asyncio.timeout(70):
                await asyncio.gather(*life.tasks)
        except TimeoutError as error:
            raise ViolationError("RP-15: stuck: the reader never heard of the end") from error
        await session.aclose()
        if how != "agent" and self.loop.time() > began + 11:
            raise ViolationError(f"RP-9: leaving took {self.loop.time() - began:.1f} s")
        if self.disk.get("state") is not None:
            raise ViolationError("RP-6: the state of an ended session is still there")

    async def _check_leftovers(self) -> None:
        """Every task of every life has ended (RP-9)."""
        left = [
            task
            for owner, task in self._created
            if isinstance(owner, _Life) and owner.died_at is None and not task.done()
        ]
        if left:
            _, left_set = await asyncio.wait(left, timeout=30)
            if left_set:
                raise ViolationError(f"RP-9: tasks are left: {left_set}")

    # What must be true

    def _check(self) -> None:
        chat = self.sandbox.chats[0]
        if len(self.sandbox.chats) > 1:
            raise ViolationError(f"RP-4: {len(self.sandbox.chats)} chats were opened")
        texts = [event.text for event in chat.events if event.type == "Message" and event.party is chat.visitor]
        numbers = [int(text or 0) for text in texts]
        if numbers != sorted(set(numbers)):
            raise ViolationError(f"RP-4 or RP-5: the visitor's messages stand in the transcript as {numbers}")
        if numbers != list(range(1, self.outcome.outbound + 1)):
            raise ViolationError(f"RP-4: messages are missing, and no receipt said so: {numbers}")
        for number, life in enumerate(self.lives):
            self._check_reader(life, number)
            for receipt in life.receipts:
                if life is self.lives[-1] and (receipt.failed or len(receipt.copies) != 1):
                    raise ViolationError(f"RP-4: {receipt!r} has copies {receipt.copies}, the transcript one")
        ends = [event for _, event in self.lives[-1].handed if isinstance(event, SessionEnded)]
        if len(ends) != 1 or self.lives[-1].handed[-1][1] is not ends[0]:
            raise ViolationError(f"RP-15: the end was announced {len(ends)} times")

    def _check_reader(self, life: _Life, number: int) -> None:
        expected = 1
        for _, event in life.handed:
            if isinstance(event, ContinuityLost):
                if life.may_lose_the_end:
                    break
                raise ViolationError(f"RP-1: {event!r} though the server always had the transcript")
            if event.index is None:
                continue
            if event.index < expected:
                raise ViolationError(f"RP-2, RP-3: {event.index} came where {expected} was due, in life {number}")
            # Of typing only the newest is kept for whoever comes later.
            skipped = range(expected, event.index)
            if any(self.sandbox.chats[0].events[index - 1].type not in _TYPING for index in skipped):
                raise ViolationError(f"RP-1: {event.index} came where {expected} was due, in life {number}")
            expected = event.index + 1
        earlier = self.lives[:number]
        ever = max((index for other in earlier for _, index in _indexes(other)), default=0)
        for _, event in life.handed:
            if event.index is None:
                continue
            if event.restored and event.index > ever:
                raise ViolationError(f"RP-1: {event.index} counts as dealt with, and only {ever} was ever handed over")
            if not event.restored and any(
                _had_surely_finished(other, event.index, GATHERED + 4 * self.slowness) for other in earlier
            ):
                raise ViolationError(f"RP-2: {event.index} was dealt with before, and comes as new in life {number}")


def _had_surely_finished(life: _Life, index: int, saved_within: float) -> bool:
    """A reader has finished an event when it asks for the next; what it finished is saved within some seconds.

    These are the gathering, the write that is under way then, and the one that follows.
    """
    until = math.inf if life.died_at is None else life.died_at - saved_within
    later = [at for at, other in _indexes(life) if other > index]
    return any(other == index for _, other in _indexes(life)) and bool(later) and later[0] < until


def _indexes(life: _Life) -> list[tuple[float, int]]:
    return [(at, event.index) for at, event in life.handed if event.index is not None]


def _last_index(life: _Life) -> int:
    return max((index for _, index in _indexes(life)), default=0)


def _is_own_message(event: Event) -> bool:
    return isinstance(event, MessageReceived) and event.own


_TYPING: Final = frozenset({"TypingStarted", "TypingStopped"})
_ANYWHERE = (
    "abort",
    "abort",
    "vanish",
    "refuse",
    "restart",
    "upstream_lost",
    "downstream_lost",
    "forget",
    "drop push",
    "drop push",
    "double",
    "overlap",
    "hiccup",
    "http",
    "lose answer",
    "late",
    "swap",
    "swap",
    "repeat",
    "drop",
    "spoil",
    "spoil",
    "slow",
    "fail over",
    "refuse websocket",
)
_FAULTS: Final = (*_ANYWHERE, "kill", "kill", "detach")


def run_world(seed: int, *, messages: int = 5, carrier: str | None = None) -> Outcome:
    """Run the world of a seed.

    Raises:
        ViolationError: a promise was broken; its notes tell the story.
    """
    carrier = carrier or CARRIERS[seed % len(CARRIERS)]
    world: list[_World] = []

    async def main() -> Outcome:
        world.append(_World(seed, carrier, messages=messages))
        return await world[0].run()

    try:
        return run_seeded(main(), seed=seed)
    except BaseException as error:
        error.add_note(f"seed {seed}, {carrier}")
        if world:
            error.add_note("\n".join(f"{at:9.3f} {what}" for at, what in world[0].outcome.story))
        raise
