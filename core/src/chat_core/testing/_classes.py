"""The suites as test classes: one plain test function for each check."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from chat_core._contracts.providers import Kind, Provider
from chat_core.testing._catalogue import catalogue
from chat_core.testing._checks import Check, Suite
from chat_core.testing._facts import Installed, find_distribution
from chat_core.testing._logger import LoggerBench
from chat_core.testing._packaging import PackagingBench
from chat_core.testing._report import Report, Result, Verdict
from chat_core.testing._reporter import report_in
from chat_core.testing._runner import run_check
from chat_core.testing._storage_bench import StorageBench
from chat_core.testing._subject import make_subject
from chat_core.testing._transport_bench import TransportBench

__all__ = ["Conformance", "LoggerConformance", "PackagingConformance", "StorageConformance", "TransportConformance"]

_SUITES: Final = catalogue()
#: Names that a class of tests must not define: with them the suite would be cut without a word.
_MACHINERY: Final = {"suite", "kind", "bench", "pytest_generate_tests", "make_report", "_run", "_carry_out"}
_SKIPPED: Final = {Verdict.NOT_BOUND, Verdict.UNDECLARED, Verdict.NOT_SHOWN}


def _test_of(check: Check) -> Callable[[Any], None]:
    def test(self: Any) -> None:
        self._carry_out(check)

    test.__name__ = test.__qualname__ = check.test
    test.__doc__ = check.requirement
    return test


def _name_of(provider: Any) -> str:
    return provider.name if isinstance(provider, Provider) else str(provider)


def _refuse_overriding(cls: type[Conformance]) -> None:
    base = next(one for one in cls.__mro__ if "suite" in vars(one) and one is not Conformance)
    for check in cls.suite:
        if inspect.getattr_static(cls, check.test) is not vars(base)[check.test]:
            raise TypeError(
                f"{cls.__name__} overrides {check.test}. A check cannot be replaced; where it does not hold, say so: "
                f'deviations = {{"{check.id}": "the reason"}}'
            )


def _refuse_own_machinery(cls: type[Conformance]) -> None:
    for one in cls.__mro__:
        taken = _MACHINERY & vars(one).keys()
        if taken and one.__module__ != __name__:
            raise TypeError(f"{cls.__name__} defines {min(taken)}, which is the suite's own; give it another name")


def _refuse_bad_declarations(cls: type[Conformance]) -> None:
    if cls.provider is None:
        if cls.__name__.startswith("Test"):
            raise TypeError(f'{cls.__name__} does not say what it checks: write provider = "name" in the class')
        return
    if not isinstance(cls.provider, str | Provider):
        raise TypeError(
            f"{cls.__name__}.provider is of type {type(cls.provider).__name__}; write the name of the plugin, "
            'provider = "name", or give the provider itself (a fixture cannot take its place)'
        )
    if cls.level not in {"must", "all"}:
        raise TypeError(f'{cls.__name__}.level must be "must" or "all", not {cls.level!r}')
    for check_id, reason in cls.deviations.items():
        if check_id not in cls.suite:
            raise TypeError(f"{cls.__name__}.deviations: there is no check {check_id!r} for a {cls.suite.kind}")
        if not isinstance(reason, str) or not reason.strip():
            raise TypeError(f"{cls.__name__}.deviations: {check_id} needs a reason")
        if cls.suite[check_id].security:
            raise TypeError(f"{cls.__name__}.deviations: {check_id} is about secrets; there is no deviating from it")


class Conformance:
    """What the four classes share.

    Attributes:
        provider: the subject: its name, or the provider itself.
        options: the plugin's options, or a method that makes them from a folder.
        deviations: ids of checks that are known not to hold, each with the reason.
        level: ``all``, or ``must``: a SHOULD that is not met is no failure.
        report: path of a JSON file for the report, None for none.
    """

    suite: ClassVar[Suite]
    provider: ClassVar[Any] = None
    options: Any = None
    deviations: ClassVar[Mapping[str, str]] = {}
    level: ClassVar[str] = "all"
    report: ClassVar[str | None] = None
    #: Set for each class of its own.
    results: ClassVar[dict[str, Result]]

    def __init_subclass__(cls, *, suite: Suite | None = None, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.results = {}
        if suite is not None:
            cls.suite = suite
            for check in suite:
                setattr(cls, check.test, _test_of(check))
            return
        if hasattr(cls, "suite"):
            _refuse_own_machinery(cls)
            _refuse_overriding(cls)
            _refuse_bad_declarations(cls)

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Print the report at the end of the run that collects this class."""
        report_in(metafunc.config, type(self))

    @classmethod
    def make_report(cls) -> Report:
        """Return what came of the checks that have run."""
        return Report(kind=cls.suite.kind, name=_name_of(cls.provider), **cls._outcome())

    @classmethod
    def _outcome(cls) -> dict[str, Any]:
        done = tuple(cls.results[check.id] for check in cls.suite if check.id in cls.results)
        return {"results": done, "missing": len(cls.suite) - len(done)}

    def _run(self, check: Check) -> Result:
        raise NotImplementedError

    def _carry_out(self, check: Check) -> None:
        import pytest  # noqa: PLC0415 - only these classes need it

        result = self._run(check)
        type(self).results[check.id] = result
        if result.verdict is Verdict.FAIL:
            pytest.fail(result.message, pytrace=False)
        if result.verdict in {Verdict.DEVIATION, Verdict.WARN}:
            pytest.xfail(result.message)
        if result.verdict in _SKIPPED:
            pytest.skip(f"{check.id} {result.verdict}: {result.summary}")


