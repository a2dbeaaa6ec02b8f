"""A fleet on one Redis and one sandbox: workers are killed, stopped and ended, Redis fails; and the counting.

What was sent, by whom and when is counted on the sandbox's side, what was handed over on the workers'.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attrs import Factory, define, frozen

from chat_sandbox import Agent, Sandbox
from chat_sandbox import sandbox as sandbox_module
from support import fleet_worker
from support.fleet_worker import OWN, THEIRS
from support.lag import Lag
from support.redis_server import RedisServer

#: What may be handed over again (RP-2), and what the machine may need to write it down.
AGAIN = 0.2
WRITING = 0.8
#: Seconds after the end of a lease in which a session has to live elsewhere; where other things run as well, whatever
#: the machine holds up is allowed for.
SOON = 2.0 if os.environ.get("CI") == "true" else 60.0
#: Letters of a chat's key by which its requests are told.
_KEY = 24


@frozen
class Request:
    """What reached the sandbox: from whose connection, in which one, about which chat ("" if it does not say)."""

    worker: str
    connection: int
    chat: str
    at: float


@define
class Ledger:
    """Every request and every frame, as the sandbox gets them."""

    requests: list[Request] = Factory(list)
    keys: dict[bytes, str] = Factory(dict)
    _connections: int = 0

    @contextmanager
    def in_front(self) -> Iterator[None]:
        """Stand in front of every sandbox that is made meanwhile."""
        make_app = sandbox_module.make_app
        with patch.object(sandbox_module, "make_app", lambda *a, **k: _Front(self, make_app(*a, **k))):
            yield

    def opened(self) -> int:
        self._connections += 1
        return self._connections

    def note(self, worker: str, connection: int, data: bytes) -> None:
        chat = next((chat for key, chat in self.keys.items() if key in data), "")
        self.requests.append(Request(worker, connection, chat, time.monotonic()))


@frozen
class _Front:
    ledger: Ledger
    app: Any

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        worker = dict(scope.get("headers", ())).get(b"x-worker", b"").decode()
        connection = self.ledger.opened()

        async def noting() -> Any:
            message = await receive()
            if message["type"] in {"http.request", "websocket.receive"}:
                data = message.get("body") or message.get("bytes") or (message.get("text") or "").encode()
                self.ledger.note(worker, connection, data)
            return message

        await self.app(scope, noting, send)


class Worker:
    """One process."""

    def __init__(self, name: str, options: dict[str, Any], pause: float) -> None:
        headers = {"headers": {"x-worker": name}}
        transport_options = {**options.get("transport_options", {}), **headers}
        self._given = {"name": name, "options": {**options, "transport_options": transport_options}, "pause": pause}
        self.name = name
        self.lines: list[dict[str, Any]] = []
        self.ended_at = float("inf")
        #: It was killed: what it had handed over last may be handed over again.
        self.killed = False
        self.process: asyncio.subprocess.Process
        self._reading: asyncio.Task[None]

    async def begin(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(Path(fleet_worker.__file__)), json.dumps(self._given)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1024 * 1024,
        )
        self._reading = asyncio.create_task(self._read())
        await until(lambda: any("ready" in line for line in self.lines), 60, self)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            with contextlib.suppress(ValueError):  # a line that was cut by the kill
                self.lines.append(json.loads(line))

    def tell(self, *words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write((" ".join(words) + "\n").encode())

    def kill(self) -> None:
        self.ended_at = time.monotonic()
        self.killed = True
        self.process.kill()

    async def gone(self) -> None:
        await self.process.wait()
        await self._reading

    def owned(self) -> set[str]:
        """Return the profiles whose handlers have begun here."""
        return {line["profile"] for line in self.lines if "begun" in line}

    def begun_at(self, profile: str) -> float | None:
        return next((line["at"] for line in self.lines if "begun" in line and line["profile"] == profile), None)

    def lost(self) -> set[str]:
        return {line["profile"] for line in self.lines if "lost" in line}

    def logged(self, words: str) -> list[str]:
        return [line["log"] for line in self.lines if words in line.get("log", "")]


@define
class Fleets:
    """What a run has: a sandbox, a Redis, workers."""

    sandbox: Sandbox
    redis: RedisServer
    ledger: Ledger
    lag: Lag
    options: dict[str, Any]
    pause: float
    hushed: asyncio.Event
    workers: list[Worker] = Factory(list)

    async def add(self, name: str) -> Worker:
        worker = Worker(name, self.options, self.pause)
        self.workers.append(worker)
        await worker.begin()
        return worker

    async def finish(self, workers: list[Worker]) -> None:
        """Let all agents and visitors say their last words, and end the workers."""
        self.hushed.set()
        for worker in workers:
            worker.tell("finish")
        await until(lambda: all(chat.ended for chat in self.sandbox.chats), 120, *workers)
        for worker in workers:
            worker.process.terminate()
        async with asyncio.timeout(60):
            for worker in workers:
                await worker.gone()
                assert worker.process.returncode == 0, worker.lines[-5:]

    def learn_keys(self) -> None:
        for chat in self.sandbox.chats:
            self.ledger.keys[chat.secure_key[:_KEY].encode()] = chat.nickname

    def count(self) -> dict[str, Any]:
        """Check what every visitor sent and was handed.

        Raises:
            AssertionError: something was lost, doubled, out of order, or sent by two owners.
        """
        again: list[float] = []
        sent = said = 0
        for chat in self.sandbox.chats:
            texts = chat.texts
            own = [text for text in texts if text.startswith(OWN)]
            assert own == [f"{OWN}{number}" for number in range(1, len(own) + 1)], (chat.nickname, own)
            sent, said = sent + len(own), said + len([text for text in texts if text.startswith(THEIRS)])
            again += self._handed_over(chat.nickname, texts)
        assert max(again, default=0.0) <= AGAIN + WRITING + self.lag.longest, f"again after {max(again):.2f} s"
        return {
            "sessions": len(self.sandbox.chats),
            "messages out": sent,
            "messages in": said,
            "lost": 0,
            "sent twice": 0,
            "changes of owner": self._one_owner_after_another(),
            "handed over again": len(again),
        }

    def _handed_over(self, profile: str, texts: list[str]) -> list[float]:
        """Check one chat's hand-overs; returns how long before a kill what was handed over again had been."""
        handed: dict[int, str] = {}
        again: list[float] = []
        lives = [
            (worker, life)
            for worker in self.workers
            for life in {line["life"] for line in worker.lines if line.get("profile") == profile and "life" in line}
        ]

        def lines_of(worker: Worker, life: int) -> list[dict[str, Any]]:
            return [one for one in worker.lines if one.get("life") == life and "index" in one]

        last: dict[int, tuple[Worker, float]] = {}
        lives.sort(key=lambda one: next(line["at"] for line in one[0].lines if line.get("life") == one[1]))
        for worker, life in lives:
            lines = lines_of(worker, life)
            indexes = [line["index"] for line in lines]
            assert indexes == sorted(set(indexes)), f"{profile}: doubled or out of order within one owner's log"
            for line in lines:
                index = line["index"]
                if line["restored"]:
                    assert handed.get(index) == line["text"], f"called restored, never handed over: {line}"
                elif index in handed and last[index][0].killed:
                    again.append(last[index][0].ended_at - last[index][1])
                if not line["restored"]:
                    last[index] = (worker, line["at"])
                handed[index] = line["text"]
        assert [handed[index] for index in sorted(handed)] == texts, f"{profile}: an event was lost"
        return again

    def _one_owner_after_another(self) -> int:
        """Check that no worker sent anything about a chat after another one had (RP-14)."""
        changes = 0
        owners: dict[str, list[str]] = {}
        for request in self.ledger.requests:
            if request.chat:
                order = owners.setdefault(request.chat, [])
                if not order or order[-1] != request.worker:
                    assert request.worker not in order, f"{request.chat}: {[*order, request.worker]}"
                    changes += bool(order)
                    order.append(request.worker)
        return changes


