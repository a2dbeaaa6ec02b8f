"""What the page about the browser library's names claims."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import chat_core
from chat_core import ErrorCode
from chat_core._launch.launchers import Options
from chat_core.compat import genesys
from chat_core.compat._dispatch import _KINDS
from chat_core.compat._events import raw
from chat_core.compat._transport import _EVENTS
from chat_core.compat._transport import COMMANDS as COMMANDS_OF_TRANSPORTS

PAGE = (Path(__file__).parents[2] / "docs" / "browser-names.md").read_text("utf-8")

#: What the documentation of the browser library names.
OPTIONS = {
    "serverUrl": {"start"},
    "username": {"start"},
    "subject": {"start"},
    "userData": {"start"},
    "transport": {"both"},
    "stateStorage": {"both"},
    "maxOfflineDuration": {"both"},
    "disableWebSockets": {"both"},
    "logger": {"both"},
}
COMMANDS = {"sendMessage", "sendTyping", "getTranscript", "leave", "setUserData", "getUserData", "deleteUserData"}
CALLBACKS = {
    *("onAgentConnected", "onAgentDisconnected", "onAgentTyping", "onMessageReceived", "onSessionEnded", "onError"),
    *("onInterrupted", "onContinued"),
}
CODES = {0, 1, 2, 3, 50, 51, 52, 100, 101, 150, 200, 201}


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of the page."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = section[section.index("| ") :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table[2:]]


def names(cell: str) -> list[str]:
    """Return the names in a cell, without arguments."""
    return [re.split(r"[(.]", one)[0] for one in re.findall(r"`([^`]+)`", cell)]


def test_every_launcher_and_method_of_the_promise():
    """And no more than there are."""
    assert [names(row[0])[0] for row in rows("Launching")] == ["startSession", "restoreSession", "promise", "promise"]
    assert all(f"promise.{name}(" in PAGE for name in vars(genesys.Promise) if name in {"done", "fail"})
    for row in rows("Launching")[:2]:
        assert callable(getattr(genesys, names(row[0])[0]))
        assert callable(getattr(chat_core, names(row[2])[0]))


def test_every_option_with_its_python_name():
    """Those of the documentation are those of the code, and each has the Python name that it becomes."""
    found = {names(row[0])[0]: (names(row[1])[0], {row[2]}) for row in rows("Options")}
    assert {name: ours for name, (ours, _) in found.items()} == dict(genesys._START)
    assert {name: where for name, (_, where) in found.items()} == OPTIONS
    for name in set(Options.__annotations__) - set(genesys._START.values()):
        assert f"`{name}`" in PAGE


def test_every_command_with_its_properties():
    """The Python name is a method of a session."""
    table = rows("Commands")
    assert {name for row in table for name in names(row[0])} == COMMANDS
    public = {name for name, _ in inspect.getmembers(genesys.BrowserSession, callable) if not name.startswith("_")}
    assert public == COMMANDS | CALLBACKS
    for row in table:
        assert hasattr(chat_core.Session, names(row[1])[0])
    source = inspect.getsource(genesys.BrowserSession)
    for known in re.findall(r"_properties\(\w+, \(([^)]+)\)", source):
        for name in re.findall(r'"(\w+)"', known):
            assert any(re.search(rf"\b{name}\b", row[0]) for row in table), name


def test_every_callback_with_its_event():
    """The Python name is a class of events, and the properties are those of the object."""
    table = rows("Callbacks")
    assert {names(row[0])[0] for row in table} == CALLBACKS
    kinds = {name for row in table for name in names(row[1])}
    assert kinds == {kind.__name__ for kind in _KINDS} | {"PushUrl"}


@pytest.mark.parametrize("kind", sorted([*_KINDS, chat_core.PushUrl], key=lambda kind: kind.__name__))
def test_every_property_of_an_event(kind: type[chat_core.Event]):
    """As the table lists them."""
    made = kind(reason=chat_core.EndReason.LEFT) if kind is chat_core.SessionEnded else kind()  # type: ignore[call-arg]
    (row,) = [row for row in rows("Callbacks") if kind.__name__ in names(row[1])]
    assert {*names(row[2]), "type"} == set(vars(raw(made)))
    for name in (name for name in names(row[2]) if name not in {"overdue", "blindTime"}):
        assert re.search(rf"^\|[^|]*`{name}(\.\w+)?`", PAGE, re.MULTILINE), name


def test_every_method_of_a_transport():
    """Commands and callbacks, no more and no fewer."""
    found = {name for row in rows("Transports") for name in names(row[0])}
    assert found == {*COMMANDS_OF_TRANSPORTS, *(f"on{name}" for name in _EVENTS)}


def test_every_error_code():
    """With its name."""
    found = {int(row[0]): names(row[1])[0] for row in rows("Error codes")}
    assert set(found) == CODES
    assert found == {int(code): code.name for code in ErrorCode}


def test_every_name_that_the_module_exports():
    """Those of the browser, and the classes that stand for its objects."""
    assert {name for name in genesys.__all__ if f"`{name}" not in PAGE and f"chat.{name}" not in PAGE} == set()
