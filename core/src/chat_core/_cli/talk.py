"""Start a chat with a server and talk: each line is a message, the end of the input leaves.

/help lists the commands that can be typed in between: /file, /save, /url, /nick, /typing, /leave, and /detach (or
Ctrl-C), which gives the chat up so that 'chat-core restore' takes it up again. With a terminal and chat-core[tui] the
chat is held in an application; --plain asks for lines all the same.
"""

from __future__ import annotations

import argparse
import asyncio

from chat_core._cli.conversation import add_common_arguments, converse, options_from, read_data
from chat_core._launch.launchers import start_session

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("url", metavar="URL", help="the chat server's address")
    parser.add_argument("--service", metavar="S", help="the chat service (default: customer-support)")
    parser.add_argument("--name", metavar="N", help="your name in the chat (default: User)")
    parser.add_argument("--subject", metavar="S", help="what the chat is about")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="K=V",
        help="user data; visible to other users of this machine in the list of processes: use --data-file for secrets",
    )
    parser.add_argument("--data-file", metavar="FILE|-", help="user data as a JSON object")
    add_common_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Talk."""
    return asyncio.run(_talk(given))


async def _talk(given: argparse.Namespace) -> int:
    options = options_from(given)
    options["server_url"] = given.url
    options["username"] = given.name
    options["subject"] = given.subject
    options["user_data"] = read_data(given.data, given.data_file) or None
    async with start_session(**options) as session:
        return await converse(session, plain=given.plain)
