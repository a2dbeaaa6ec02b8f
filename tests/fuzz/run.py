"""Fuzzes every codec and parser: ``python tests/fuzz/run.py [CODEC ...] [--seconds 30 | --executions N]``.

Coverage-guided (atheris, libFuzzer), from the corpus in ``tests/fuzz/corpus``. Fails when a target found something; the
input stands in ``tests/fuzz/findings`` then. ``--report`` writes what was counted to ``docs/measured/fuzz.json``;
``--keep`` adds the smallest new inputs to the corpus.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime as dt
import importlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))

CODECS: Final = sorted(file.stem for file in (HERE / "targets").glob("[!_]*.py"))
PACKAGES: Final = ["chat_core", "chat_gms", "chat_transport_cometd", "chat_transport_rest", "chat_sandbox"]
REPORT: Final = ROOT / "docs" / "measured" / "fuzz.json"
#: The long run: so many executions, and in the last of them nothing new may be covered.
LONG: Final = 10_000_000
QUIET: Final = 1_000_000
#: Bytes of one input; seconds (of the wall's clock) and MiB that one execution may take.
LONGEST_INPUT: Final = 2048
SLOWEST: Final = 5
MEMORY: Final = 1024

#: Bytes and files of one codec's corpus, at most.
KEPT: Final = 6 * 1024
KEPT_FILES: Final = 32

_STATUS: Final = re.compile(r"#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+)")


def child(codec: str, flags: list[str]) -> None:
    """Fuzz one codec in this process."""
    import atheris

    from fuzz.mutator import json_mutator

    with atheris.instrument_imports(include=PACKAGES):
        target = importlib.import_module(f"fuzz.targets.{codec}")
    more = {}
    if getattr(target, "JSON", False):
        # Looked up when it is called: which one it is is settled by Setup.
        more["custom_mutator"] = json_mutator(
            lambda data, size: atheris.Mutate(data, size),  # noqa: PLW0108
            prefix=getattr(target, "PREFIX", 0),
        )
    atheris.Setup([sys.argv[0], *flags], target.check, **more)
    atheris.Fuzz()


def fuzz(codec: str, given: argparse.Namespace) -> dict[str, Any]:
    """Fuzz one codec in a process of its own and return what was counted."""
    findings = HERE / "findings" / codec
    findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        limit = f"-runs={given.executions}" if given.executions else f"-max_total_time={given.seconds}"
        command = [
            *(sys.executable, str(HERE / "run.py"), "--child", codec, limit, f"-seed={given.seed}"),
            *(f"-max_len={LONGEST_INPUT}", f"-timeout={given.slowest}", f"-rss_limit_mb={MEMORY}"),
            *(f"-artifact_prefix={findings}/", place, str(corpus(codec))),
        ]
        began = time.monotonic()
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env={**os.environ, "PYTHONHASHSEED": "0"}
        )
        took = time.monotonic() - began
        counts = _counts(done.stderr, took)
        if given.keep and done.returncode == 0:
            _keep(codec, Path(place))
    if done.returncode != 0:
        tail = "\n".join(
            line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("#", "INFO"))
        )
        sys.stdout.write(f"== {codec}: FOUND SOMETHING, see {findings}\n{tail}\n")
        counts["failed"] = True
    sys.stdout.write(f"== {codec}: {', '.join(f'{key} {value}' for key, value in counts.items())}\n")
    sys.stdout.flush()
    return counts


def corpus(codec: str) -> Path:
    """Return where a codec's kept inputs are."""
    return HERE / "corpus" / codec


def _counts(output: str, took: float) -> dict[str, Any]:
    executions = coverage = features = covered_at = 0
    for match in _STATUS.finditer(output):
        executions = int(match[1])
        if int(match[3]) > coverage:
            covered_at = executions
        coverage, features = int(match[3]), int(match[4])
    return {
        "executions": executions,
        "executions_per_second": round(executions / max(took, 0.1)),
        "coverage": coverage,
        "coverage_features": features,
        "executions_since_new_coverage": executions - covered_at,
    }


def _keep(codec: str, found: Path) -> None:
    """Add the smallest of the new inputs to the corpus, as many as there is room for."""
    place = corpus(codec)
    kept = list(place.iterdir())
    room, files = KEPT - sum(file.stat().st_size for file in kept), KEPT_FILES - len(kept)
    for file in sorted(found.iterdir(), key=lambda file: (file.stat().st_size, file.name)):
        room, files = room - file.stat().st_size, files - 1
        if room < 0 or files < 0:
            return
        shutil.copy(file, place / file.name[:12])


def _report(counts: dict[str, dict[str, Any]], given: argparse.Namespace, began: float) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    before = json.loads(REPORT.read_text("utf-8")) if REPORT.exists() else {"counts": {}}
    date = dt.datetime.now(dt.UTC).date().isoformat()
    minutes = round((time.monotonic() - began) / 60, 1)
    # Codecs may be run one after the other, and each again when it has changed: what others counted stays.
    of_each = {codec: {"date": date, "commit": commit, **counted} for codec, counted in counts.items()}
    report = {
        "what": "`python tests/fuzz/run.py`: coverage-guided fuzzing; no exception but the documented ones",
        "date": date,
        "minutes": minutes,
        "commit": commit,
        "python": platform.python_version(),
        "seed": given.seed,
        "counts": dict(sorted({**before["counts"], **of_each}.items())),
    }
    REPORT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


def main() -> int:
    """Fuzz some codecs, two at a time."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codecs", nargs="*", metavar="CODEC", help=f"of {', '.join(CODECS)}; all where none is given")
    parser.add_argument("--seconds", type=int, default=30, help="for each codec")
    parser.add_argument("--executions", type=int, help=f"for each codec, in place of --seconds; {LONG} is the long run")
    parser.add_argument("--slowest", type=int, default=SLOWEST, help="seconds for one input; more on a busy machine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="codecs at a time")
    parser.add_argument("--report", action="store_true", help=f"write {REPORT.relative_to(ROOT)}")
    parser.add_argument("--keep", action="store_true", help="add what was found to the corpus")
    given = parser.parse_args()
    if unknown := set(given.codecs) - set(CODECS):
        parser.error(f"there is no codec {', '.join(sorted(unknown))}")
    try:
        importlib.import_module("atheris")
    except ImportError:
        sys.stderr.write("atheris is missing; it is for Linux: pip install '.[fuzz]'\n")
        return 2
    began = time.monotonic()
    chosen = given.codecs or CODECS
    counts: dict[str, dict[str, Any]] = {}
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        running = {pool.submit(fuzz, codec, given): codec for codec in chosen}
        for done in concurrent.futures.as_completed(running):
            counts[running[done]] = counted = done.result()
            if given.report:
                # Each time, and this one alone: a long run may be cut short, and another one beside it write as well.
                _report({running[done]: counted}, given, began)
    failed = [codec for codec, count in counts.items() if count.pop("failed", False)]
    late = [
        codec
        for codec, count in counts.items()
        if count["executions"] >= LONG and count["executions_since_new_coverage"] < QUIET
    ]
    if late:
        sys.stdout.write(f"new coverage in the last {QUIET} executions of {', '.join(late)}\n")
    return 1 if failed or late else 0


if __name__ == "__main__":
    sys.exit(main())
