"""Many chats through fault proxies with random faults; afterwards the server's transcript tells what became of all."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from attrs import Factory, define, frozen

import chat_core
from chat_core import ChatError, ContinuityLost, MessageReceived, Receipt
from chat_sandbox import (
    Agent,
    Answer,
    Close,
    Delay,
    Duplicate,
    FaultProxy,
    HalfOpen,
    Reorder,
    Rule,
    Sandbox,
    Suppress,
    Truncate,
)
from support.counterparts import CometdJava, RemoteAgent

OWN, THEIRS, LAST = "out ", "in ", "the end"
#: Seconds that a request may take. Short, so that what a suppressed one costs is short.
DELAY = 2.0
#: Seconds after which everything must have arrived once the faults are off: the slowest back-off and two fetches.
SETTLING = 90.0
#: Seconds that something is held back, at most: well below the settle time, so that no double is legitimate (RP-4).
HELD = 0.4


@frozen(kw_only=True)
class Entry:
    """One line of the server's transcript."""

    index: int
    text: str | None
    is_message: bool


class Other(Protocol):
    """The other side of one chat, past the proxy."""

    async def join(self, name: str) -> None: ...
    async def say(self, text: str) -> None: ...
    async def entries(self) -> list[Entry]: ...


@frozen
class RemoteOther:
    """An agent of the Java server, and what stands there."""

    agent: RemoteAgent

    async def join(self, name: str) -> None:
        await self.agent.join(name)

    async def say(self, text: str) -> None:
        await self.agent.say(text)

    async def entries(self) -> list[Entry]:
        events = (await self.agent.transcript())["events"]
        return [
            Entry(index=event["index"], text=event.get("text"), is_message=event["type"] == "Message")
            for event in events
        ]


@frozen
class LocalOther:
    """An agent of the sandbox, and what stands there."""

    agent: Agent

    async def join(self, name: str) -> None:
        await self.agent.join(name)

    async def say(self, text: str) -> None:
        await self.agent.say(text)

    async def entries(self) -> list[Entry]:
        return [
            Entry(index=event.index or 0, text=event.text, is_message=event.type == "Message")
            for event in self.agent.chat.events
        ]


@define
class Told:
    """What one chat's user was told."""

    receipts: list[Receipt] = Factory(list)
    events: list[Any] = Factory(list)


@define
class Place:
    """Where chats are held: the server's address and options for a carrier, and the other side by the chat's id."""

    url: Callable[[str], str]
    other: Callable[[str], Other]
    carriers: tuple[str, ...]


def options_for(carrier: str) -> dict[str, Any]:
    """Return the launcher's options: quick to notice, so that a run is short."""
    if carrier == "rest":
        pace = {"poll_quick": 0.1, "poll_slow": 0.3, "request_timeout": DELAY}
        return {"transport": "rest", "transport_options": pace}
    return {
        "transport": "cometd",
        "disable_websockets": carrier == "long-polling",
        "transport_options": {"max_network_delay": DELAY},
    }


def random_rules(chance: random.Random, carrier: str, *, faults: int, spread: int) -> list[Rule]:
    """Draw rules, each of which strikes once, after up to ``spread`` things have passed.

    What a network does to one connection, less what no network does: publications are not doubled on their way to the
    server, and an answer is not replaced by one that says that nothing was done.
    """
    kinds = [Suppress, Delay, Duplicate, Reorder, Truncate, Close, HalfOpen, Answer]
    rules = []
    for kind in [chance.choice(kinds) for _ in range(faults)]:
        towards = chance.choice(("server", "client"))
        rest = carrier == "rest"
        only: dict[str, Any] = {}
        if not rest and chance.random() < 0.5:
            only["channel"] = chance.choice(("/meta/connect", "/service/chatV2/**"))
        elif rest and chance.random() < 0.5:
            only["operation"] = "sendMessage"
        action: Any
        if kind is Delay:
            action = Delay(chance.uniform(0.02, HELD))
        elif kind is Reorder:
            action = Reorder(within=HELD)
        elif kind is Truncate:
            action = Truncate(chance.randrange(300))
        elif kind is Close:
            action = Close(chance.choice(("before", "after")))
        elif kind is Answer:
            if carrier == "websocket":
                only, towards = {"carrier": "http"}, "server"
            statuses = (500, 502, 503, 504) + ((429,) if towards == "server" else ())
            action = Answer(chance.choice(statuses), retry_after=chance.choice((None, 1)))
        elif kind is Duplicate and rest:
            action, towards, only = Duplicate(), "server", {"operation": "requestNotifications"}
        elif kind is Duplicate:
            action = Duplicate()
            if towards == "server":
                only = chance.choice(({"channel": "/meta/connect"}, {"operation": "requestNotifications"}))
        else:
            action = kind()
        rare = only.get("channel") == "/meta/connect" or only == {"carrier": "http"} or "operation" in only
        after = chance.randrange(3 if rare else spread)
        rules.append(Rule(action, towards=towards, after=after, count=1, **only))
    return rules


