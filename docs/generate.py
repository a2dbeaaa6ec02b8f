"""Writes the pages that are made from the code. ``--check`` fails when one is not up to date."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command_line
import contracts
import errors
import performance
import promises

from chat_core.testing import LEVEL, catalogue

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests"))  # the mutants are a part of the tests

from conformance import logger_mutants, packaging_mutants, storage_mutants, transport_mutants  # noqa: E402


def measured() -> str:
    """Return the page of long runs: what each counted, when, and on which commit."""
    sections = []
    for file in sorted((DOCS / "measured").glob("*.json")):
        if file == performance.REPORT:
            continue
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
            f"| {one['module']} {one['where']} | `{one['was']}` | `{one['becomes']}` | {one['reason']} |".replace(
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
    "error-codes.md": errors.errors_page,
    "measured.md": measured,
    "measured/performance.svg": performance.picture,
    "performance.md": performance.page,
    "promises.md": promises.page,
    "plugins/logger.md": contracts.logger_page,
    "plugins/storage.md": contracts.storage_page,
    "plugins/transport.md": contracts.transport_page,
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
