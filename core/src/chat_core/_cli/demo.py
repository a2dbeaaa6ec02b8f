"""Play a chat against the sandbox, in one command and without any server of your own.

The network is cut in the middle and the client is killed once; the reader sees the gap heal and the session
restored. With a terminal you are the visitor; without one, or with --play, it plays a fixed conversation, checks
itself and exits with 1 if anything was lost, doubled or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import get_args

from chat_core._cli._demo.client import How, be_the_client
from chat_core._cli._demo.plays import play_alone, play_at_the_terminal
from chat_core._model.errors import UnknownPluginError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--play", action="store_true", help="play the fixed conversation, also with a terminal")
    # The client's process is started with these.
    parser.add_argument("--client", choices=get_args(How), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--state", help=argparse.SUPPRESS)


def run(given: argparse.Namespace) -> int:
    """Play."""
    if given.client is not None:
        return asyncio.run(be_the_client(given.client, given.url, given.state))
    try:
        import chat_sandbox  # noqa: PLC0415 - the demo alone needs it, and only if it is played
    except ImportError as error:
        raise UnknownPluginError("the demo needs the sandbox", advice="pip install chat-sandbox") from error
    at_a_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not given.play
    return asyncio.run((play_at_the_terminal if at_a_terminal else play_alone)(chat_sandbox))
