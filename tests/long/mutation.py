"""Mutants of the modules that keep the promises, and which of them no test notices.

cosmic-ray makes and runs them, in copies of the repository, two at a time. Its operators are narrowed to those whose
mutants are mistakes somebody could make: a comparison's boundary or direction, a sign, a number one off, a condition
turned round, an exception not caught. What survives a module's own tests meets wider ones. A mutant that survives these
too is either answered with a test or stands in ``survivors.toml`` with the reason why no test could tell it from the
original.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).parents[2]
SESSION = "core/src/chat_core/_session"
COMETD, COMETD_TESTS = "plugins/transport_cometd", "tests/plugins/transport_cometd"
LANES = 2
#: Seconds for the narrow tests of one mutant, and for the wider ones; a mutant that takes longer loops or waits for
#: ever, and counts as noticed.
PATIENCE, MORE_PATIENCE = 60.0, 180.0


@frozen
class Target:
    """A module, the narrow fast tests that are answerable for it, and those that what survives these meets then."""

    module: str
    tests: tuple[str, ...]
    more: tuple[str, ...] = ()


def _session(module: str, tests: str, more: str) -> Target:
    place = "tests/core/session/test_{}.py"
    return Target(
        f"{SESSION}/{module}.py",
        tuple(place.format(name) for name in tests.split()),
        tuple(place.format(name) for name in more.split()),
    )


TARGETS = (
    Target(
        f"{COMETD}/src/chat_transport_cometd/_link.py",
        tuple(f"{COMETD_TESTS}/test_cometd_link{part}.py" for part in ("", "_lost", "_closing")),
        (
            f"{COMETD_TESTS}/test_cometd_back_to_websocket.py",
            f"{COMETD_TESTS}/test_cometd_round_trips.py",
            f"{COMETD_TESTS}/test_cometd_transport.py",
            "tests/plugins/test_slow_questions.py",
        ),
    ),
    _session("continuity", "continuity", "recounting flow without_positions session saved_outbox"),
    _session(
        "outbox",
        "outbox outbox_edges doubt recounting without_positions detaching_outbox session",
        "saved_outbox lease owners",
    ),
    _session("claims", "outbox recounting saved_outbox", "session detaching_outbox owners"),
    _session("shown", "shown detaching_outbox saved_outbox", "outbox session lease owners"),
    _session("flow", "flow session", "recounting outbox lease files saved_state"),
    Target("core/src/chat_core/_model/backoff.py", ("tests/core/model/test_backoff.py",)),
)

CONFIG = """
[cosmic-ray]
module-path = "{module}"
timeout = {patience}
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider --hypothesis-seed=1 {tests}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = [
  "core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|Mul_Div|Div_Mul|Pow_Mul).*",
  "core/ReplaceComparisonOperator_(?!(Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)$).*",
  "core/ReplaceUnaryOperator_(?!Delete_Not).*",
  "core/RemoveDecorator",
]
"""


async def mutate(only: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run the mutants of every module, or of those named; returns counts and what survived."""
    targets = [target for target in TARGETS if not only or Path(target.module).name in only]
    waiting = list(reversed(targets))
    found: dict[str, list[dict[str, Any]]] = {}

    async def lane() -> None:
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place)
            _copy(copy)
            while waiting:
                target = waiting.pop()
                found[Path(target.module).name] = await _run(target, copy)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(LANES, len(targets))):
            group.create_task(lane())
    reasons = _reasons()
    counts: dict[str, Any] = {}
    survivors: list[dict[str, str]] = []
    for target in targets:
        name = Path(target.module).name
        alive = [mutant for mutant in found[name] if mutant["survived"]]
        for mutant in alive:
            change = {key: mutant[key] for key in ("where", "was", "becomes")}
            reason = reasons.get((name, *change.values()), reasons.get((name, "", *tuple(change.values())[1:]), ""))
            survivors.append({"module": name, **change, "reason": reason})
        counts[name] = {"mutants": len(found[name]), "noticed": len(found[name]) - len(alive), "survived": len(alive)}
    return _told(counts, survivors)


