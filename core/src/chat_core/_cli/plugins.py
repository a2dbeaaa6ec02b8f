"""List the installed plugins, what they provide, and why any of them cannot be used.

Exits with 1 when a plugin did not load.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--no-load", action="store_true", help="only list what is installed; import no plugin")


def run(given: argparse.Namespace) -> int:
    """List the plugins."""
    rows = _listed() if given.no_load else _loaded()
    if given.json:
        json.dump(rows, sys.stdout, indent=2)
        print()  # noqa: T201 - this is a command
    else:
        _print(rows)
    return 1 if any(row["status"] not in {"ok", "blocked", "unloaded"} for row in rows) else 0


def _listed() -> list[dict[str, Any]]:
    from chat_core._plugins.discovery import discover  # noqa: PLC0415 - imports no plugin, no pluggy, no asyncio

    return [
        {
            "distribution": found.source.distribution,
            "version": found.source.version,
            "entry_point": found.source.entry_point,
            "value": found.source.value,
            "status": "unloaded",
            "reason": "",
            "remedy": "",
            "providers": [],
        }
        for found in discover()
    ]


def _loaded() -> list[dict[str, Any]]:
    from chat_core._plugins.registry import registry  # noqa: PLC0415 - loads plugins

    return [
        {
            "distribution": record.source.distribution,
            "version": record.source.version,
            "entry_point": record.source.entry_point,
            "value": record.source.value,
            "status": str(record.status),
            "reason": record.reason,
            "remedy": record.remedy,
            "providers": [
                {
                    "kind": str(provider.kind),
                    "name": provider.name,
                    "summary": provider.summary,
                    "capabilities": sorted(map(str, provider.capabilities)),
                    "api": provider.api,
                }
                for provider in record.providers
            ],
        }
        for record in registry().records
    ]


def _print(rows: list[dict[str, Any]]) -> None:
    from chat_core._cli.terminal import table, visible  # noqa: PLC0415 - not for --json

    lines = [("DISTRIBUTION", "VERSION", "STATUS", "KIND", "NAME", "WHAT IT IS")]
    for row in rows:
        head = (row["distribution"], row["version"], row["status"])
        lines += [(*head, one["kind"], one["name"], one["summary"]) for one in row["providers"]] or [
            (*head, "", row["entry_point"], row["value"])
        ]
    print(table(lines))  # noqa: T201 - this is a command
    for row in rows:
        if row["reason"]:
            print(visible(f"{row['distribution']}: {row['reason']}; {row['remedy']}"))  # noqa: T201
