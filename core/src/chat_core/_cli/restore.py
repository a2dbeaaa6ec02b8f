"""Take up the chat that 'talk' left behind, in this process or one that was killed, and go on talking."""

from __future__ import annotations

import argparse
import asyncio

from chat_core._cli.conversation import add_common_arguments, converse, options_from
from chat_core._launch.launchers import restore_session

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--service", metavar="S", help="the chat service (default: customer-support)")
    add_common_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Take the chat up."""
    return asyncio.run(_restore(given))


async def _restore(given: argparse.Namespace) -> int:
    async with restore_session(**options_from(given)) as session:
        return await converse(session, plain=given.plain)
