"""Mutants of the modules that keep the promises, and which of them no test notices.

cosmic-ray makes and runs them, in copies of the repository, two at a time. Its operators are narrowed to those whose
mutants are mistakes somebody could make: a comparison's boundary or direction, a sign, a number one off, a condition
turned round, an exception not caught. A mutant that survives is either answered with a test or stands in
``survivors.toml`` with the reason why no test could tell it from the original.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).parents[2]
SESSION = "core/src/chat_core/_session"
LANES = 2
#: Seconds for the tests of one mutant; one that takes longer loops or waits for ever, and counts as noticed.
PATIENCE = 60.0


@frozen
class Target:
    """A module and the narrowest fast tests that are answerable for it."""

    module: str
    tests: tuple[str, ...]


TARGETS = (
    # Its tests take half a minute, so it comes first and has a lane almost to itself.
    Target(
        "plugins/transport_cometd/src/chat_transport_cometd/_link.py",
        ("tests/plugins/transport_cometd/test_cometd_transport.py",),
    ),
    Target(f"{SESSION}/continuity.py", ("tests/core/session/test_continuity.py",)),
    Target(
        f"{SESSION}/outbox.py",
        (
            "tests/core/session/test_outbox.py",
            "tests/core/session/test_session.py",
            "tests/core/session/test_saved_outbox.py",
        ),
    ),
    Target(
        f"{SESSION}/claims.py",
        (
            "tests/core/session/test_outbox.py",
            "tests/core/session/test_recounting.py",
            "tests/core/session/test_saved_outbox.py",
        ),
    ),
    Target(
        f"{SESSION}/shown.py",
        ("tests/core/session/test_detaching_outbox.py", "tests/core/session/test_saved_outbox.py"),
    ),
    Target(f"{SESSION}/flow.py", ("tests/core/session/test_flow.py", "tests/core/session/test_session.py")),
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
            change = {"module": name, "was": mutant["was"], "becomes": mutant["becomes"]}
            survivors.append({**change, "reason": reasons.get((name, mutant["was"], mutant["becomes"]), "")})
        counts[name] = {"mutants": len(found[name]), "noticed": len(found[name]) - len(alive), "survived": len(alive)}
    counts["survived without a reason"] = sum(not survivor["reason"] for survivor in survivors)
    return {**counts, "survivors": survivors}


def _copy(place: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name)


def _reasons() -> dict[tuple[str, str, str], str]:
    listed = tomllib.loads((Path(__file__).parent / "survivors.toml").read_text("utf-8"))["survivor"]
    return {(one["module"], one["was"], one["becomes"]): one["reason"] for one in listed}


async def _run(target: Target, copy: Path) -> list[dict[str, Any]]:
    name = Path(target.module).stem
    config, session = copy / f"{name}.toml", copy / f"{name}.sqlite"
    tests = " ".join(target.tests)
    text = CONFIG.format(module=target.module, patience=PATIENCE, python=sys.executable, tests=tests)
    config.write_text(text, "utf-8")
    tool = Path(sys.executable).parent / "cosmic-ray"
    await _call(copy, str(tool), "init", str(config), str(session))
    await _call(copy, str(tool.with_name("cr-filter-operators")), str(session), str(config))
    await _call(copy, str(tool), "baseline", str(config))
    await _call(copy, str(tool), "exec", str(config), str(session))
    return [
        mutant for line in (await _call(copy, str(tool), "dump", str(session))).splitlines() for mutant in _mutant(line)
    ]


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
            "operator": mutation["operator_name"],
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
