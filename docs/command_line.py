"""Writes the page of the command line from the commands' own arguments."""

from __future__ import annotations

import argparse
import re
from importlib import import_module

from chat_core._cli.table import COMMANDS

__all__ = ["arguments_of", "command_line_page"]


def arguments_of(command: str) -> list[argparse.Action]:
    """Return the arguments that a command shows in its help."""
    parser = argparse.ArgumentParser(add_help=False)
    import_module(COMMANDS[command][0]).add_arguments(parser)
    return [one for one in parser._actions if one.help is not argparse.SUPPRESS]  # noqa: SLF001 - argparse has no other way


def command_line_page() -> str:
    """Return the page."""
    sections = []
    for command, (module, _) in COMMANDS.items():
        words = re.sub(r"\s*\n(?!\n)", " ", (import_module(module).__doc__ or "").strip())
        rows = "\n".join(f"| {_shown(one)} | {_meaning(one)} |" for one in arguments_of(command))
        table = f"\n| argument | meaning |\n| --- | --- |\n{rows}\n" if rows else ""
        sections.append(f"## `chat-core {command}`\n\n{words}\n{table}")
    return f"""# The command line

Made from the commands by `docs/generate.py`. `chat-core` is also `python -m chat_core`; `chat-core --help` lists the commands, `chat-core COMMAND --help` what each
takes, and `chat-core --version` says which chat-core this is.

Exit statuses: 0 all is well, 1 something failed or a problem was found, 2 wrong usage, 130 interrupted. Errors are one line on standard error.

{chr(10).join(sections)}"""


def _shown(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    value = "" if not action.option_strings or action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return f"`{names}{value}`".replace("|", "\\|")


def _meaning(action: argparse.Action) -> str:
    return re.sub(r"\s+", " ", action.help or "").replace("|", "\\|")
