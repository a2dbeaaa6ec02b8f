"""The example of a storage on Redis, against a real Redis."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "storage_redis.py"


def test_a_chat_is_kept_on_redis_and_cleared_at_its_end():
    """The program of the docs as it stands."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed (Debian: redis-server)")
    with tempfile.TemporaryDirectory() as place:  # a socket's path must be short
        socket = Path(place) / "redis.sock"
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", place],
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 20
            while not socket.exists():
                assert server.poll() is None, "the server ended"
                assert time.monotonic() < deadline
                time.sleep(0.02)  # another program's; nothing tells when it listens
            result = subprocess.run(
                [sys.executable, "-W", "error", str(EXAMPLE)],
                capture_output=True,
                text=True,
                timeout=60,
                env={**os.environ, "REDIS_URL": f"unix://{socket}"},
            )
        finally:
            server.terminate()
            server.wait(20)
    assert result.returncode == 0, result.stderr
    saved, sent, afterwards = result.stdout.splitlines()
    assert "session_id" in saved
    assert "echoed at" in sent
    assert afterwards == "afterwards: None"
