"""docs/web.md as a newcomer follows it: in a checkout and an environment of their own."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "web.md").read_text("utf-8"), re.DOTALL)


@contextlib.contextmanager
def running(command: str, folder: Path) -> Iterator[None]:
    process = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=folder, stdout=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(20) in {0, -15}


def fetched(url: str) -> str:
    """Return what is there, as soon as somebody answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)  # the command says nothing to whoever is not its terminal


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands up to the first that serves, as they stand."""
    place = tmp_path_factory.mktemp("newcomer") / "chat"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    install = COMMANDS[0].replace("pip install", "pip install --quiet")
    lines = [line for line in install.splitlines() if "chat-page" not in line or "pip" in line]
    assert len(lines) == 2
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV", "PYTEST"))}
    subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(lines)], cwd=place, env=kept, check=True, timeout=600)
    return place


def test_the_commands_of_the_page(checkout: Path):
    """The demo, and the sandbox in a process of its own; on other ports than the page says, which may be taken here."""
    demo, port = COMMANDS[0].splitlines()[-1], free_port()
    assert demo == ".venv/bin/chat-page --demo"
    with running(f"{demo} --port {port}", checkout):
        page = fetched(f"http://127.0.0.1:{port}/help")
        assert 'role="log"' in page
        for path in re.findall(r'(?:src|href)="(/static/.*?)"', page):
            assert fetched(f"http://127.0.0.1:{port}{path}")
    serve, page = (command.strip() for command in COMMANDS[1:])
    sandbox, port = free_port(), free_port()
    with (
        running(serve.replace("8080", str(sandbox)), checkout),
        running(f"{page.replace('8080', str(sandbox))} --port {port}", checkout),
    ):
        assert "Ask about an order" in fetched(f"http://127.0.0.1:{port}/")
    assert {path.name for path in (checkout / "chat-states").iterdir()} == {"lock"}
