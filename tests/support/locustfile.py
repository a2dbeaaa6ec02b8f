"""What the visitors of a load do; read by Locust, never imported by a test."""

from __future__ import annotations

import asyncio
import csv
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
import locust
from locust import between, runners
from locust.env import Environment
from locust.runners import MasterRunner

from chat_core import AgentConnected, MessageReceived, Session
from chat_load_locust import ChatUser, scenario

#: Seconds of thought before the next message.
THOUGHT = float(os.environ.get("THOUGHT", "1"))
#: The run ends when so many chats have come to their end and half as many have been blind; 0: when its time is over.
ENOUGH = int(os.environ.get("ENOUGH", "0"))

#: Heartbeats of a worker that may be missed; Locust's 3 would end a run on a machine that is busy elsewhere.
runners.HEARTBEAT_LIVENESS = 60


class Visitor(ChatUser):
    """One who asks, and one who knows already what to ask."""

    wait_time = between(0.2, 0.6)

    def start_options(self) -> Mapping[str, Any]:
        return {
            "username": "Ada",
            "user_data": {"worker": self.environment.runner.worker_index},
            "transport_options": {"start_timeout": 120.0},  # hundreds start at once, maybe on a busy machine
        }

    @scenario(weight=3)
    async def asks(self, session: Session) -> None:
        await session.wait_for(AgentConnected, timeout=300)
        for _ in range(3):
            await self.say(session, "Hello")

    @scenario
    async def asks_at_once(self, session: Session) -> None:
        await self.say(session, "Where is it?")

    async def say(self, session: Session, text: str) -> None:
        await session.send_message(text)
        await session.wait_for(MessageReceived, timeout=300)
        await asyncio.sleep(random.uniform(0.5, 1.5) * THOUGHT)


@locust.events.init.add_listener
def on_init(environment: Environment, **_: object) -> None:
    if ENOUGH and isinstance(environment.runner, MasterRunner):
        gevent.spawn(end_when_enough, environment)


def end_when_enough(environment: Environment) -> None:
    """End the run once Locust's CSV files show enough: it writes them once a second, and not at the end."""
    wanted = {"session": ENOUGH, "blind time": ENOUGH / 2}
    while any(_written(environment, name) < count for name, count in wanted.items()):
        gevent.sleep(0.2)
    environment.runner.quit()


def _written(environment: Environment, name: str) -> int:
    file = Path(f"{environment.parsed_options.csv_prefix}_stats.csv")
    if not file.exists():
        return 0
    with file.open(encoding="utf-8", newline="") as lines:
        rows = {row["Name"]: row for row in csv.DictReader(lines)}
    return int(rows.get(name, {}).get("Request Count") or 0)
