"""Does what a page says: writes the files that it shows, types its commands, and compares what they print."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import frozen

__all__ = ["Command", "File", "do", "steps", "with_free_ports"]

#: A file is named at the end of the paragraph above its listing; commands stand in blocks of their own, behind ``$``.
_STEP = re.compile(
    r"`(?P<name>[\w./-]+)`:\n\n```\w+\n(?P<text>.*?)^```$"
    r"|(?P<aside><!-- in a second terminal -->\n)?```console\n(?P<console>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
#: Seconds for one command: an environment is made in that time, on a busy machine too.
_DEADLINE = 300.0
_OVER = "-- that was all --"


@frozen
class File:
    """A file that the page shows."""

    name: str
    text: str


@frozen
class Command:
    """A command with what it prints; ``aside``: it goes on in a terminal of its own."""

    line: str
    prints: str
    aside: bool = False


def steps(page: str) -> list[File | Command]:
    """Return what a page says, in order."""
    found: list[File | Command] = []
    for match in _STEP.finditer(page):
        if match["name"]:
            found.append(File(match["name"], match["text"]))
            continue
        for command in re.split(r"^\$ ", match["console"], flags=re.MULTILINE)[1:]:
            line, _, prints = command.partition("\n")
            found.append(Command(line, prints, aside=match["aside"] is not None))
    return found


def with_free_ports(page: str) -> str:
    """Return the page with its servers on ports that nobody uses."""
    for port in dict.fromkeys(re.findall(r"--port (\d+)", page)):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            page = page.replace(port, str(free.getsockname()[1]))
    return page


def do(page: str, place: Path, environment: Mapping[str, str]) -> None:
    """Do everything that a page says, in an empty folder. What is still running afterwards is ended.

    Raises:
        AssertionError: a command printed something else than the page shows.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(("CI", "COV_", "PYTEST_"))}
    environment = {**kept, "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8", "COLUMNS": "80"}
    with ExitStack() as stack:
        first = stack.enter_context(_terminal(place, environment))
        for step in steps(page):
            here, path = _run(first, "pwd; echo $PATH").splitlines()
            if isinstance(step, File):
                file = Path(here) / step.name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(step.text, "utf-8")
                continue
            if step.aside:
                second = stack.enter_context(_terminal(Path(here), {**environment, "PATH": path}))
                _type(second, step.line)
                printed = _read(second, lines=step.prints.count("\n"))
            else:
                printed = _run(first, step.line)
            assert _alike(printed) == _alike(step.prints), f"$ {step.line}\n{printed}"


@contextmanager
def _terminal(place: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    bash = subprocess.Popen(
        ["bash", "--norc"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=place,
        env=dict(environment),
        start_new_session=True,  # so that its children can be ended with it
    )
    try:
        yield bash
    finally:
        os.killpg(bash.pid, signal.SIGKILL)
        bash.communicate()


def _type(bash: subprocess.Popen[str], line: str) -> None:
    assert bash.stdin is not None
    bash.stdin.write(f"{line}\n")
    bash.stdin.flush()


def _run(bash: subprocess.Popen[str], line: str) -> str:
    """Return what a command prints. It has no input."""
    _type(bash, f"{{ {line}\n}} </dev/null; echo '{_OVER}'")
    return _read(bash)


def _read(bash: subprocess.Popen[str], *, lines: int | None = None) -> str:
    """Read so many lines, or what a command prints until it is over."""
    assert bash.stdout is not None
    read = ""
    timer = threading.Timer(_DEADLINE, os.killpg, (bash.pid, signal.SIGKILL))
    timer.start()
    try:
        while lines is None or read.count("\n") < lines:
            line = bash.stdout.readline()
            assert line, f"no end after {_DEADLINE:g} s:\n{read}"
            if line.endswith(f"{_OVER}\n"):
                return read + line.removesuffix(f"{_OVER}\n")
            read += line
    finally:
        timer.cancel()
    return read


def _alike(text: str) -> str:
    """Take out what differs from run to run: durations, and how a shell that is no terminal words a kill."""
    text = re.sub(r"\d+\.\d+ ?s\b", "0.0 s", text)
    return re.sub(r"^bash: line \d+:\s+\d+ Killed.*$", "Killed", text, flags=re.MULTILINE)
