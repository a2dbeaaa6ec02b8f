"""A chat in plain lines: each event a line of the output, each line of the input a message or a command."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading

from chat_core._cli.ending import end, farewell, on_signals
from chat_core._cli.lines import After, Lines
from chat_core._cli.terminal import visible
from chat_core._model.events import ParticipantTyping
from chat_core._session.session import Session

__all__ = ["hold_in_lines"]


async def hold_in_lines(session: Session) -> None:
    """Show what happens and carry out what is typed until the chat is over or given up."""
    detach = asyncio.Event()
    on_signals(detach.set)
    lines = Lines(session, _say)
    show = asyncio.create_task(_show(session, lines))
    type_ = asyncio.create_task(_type(lines, _read_lines(asyncio.get_running_loop()), detach))
    stop = asyncio.create_task(detach.wait())
    await asyncio.wait({show, type_, stop}, return_when=asyncio.FIRST_COMPLETED)
    if session.ended is None and detach.is_set():
        _say(farewell(session))
    await end(session, After.DETACH if detach.is_set() else After.LEAVE)
    await show
    for task in (type_, stop):
        task.cancel()
    await asyncio.gather(type_, stop, return_exceptions=True)


async def _show(session: Session, lines: Lines) -> None:
    async for event in session.events():
        if not isinstance(event, ParticipantTyping):
            _say(("(earlier) " if event.restored else "") + lines.shown(event))


async def _type(lines: Lines, typed: asyncio.Queue[str | None], detach: asyncio.Event) -> None:
    while (line := await typed.get()) is not None:
        after = await lines.take(line.rstrip("\n"))
        if after is After.DETACH:
            detach.set()
        if after is not After.GO_ON:
            return


def _read_lines(loop: asyncio.AbstractEventLoop) -> asyncio.Queue[str | None]:
    """Read standard input on a thread: a terminal, a pipe and a file are all readable that way."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def put(line: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lines.put_nowait, line)

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in sys.stdin:
                put(line)
        put(None)

    threading.Thread(target=read, name="chat-core: standard input", daemon=True).start()
    return lines


def _say(text: str) -> None:
    print(visible(text), flush=True)  # noqa: T201 - this is a command
