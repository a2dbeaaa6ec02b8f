"""What came of the checks: for the terminal, as JSON, and in one line."""

from __future__ import annotations

import enum
import platform
from collections import Counter
from typing import Any, Final

from attrs import frozen

from chat_core.testing._checks import Check, Level

__all__ = ["Report", "Result", "Verdict"]

#: Raised when the meaning of a field of the JSON changes.
_SCHEMA: Final = 1


class Verdict(enum.StrEnum):
    """What came of one check."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    WARN = "warn"  #: a SHOULD that is not met, where only MUST counts
    DEVIATION = "deviation"  #: not met, and declared with a reason
    NOT_BOUND = "not bound"  #: it does not bind this plugin, such as for a capability that is not declared
    UNDECLARED = "undeclared"  #: the capability is not declared, and works
    NOT_SHOWN = "not shown"  #: this subject cannot show it


@frozen(kw_only=True)
class Result:
    """One check's outcome.

    Attributes:
        check: which one.
        verdict: what came of it.
        message: why, in words; empty for a pass.
        seconds: how long it took.
    """

    check: Check
    verdict: Verdict
    message: str = ""
    seconds: float = 0.0

    @property
    def summary(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


@frozen(kw_only=True)
class Report:
    """The outcome of one suite on one plugin.

    Attributes:
        kind: which suite.
        name: what the plugin is called.
        distribution: the package it comes from, empty for an object given by hand.
        version: of that package.
        results: one per check that was run, in order.
        missing: how many checks were not run, such as because of ``pytest -k``.
        level: the suite level.
    """

    kind: str
    name: str
    distribution: str = ""
    version: str = ""
    results: tuple[Result, ...]
    missing: int = 0
    level: str = "1.0"

    @property
    def problems(self) -> list[str]:
        """Return why the plugin does not conform; empty when it does."""
        problems = [f"{one.check.id}: {one.summary}" for one in self.results if one.verdict is Verdict.FAIL]
        ran = any(
            one.verdict in {Verdict.PASS, Verdict.DEVIATION} and one.check.level is Level.MUST for one in self.results
        )
        if not problems and not ran:
            problems.append("nothing was checked")
        if self.missing:
            problems.append(f"{self.missing} checks were not run")
        return problems

    @property
    def line(self) -> str:
        """One line for a README."""
        count = Counter(one.verdict for one in self.results)
        passed = count[Verdict.PASS] + count[Verdict.UNDECLARED]
        tried = passed + count[Verdict.FAIL] + count[Verdict.WARN] + count[Verdict.DEVIATION]
        parts = [f"{passed} of {tried} checks passed"]
        parts += [
            f"{count[verdict]} {verdict}"
            for verdict in (Verdict.WARN, Verdict.DEVIATION, Verdict.NOT_BOUND, Verdict.NOT_SHOWN)
            if count[verdict]
        ]
        source = f" ({self.distribution} {self.version})" if self.distribution else ""
        verdict = "conforms" if not self.problems else "does not conform"
        if self.missing and not count[Verdict.FAIL]:
            verdict = "was not wholly held"  # so that nobody takes a part for the whole
        if self.missing:
            parts.append(f"{self.missing} not run")
        return f"{self.kind} {self.name}{source} {verdict} to chat-core's suite {self.level}: {', '.join(parts)}"

    def lines(self, *, every: bool = True) -> list[str]:
        """Return the report as text; without ``every`` only what is not a plain pass or an undeclared capability."""
        quiet = set() if every else {Verdict.PASS, Verdict.NOT_BOUND}
        width = max((len(verdict) for verdict in Verdict), default=0)
        shown = [
            f"{one.check.id}  {one.check.level:<6}  {one.verdict.upper():<{width}}  "
            f"{one.summary or one.check.requirement}"
            for one in self.results
            if one.verdict not in quiet
        ]
        return [*shown, self.line]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "schema": _SCHEMA,
            "suite": self.kind,
            "level": self.level,
            "plugin": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "conforms": not self.problems,
            "line": self.line,
            "checks": [
                {
                    "id": one.check.id,
                    "level": str(one.check.level),
                    "capability": one.check.capability,
                    "since": one.check.since,
                    "requirement": one.check.requirement,
                    "verdict": str(one.verdict),
                    "message": one.message,
                    "seconds": round(one.seconds, 3),
                }
                for one in self.results
            ],
        }
