"""A chat in the terminal: what ``talk`` and ``restore`` share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chat_core._cli._tui.keys import Stage
from chat_core._cli.ending import PROFILE, status
from chat_core._cli.logs import LogLines
from chat_core._cli.plain import hold_in_lines
from chat_core._cli.plugin_options import add_option_arguments, read_options
from chat_core._launch.launchers import Options
from chat_core._model.errors import OptionError
from chat_core._session.session import Session

__all__ = ["add_common_arguments", "add_plain_argument", "can_be_drawn", "converse", "options_from", "read_data"]

#: Seconds for which the commands keep a state: a person needs longer than a page reload.
OFFLINE = 300.0


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both commands take."""
    parser.add_argument("--profile", default=PROFILE, help="the name under which the state is kept")
    parser.add_argument(
        "--keep", type=float, default=OFFLINE, metavar="SECONDS", help="how long the chat can be restored"
    )
    parser.add_argument("--transport", metavar="NAME", help="the transport (default: cometd)")
    parser.add_argument("--storage", metavar="NAME", help="where the state is kept (default: file)")
    add_option_arguments(parser)
    parser.add_argument("--no-websockets", action="store_true", help="use long polling only")
    parser.add_argument("--insecure", action="store_true", help="permit http to hosts other than loopback")
    add_plain_argument(parser)
    parser.add_argument(
        "--verbose", action="store_true", help="log to standard error, or to the inspector of the application"
    )


def add_plain_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument that asks for lines instead of the application."""
    parser.add_argument(
        "--plain", action="store_true", help="plain lines instead of the application, also with a terminal"
    )


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
        options["logger"] = LogLines()
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


async def converse(session: Session, *, plain: bool = False, stage: Stage | None = None) -> int:
    """Hold the chat with whoever sits at the terminal; returns the exit status.

    ``/help`` lists the commands that can be typed. The end of the input, ``/leave`` and Ctrl-D leave the chat;
    ``/detach`` and Ctrl-C give it up so that ``chat-core restore`` takes it up again.

    Args:
        session: the chat.
        plain: hold it in lines, also where an application could be drawn.
        stage: what the demo lets the visitor do to it.
    """
    if plain or not can_be_drawn():
        await hold_in_lines(session)
    else:
        from chat_core._cli._tui.app import hold_in_the_application  # noqa: PLC0415 - only this way needs Textual

        await hold_in_the_application(session, stage=stage)
    return status(session)


def can_be_drawn() -> bool:
    """Tell whether there is a terminal that an application can be drawn upon, and Textual to draw it with."""
    return (
        all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
        and os.environ.get("TERM") != "dumb"
        and find_spec("textual") is not None
    )
