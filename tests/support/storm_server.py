"""A sandbox in a process of its own that is restarted on request, with agents that talk all the time.

Arguments: seconds between two messages of an agent, seconds for which each attempt is kept waiting. Prints its
addresses as a line of JSON. Each line of input is a request and is answered with a line: ``down SECONDS``, ``back``
(how many visitors have come back since), ``hush`` (the agents say their last words) and ``report``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from chat_gms import EventType, GmsEvent, PartyType
from chat_sandbox import Agent, Sandbox
from support.lag import Lag
from support.recorder import Recorder

#: The last words of every agent.
LAST = "a-last"


class _Server:
    def __init__(self, gap: float, recorder: Recorder, lag: Lag) -> None:
        self._gap = gap
        self._recorder = recorder
        self._lag = lag
        self._hushed = asyncio.Event()
        self._restarts: list[dict[str, float]] = []

    async def play(self, agent: Agent) -> None:
        """Say one thing after another, also while the server is down: chats live on."""
        number = 0
        await agent.join("Grace")
        while not (self._hushed.is_set() or agent.chat.ended):
            number += 1
            await agent.say(f"a-{number}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._gap):
                    await self._hushed.wait()
        await agent.say(LAST)

    async def obey(self, sandbox: Sandbox, request: list[str]) -> dict[str, Any]:
        match request:
            case ["down", seconds]:
                began = time.monotonic()
                await sandbox.faults.cut()
                await asyncio.sleep(float(seconds))
                self._lag.longest = 0.0
                await sandbox.faults.mend()
                self._restarts.append({"down": began, "up": time.monotonic(), "life": self._recorder.life})
            case ["back"]:
                return {"back": len(self._recorder.first_arrivals(self._recorder.life)), "lag": self._lag.longest}
            case ["hush"]:
                self._hushed.set()
            case ["report"]:
                return self._report(sandbox)
        return {}

    def _report(self, sandbox: Sandbox) -> dict[str, Any]:
        return {
            "restarts": [
                {**restart, "first": self._recorder.first_arrivals(int(restart["life"]))} for restart in self._restarts
            ],
            "attempts at once": dict(self._recorder.most),
            "visitors": {chat.id: _texts(chat.events, by_visitor=True) for chat in sandbox.chats},
            "agents": {chat.id: _texts(chat.events, by_visitor=False) for chat in sandbox.chats},
        }


def _texts(events: list[GmsEvent], *, by_visitor: bool) -> list[str]:
    return [
        event.text or ""
        for event in events
        if event.type == EventType.MESSAGE
        and event.party is not None
        and (event.party.type == PartyType.CLIENT) is by_visitor
    ]


async def main(gap: float, slow: float) -> None:
    recorder, lag = Recorder(slow=slow), Lag()
    server = _Server(gap, recorder, lag)
    gc.disable()  # a collection would hold arrivals up
    with recorder.in_front():
        async with lag.watched(), Sandbox(agent=server.play, timeout=10.0) as sandbox:
            _say({"cometd": sandbox.cometd_url, "rest": sandbox.rest_url})
            while line := await asyncio.to_thread(sys.stdin.readline):
                _say(await server.obey(sandbox, line.split()))


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - read by who started it


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), float(sys.argv[2])))
