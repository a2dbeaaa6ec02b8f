"""The command line, as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chat_core._cli.conversation import can_be_drawn
from chat_core._cli.table import COMMANDS, main
from chat_core._cli.terminal import table, visible
from chat_core._plugins.registry import forget
from support.distributions import install


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "chat_core", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        **options,  # type: ignore[call-overload]
    )


def test_help_lists_every_command():
    """A newcomer sees what there is; wrong usage exits with 2."""
    result = run("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert name in result.stdout
    assert run().returncode == 2
    assert run("nonsense").returncode == 2
    assert run("--version").stdout.startswith("chat-core 0.")


def test_help_and_listing_import_no_plugin_and_no_loop():
    """The commands that help in trouble stay cheap and safe."""
    for arguments in (["--help"], ["plugins", "--no-load"]):
        code = (
            "import sys\n"
            "from chat_core.__main__ import main\n"
            f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
            "bad = {'asyncio', 'pluggy', 'chat_transport_cometd', 'httpx', 'websockets'} & set(sys.modules)\n"
            "assert not bad, bad\n"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["talk", "--help"], ["talk", "http://127.0.0.1:9/x", "--plain"]])
def test_only_the_application_imports_textual(arguments: list[str]):
    """Neither help nor plain lines do; without a terminal lines are plain."""
    code = (
        "import sys\n"
        "from chat_core.__main__ import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "import chat_core._cli.plain\n"
        "bad = {'textual'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr


def test_without_the_extra_lines_are_plain(monkeypatch: pytest.MonkeyPatch):
    """With a terminal too; with the extra and a terminal they are not, but where it cannot be drawn upon."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert can_be_drawn()
    monkeypatch.setenv("TERM", "dumb")
    assert not can_be_drawn()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setitem(sys.modules, "textual", None)
    assert not can_be_drawn()


def test_plugins_lists_what_is_installed():
    """As a table and as JSON."""
    result = run("plugins")
    assert result.returncode == 0
    assert "cometd" in result.stdout
    rows = json.loads(run("plugins", "--json").stdout)
    names = {one["name"] for row in rows for one in row["providers"]}
    assert {"file", "memory", "stdlib", "cometd"} <= names
    listed = json.loads(run("plugins", "--json", "--no-load").stdout)
    assert {row["status"] for row in listed} == {"unloaded"}


def test_plugins_says_why_one_cannot_be_used(tmp_path: Path):
    """With cause and remedy, and exit status 1; control characters are shown, not obeyed."""
    install(tmp_path, "chat-broken", "raise ValueError('\\x1b[31mred')")
    result = run("plugins", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert result.returncode == 1
    assert "ValueError" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\\x1b[31mred" in result.stdout


def test_doctor_shows_versions_options_and_choices(tmp_path: Path):
    """With origins and reasons, and the state directory."""
    result = run("doctor", env={**os.environ, "CHAT_CORE_STORAGE": "memory"})
    assert result.returncode == 0, result.stdout
    assert "storage: memory: the variable CHAT_CORE_STORAGE names it" in result.stdout
    assert "profile = default (core default)" in result.stdout
    report = json.loads(run("doctor", "--json").stdout)
    assert report["file storage"]["directory"].endswith("chat-core")
    assert report["problems"] == []


def test_doctor_tries_a_server():
    """TLS or TCP, upgrade, handshakes and latency against a sandbox; a server that is not there is a problem."""
    code = (
        "import asyncio, subprocess, sys\n"
        "from chat_sandbox import Sandbox\n"
        "async def main():\n"
        "    async with Sandbox() as sandbox:\n"
        "        command = [sys.executable, '-m', 'chat_core', 'doctor', sandbox.cometd_url]\n"
        "        process = await asyncio.create_subprocess_exec(*command)\n"
        "        return await process.wait()\n"
        "sys.exit(asyncio.run(main()))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    for step in ("TCP: ok", "WebSocket: upgrade: ok", "long polling: handshake: ok", "latency: ok"):
        assert step in result.stdout
    nobody = run("doctor", "http://127.0.0.1:9/genesys/cometd")
    assert nobody.returncode == 1
    assert "TCP: FAILED" in nobody.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["talk", "gms.example.com"], "is not an absolute http, https, ws or wss URL"),
        (["talk", "http://gms.example.com/"], "--insecure|allow_insecure"),
        (["talk", "http://127.0.0.1:9/x"], "cannot be reached"),
        (["talk", "http://127.0.0.1:9/x", "--data", "novalue"], "--data 'novalue' is not of the form K=V"),
        (
            ["talk", "http://127.0.0.1:9/x", "--data-file", "/nothing/there"],
            "--data-file /nothing/there cannot be used",
        ),
        (["talk", "http://127.0.0.1:9/x", "--transport-option", "novalue"], "'novalue' is not of the form K=V"),
        (["talk", "http://127.0.0.1:9/x", "--transport-option", "servise=x"], "did you mean 'service'"),
        (["talk", "http://127.0.0.1:9/x", "--storage", "nothing"], "no storage of that name is installed"),
        (["restore", "--storage-option", "directory=/dev/null/x"], "/dev/null/x"),
        (["restore"], "there is no session to restore"),
        (["doctor", "gms.example.com"], "is not an absolute"),
    ],
)
def test_a_failure_is_one_line_and_exit_status_1(arguments: list[str], text: str):
    """No traceback; the sentence says what and why."""
    import re

    result = run(*arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("chat-core: ")
    assert re.search(text, result.stderr)
    assert "Traceback" not in result.stderr


def test_a_reader_that_goes_away_is_no_traceback():
    """``chat-core plugins | head -0``."""
    command = f"{sys.executable} -m chat_core plugins | true"
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in result.stderr


def test_control_sequences_are_shown_not_obeyed():
    """C0, C1, DEL, bidi overrides and line separators become visible; letters, emoji and newlines stay."""
    assert visible("a\x1b[2Jb\x07\x7f\x9b") == "a\\x1b[2Jb\\x07\\x7f\\x9b"
    assert visible("\u202eevil\u2028") == "\\u202eevil\\u2028"
    assert visible("Grüße 👩\u200d🚀\nja") == "Grüße 👩\u200d🚀\nja"


def test_a_table_is_aligned():
    """The last column is left as it is."""
    assert table([("A", "B"), ("long", "x")]) == "A     B\nlong  x"


def test_the_demo_plays_and_checks_itself():
    """A cut network and a killed client, and every message once and in order."""
    result = run("demo")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "8 messages, none lost, none doubled, all in order" in result.stdout
    assert "the connection is interrupted" in result.stdout
    assert "(earlier)" in result.stdout


def test_the_demo_without_the_sandbox_names_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys):
    """One line with the pip command."""
    monkeypatch.setitem(sys.modules, "chat_sandbox", None)
    forget()
    assert main(["demo"]) == 1
    assert "pip install chat-sandbox" in capsys.readouterr().err
