"""Prints the report at the end of a pytest run, and lets no skip of a MUST pass for success.

Registered by the classes while they are collected: an entry point would be imported by every run of pytest anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

__all__ = ["report_in"]

_NAME: Final = "chat-core-conformance"


def report_in(config: Any, cls: type[Any]) -> None:
    """Report on a class at the end of this run."""
    reporter = config.pluginmanager.get_plugin(_NAME)
    if reporter is None:
        reporter = _make_reporter()
        config.pluginmanager.register(reporter, _NAME)
    if cls not in reporter.classes:
        reporter.classes.append(cls)
        cls.results.clear()


def _make_reporter() -> Any:
    import pytest  # noqa: PLC0415 - only a run of pytest comes here

    class Reporter:
        def __init__(self) -> None:
            self.classes: list[Any] = []

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(self, item: Any) -> Generator[None, Any, Any]:
            report = yield
            cls = getattr(item, "cls", None)
            if report.skipped and cls in self.classes and not _by_the_suite(cls, item, report):
                report.outcome = "failed"
                if hasattr(report, "wasxfail"):
                    del report.wasxfail
                report.longrepr = (
                    f"{item.name} was skipped from outside the suite. What cannot be shown is not a success: "
                    'where a check does not hold write deviations = {"ID": "the reason"}'
                )
            return report

        def pytest_terminal_summary(self, terminalreporter: Any) -> None:
            for cls in self.classes:
                if not cls.results:
                    continue
                report = cls.make_report()
                terminalreporter.section(f"chat-core conformance: {cls.__name__}")
                for line in report.lines(every=False):
                    terminalreporter.write_line(line)

        def pytest_sessionfinish(self) -> None:
            for cls in self.classes:
                if cls.report is not None and cls.results:
                    text = json.dumps(cls.make_report().to_json(), indent=2)
                    Path(cls.report).write_text(text + "\n", "utf-8")

    return Reporter()


def _by_the_suite(cls: Any, item: Any, report: Any) -> bool:
    """Say whether the suite itself skipped this one: it has a result, and the call was reached."""
    check = next((check for check in cls.suite if check.test == item.originalname), None)
    return check is None or (report.when == "call" and check.id in cls.results)
