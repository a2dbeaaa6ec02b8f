"""chat-core under measurement: ``ours.py URL CONTROL CARRIER TEST N [loop]``; prints one line of JSON."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from measuring import Trigger, finish, pick_loop, time_bursts, time_chats, time_echoes, weigh

if not sys.argv[4].endswith("_speed"):
    sys.modules["msgspec"] = None  # type: ignore[assignment] # an extra: what it saves is a figure of its own

import chat_core
from chat_core import MessageReceived


def start(url: str, carrier: str, number: int = 0, *, storage: str = "memory", **more: Any) -> Any:
    """Start a session on one carrier: ``ws``, ``lp`` or ``rest``."""
    if url.startswith("https:"):
        more["ca_file"] = sys.argv[-1]
    return chat_core.start_session(
        server_url=url,
        username="Ada",
        transport="rest" if carrier == "rest" else "cometd",
        disable_websockets=carrier == "lp",
        state_storage=storage,
        profile=f"bench-{number}",
        transport_options=more,
    )


async def burst(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """Events of one session, from their arrival to the subscriber."""
    async with start(url, carrier) as session:
        await trigger(session.id, "join")
        return await time_bursts(lambda: trigger(session.id, "burst", n=n), _texts(session), n)


#: With the extra ``chat-gms[speed]``.
burst_speed = burst


async def _texts(session: chat_core.Session) -> AsyncIterator[str]:
    async for event in session.events():
        if isinstance(event, MessageReceived):
            yield event.text


def _ignore(event: chat_core.FailEvent) -> None:
    """Whoever awaits it is told."""


async def _echo(url: str, carrier: str, n: int, **options: Any) -> dict[str, Any]:
    async with start(url, carrier, **options) as session:
        events = session.events()

        async def once(number: int) -> float:
            began = time.perf_counter()
            # It leaves now, as a publication of the JavaScript client does, and not with the next turn of the loop.
            sending = session.send_message(f"{number} {'x' * 60}").fail(_ignore)
            async for event in events:
                if isinstance(event, MessageReceived) and event.own:
                    break
            took = time.perf_counter() - began
            await sending
            return took

        return await time_echoes(once, n)


async def echo(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """From sending a message to its own echo, the state in memory."""
    del trigger
    return await _echo(url, carrier, n)


async def echo_file(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """The same with the state and the outbox in a file."""
    del trigger
    return await _echo(url, carrier, n, storage="file")


async def echo_without_ack(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """The same without Bayeux acknowledgements, which cost a second request per message over long polling."""
    del trigger
    return await _echo(url, carrier, n, ack=False)


async def setup(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """From ``start_session`` to the session, and from the server's last answer to the end of leaving."""
    del trigger

    async def once() -> tuple[float, float]:
        began = time.perf_counter()
        session = await start(url, carrier)
        started = time.perf_counter() - began
        ended = asyncio.ensure_future(_ended(session))
        await session.leave()
        return started, time.perf_counter() - await ended

    return await time_chats(once, n)


async def _ended(session: chat_core.Session) -> float:
    async for event in session.events():
        if isinstance(event, chat_core.SessionEnded):
            break
    return time.perf_counter()


async def idle(url: str, trigger: Trigger, carrier: str, n: int) -> dict[str, Any]:
    """Memory and processor of sessions in which nothing happens."""
    del trigger
    slow = {"poll_slow": 3.0} if carrier == "rest" else {}
    return await weigh(lambda number: _started(url, carrier, number, slow), _detach, n, carrier=carrier)


async def _started(url: str, carrier: str, number: int, options: dict[str, Any]) -> chat_core.Session:
    return await start(url, carrier, number, **options)  # type: ignore[no-any-return]


async def _detach(session: chat_core.Session) -> None:
    await session.detach()


if __name__ == "__main__":
    _, address, control, carrier_, test, count, *rest_ = sys.argv
    pick_loop(rest_)
    finish(asyncio.run(globals()[test](address, Trigger(control), carrier_, int(count))))
