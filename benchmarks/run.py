"""Measures chat-core beside its peers: ``python benchmarks/run.py [NAME ...] [--rounds 5] [--all] [--write]``.

Rounds are interleaved: in each, every client is measured once, so that what the machine does besides hits all of them.
What counts are ratios of medians; absolute figures belong to the machine. The servers are CometD's own (Java) and the
sandbox, each a process of its own. Needs Java, Maven, Node and npm; installs the peers (``peers.py``).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import peers
from figures import COMMANDS, FIGURES, IMPORTS, Bar, Figure

ROOT = Path(__file__).parents[1]
CLIENTS = Path(__file__).parent / "clients"
REPORT = ROOT / "docs" / "measured" / "performance.json"
#: Seconds for one client's measurement, and how often a peer that broke off is tried again.
PATIENCE = 300
TRIES = 2

sys.path.insert(0, str(ROOT / "tests"))


@contextlib.contextmanager
def java() -> Iterator[tuple[str, str]]:
    """Start CometD's own server with the chat service; yields its address and that of its control port."""
    from support.counterparts import CometdJava, require  # noqa: PLC0415 - not every run needs it

    require("java")
    with CometdJava("newest", heap=6144) as server:
        address = f"http://localhost:{server.port}{server.path}"
        control = f"http://127.0.0.1:{server.control_port}"
        for carrier in ("ws", "lp"):  # what Java has not compiled yet is no measure
            measure("floor", (address, control), carrier, "burst", 9000)
            measure("floor", (address, control), carrier, "echo", 300)
        yield address, control


