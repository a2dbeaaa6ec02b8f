"""A chat in the terminal, in plain lines: what ``talk`` and ``restore`` share."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from chat_core._cli.lines import After, Lines
from chat_core._cli.plugin_options import add_option_arguments, read_options
from chat_core._cli.terminal import visible
from chat_core._launch.launchers import Options
from chat_core._model.errors import OptionError
from chat_core._model.events import Event, FileUploaded, ParticipantTyping, SessionEnded
from chat_core._session.session import Session

__all__ = ["add_common_arguments", "converse", "options_from", "read_data"]

#: Seconds for which the commands keep a state: a person needs longer than a page reload.
OFFLINE = 300.0


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both commands take."""
    parser.add_argument("--profile", default="terminal", help="the name under which the state is kept")
    parser.add_argument(
        "--keep", type=float, default=OFFLINE, metavar="SECONDS", help="how long the chat can be restored"
    )
    parser.add_argument("--transport", metavar="NAME", help="the transport (default: cometd)")
    parser.add_argument("--storage", metavar="NAME", help="where the state is kept (default: file)")
    add_option_arguments(parser)
    parser.add_argument("--no-websockets", action="store_true", help="use long polling only")
    parser.add_argument("--insecure", action="store_true", help="permit http to hosts other than loopback")
    parser.add_argument("--verbose", action="store_true", help="log to standard error")


def options_from(given: argparse.Namespace) -> Options:
    """Return the launcher's options for what both commands take."""
    transport_options = read_options(given.transport_option, "transport")
    if given.insecure:
        transport_options["allow_insecure"] = True
    if getattr(given, "service", None):
        transport_options["service"] = given.service
    options: Options = {
        "profile": given.profile,
        "max_offline_duration": given.keep,
        "transport": given.transport,
        "transport_options": transport_options or None,
        "state_storage": given.storage,
        "storage_options": read_options(given.storage_option, "storage") or None,
        "disable_websockets": given.no_websockets,
        "on_exit": "detach",
    }
    if given.verbose:
        options["logger"] = _log_to_stderr
    return options


def read_data(pairs: list[str], file: str | None) -> dict[str, Any]:
    """Return user data from ``K=V`` arguments and a JSON file, ``-`` for standard input.

    Raises:
        OptionError: something is not of that form.
    """
    data: dict[str, Any] = {}
    if file is not None:
        try:
            value = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise OptionError(f"--data-file {file} cannot be used: {error}", advice="give a JSON object") from error
        if not isinstance(value, dict):
            raise OptionError(f"--data-file {file} holds no JSON object")
        data.update(value)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise OptionError(f"--data {pair!r} is not of the form K=V")
        data[key] = value
    return data


async def converse(session: Session) -> int:
    """Show what happens and carry out what is typed, line by line; ``/help`` lists the commands.

    The end of the input, ``/leave`` and Ctrl-D leave the chat; ``/detach`` and Ctrl-C give it up so that
    ``chat-core restore`` takes it up again.
    """
    loop = asyncio.get_running_loop()
    detach = asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        with contextlib.suppress(NotImplementedError, AttributeError):  # where the system or the loop has no such thing
            loop.add_signal_handler(getattr(signal, name), detach.set)
    lines = Lines(session, _say)
    show = asyncio.create_task(_show(session, lines))
    type_ = asyncio.create_task(_type(lines, _read_lines(loop), detach))
    stop = asyncio.create_task(detach.wait())
    await asyncio.wait({show, type_, stop}, return_when=asyncio.FIRST_COMPLETED)
    if session.ended is None:
        if detach.is_set():
            _say("the chat goes on without you; 'chat-core restore' takes it up again")
            await session.detach()
        else:
            await session.leave()
    await show
    for task in (type_, stop):
        task.cancel()
    await asyncio.gather(type_, stop, return_exceptions=True)
    end = session.ended
    return 1 if end is not None and end.error is not None else 0


async def _show(session: Session, lines: Lines) -> None:
    async for event in session.events():
        if not isinstance(event, ParticipantTyping):
            _say(_line(event, lines))


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


def _line(event: Event, lines: Lines) -> str:
    text = str(event)
    if isinstance(event, FileUploaded) and not event.own:
        text += f" ({lines.offer(event)})"
    if isinstance(event, SessionEnded) and event.error is not None:
        text += f": {event.error.code} {event.error.description}"
    return ("(earlier) " if event.restored else "") + text


def _say(text: str) -> None:
    print(visible(text), flush=True)  # noqa: T201 - this is a command


def _log_to_stderr(*arguments: Any) -> None:
    print("log:", *(visible(str(one)) for one in arguments), file=sys.stderr)  # noqa: T201 - asked for
