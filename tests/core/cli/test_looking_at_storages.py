"""``chat-core doctor`` about storages: what they say of themselves, and how the command bears those that misbehave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chat_core import MissingOptionError, ProbeStep, StorageContext, StorageProvider, hookimpl
from chat_core._cli.storages import look_at_storages
from chat_core._plugins.registry import Registry, registry_of
from chat_core._storages.file import FileStorage
from support.distributions import install


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "chat_core", "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def known(probe: Any) -> Registry:
    class Plugin:
        @hookimpl
        def chat_storages(self) -> list[StorageProvider]:
            return [StorageProvider(name="vault", summary="", factory=lambda _: SimpleNamespace(), probe=probe)]

    return registry_of(Plugin())


def test_a_storage_says_what_it_knows_in_its_order():
    """It gets a context with its options' defaults; storages without a probe are left out."""
    contexts: list[StorageContext] = []

    def probe(context: StorageContext) -> Iterator[ProbeStep]:
        contexts.append(context)
        yield ProbeStep(name="place", ok=True, detail="here")
        yield ProbeStep(name="other place", ok=None)

    assert look_at_storages(known(probe)) == {
        "vault": [ProbeStep(name="place", ok=True, detail="here"), ProbeStep(name="other place", ok=None)]
    }
    assert contexts[0].profile == "default"


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ZeroDivisionError("no"), "it raised ZeroDivisionError: no"),
        (SystemExit(3), "it raised SystemExit: 3"),
        (MissingOptionError("key is missing", advice="give one"), "key is missing (give one)"),
    ],
)
def test_a_probe_that_raises_is_a_step_behind_the_others(error: BaseException, detail: str):
    """The report goes on."""

    def probe(_: StorageContext) -> Iterator[ProbeStep]:
        yield ProbeStep(name="place", ok=True)
        raise error

    assert look_at_storages(known(probe))["vault"] == [
        ProbeStep(name="place", ok=True),
        ProbeStep(name="probe", ok=False, detail=detail),
    ]


def test_a_probe_that_returns_something_else_is_told():
    """Its type is named."""
    (step,) = look_at_storages(known(lambda _: ["fine"]))["vault"]
    assert "returned a str in place of a ProbeStep" in step.detail


def test_a_probe_that_hangs_is_left_behind_with_what_it_had_found():
    """The command ends all the same."""
    gate = threading.Event()

    def probe(_: StorageContext) -> Iterator[ProbeStep]:
        yield ProbeStep(name="place", ok=True)
        gate.wait(30)

    steps = look_at_storages(known(probe), deadline=0.1)["vault"]
    gate.set()
    assert [step.name for step in steps] == ["place", "probe"]
    assert steps[1].ok is False
    assert steps[1].detail == "it did not return within 0.1 s and was left behind"


PLUGIN = """
    from chat_core import ProbeStep, StorageProvider, hookimpl

    def probe(context):
        return [ProbeStep(name="place", ok=False, detail="not there \\x1b[31m")]

    @hookimpl
    def chat_storages():
        return [StorageProvider(name="vault", summary="", factory=print, probe=probe)]
"""


OPTIONS = """
    from attrs import frozen
    from chat_core import ProbeStep, StorageProvider, hookimpl

    @frozen(kw_only=True)
    class Options:
        path: str

    def probe(context):
        return [ProbeStep(name="place", ok=True, detail=context.options.path)]

    @hookimpl
    def chat_storages():
        return [StorageProvider(name="vault", summary="", factory=print, options=Options, probe=probe)]
"""


def test_only_the_chosen_storages_trouble_is_a_problem(tmp_path: Path):
    """Both are shown, with control characters visible; the exit status follows the chosen one."""
    install(tmp_path, "chat-vault", PLUGIN)
    beside = doctor(PYTHONPATH=str(tmp_path))
    assert beside.returncode == 0, beside.stdout
    assert "storage vault (not chosen)\n  place: FAILED not there \\x1b[31m\n" in beside.stdout
    for chosen in (
        doctor("--storage", "vault", PYTHONPATH=str(tmp_path)),
        doctor(PYTHONPATH=str(tmp_path), CHAT_CORE_STORAGE="vault"),
    ):
        assert chosen.returncode == 1
        assert "storage vault (chosen)" in chosen.stdout
        assert "problems\n  storage 'vault': place: not there" in chosen.stdout
    report = json.loads(doctor("--storage", "vault", "--json", PYTHONPATH=str(tmp_path)).stdout)
    assert report["storages"]["vault"] == {
        "chosen": True,
        "steps": [{"name": "place", "ok": False, "detail": "not there \x1b[31m", "seconds": None}],
    }


def test_the_chosen_storage_is_looked_at_with_the_options_given(tmp_path: Path):
    """JSON where a value is that, else text; the file storage's directory shows."""
    install(tmp_path, "chat-vault", OPTIONS)
    chosen = doctor("--storage", "vault", "--storage-option", "path=here", PYTHONPATH=str(tmp_path))
    assert "  place: ok here\n" in chosen.stdout, chosen.stderr
    missing = doctor("--storage", "vault", PYTHONPATH=str(tmp_path))
    assert "storage_options: path is missing for storage 'vault'" in missing.stdout
    wrong = doctor("--storage-option", "path", PYTHONPATH=str(tmp_path))
    assert (wrong.returncode, wrong.stderr) == (1, "chat-core: --storage-option 'path' is not of the form K=V\n")


def test_an_unknown_storage_is_a_problem_and_the_others_are_still_shown(tmp_path: Path):
    """With the closest name."""
    install(tmp_path, "chat-vault", PLUGIN)
    result = doctor("--storage", "vualt", PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    assert "did you mean 'vault'?" in result.stdout
    assert "storage vault (not chosen)" in result.stdout


def test_the_file_storage_shows_place_age_and_owner_and_never_its_content(tmp_path: Path):
    """Of each profile: its file's name, size and age, and the process that holds it."""
    place = tmp_path / "chat-core"
    place.mkdir(mode=0o700)
    held, free = (FileStorage(profile, directory=place) for profile in ("held", "free"))
    for storage in (held, free):
        storage.acquire()
        storage.write({"link": {"secure_key": "CANARY"}, "delivered": 0})
    free.release()
    os.utime(place / "free.json", (1, 1))
    result = doctor(XDG_STATE_HOME=str(tmp_path))
    assert result.returncode == 0, result.stdout
    assert f"  {place} (mode 0700)" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("  held: ")]
    assert f"owned by pid {os.getpid()}" in line
    assert 0 <= float(line.split()[3]) < 60
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("  free: ")]
    assert line.endswith(" s old, no owner")
    assert float(line.split()[3]) > 1e9
    assert "CANARY" not in result.stdout + result.stderr + doctor("--json", XDG_STATE_HOME=str(tmp_path)).stdout
    held.release()
