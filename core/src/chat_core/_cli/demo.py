"""Play a chat against the sandbox, in one command and without any server of your own.

The network is cut in the middle and the client is killed once; the reader sees the gap heal and the session
restored. With a terminal you are the visitor, and with chat-core[tui] you cut and kill yourself, by a key; without a
terminal, or with --play, it plays a fixed conversation, checks itself and exits with 1 if anything was lost, doubled or
out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import get_args

from chat_core._cli._demo.client import How, be_the_client
from chat_core._cli._demo.plays import play_alone, play_at_the_terminal
from chat_core._cli._demo.stage import play_in_the_application
from chat_core._cli.conversation import add_plain_argument, can_be_drawn
from chat_core._model.errors import UnknownPluginError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--play", action="store_true", help="play the fixed conversation, also with a terminal")
    add_plain_argument(parser)
    # The client's process is started with these.
    parser.add_argument("--client", choices=get_args(How), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--state", help=argparse.SUPPRESS)
    parser.add_argument("--switch", help=argparse.SUPPRESS)


def run(given: argparse.Namespace) -> int:
    """Play."""
    if given.client is not None:
        return asyncio.run(be_the_client(given.client, given.url, given.state, switch=given.switch))
    try:
        import chat_sandbox  # noqa: PLC0415 - the demo alone needs it, and only if it is played
    except ImportError as error:
        raise UnknownPluginError("the demo needs the sandbox", advice="pip install chat-sandbox") from error
    if given.play or not (sys.stdin.isatty() and sys.stdout.isatty()):
        play = play_alone
    elif given.plain or not can_be_drawn():
        play = play_at_the_terminal
    else:
        play = play_in_the_application
    return asyncio.run(play(chat_sandbox))
