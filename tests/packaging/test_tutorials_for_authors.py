"""The tutorials for authors: every file they show, built into a package and run as they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from support.workshop import ROOT, Workshop, unpack

PAGES = ROOT / "docs" / "plugins"
#: A file is named in a line of its own above its listing.
_LISTING = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def listings(page: str) -> dict[str, str]:
    """Return the files that a page shows, by name."""
    return dict(_LISTING.findall((PAGES / page).read_text("utf-8")))


def outputs(page: str) -> list[str]:
    return re.findall(r"```text\n(.*?)```", (PAGES / page).read_text("utf-8"), re.DOTALL)


def run_chat(workshop: Workshop, place: Path) -> str:
    result = workshop.run(*(str(workshop.python), "-W", "error", "chat.py"), cwd=place, PYTHONPATH=str(place / "tests"))
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_first_storage(workshop: Workshop, tmp_path: Path):
    """It conforms; the one thing that is missing is named; after that it is there, and a chat is kept with it."""
    files = listings("first-storage.md")
    assert set(files) == {
        "pyproject.toml",
        "src/chat_storage_folder/__init__.py",
        "src/chat_storage_folder/storage.py",
        "tests/test_folder.py",
        "chat.py",
    }
    package = unpack(files, tmp_path / "chat-storage-folder")
    workshop.install(package)
    first = workshop.run(str(workshop.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=package)
    assert first.returncode == 1
    conforms, chat = outputs("first-storage.md")
    assert conforms.strip() in first.stdout
    failed = re.findall(r"^FAILED .*::(\w+)", first.stdout, re.MULTILINE)
    assert [name.partition("_")[2][:5] for name in failed] == ["pk011"], first.stdout
    (package / "src" / "chat_storage_folder" / "py.typed").touch()
    workshop.uninstall("chat-storage-folder")
    for wheel in workshop.wheels.glob("chat_storage_folder*"):
        wheel.unlink()
    workshop.install(package)
    workshop.test(package)
    (command,) = re.findall(
        r"^chat-core (conformance .*)$", (PAGES / "first-storage.md").read_text("utf-8"), re.MULTILINE
    )
    trial = workshop.chat_core(*shlex.split(command))
    assert trial.returncode == 0, trial.stdout + trial.stderr
    assert conforms.strip() in trial.stdout
    assert re.search(r"ok +storage +folder", workshop.chat_core("plugins").stdout)
    assert run_chat(workshop, package) == chat
    workshop.uninstall("chat-storage-folder")


def test_the_first_transport(workshop: Workshop, tmp_path: Path):
    """It conforms, and holds the chat that the page shows."""
    files = listings("first-transport.md")
    assert len(files) == 6
    package = unpack(files, tmp_path / "chat-transport-desk")
    (package / "src" / "chat_transport_desk" / "py.typed").touch()
    workshop.install(package)
    said = workshop.test(package)
    conforms, chat = outputs("first-transport.md")
    assert conforms.strip() in said
    (command,) = re.findall(
        r"`PYTHONPATH=tests chat-core (conformance [^`]*)`", (PAGES / "first-transport.md").read_text("utf-8")
    )
    trial = workshop.run(
        *(str(workshop.python), "-m", "chat_core", *shlex.split(command)), PYTHONPATH=str(package / "tests")
    )
    assert trial.returncode == 0, trial.stdout + trial.stderr
    assert conforms.strip() in trial.stdout
    assert run_chat(workshop, package) == chat
    assert re.search(r"ok +transport +desk", workshop.chat_core("plugins").stdout)
    workshop.uninstall("chat-transport-desk")


@pytest.mark.parametrize(
    ("page", "file", "begins", "limit"),
    [
        ("first-storage.md", "tests/test_folder.py", "from chat_core.testing", 6),
        ("first-transport.md", "tests/test_desk.py", "class Harness", 40),
    ],
)
def test_what_an_author_writes_to_prove_it_is_short(page: str, file: str, begins: str, limit: int):
    """Six lines for a storage, forty for a transport's harness; blank ones do not count."""
    text = listings(page)[file]
    part = re.split(r"^class Test(?:Package|Desk)", text[text.index(begins) :], flags=re.MULTILINE)[0]
    assert len([line for line in part.splitlines() if line.strip()]) <= limit