@contextlib.contextmanager
def sandbox() -> Iterator[tuple[str, str]]:
    """Start the sandbox, REST."""
    command = [sys.executable, "-m", "chat_sandbox", "serve", "--port", "0", "--agent", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        addresses = [server.stdout.readline().split()[-1] for _ in range(2)]
        try:
            yield addresses[1], "http://127.0.0.1:1"
        finally:
            server.terminate()


@contextlib.contextmanager
def java_behind_tls() -> Iterator[tuple[str, ...]]:
    """As ``java``, behind a process that does the TLS; yields the authority's file besides."""
    with java() as (address, control), tempfile.TemporaryDirectory() as folder:
        parts = urlsplit(address)
        command = [sys.executable, str(Path(__file__).parent / "terminator.py"), str(parts.port), folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as processes:
            assert processes.stdout is not None
            try:
                port = processes.stdout.readline().strip()
                yield f"https://localhost:{port}{parts.path}", control, f"{folder}/ca.pem"
            finally:
                os.killpg(processes.pid, signal.SIGTERM)


SERVERS = {"java": java, "java, TLS": java_behind_tls, "sandbox": sandbox}


def measure(client: str, server: tuple[str, ...], carrier: str, test: str, count: int) -> dict[str, Any]:
    """Run one client in a process of its own: ``NAME[:TEST][+LOOP]``."""
    client, _, loop = client.partition("+")
    name, _, other = client.partition(":")
    address, control, *authority = server
    programs: dict[str, list[str]] = {
        "chat-core": [sys.executable, str(CLIENTS / "ours.py")],
        "floor": [sys.executable, str(CLIENTS / "floor.py")],
        "noloop": [str(peers.NOLOOP), str(CLIENTS / "noloop.py")],
        "cometd.js": ["node", str(CLIENTS / "cometd_js.mjs")],
    }
    done = subprocess.run(
        [*programs[name], address, control, carrier, other or test, str(count), *([loop] if loop else []), *authority],
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PEERS": str(peers.NODE)},
    )
    if done.returncode != 0:
        raise RuntimeError(f"{client} failed at {test} over {carrier}: {done.stderr[:2000]}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def compare(figure: Figure, server: tuple[str, ...], rounds: int, known: dict[Any, Any]) -> dict[str, Any]:
    """Measure a figure of every client, interleaved. ``known``: results of this run, of which some have two figures."""
    values: dict[str, list[float]] = {client: [] for client in figure.clients}
    for number in range(rounds):
        for client in list(values):
            key = figure.server, client, figure.carrier, figure.test, figure.count, number
            if key not in known:
                known[key] = _measured(figure, client, server)
            if (result := known[key]) is None:
                del values[client]  # it does not come that far
            else:
                values[client].append(figure.read(result))
    bars = tuple(bar for bar in figure.bars if bar.against is None or bar.against in values)
    return _told(figure.name, figure.what, values, bars)


def _measured(figure: Figure, client: str, server: tuple[str, ...]) -> dict[str, Any] | None:
    """Measure, once more where a peer broke off, and None where it did so each time: that is its affair.

    Chat-core must not.
    """
    if client.startswith("chat-core"):
        return measure(client, server, figure.carrier, figure.test, figure.count)
    for _ in range(TRIES):
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            return measure(client, server, figure.carrier, figure.test, figure.count)
        sys.stdout.write(f"    {client} broke off at {figure.name}\n")
        sys.stdout.flush()
    return None


def commands(rounds: int) -> list[dict[str, Any]]:
    """Time the command line against the imports that it cannot do without."""
    program = Path(sys.executable).with_name("chat-core")
    lines = {"the imports": [sys.executable, "-c", IMPORTS]}
    lines |= {command.name: [str(program), *command.arguments] for command in COMMANDS}
    values: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(4 * rounds):
        for name, line in lines.items():
            began = time.perf_counter()
            subprocess.run(line, check=True, capture_output=True)
            values[name].append((time.perf_counter() - began) * 1e3)
    imports = values.pop("the imports")
    return [
        _told(
            command.name,
            f"{command.what}, ms",
            {"chat-core": values[command.name], "the imports": imports},
            (command.bar,),
        )
        for command in COMMANDS
    ]


def _told(name: str, what: str, values: dict[str, list[float]], bars: tuple[Bar, ...]) -> dict[str, Any]:
    judged = []
    for bar in bars:
        ours = values[bar.of]
        pairs = (
            ours if bar.against is None else [one / other for one, other in zip(ours, values[bar.against], strict=True)]
        )
        ratio = statistics.median(pairs)
        judged.append(
            {
                "bar": str(bar),
                "ratio": round(ratio, 3),
                "from": round(min(pairs), 3),
                "to": round(max(pairs), 3),
                "met": bar.holds(ratio),
            }
        )
    figures = {
        client: {"median": round(statistics.median(some), 3), "from": round(min(some), 3), "to": round(max(some), 3)}
        for client, some in values.items()
    }
    told = {"name": name, "what": what, "figures": figures, "bars": judged}
    sys.stdout.write(f"{what}\n")
    for client, figure in figures.items():
        sys.stdout.write(
            f"    {client:20} {figure['median']:>12,.3f}   [{figure['from']:,.3f} .. {figure['to']:,.3f}]\n"
        )
    for bar in judged:
        verdict = "met" if bar["met"] else "NOT MET"
        sys.stdout.write(f"    {bar['bar']}: {bar['ratio']:.2f} [{bar['from']:.2f} .. {bar['to']:.2f}], {verdict}\n")
    sys.stdout.flush()
    return told


def main() -> int:
    """Measure, print, and write the report where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [figure.name for figure in FIGURES] + ["commands"]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--all", action="store_true", help="also what takes minutes: 5,000 sessions")
    parser.add_argument("--write", action="store_true", help=f"write {REPORT.relative_to(ROOT)}")
    given = parser.parse_args()
    if unknown := set(given.names) - set(names):
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    peers.install()
    began = dt.datetime.now(dt.UTC)
    wanted = [
        figure for figure in FIGURES if (figure.name in given.names if given.names else figure.quick or given.all)
    ]
    known: dict[Any, Any] = {}
    told = commands(given.rounds) if not given.names or "commands" in given.names else []
    if given.write:
        _write(told, began, given.rounds)
    for kind, server in SERVERS.items():
        figures = [figure for figure in wanted if figure.server == kind]
        if figures:
            with server() as addresses:
                for figure in figures:
                    told = [compare(figure, addresses, given.rounds, known)]
                    if given.write:
                        _write(told, began, given.rounds)
    return 0


def _write(told: list[dict[str, Any]], began: dt.datetime, rounds: int) -> None:
    """Write what was measured; figures of an earlier run that were not measured now stay, with their date."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    where = {
        "date": began.date().isoformat(),
        "commit": commit,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "rounds": rounds,
    }
    before = json.loads(REPORT.read_text("utf-8")) if REPORT.exists() else {"figures": []}
    kept = {one["name"]: one for one in before["figures"]}
    kept |= {one["name"]: {**one, **where} for one in told}
    order = [*(command.name for command in COMMANDS), *(figure.name for figure in FIGURES)]
    figures = [kept[name] for name in order if name in kept]
    REPORT.write_text(json.dumps({**before, "figures": figures}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
