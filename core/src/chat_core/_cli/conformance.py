"""Check whether an installed plugin keeps the contract of its kind.

The checks are those of chat_core.testing, whose classes run them under pytest; here nothing but chat-core is needed. A
storage is tried with profiles of its own, which are cleared; a transport needs a server to be tried against. Exits with
1 when the plugin does not conform.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from chat_core._cli.terminal import visible
from chat_core._contracts.providers import Kind
from chat_core._model.errors import MissingOptionError, OptionError, PluginLoadError
from chat_core.testing import Check, Report, Result, catalogue
from chat_core.testing._facts import find_distribution
from chat_core.testing._logger import LoggerBench
from chat_core.testing._packaging import PackagingBench
from chat_core.testing._report import Verdict
from chat_core.testing._runner import run_check
from chat_core.testing._storage_bench import StorageBench
from chat_core.testing._subject import OptionsFor, make_subject
from chat_core.testing._transport_bench import TransportBench

__all__ = ["add_arguments", "run"]

_FOLDER = "{folder}"
_BENCHES: Mapping[str, Callable[..., Any]] = {
    "storage": StorageBench,
    "transport": TransportBench,
    "logger": LoggerBench,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("kind", choices=list(catalogue()), help="which suite")
    parser.add_argument("name", metavar="NAME", help="the plugin; for packaging also the distribution's name")
    parser.add_argument(
        "--level", choices=("must", "all"), default="all", help="must: what is only recommended is no failure"
    )
    parser.add_argument("--report", metavar="FILE", help="write the report there, as JSON")
    parser.add_argument(
        "--options",
        metavar="JSON",
        help=f"the plugin's options, an object; {_FOLDER} in a text stands for a fresh folder per check",
    )
    parser.add_argument(
        "--harness",
        metavar="MODULE:CLASS",
        help="for a transport: the other side, such as chat_sandbox.conformance:RestHarness",
    )


def run(given: argparse.Namespace) -> int:
    """Run one suite."""
    if given.kind == "packaging":
        installed = find_distribution(given.name)
        report = _report(
            given, lambda _: PackagingBench(installed), installed, frozenset(), (installed.name, installed.version)
        )
    else:
        subject = make_subject(Kind(given.kind), given.name, options=_options(given.options), harness=_harness(given))
        bench = _BENCHES[given.kind]
        report = _report(
            given,
            lambda folder: bench(subject, folder),
            subject,
            subject.capabilities,
            (subject.distribution, subject.version),
        )
    print(visible(report.line))  # noqa: T201 - this is a command
    if given.report is not None:
        Path(given.report).write_text(json.dumps(report.to_json(), indent=2) + "\n", "utf-8")
    return 1 if report.problems else 0


def _report(
    given: argparse.Namespace,
    bench: Callable[[Path], Any],
    subject: Any,
    capabilities: frozenset[str],
    source: tuple[str, str],
) -> Report:
    def result(check: Check) -> Result:
        only_must = given.level == "must"
        one = run_check(check, bench, capabilities=capabilities, subject=subject, deviations={}, only_must=only_must)
        shown = one.message if one.verdict is Verdict.FAIL else one.summary or check.requirement
        print(visible(f"{check.id}  {one.verdict.upper():<10}  {shown}"), flush=True)  # noqa: T201
        return one

    results = [result(check) for check in catalogue()[given.kind]]
    return Report(kind=given.kind, name=given.name, distribution=source[0], version=source[1], results=tuple(results))


def _options(text: str | None) -> OptionsFor | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise OptionError(f"--options is no JSON: {error}", advice='write --options \'{"key": "value"}\'') from error
    if not isinstance(value, dict):
        raise OptionError("--options must be an object", advice='write --options \'{"key": "value"}\'')
    options: dict[str, Any] = value
    if _FOLDER not in text:
        return options

    def fill(folder: Path) -> dict[str, Any]:
        return {key: one.replace(_FOLDER, str(folder)) if isinstance(one, str) else one for key, one in options.items()}

    return fill


def _harness(given: argparse.Namespace) -> Callable[[], Any] | None:
    if given.kind != "transport":
        return None
    if given.harness is None:
        raise MissingOptionError(
            "a transport is checked against a server, and none was named",
            advice="name a harness with --harness module:Class, such as chat_sandbox.conformance:RestHarness",
        )
    module, _, name = given.harness.partition(":")
    try:
        harness: Callable[[], Any] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PluginLoadError(
            f"the harness {given.harness!r} cannot be imported: {error}", advice="write it as module:Class"
        ) from error
    return harness
