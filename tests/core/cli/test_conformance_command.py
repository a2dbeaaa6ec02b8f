"""``chat-core conformance``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.distributions import install


def run(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    import os

    environment = dict(os.environ) if path is None else {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "chat_core", "conformance", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )


def test_an_installed_storage_is_checked_without_pytest(tmp_path: Path):
    """Each check has a line, the last one goes into a README, the report is JSON."""
    report = tmp_path / "report.json"
    result = run("storage", "file", "--options", '{"directory": "{folder}/states"}', "--report", str(report))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ST-001  PASS" in result.stdout
    assert "storage file (chat-core 0.1.0) conforms to chat-core's suite 1.0: " in result.stdout
    value = json.loads(report.read_text("utf-8"))
    assert value["line"] == result.stdout.splitlines()[-1]
    assert value["schema"] == 1


def test_a_storage_that_does_not_conform_ends_with_1(tmp_path: Path):
    """The failing check says what the storage did; --level must lets a recommendation go."""
    code = """
    from chat_core import StorageProvider, hookimpl

    class Storage:
        blocking = False

        def __init__(self, context):
            self.state = None

        def read(self):
            return self.state

        def write(self, state):
            self.state = state

    @hookimpl
    def chat_storages():
        return [StorageProvider(name="mine", summary="in the instance", factory=Storage)]
    """
    install(tmp_path, "chat-storage-mine", code)
    result = run("storage", "mine", path=tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "ST-024  FAIL        blocking is False, and inline is not declared" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("storage mine (chat-storage-mine 1.2) does not conform")
    result = run("storage", "mine", "--level", "must", path=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ST-024  WARN" in result.stdout


def test_a_transport_needs_a_harness():
    """The error says how to name one; with one the transport is checked."""
    result = run("transport", "rest")
    assert result.returncode == 1
    assert "name a harness with --harness module:Class" in result.stderr
    result = run("transport", "rest", "--harness", "no_such_module:Harness")
    assert result.returncode == 1
    assert "the harness 'no_such_module:Harness' cannot be imported" in result.stderr
    result = run("transport", "rest", "--harness", "chat_sandbox.conformance:RestHarness")
    assert result.returncode == 0, result.stdout + result.stderr


def test_loggers_and_packages_are_checked():
    """Both need nothing but the name."""
    for kind, name in (("logger", "stdlib"), ("packaging", "chat-transport-rest")):
        result = run(kind, name)
        assert result.returncode == 0, result.stdout + result.stderr


def test_wrong_usage_is_named():
    """An unknown kind is 2, an unknown plugin and unusable options are 1, each with a sentence."""
    assert run("vault", "x").returncode == 2
    for arguments, words in (
        (("storage", "nowhere"), "no storage of that name is installed"),
        (("packaging", "nowhere"), "no installed distribution provides the plugin 'nowhere'"),
        (("storage", "file", "--options", "{"), "--options is no JSON"),
        (("storage", "file", "--options", "[]"), "--options must be an object"),
        (("storage", "file", "--options", '{"folder": "x"}'), "has no key 'folder'"),
    ):
        result = run(*arguments)
        assert result.returncode == 1, arguments
        assert words in result.stdout + result.stderr, arguments
