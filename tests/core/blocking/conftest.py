"""The sandbox on a thread of its own, and programs that end by themselves."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import pytest

from chat_core._blocking import portal
from chat_sandbox import echo
from chat_sandbox.blocking import Sandbox

Program = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def portal_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that fails leaves no session to the next one."""
    monkeypatch.setattr(portal, "_portal", None)
    yield
    if portal._portal is not None:
        portal._portal.stop()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(agent=echo) as running:
        yield running


@pytest.fixture
def program() -> Iterator[Program]:
    """Start a program of a user's; a warning fails it, also about what it leaves open."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str, *arguments: str, warnings: str = "error") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", warnings, "-c", PRELUDE + textwrap.dedent(text), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


PRELUDE = """
import atexit, logging, os, signal, sys, threading, time
logging.getLogger("asyncio").setLevel(logging.ERROR)  # a busy machine is slow to open a connection, and -X dev says so

def look():  # registered first, so that it is called last
    print("left behind:", [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()])

atexit.register(look)
import chat_core
from chat_core import blocking

def quiet(*_):
    pass

def start(**options):
    return blocking.start_session(server_url=sys.argv[1], logger=quiet, **{"state_storage": "memory", **options})
"""
