"""The distributions as an installer sees them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [
    "core",
    "gms",
    "sandbox",
    "plugins/transport_cometd",
    "plugins/transport_rest",
    "plugins/storage_keyring",
    "plugins/storage_redis",
    "plugins/load_locust",
]


def run(*command: str, cwd: Path | None = None) -> str:
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def make_venv(place: Path) -> Path:
    venv.create(place, with_pip=True)
    return place / "bin" / "python"


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_wheel_holds_its_package_its_types_and_its_licence(folder: str, tmp_path: Path):
    """py.typed is there, and the version is the one of all."""
    wheel_in = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir")
    run(*wheel_in, str(tmp_path), str(ROOT / folder))
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("/py.typed") for name in names)
    assert not any(name.startswith("test") or "/test_" in name for name in names)
    assert "-0.1.0-" in wheel.name


def test_versions_are_in_lock_step():
    """Every distribution has the version of the root."""
    versions = {
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]["version"]
        for folder in [".", *FOLDERS]
    }
    assert versions == {"0.1.0"}


def test_core_and_cometd_alone_are_enough_and_say_what_is_missing(tmp_path: Path):
    """``pip install ./core ./plugins/transport_cometd``; chat-gms, on which the plugin depends, comes as a wheel."""
    wheels = tmp_path / "wheels"
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT / "gms"))
    python = make_venv(tmp_path / "venv")
    run(
        *(str(python), "-m", "pip", "install", "--quiet", "--find-links", str(wheels)),
        *(str(ROOT / folder) for folder in ("core", "plugins/transport_cometd")),
    )
    installed = run(str(python), "-m", "pip", "list", "--format=freeze").lower()
    assert not any(name in installed for name in ("chat-sandbox", "chat-transport-rest", "chat-storage-keyring"))
    assert "cometd" in run(str(python), "-m", "chat_core", "plugins")
    code = """
import asyncio, chat_core

async def main():
    for options, text in (
        ({"transport": "rest"}, "pip install chat-transport-rest"),
        ({"state_storage": "keyring"}, "pip install chat-storage-keyring"),
        ({"state_storage": "redis"}, "pip install chat-storage-redis"),
        ({}, "cannot be reached"),
    ):
        try:
            await chat_core.start_session(server_url="http://127.0.0.1:9/x", **options)
        except chat_core.ChatError as error:
            assert text in str(error), error
        else:
            raise AssertionError(text)

asyncio.run(main())
"""
    run(str(python), "-W", "error", "-c", code)
    demo = subprocess.run([str(python), "-m", "chat_core", "demo"], capture_output=True, text=True)
    assert demo.returncode == 1
    assert "pip install chat-sandbox" in demo.stderr


def test_the_core_alone_names_the_transport_to_install(tmp_path: Path):
    """Somebody who installed chat-core only is told the next step."""
    python = make_venv(tmp_path / "venv")
    run(str(python), "-m", "pip", "install", "--quiet", str(ROOT / "core"))
    code = """
import asyncio, chat_core
try:
    asyncio.run(chat_core.start_session(server_url="https://x.example/"))
except chat_core.UnknownPluginError as error:
    assert "pip install chat-transport-cometd" in str(error)
"""
    run(str(python), "-W", "error", "-c", code)


def test_the_public_names_are_sorted_and_there():
    """``__all__`` is sorted, each name can be imported, and the stub for type checkers shows the same ones."""
    import chat_core

    assert sorted(chat_core.__all__) == list(chat_core.__all__)
    assert set(chat_core.__all__) <= set(dir(chat_core))
    stub = ast.parse((ROOT / "core" / "src" / "chat_core" / "__init__.pyi").read_text("utf-8"))
    imported = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported - {"Final", "blocking", None} == set(chat_core.__all__)
    (listed,) = (node.value for node in stub.body if isinstance(node, ast.Assign))
    assert sorted(ast.literal_eval(listed)) == chat_core.__all__
    for name in chat_core.__all__:
        assert getattr(chat_core, name) is not None
    with pytest.raises(AttributeError):
        chat_core.nothing_of_that_name  # noqa: B018


def test_public_types_are_complete():
    """``pyright --verifytypes`` finds no public symbol whose type is unknown."""
    result = subprocess.run(
        [sys.executable, "-m", "pyright", "--verifytypes", "chat_core", "--ignoreexternal"],
        capture_output=True,
        text=True,
        timeout=300,
        # It looks into the environment of the python that it finds first.
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert "Type completeness score: 100%" in result.stdout, result.stdout[-3000:]


def test_importing_the_launcher_costs_little():
    """At most 1.3 times the processor time of importing pluggy, attrs and asyncio; the best of several, in turns."""

    def seconds(code: str) -> float:
        script = f"import time; began = time.process_time(); {code}; print(time.process_time() - began)"
        return float(run(sys.executable, "-c", script))

    floor, ours = zip(
        *((seconds("import pluggy, attrs, asyncio"), seconds("from chat_core import start_session")) for _ in range(9)),
        strict=True,
    )
    assert min(ours) <= 1.3 * min(floor), f"{min(ours) * 1000:.0f} ms against {min(floor) * 1000:.0f} ms"


def test_core_and_rest_installed_by_name_hold_a_chat(tmp_path: Path):
    """``pip install chat-core chat-transport-rest`` from a folder of wheels, without websockets and keyring."""
    wheels = tmp_path / "wheels"
    for folder in ("core", "gms", "plugins/transport_rest"):
        run(
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT / folder)
        )
    python = make_venv(tmp_path / "venv")
    run(str(python), "-m", "pip", "install", "--quiet", "--find-links", str(wheels), "chat-core", "chat-transport-rest")
    installed = run(str(python), "-m", "pip", "list", "--format=freeze").lower()
    assert "websockets" not in installed
    assert "keyring" not in installed
    serve = subprocess.Popen(
        [sys.executable, "-m", "chat_sandbox", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert serve.stdout is not None
        url = [serve.stdout.readline().split()[1] for _ in range(2)][1]
        code = """
import asyncio, sys, chat_core

async def main():
    # The only transport installed is taken without being named.
    async with chat_core.start_session(server_url=sys.argv[1], state_storage="memory") as session:
        await session.wait_for(chat_core.AgentConnected, timeout=10)
        await session.send_message("Hello", until="echoed")
        print((await session.wait_for(chat_core.MessageReceived, timeout=10)).text)

asyncio.run(main())
"""
        assert run(str(python), "-W", "error", "-c", code, url) == "Hello\n"
    finally:
        serve.terminate()
        serve.wait(10)
        if serve.stdout is not None:
            serve.stdout.close()
