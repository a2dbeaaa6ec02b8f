"""Show versions, the options and plugins in force, and the places of the state; with a URL, try the server.

Opens no chat. Exits with 1 when something a chat needs does not work.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from chat_core._cli.plugin_options import add_option_arguments, read_options
from chat_core._cli.storages import look_at_storages
from chat_core._contracts.logger import Log
from chat_core._contracts.providers import Kind, ProbeStep, TransportProvider
from chat_core._contracts.transport import TransportContext
from chat_core._launch.options import Given, resolve_options
from chat_core._launch.url import check_server_url
from chat_core._loggers.adapter import make_log
from chat_core._model.errors import ChatError, UnsupportedCommandError
from chat_core._plugins.options import build_options
from chat_core._plugins.registry import registry
from chat_core._plugins.selection import select
from chat_core._storages.inspect import inspect_file_storage

__all__ = ["add_arguments", "run"]

_VARIABLES = (
    "CHAT_CORE_TRANSPORT",
    "CHAT_CORE_STORAGE",
    "CHAT_CORE_LOGGER",
    "CHAT_CORE_PLUGINS",
    "CHAT_CORE_DISABLE_PLUGINS",
    "CHAT_CORE_STRICT_PLUGINS",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("url", nargs="?", metavar="URL", help="the chat server's address, as given to talk")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--transport", metavar="NAME", help="the transport to look at (default: as resolved)")
    parser.add_argument("--storage", metavar="NAME", help="the storage that has to work (default: as resolved)")
    add_option_arguments(parser)
    parser.add_argument("--insecure", action="store_true", help="permit http to hosts other than loopback")


def run(given: argparse.Namespace) -> int:
    """Look at everything."""
    report: dict[str, Any] = {"versions": _versions(), "environment": _environment()}
    problems: list[str] = []
    report["plugins"] = _chosen(given, problems)
    report["options"] = [
        {"name": one.name, "value": one.value, "origin": one.origin, "note": one.note}
        for one in resolve_options(
            Given(server_url=given.url, transport=given.transport, state_storage=given.storage)
        ).explain()
    ]
    report["file storage"] = _file_storage(problems)
    report["storages"] = _storages(given, problems)
    if given.url is not None:
        steps = asyncio.run(_probe(given))
        report["server"] = list(map(_fields, steps))
        problems += [f"{step.name}: {step.detail}" for step in steps if step.ok is False]
        # A chat needs one carrier, so a refused one beside a working one is no problem.
        if any(step.ok and "handshake" in step.name for step in steps):
            problems = [one for one in problems if not one.startswith(("WebSocket", "long polling"))]
    report["problems"] = problems
    if given.json:
        json.dump(report, sys.stdout, indent=2)
        print()  # noqa: T201 - this is a command
    else:
        _print(report)
    return 1 if problems else 0


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    names = {record.source.distribution for record in registry().records}
    for name in sorted(names | {"chat-core", "attrs", "pluggy"}):
        found[name] = version(name)
    return found


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _VARIABLES if name in os.environ}


def _fields(step: ProbeStep) -> dict[str, Any]:
    return {"name": step.name, "ok": step.ok, "detail": step.detail, "seconds": step.seconds}


def _chosen(given: argparse.Namespace, problems: list[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for kind, wanted in ((Kind.TRANSPORT, given.transport), (Kind.STORAGE, given.storage), (Kind.LOGGER, None)):
        try:
            selection = select(kind, wanted, registry=registry, environ=os.environ)
            chosen[str(kind)] = f"{selection.name}: {selection.reason}"
        except ChatError as error:
            chosen[str(kind)] = f"none: {error}"
            problems.append(str(error))
    problems += [str(record) for record in registry().broken()]
    return chosen


def _file_storage(problems: list[str]) -> dict[str, Any]:
    report = inspect_file_storage()
    if report.problem:
        problems.append(report.problem)
    return {
        "directory": report.directory,
        "mode": report.mode,
        "problem": report.problem,
        "profiles": [
            {"name": one.name, "age": one.age, "owner": one.owner, "bytes": one.size} for one in report.profiles
        ],
    }


def _storages(given: argparse.Namespace, problems: list[str]) -> dict[str, Any]:
    """Return what the storages say of themselves; only what is wrong with the chosen one is a problem."""
    chosen = ""
    found: dict[str, list[ProbeStep]] = {}
    options = read_options(given.storage_option, "storage")
    with contextlib.suppress(ChatError):  # it is said where the plugins are
        chosen = select(Kind.STORAGE, given.storage, registry=registry, environ=os.environ).name
    with contextlib.suppress(ChatError):
        found = look_at_storages(registry(), options={chosen: options})
    problems += [f"storage {chosen!r}: {one.name}: {one.detail}" for one in found.get(chosen, ()) if one.ok is False]
    return {
        name: {"chosen": name == chosen, "steps": list(map(_fields, steps))} for name, steps in sorted(found.items())
    }


async def _probe(given: argparse.Namespace) -> list[ProbeStep]:
    selection = select(Kind.TRANSPORT, given.transport, registry=registry, environ=os.environ)
    provider = selection.provider
    if not isinstance(provider, TransportProvider) or provider.probe is None:
        raise UnsupportedCommandError(f"the transport {selection.name!r} cannot try a server out")
    wanted = read_options(given.transport_option, "transport")
    if given.insecure:
        wanted["allow_insecure"] = True
    options = build_options(
        provider.options,
        wanted or None,
        name="transport_options",
        owner=f"transport {provider.name!r}",
    )
    log: Log = make_log(lambda *_: None)
    context = TransportContext(
        server_url=check_server_url(given.url, allow_insecure=given.insecure, name="URL"), options=options, log=log
    )
    return list(await provider.probe(context))


def _print(report: dict[str, Any]) -> None:
    from chat_core._cli.terminal import visible  # noqa: PLC0415 - not for --json

    def show(text: str) -> None:
        print(visible(text))  # noqa: T201 - this is a command

    for heading in ("versions", "environment", "plugins"):
        show(heading)
        for name, value in report[heading].items():
            show(f"  {name}: {value}")
    show("options")
    for one in report["options"]:
        show(f"  {one['name']} = {one['value']} ({one['origin']})" + (f": {one['note']}" if one["note"] else ""))
    storage = report["file storage"]
    show("file storage")
    show(f"  {storage['directory']} (mode {storage['mode'] or 'not made yet'})")
    for one in storage["profiles"]:
        owner = f"owned by pid {one['owner']}" if one["owner"] else "no owner"
        show(f"  {one['name']}: {one['bytes']} bytes, {one['age']:.0f} s old, {owner}")
    for name, one in report["storages"].items():
        for line in _steps(f"storage {name} ({'chosen' if one['chosen'] else 'not chosen'})", one["steps"]):
            show(line)
    for line in _steps("server", report.get("server", ())):
        show(line)
    show("no problems found" if not report["problems"] else "problems")
    for problem in report["problems"]:
        show(f"  {problem}")


def _steps(heading: str, steps: Iterable[dict[str, Any]]) -> list[str]:
    lines = []
    for step in steps:
        mark = {True: "ok", False: "FAILED", None: "-"}[step["ok"]]
        took = f" ({step['seconds'] * 1000:.1f} ms)" if step["seconds"] is not None else ""
        lines.append(f"  {step['name']}: {mark}{took} {step['detail']}".rstrip())
    return [heading, *lines] if lines else []
