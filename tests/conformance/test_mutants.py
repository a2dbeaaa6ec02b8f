"""Every broken plugin is caught by exactly the checks that are meant for it, and every odd one passes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chat_core._contracts.providers import Kind
from chat_core.testing import (
    Result,
    Verdict,
    _logger,
    _storage_lease,
    _storage_trouble,
    _transport,
    _transport_bench,
    catalogue,
)
from chat_core.testing._facts import find_distribution
from chat_core.testing._logger import LoggerBench
from chat_core.testing._packaging import PackagingBench
from chat_core.testing._runner import run_suite
from chat_core.testing._storage_bench import StorageBench
from chat_core.testing._subject import make_subject
from chat_core.testing._transport_bench import TransportBench
from conformance import logger_mutants, packaging_mutants, storage_mutants, transport_mutants

KINDS = {
    "storage": (storage_mutants, StorageBench),
    "transport": (transport_mutants, TransportBench),
    "logger": (logger_mutants, LoggerBench),
}
ALL = {**{kind: module for kind, (module, _) in KINDS.items()}, "packaging": packaging_mutants}
MUTANTS = [pytest.param(kind, one, id=f"{kind}: {one.name}") for kind, all_ in ALL.items() for one in all_.MUTANTS]
ODD = [pytest.param(kind, one, id=f"{kind}: {one.name}") for kind, all_ in ALL.items() for one in all_.ODD]

# A mutant may leave what it was told to clean up: that is what is wrong with it.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def little_patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A mutant that hangs costs little, and one that blocks the loop has to do so for a moment only."""
    for module, name in ((_storage_trouble, "_BLOCKED"), (_transport, "_BLOCKED"), (_logger, "_QUICK")):
        monkeypatch.setattr(module, name, 0.1)
    if "mutant" in request.fixturenames and request.getfixturevalue("mutant").hangs:
        monkeypatch.setattr(_storage_trouble, "_FREE_WITHIN", 1.5)
        monkeypatch.setattr(_storage_lease, "_LATE", 0.5)
        monkeypatch.setattr(_transport_bench, "CLOSING", 0.3)
        monkeypatch.setattr(_logger, "_PATIENCE", 0.5)
    yield
    transport_mutants.LeavesASocket.close_all()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every package, built and installed once."""
    return packaging_mutants.install_all(tmp_path_factory.mktemp("packages"))


def results_of(kind: str, one: Any, request: pytest.FixtureRequest) -> list[Result]:
    if kind == "packaging":
        place = request.getfixturevalue("installed")
        package = find_distribution(packaging_mutants.name_of(one), path=[str(place)])
        return run_suite(
            catalogue()[kind],
            lambda _: PackagingBench(package),
            capabilities=frozenset(),
            subject=package,
            deviations={},
        )
    module, bench = KINDS[kind]
    subject = make_subject(Kind(kind), one.subject, options=one.options, harness=getattr(module, "Harness", None))
    subject = evolve(subject, builtin=getattr(one, "builtin", False))
    return run_suite(
        catalogue()[kind],
        lambda folder: bench(subject, folder),
        capabilities=subject.capabilities,
        subject=subject,
        deviations={},
    )


@pytest.mark.parametrize(("kind", "mutant"), MUTANTS)
def test_a_mutant_fails_exactly_the_checks_meant_for_it(kind: str, mutant: Any, request: pytest.FixtureRequest):
    """No other check fails, and each message says what is wrong."""
    failed = {one.check.id: one.message for one in results_of(kind, mutant, request) if one.verdict is Verdict.FAIL}
    assert failed.keys() == mutant.fails.keys(), failed
    for check_id, phrase in mutant.fails.items():
        assert phrase in failed[check_id].partition("\n")[0], check_id


@pytest.mark.parametrize(("kind", "odd"), ODD)
def test_an_odd_plugin_that_is_right_passes(kind: str, odd: Any, request: pytest.FixtureRequest):
    """What is only unusual is not held against it."""
    failed = {one.check.id: one.message for one in results_of(kind, odd, request) if one.verdict is Verdict.FAIL}
    assert not failed


@pytest.mark.parametrize("kind", list(ALL))
def test_every_check_catches_a_mutant(kind: str):
    """A check that nothing can fail checks nothing."""
    caught = {check_id for mutant in ALL[kind].MUTANTS for check_id in mutant.fails}
    assert caught == {check.id for check in catalogue()[kind]}


def test_names_of_mutants_are_told_apart():
    """They are the rows of a table in the docs."""
    for module in ALL.values():
        names = [one.name for one in [*module.MUTANTS, *module.ODD]]
        assert len(set(names)) == len(names)
