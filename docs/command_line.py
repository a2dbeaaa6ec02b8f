"""Writes the page of the command line from the commands' own arguments."""

from __future__ import annotations

import argparse
import re
from importlib import import_module

from chat_core import ReceiptState
from chat_core._cli._tui.entries import SIGNS
from chat_core._cli._tui.keys import KEYS
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

{chr(10).join(sections)}
{_application()}"""


def _application() -> str:
    """Return the section about the application."""
    rows = "\n".join(
        f"| {key.shown} | {key.help}{' (only in `chat-core demo`, where the server is ours)' if key.demo else ''} |"
        for key in KEYS
    )
    signs = "\n".join(f"| `{sign} {state}` | {_FATES[state]} |" for state, sign in SIGNS.items())
    return f"""## The application

![A chat in the terminal: messages with what became of each, a cut network, the inspector](pictures/terminal-inspector.svg)

`pip install "chat-core[tui]"` brings Textual. With it, and with a terminal, `demo`, `talk` and `restore` hold the chat in an application; in a pipe, with
`TERM=dumb`, without the extra or with `--plain` they read and print plain lines, and import nothing of Textual. Both ways do the same: the same commands, the same
ends, the same state left behind. The application needs 80 columns and 24 lines to look its best, and works with fewer; where `NO_COLOR` is set it has no colours.

| key | what it does |
| --- | --- |
{rows}

Beside each of your messages stands what became of it, in words as well as in colour:

| shown | meaning |
| --- | --- |
{signs}

A failed message keeps its place and says why. What you write while the connection is away is queued and sent in order once it is back; the line above says since when
and how many wait. `Interrupted` and `Continued`, with the blind time, stand in the conversation; a `ContinuityLost` stands out from it. After a restore a line across
divides what you had seen from what is new. The other side is told that you type, and what you type only once you send it. Control sequences and markup in what others
send are shown, not obeyed. The inspector (F2) shows which server, plugins and guarantees the session has, every event with all it holds, every step of every receipt,
and with `--verbose` the log. What is still under way when you leave or give the chat up, and will not be sent, is named once the window is closed. With Shift held
down (Option on a Mac) the mouse selects text as in any terminal. For screen readers `--plain` is the better way.
"""


#: What each state of a receipt means to whoever wrote the message.
_FATES = {
    ReceiptState.QUEUED: "it waits for its turn or for the connection; nothing has left",
    ReceiptState.IN_FLIGHT: "it is on its way, or being looked for in the server's transcript",
    ReceiptState.ACCEPTED: "the server took it",
    ReceiptState.ECHOED: "the server's transcript shows it",
    ReceiptState.REJECTED: "the server refused it",
    ReceiptState.EXPIRED: "it waited too long and never left",
    ReceiptState.UNKNOWN: "nobody can tell whether it arrived, and it was not sent again",
}


def _shown(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    value = "" if not action.option_strings or action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return f"`{names}{value}`".replace("|", "\\|")


def _meaning(action: argparse.Action) -> str:
    return re.sub(r"\s+", " ", action.help or "").replace("|", "\\|")
