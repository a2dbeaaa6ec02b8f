"""Writes the pages that are made from the code. ``--check`` fails when one is not up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from chat_core import ErrorCode

DOCS = Path(__file__).parent

MEANINGS = {
    ErrorCode.NONE: "nobody gave a code",
    ErrorCode.UNKNOWN_COMMAND: "unknown command, or one that the transport does not offer",
    ErrorCode.PARAMETER_MISSING: "a mandatory parameter is missing",
    ErrorCode.PARAMETER_INCORRECT: "the value of a parameter is wrong",
    ErrorCode.SESSION_UNKNOWN: "the server does not know the chat session",
    ErrorCode.COMMAND_STOPPED: "the command was stopped by a decorator of the server",
    ErrorCode.COMMAND_FAILED: "the server failed to execute the command",
    ErrorCode.SERVER_UNAVAILABLE: "the chat server cannot be reached",
    ErrorCode.LOGIN_FAILED: "the login or handshake was refused",
    ErrorCode.CONNECTION_INTERRUPTED: "the connection was lost",
    ErrorCode.IN_USE_HERE: "a session of this process holds the profile",
    ErrorCode.IN_USE_ELSEWHERE: "another process holds the profile",
}


def error_codes() -> str:
    """Return the page of error codes."""
    rows = "\n".join(f"| {int(code)} | `{code.name}` | {MEANINGS[code]} |" for code in ErrorCode)
    return f"""# Error codes

Made from `chat_core.ErrorCode` by `docs/generate.py`. Codes that a server gives keep their number; `error.origin` says whose it is
(`gwe`, `gms`, `http`, `bayeux`, `local`), because the ranges collide.

| code | name | meaning |
| --- | --- | --- |
{rows}
"""


def main() -> int:
    """Write or check."""
    page, text = DOCS / "error-codes.md", error_codes()
    if "--check" in sys.argv:
        if page.read_text("utf-8") != text:
            sys.stderr.write("docs/error-codes.md is not up to date: run python docs/generate.py\n")
            return 1
        return 0
    page.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
