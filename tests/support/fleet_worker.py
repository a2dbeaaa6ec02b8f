"""A worker of a fleet whose visitors talk all the time; it is told on stdin what to do and prints what happens.

Argument: JSON with ``name``, ``options`` of the fleet and ``pause`` (seconds between two messages of a visitor). Lines
of input: ``start PROFILE ...``, and ``finish``: every visitor says one thing more, sees everything echoed and leaves.
Each line printed is JSON: what was handed over before its hand-over is over, and what became of sessions and calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import json
import random
import sys
import time
from typing import Any

from chat_core import ChatError, ErrorReported, LeaseLostError, MessageReceived, SendError, Session, SessionEndedError
from chat_core.fleet import Fleet

OWN, THEIRS = "c-", "a-"
#: Imported before the first session, as on a machine that is busy this takes longer than a short lease lasts.
NEEDED = [
    *("httpx", "chat_storage_redis._storage", "chat_transport_rest._transport", "chat_transport_cometd._transport"),
    *("chat_transport_cometd._carriers.websocket", "chat_transport_cometd._carriers.long_polling"),
]
_lives = itertools.count(1)


def show(**line: Any) -> None:
    print(json.dumps({**line, "at": time.monotonic()}), flush=True)  # noqa: T201 - read by whoever started this


class Worker:
    def __init__(self, pause: float) -> None:
        self.finishing = asyncio.Event()
        self.pause = pause

    async def talk(self, session: Session) -> None:
        """Say one thing after another, and print what is handed over."""
        life, profile = next(_lives), session.options.profile
        show(profile=profile, life=life, begun=True)

        async def read() -> None:
            try:
                async for event in session.events():
                    if isinstance(event, MessageReceived):
                        given = {"index": event.index, "text": event.text, "restored": event.restored}
                        show(profile=profile, life=life, **given)
                    elif isinstance(event, ErrorReported):
                        show(profile=profile, life=life, error=event.error.code)
            except LeaseLostError:
                show(profile=profile, life=life, lost=True)

        reading = asyncio.create_task(read())
        try:
            await self.speak(session)
        except (SendError, SessionEndedError) as error:
            # The session was given up: whoever has it next goes on.
            show(profile=profile, life=life, stopped=type(error).__name__)
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def speak(self, session: Session) -> None:
        transcript = await session.get_transcript()
        own = [event.text for event in transcript if isinstance(event, MessageReceived) and event.own]
        known = [*own, *(receipt.text for receipt in session.outbox)]
        number = max((int(text.removeprefix(OWN)) for text in known), default=0)
        while not self.finishing.is_set():
            number += 1
            await session.send_message(f"{OWN}{number}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.5, 1.5) * self.pause):
                    await self.finishing.wait()
        await session.send_message(f"{OWN}{number + 1}", until="echoed")
        for receipt in session.outbox:
            await receipt.reached("echoed")
        await session.leave()


async def main(name: str, options: dict[str, Any], pause: float) -> None:
    worker = Worker(pause)
    for module in NEEDED:
        importlib.import_module(module)

    def log(*args: Any) -> None:
        show(log=" ".join(map(str, args)))

    async with Fleet(worker.talk, **options, logger=log) as fleet:

        async def start(profile: str) -> None:
            try:
                await fleet.start(profile=profile, username=profile)
            except ChatError as error:
                show(profile=profile, failed=str(error))

        async def obey() -> None:
            starts = set()
            orders = asyncio.StreamReader()
            # No thread: one that waits for a line would keep the process from ending.
            pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
            )
            with contextlib.closing(pipe):
                while line := await orders.readline():
                    what, *profiles = line.decode().split()
                    if what == "finish":
                        worker.finishing.set()
                    starts |= {asyncio.create_task(start(profile)) for profile in profiles}

        obeying = asyncio.create_task(obey())
        show(ready=name)
        await fleet.run()
        obeying.cancel()
        await asyncio.gather(obeying, return_exceptions=True)
    show(gone=name)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