async def until(met: Callable[[], object], within: float, *workers: Worker) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + within
    while not met():
        assert time.monotonic() < deadline, [worker.lines[-5:] for worker in workers]
        await asyncio.sleep(0.02)  # other processes' doing; nothing tells when it is done


@contextlib.asynccontextmanager
async def fleets(carrier: str, *, lease: float, pause: float, sessions: int, server: RedisServer) -> Any:
    """Run a sandbox with talkative agents, and a Redis."""
    ledger, lag, hushed = Ledger(), Lag(), asyncio.Event()

    async def play(agent: Agent) -> None:
        number = 0
        await agent.join("Grace")
        while not (hushed.is_set() or agent.chat.ended):
            number += 1
            await agent.say(f"{THEIRS}{number}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.5, 1.5) * pause):
                    await hushed.wait()

    with server, ledger.in_front():
        async with lag.watched(), Sandbox(agent=play) as sandbox:
            options: dict[str, Any] = {
                "state_storage": "redis",
                "storage_options": {"url": server.url, "lease": lease, "timeout": 10.0},
                "capacity": sessions,
                # Those of one that is killed find place elsewhere within half a second.
                "connects_per_second": max(20.0, sessions / 3.0),
                "look_every": 0.25,
            }
            if carrier == "rest":
                quick = {"poll_quick": 0.2, "poll_slow": 0.5}
                options |= {"server_url": sandbox.rest_url, "transport": "rest", "transport_options": quick}
            else:
                options |= {"server_url": sandbox.cometd_url, "transport": "cometd"}
                options["disable_websockets"] = carrier == "cometd-long-polling"
            run = Fleets(sandbox, server, ledger, lag, options, pause, hushed)
            try:
                yield run
            finally:
                for worker in run.workers:
                    with contextlib.suppress(ProcessLookupError):
                        worker.process.kill()
                    await worker.gone()


async def kill_and_stop(
    carrier: str, server: RedisServer, *, sessions: int, lease: float, pause: float
) -> dict[str, Any]:
    """Three workers: one is killed, one is stopped for longer than the lease and goes on, one is ended by SIGTERM."""
    async with fleets(carrier, lease=lease, pause=pause, sessions=sessions, server=server) as run:
        first, second, third = await asyncio.gather(*map(run.add, ("first", "second", "third")))
        profiles = [f"visitor-{number}" for number in range(sessions)]
        for number, worker in enumerate((first, second, third)):
            worker.tell("start", *profiles[number::3])
        await until(lambda: sum(len(worker.owned()) for worker in run.workers) == sessions, 120, *run.workers)
        run.learn_keys()
        await until(lambda: all(len(chat.texts) > 4 for chat in run.sandbox.chats), 60, *run.workers)
        counts: dict[str, Any] = {}

        first.kill()
        counts["s to live elsewhere after kill -9"] = await _live_elsewhere(run, first, [second, third], lease)

        await asyncio.sleep(2.0)  # in which they talk
        had = {profile for profile in profiles if _newest_owner(run, profile) is second}
        second.process.send_signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        fourth = await run.add("fourth")
        await until(
            lambda: all(_newest_owner(run, profile) is not second for profile in had), 2 * lease + 30, third, fourth
        )
        await asyncio.sleep(max(0.0, stopped_at + 1.25 * lease - time.monotonic()))
        before = len(run.ledger.requests)
        second.process.send_signal(signal.SIGCONT)
        await until(lambda: second.lost() >= had, 30, second)
        await asyncio.sleep(1.0)  # in which it would poll, connect or send if it did
        stale = [one for one in run.ledger.requests[before:] if one.worker == "second"]
        assert stale == [], f"a stale owner sent {len(stale)} requests"
        counts["sessions stopped"] = len(had)
        counts["requests of a stale owner"] = 0

        # Those that are ended give up what they have, and the last one takes it.
        for worker in (second, third):
            worker.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                await worker.gone()
            assert worker.process.returncode == 0, worker.lines[-5:]
        await until(lambda: all(_newest_owner(run, profile) is fourth for profile in profiles), 60, fourth)
        await run.finish([fourth])
        counts.update(run.count())
        return counts


async def _live_elsewhere(run: Fleets, dead: Worker, others: list[Worker], lease: float) -> float:
    """Wait until each session of a dead worker lives on another one; returns the seconds the last one took."""
    mine = dead.owned()

    def taken() -> list[float]:
        return [at for profile in mine for other in others if (at := other.begun_at(profile)) is not None]

    await until(lambda: len(taken()) == len(mine), lease + 60, *others)
    took = max(taken()) - dead.ended_at
    assert took <= lease + SOON, f"{took:.1f} s"
    return round(took, 1)


def _newest_owner(run: Fleets, profile: str) -> Worker:
    begun = [(line["at"], worker) for worker in run.workers for line in worker.lines if _begins(line, profile)]
    return max(begun, key=lambda one: one[0])[1]


def _begins(line: dict[str, Any], profile: str) -> bool:
    return "begun" in line and line["profile"] == profile


async def trouble_with_redis(server: RedisServer, *, sessions: int, lease: float, pause: float) -> dict[str, Any]:
    """One worker; Redis is restarted, paused for 5 s and full. Sessions go on, states are saved, each is told once."""
    async with fleets("cometd-websocket", lease=lease, pause=pause, sessions=sessions, server=server) as run:
        worker = await run.add("only")
        profiles = [f"visitor-{number}" for number in range(sessions)]
        worker.tell("start", *profiles)
        await until(lambda: len(worker.owned()) == sessions, 60, worker)
        run.learn_keys()
        told = 0
        counts: dict[str, Any] = {}
        for trouble in ("restarted", "paused for 5 s", "full"):
            sent = {chat.id: len(chat.texts) for chat in run.sandbox.chats}
            if trouble == "restarted":
                server.kill()
                await asyncio.sleep(1.0)
                await asyncio.to_thread(server.start)
            elif trouble == "full":
                server.fill()
                await asyncio.sleep(lease / 3)  # a renewal falls into it
            else:
                server.pause()
                await asyncio.sleep(5.0)
                server.go_on()
            if trouble == "full":
                server.make_room()
            # They went on talking, and what was not saved is saved.
            await until(lambda: all(len(c.texts) > sent[c.id] + 2 for c in run.sandbox.chats), 60, worker)  # noqa: B023
            await until(lambda: _all_saved(server, profiles), 30, worker)
            warnings = worker.logged("the session goes on, but its state cannot be saved")
            counts[f"told while it was {trouble}"] = len(warnings) - told
            assert len(warnings) - told <= sessions, "somebody was told twice"
            told = len(warnings)
        assert told > 0
        assert worker.lost() == set()
        await run.finish([worker])
        counts.update(run.count())
        return counts


def _all_saved(server: RedisServer, profiles: list[str]) -> bool:
    with server.client() as client:
        states = [client.hget(f"chat-core:session:{profile}", "state") for profile in profiles]
    return all(state is not None and json.loads(state)["delivered"] > 0 for state in states)
