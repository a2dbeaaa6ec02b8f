"""The suite is green on good plugins however an author's pytest is set up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILE = """
from chat_core.testing import LoggerConformance, PackagingConformance, StorageConformance, TransportConformance
from conformance.reference_transport import Harness, provider as reference


class TestStorage(StorageConformance):
    provider = "memory"


class TestTransport(TransportConformance):
    provider = reference()
    harness = Harness


class TestLogger(LoggerConformance):
    provider = "stdlib"


class TestPackaging(PackagingConformance):
    provider = "rest"
"""
#: The suite's own tests are plain functions: none of these may matter.
STRICT = ["-W", "error", "--strict-markers", "--strict-config", "-o", "xfail_strict=true"]
#: Without that option it warns by itself.
ASYNCIO = ["-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function"]
ENVIRONMENTS = {
    "no plugin at all": [],
    "anyio": ["-p", "anyio.pytest_plugin"],
    "pytest-asyncio, strict": [*ASYNCIO, "-o", "asyncio_mode=strict"],
    "pytest-asyncio, auto": [*ASYNCIO, "-o", "asyncio_mode=auto"],
    "pytest-asyncio and anyio": [*ASYNCIO, "-o", "asyncio_mode=auto", "-p", "anyio.pytest_plugin"],
    "random order": ["-p", "pytest_randomly", "-p", "no:anyio"],
    "in parallel": ["-p", "xdist.plugin", "-n", "2"],
    "from an empty folder, importlib": ["--import-mode=importlib"],
}
#: 40 of the transport, 9 of the logger, 16 of packaging, and those that bind ``memory``.
EXPECTED = 40 + 9 + 16 + 19
ADDED = ("pytest-asyncio", "pytest-randomly")


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The plugins of pytest that this environment lacks, each in a folder of its own."""
    folders = {}
    for name in ADDED:
        folder = tmp_path_factory.mktemp(name)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), name]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if result.returncode != 0:
            if os.environ.get("CI") == "true":
                pytest.fail(result.stderr)
            pytest.skip(f"{name} cannot be installed here")
        folders[name] = folder
    return folders


@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_the_suite_is_green(name: str, plugins: dict[str, Path], tmp_path: Path):
    """Warnings are errors, markers and configuration strict; no plugin is loaded but the named ones."""
    (tmp_path / "test_plugins.py").write_text(FILE, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "ascii")
    arguments = ENVIRONMENTS[name]
    used = [str(folder) for plugin, folder in plugins.items() if plugin.replace("-", "_") in " ".join(arguments)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": os.pathsep.join([*used, str(TESTS)])}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *STRICT, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=environment,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    counted = re.search(r"(\d+) passed", result.stdout)
    assert counted is not None
    # As many as in any other environment: nothing is left out without a word.
    assert int(counted[1]) == EXPECTED, result.stdout