async def chats_in_chaos(
    place: Place, *, chats: int, each: int, seed: int, at_once: int = 100, faults: int = 5
) -> dict[str, Any]:
    """Hold chats with random faults and return counts.

    Args:
        place: where.
        chats: how many.
        each: messages each way in each of them.
        seed: of every chance: which faults, when, and the pauses.
        at_once: chats at the same time, at most.
        faults: rules of each chat.
    """
    counts: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    trouble: list[str] = []
    gate = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        carrier = place.carriers[number % len(place.carriers)]
        async with gate:
            chance = random.Random(f"{seed}:{number}")
            found = await _chat(place, carrier, chance, each=each, faults=faults, hits=hits)
        counts.update(found[0])
        trouble.extend(f"seed {seed}, chat {number} over {carrier}: {line}" for line in found[1])

    async with asyncio.TaskGroup() as group:
        for number in range(chats):
            group.create_task(one(number))
    wrong = {name: counts[name] for name in ("lost", "doubled", "misordered", "wrong outcomes")}
    told = {name: counts[name] for name in ("messages out", "messages in", "sent again", "unknown", "interruptions")}
    return {
        "chats": chats,
        "at once": min(at_once, chats),
        **told,
        "faults": sum(hits.values()),
        "faults by kind": dict(sorted(hits.items())),
        **wrong,
        "trouble": trouble,
    }


async def _chat(
    place: Place, carrier: str, chance: random.Random, *, each: int, faults: int, hits: Counter[str]
) -> tuple[Counter[str], list[str]]:
    told = Told()
    async with FaultProxy(place.url(carrier), seed=chance.randrange(2**32)) as proxy:
        pending = chat_core.start_session(
            server_url=proxy.url,
            username="Ada",
            state_storage="memory",
            profile=f"chaos-{chance.random()}",
            logger=lambda *_: None,
            **options_for(carrier),
        )
        async with pending as session:
            other = place.other(session.id)
            reading = asyncio.create_task(_read(session, told))
            rules = [proxy.add(rule) for rule in random_rules(chance, carrier, faults=faults, spread=3 * each)]
            moods = [random.Random(chance.random()) for _ in range(2)]
            await other.join("Grace")
            await asyncio.gather(
                _send(session, told, each, moods[0]),
                _talk(other, each, moods[1]),
            )
            proxy.clear()
            try:
                async with asyncio.timeout(SETTLING):
                    # Both ways once more over a network that works: whatever was missed shows as a gap before these.
                    told.receipts.append(await session.send_message(f"{OWN}{LAST}", until="echoed"))
                    await other.say(f"{THEIRS}{LAST}")
                    await session.wait_for(MessageReceived, lambda event: event.text == f"{THEIRS}{LAST}")
            except (TimeoutError, ChatError) as error:
                return Counter({"wrong outcomes": 1}), [f"never settled: {type(error).__name__}: {error}; {rules}"]
            entries = await other.entries()
        await reading
        for rule in rules:
            hits[type(rule.action).__name__] += rule.hits
    counts, trouble = judge(told, entries)
    return counts, [f"{line}; {[rule for rule in rules if rule.hits]}" for line in trouble]


async def _read(session: Any, told: Told) -> None:
    async for event in session.events():
        told.events.append(event)


async def _send(session: Any, told: Told, each: int, mood: random.Random) -> None:
    for number in range(1, each + 1):
        await asyncio.sleep(mood.uniform(0.0, 0.2))
        try:
            told.receipts.append(await session.send_message(f"{OWN}{number}"))
        except ChatError as error:
            receipt = getattr(error, "receipt", None)
            if receipt is None:
                raise
            told.receipts.append(receipt)