def merged(before: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    """Return the counts of some modules together with what an earlier run counted of others."""
    before = {name: count for name, count in before.items() if name not in counts or name == "survivors"}
    survivors = [one for one in before.pop("survivors", []) if one["module"] not in counts]
    ours = {name: count for name, count in counts.items() if isinstance(count, dict)}
    return _told(dict(sorted({**before, **ours}.items())), survivors + counts["survivors"])


def _told(counts: dict[str, Any], survivors: list[dict[str, str]]) -> dict[str, Any]:
    unexplained = sum(not survivor["reason"] for survivor in survivors)
    return {**counts, "survived without a reason": unexplained, "survivors": survivors}


def _copy(place: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name)


def _reasons() -> dict[tuple[str, ...], str]:
    """Return the reasons by module, function (empty where it does not matter), line and changed line."""
    listed = tomllib.loads((Path(__file__).parent / "survivors.toml").read_text("utf-8"))["survivor"]
    return {(one["module"], one.get("where", ""), one["was"], one["becomes"]): one["reason"] for one in listed}


async def _run(target: Target, copy: Path) -> list[dict[str, Any]]:
    name = Path(target.module).stem
    session = copy / f"{name}.sqlite"
    config = _config(copy / f"{name}.toml", target.module, target.tests, PATIENCE)
    tool = Path(sys.executable).parent / "cosmic-ray"
    await _call(copy, str(tool), "init", config, str(session))
    await _call(copy, str(tool.with_name("cr-filter-operators")), str(session), config)
    await _call(copy, str(tool), "baseline", config)
    await _call(copy, str(tool), "exec", config, str(session))
    if target.more:
        config = _config(copy / f"{name}-more.toml", target.module, target.more, MORE_PATIENCE)
        await _call(copy, str(tool), "baseline", config)
        with contextlib.closing(sqlite3.connect(session)) as results, results:
            results.execute("DELETE FROM work_results WHERE test_outcome = 'SURVIVED'")
        await _call(copy, str(tool), "exec", config, str(session))
    return [
        mutant for line in (await _call(copy, str(tool), "dump", str(session))).splitlines() for mutant in _mutant(line)
    ]


def _config(place: Path, module: str, tests: tuple[str, ...], patience: float) -> str:
    place.write_text(
        CONFIG.format(module=module, patience=patience, python=sys.executable, tests=" ".join(tests)), "utf-8"
    )
    return str(place)


def _mutant(line: str) -> list[dict[str, Any]]:
    item, result = json.loads(line)
    if result is None or result["worker_outcome"] == "skipped":
        return []
    (mutation,) = item["mutations"]
    was, becomes = _change(result["diff"] or "")
    if was.replace("*,", "/,") == becomes:
        return []  # the mark of keyword-only parameters, taken for a multiplication
    return [
        {
            "survived": result["test_outcome"] == "survived",
            "was": was,
            "becomes": becomes,
            "where": mutation.get("definition_name") or "",
        }
    ]


def _change(diff: str) -> tuple[str, str]:
    lines = diff.splitlines()
    gone = [line[1:].strip() for line in lines if line.startswith("-") and not line.startswith("---")]
    come = [line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")]
    return " ".join(gone), " ".join(come)


def _sources(copy: Path) -> list[str]:
    """Return where the copy's packages are; they come before the installed ones."""
    return [str(path) for path in sorted([*copy.glob("*/src"), *copy.glob("plugins/*/src")])]


async def _call(copy: Path, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(_sources(copy)), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.terminate()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said[-2000:]}")
    return said


if __name__ == "__main__":
    print(json.dumps(asyncio.run(mutate(tuple(sys.argv[1:]))), indent=2))  # noqa: T201 - this is a command
