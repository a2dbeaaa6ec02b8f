"""A visitor that talks without a pause until it is killed, and prints what it is handed over.

Arguments: JSON with ``state`` (directory), ``options`` of the launcher, ``finish`` (talk once more, see everything
echoed, leave). Prints one JSON line for each message, before its hand-over is over, and READY once it talks.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import chat_core
from chat_core import ErrorReported, MessageReceived

PAUSE = 0.03
OWN, THEIRS = "c-", "a-"


def show(**line: Any) -> None:
    print(json.dumps({**line, "at": time.time()}), flush=True)  # noqa: T201 - read by whoever started this


async def main(given: dict[str, Any]) -> None:
    options = {
        **given["options"],
        "profile": "kill",
        "storage_options": {"directory": given["state"]},
        "max_offline_duration": 600.0,
        "on_exit": "detach",
    }
    session = await chat_core.restore_or_start_session(**options)

    async def read() -> None:
        async for event in session.events():
            if isinstance(event, MessageReceived):
                show(index=event.index, text=event.text, restored=event.restored)
            elif isinstance(event, ErrorReported):
                show(error=str(event.error))

    reading = asyncio.create_task(read())
    own = [event.text for event in await session.get_transcript() if isinstance(event, MessageReceived) and event.own]
    known = [*own, *(receipt.text for receipt in session.outbox)]
    number = max((int(text.removeprefix(OWN)) for text in known), default=0)
    show(ready=number)
    if given["finish"]:
        await session.send_message(f"{OWN}{number + 1}", until="echoed")
        for receipt in session.outbox:
            await receipt.reached("echoed")
        await session.leave()
        await reading
        return
    while True:
        number += 1
        await session.send_message(f"{OWN}{number}")
        await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
