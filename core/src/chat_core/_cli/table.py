"""The commands, and what is the same for all of them. Imports no command before it is called for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["COMMANDS", "main"]

#: Name, module and what it is for, in the order in which a newcomer needs them.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("chat_core._cli.demo", "play a chat against the sandbox: a cut network, a restart, nothing lost"),
    "talk": ("chat_core._cli.talk", "start a chat with a server and talk in the terminal"),
    "restore": ("chat_core._cli.restore", "take up the chat that was left behind"),
    "plugins": ("chat_core._cli.plugins", "list what is installed and what became of it"),
    "doctor": ("chat_core._cli.doctor", "show versions, options and plugins in force; with a URL, try the server"),
    "conformance": ("chat_core._cli.conformance", "check whether a plugin keeps its kind's contract"),
}

USAGE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0, 1 for a failure, 2 for wrong usage, 130 when interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    known, _ = parser.parse_known_args(arguments[:1])
    if known.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    module = import_module(COMMANDS[known.command][0])
    command = argparse.ArgumentParser(
        prog=f"chat-core {known.command}", description=module.__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    module.add_arguments(command)
    try:
        given = command.parse_args(arguments[1:])
        status = module.run(given)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has gone; the interpreter must not try to write at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        from chat_core._model.errors import ChatError  # noqa: PLC0415 - a failing command pays for it, others do not

        if not isinstance(error, ChatError | TimeoutError | OSError):
            raise
        print(f"chat-core: {error}", file=sys.stderr)  # noqa: T201 - this is a command
        return 1
    else:
        return int(status)


def _parser() -> argparse.ArgumentParser:
    from chat_core import __version__  # noqa: PLC0415 - the package is complete by now

    parser = argparse.ArgumentParser(
        prog="chat-core",
        description="Hold a contact-centre chat from the terminal.",
        epilog="commands:\n" + "\n".join(f"  {name:<13}{help_}" for name, (_, help_) in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"chat-core {__version__}")
    parser.add_argument("command", nargs="?", choices=COMMANDS, metavar="command", help="see below")
    return parser
