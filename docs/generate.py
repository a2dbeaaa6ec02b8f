"""Writes the pages that are made from the code. ``--check`` fails when one is not up to date."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command_line
import promises
import reference

import chat_core
from chat_core import ChatError, ErrorCode
from chat_core.testing import LEVEL, catalogue

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests"))  # the mutants are a part of the tests

from conformance import logger_mutants, packaging_mutants, storage_mutants, transport_mutants  # noqa: E402

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

## Exceptions

Every error of chat-core is a `ChatError` with `code`, `origin`, `description`, `retryable` and `advice`. Most are also the standard class in brackets, so that a
program may catch that.

{_exceptions()}
"""


def _exceptions(kind: type[ChatError] = ChatError, depth: int = 0) -> str:
    """Return the tree of errors as nested lists."""
    standard = [base.__name__ for base in kind.__bases__ if not issubclass(base, ChatError) and base is not Exception]
    words = (kind.__doc__ or "").strip().splitlines()[0].replace("``", "`")
    also = f" ({', '.join(standard)})" if standard else ""
    line = f"{'  ' * depth}* `{kind.__name__}`{also}: {words}\n"
    children = [child for child in kind.__subclasses__() if child.__name__ in chat_core.__all__]
    return line + "".join(_exceptions(child, depth + 1) for child in sorted(children, key=lambda one: one.__name__))


def measured() -> str:
    """Return the page of long runs: what each counted, when, and on which commit."""
    sections = []
    for file in sorted((DOCS / "measured").glob("*.json")):
        report = json.loads(file.read_text("utf-8"))
        rows = "\n".join(f"| {name} | {value} |" for name, value in _flat(report["counts"]) if name != "survivors")
        sections.append(f"""## {file.stem}

{report["what"]}: {report["date"]}, {report["minutes"]} minutes, commit `{report["commit"]}`, Python {report["python"]}, seed {report["seed"]}.

| what | count |
| --- | --- |
{rows}
{_beside(file, report["counts"])}""")
    return f"""# Measured

What `python tests/long/run.py NAME` counted the last time; it fails when anything was not as promised. Made by `docs/generate.py`.

{"".join(sections)}"""


def _beside(file: Path, counts: dict[str, Any]) -> str:
    """Return the plot of a run, or the list of mutants that no test can tell from the original."""
    parts = []
    if file.with_suffix(".svg").exists():
        parts.append(f"\n![{file.stem}](measured/{file.stem}.svg)\n")
    if survivors := counts.get("survivors"):
        rows = "\n".join(
            f"| {one['module']} | `{one['was']}` | `{one['becomes']}` | {one['reason']} |".replace(
                " | None", " \\| None"
            )
            for one in survivors
        )
        parts.append(f"\n| module | line | mutant | why it survives |\n| --- | --- | --- | --- |\n{rows}\n")
    return "".join(parts)


def _flat(counts: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in counts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}: ")
        else:
            yield f"{above}{name}".replace("_", " "), value


MUTANTS = {
    "storage": storage_mutants,
    "transport": transport_mutants,
    "logger": logger_mutants,
    "packaging": packaging_mutants,
}


def conformance() -> str:
    """Return the page of the conformance suites: how to run them, every check, and the mutants that prove them."""
    sections, count = [], 0
    for kind, suite in catalogue().items():
        rows = "\n".join(
            f"| {one.id} | {one.level} | {one.capability or ''} | {_cell(one.requirement)} | {one.since} |"
            for one in suite
        )
        sections.append(f"""### {kind.capitalize()}

| id | level | capability | requirement | since |
| --- | --- | --- | --- | --- |
{rows}
""")
    caught = []
    for kind, module in MUTANTS.items():
        count += len(module.MUTANTS)
        rows = "\n".join(f"| {_cell(one.name)} | {_ids(one.fails, len(catalogue()[kind]))} |" for one in module.MUTANTS)
        odd = "; ".join(one.name for one in module.ODD)
        caught.append(f"""### {kind.capitalize()}

| what is wrong | what sees it |
| --- | --- |
{rows}

Odd, and right: {odd}.
""")
    text = (DOCS / "conformance.in.md").read_text("utf-8")
    for name, value in {
        "LEVEL": LEVEL,
        "CHECKS": "\n".join(sections).rstrip(),
        "COUNT": str(sum(map(len, catalogue().values()))),
        "MUTANTS": str(count),
        "CAUGHT": "\n".join(caught).rstrip(),
    }.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _ids(fails: dict[str, str], known: int) -> str:
    return ", ".join(fails) if len(fails) < known // 2 else f"{len(fails)} checks, {next(iter(fails))} first"


PAGES = {
    "command-line.md": command_line.command_line_page,
    "conformance.md": conformance,
    "error-codes.md": error_codes,
    "measured.md": measured,
    "promises.md": promises.page,
    "session.md": reference.session_page,
    "plugins/logger.md": reference.logger_page,
    "plugins/storage.md": reference.storage_page,
    "plugins/transport.md": reference.transport_page,
}


def main() -> int:
    """Write or check."""
    status = 0
    for name, make in PAGES.items():
        page, text = DOCS / name, make()
        if "--check" not in sys.argv:
            page.write_text(text, "utf-8")
        elif not page.exists() or page.read_text("utf-8") != text:
            sys.stderr.write(f"docs/{name} is not up to date: run python docs/generate.py\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