async def _talk(other: Other, each: int, mood: random.Random) -> None:
    for number in range(1, each + 1):
        await asyncio.sleep(mood.uniform(0.0, 0.2))
        await other.say(f"{THEIRS}{number}")


def judge(told: Told, entries: list[Entry]) -> tuple[Counter[str], list[str]]:
    """Compare what the user was told with what the server knows."""
    counts: Counter[str] = Counter()
    trouble: list[str] = []

    def note(kind: str, words: str) -> None:
        counts[kind] += 1
        trouble.append(f"{kind}: {words}")

    standing = [entry for entry in entries if entry.is_message and (entry.text or "").startswith(OWN)]
    places: dict[str, list[int]] = {}
    for entry in standing:
        places.setdefault(entry.text or "", []).append(entry.index)
    for receipt in told.receipts:
        there = places.get(receipt.text, [])
        counts["messages out"] += 1
        counts["sent again"] += receipt.attempts > 1
        if receipt.failed:
            counts["unknown"] += receipt.state == "unknown"
            if there and receipt.state != "unknown":
                note("wrong outcomes", f"{receipt!r} stands at {there}")
        elif not there:
            note("lost", f"{receipt!r} stands nowhere")
        elif len(there) > 1:
            note("doubled", f"{receipt!r} {receipt.text!r} stands at {there}, the receipt says {receipt.copies}")
        elif receipt.echoed and receipt.index != there[0]:
            note("wrong outcomes", f"{receipt!r} {receipt.text!r} stands at {there}")
    order = [receipt.text for receipt in told.receipts if receipt.text in places]
    if list(places) != order:
        note("misordered", f"own messages stand as {list(places)}, sent as {order}")
    seen = [(event.index, getattr(event, "text", None)) for event in told.events if event.index is not None]
    known = [(entry.index, entry.text) for entry in entries]
    last = max((index for index, text in known if text == f"{THEIRS}{LAST}"), default=0)
    known = [(index, text) for index, text in known if index <= last]
    seen = [(index, text) for index, text in seen if index <= last]
    counts["messages in"] += sum((text or "").startswith(THEIRS) for _, text in seen)
    if [index for index, _ in seen] != sorted(index for index, _ in seen):
        note("misordered", f"events came as {seen}")
    for item, times in Counter(seen).items():
        if times > 1:
            note("doubled", f"{item} came {times} times")
    for item in known:
        if item not in seen:
            note("lost", f"{item} never came")
    for item in seen:
        if item not in known:
            note("wrong outcomes", f"{item} came and stands nowhere")
    for event in told.events:
        counts["interruptions"] += type(event).__name__ == "Interrupted"
        if isinstance(event, ContinuityLost):
            note("lost", str(event))
    return counts, trouble


async def on_the_java_server(
    *, chats: int, each: int, seed: int, at_once: int = 100, faults: int = 5
) -> dict[str, Any]:
    """Hold them on the CometD project's own server, over WebSocket and long polling in turn."""
    # Connects are held for 4 s, so that a dead link is found soon.
    with CometdJava("v31", heap=1024, timeout=4000) as server:
        place = Place(
            url=lambda _: server.url,
            other=lambda chat: RemoteOther(RemoteAgent(server, chat)),
            carriers=("websocket", "long-polling"),
        )
        return await chats_in_chaos(place, chats=chats, each=each, seed=seed, at_once=at_once, faults=faults)


async def on_the_sandbox(
    carriers: tuple[str, ...], *, chats: int, each: int, seed: int, faults: int = 5
) -> dict[str, Any]:
    """Hold them on a sandbox of this process's own."""
    async with Sandbox(timeout=4.0) as sandbox:

        def other(chat: str) -> Other:
            return LocalOther(Agent(next(one for one in sandbox.chats if one.id == chat)))

        place = Place(
            url=lambda carrier: sandbox.rest_url if carrier == "rest" else sandbox.cometd_url,
            other=other,
            carriers=carriers,
        )
        return await chats_in_chaos(place, chats=chats, each=each, seed=seed, faults=faults)