class _PluginConformance(Conformance):
    """The kinds that make something from a provider."""

    kind: ClassVar[Kind]
    bench: ClassVar[Callable[..., Any]]

    def _run(self, check: Check) -> Result:
        subject = make_subject(
            self.kind,
            self.provider,
            options=self.options,
            harness=getattr(type(self), "harness", None),
            damage=getattr(self, "damage", None),
        )
        return run_check(
            check,
            lambda folder: type(self).bench(subject, folder),
            capabilities=subject.capabilities,
            subject=subject,
            deviations=self.deviations,
            only_must=self.level == "must",
        )

    @classmethod
    def make_report(cls) -> Report:
        """Return what came of the checks that have run."""
        subject = make_subject(cls.kind, cls.provider)
        return Report(
            kind=cls.suite.kind,
            name=subject.provider.name,
            distribution=subject.distribution,
            version=subject.version,
            **cls._outcome(),
        )


class StorageConformance(_PluginConformance, suite=_SUITES["storage"]):
    """One test for each check of a state storage.

    ``options`` may be a method that is given a fresh folder for each check; a ``damage`` method is given the same
    folder and spoils what is saved, where overwriting the files in that folder does not do so.
    """

    kind: ClassVar[Kind] = Kind.STORAGE
    bench: ClassVar[Callable[..., Any]] = StorageBench

    damage: ClassVar[Callable[[Any, Path], object] | None] = None


class TransportConformance(_PluginConformance, suite=_SUITES["transport"]):
    """One test for each check of a transport. ``harness`` is a ``TransportHarness`` class, or makes one."""

    kind: ClassVar[Kind] = Kind.TRANSPORT
    bench: ClassVar[Callable[..., Any]] = TransportBench

    harness: ClassVar[Any] = None

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if cls.provider is not None and not callable(cls.harness):
            raise TypeError(
                f"{cls.__name__}: a transport is checked against a server; write harness = MyHarness, "
                "a class derived from chat_core.testing.TransportHarness"
            )


class LoggerConformance(_PluginConformance, suite=_SUITES["logger"]):
    """One test for each check of a logger."""

    kind: ClassVar[Kind] = Kind.LOGGER
    bench: ClassVar[Callable[..., Any]] = LoggerBench


class PackagingConformance(Conformance, suite=_SUITES["packaging"]):
    """One test for each check of how a plugin is packaged. ``provider`` is a provider's name or the distribution's."""

    path: ClassVar[list[str] | None] = None

    def _run(self, check: Check) -> Result:
        installed = self.installed()
        return run_check(
            check,
            lambda _: PackagingBench(installed),
            capabilities=frozenset(),
            subject=installed,
            deviations=self.deviations,
            only_must=self.level == "must",
        )

    @classmethod
    def installed(cls) -> Installed:
        """Find the distribution."""
        return find_distribution(cls.provider, path=cls.path)

    @classmethod
    def make_report(cls) -> Report:
        """Return what came of the checks that have run."""
        installed = cls.installed()
        return Report(
            kind=cls.suite.kind,
            name=_name_of(cls.provider),
            distribution=installed.name,
            version=installed.version,
            **cls._outcome(),
        )
