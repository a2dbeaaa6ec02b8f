"""What the page about launching claims of the options."""

from __future__ import annotations

import re
from pathlib import Path

from chat_core._contracts.providers import Kind
from chat_core._launch.launchers import Options
from chat_core._launch.options import Given, resolve_options
from chat_core._plugins.selection import _DEFAULTS
from chat_core.compat import genesys

PAGE = (Path(__file__).parents[2] / "docs" / "launching.md").read_text("utf-8")

#: What Genesys' page lists, with its defaults, in its order.
START = {
    "serverUrl": "undefined",
    "username": "`'User'`",
    "subject": "undefined",
    "userData": "undefined",
    "transport": "built-in CometD",
    "stateStorage": "built-in, in cookies",
    "maxOfflineDuration": "5 seconds",
    "disableWebSockets": "false",
    "logger": "built-in, `console.log`",
}
RESTORE = ("transport", "stateStorage", "maxOfflineDuration", "disableWebSockets", "logger")


def rows(heading: str, first: str) -> list[list[str]]:
    """Return the rows of the table below a heading of the page whose first column is named so."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = section[section.index(f"\n| {first} |") + 1 :].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def code(cell: str) -> str:
    return re.findall(r"`([^`]+)`", cell)[0]


def test_the_options_of_start_session_are_those_of_the_browser_and_ours():
    """In the order of Genesys' page, each with its Python name and the default there; then the others."""
    table = rows("Options of `start_session`", "browser")
    assert {code(row[0]): row[2] for row in table} == START
    assert {code(row[0]): code(row[1]) for row in table} == dict(genesys._START)
    others = [code(row[0]) for row in rows("Options of `start_session`", "Python")]
    assert {*others, *genesys._START.values()} == set(Options.__annotations__)


def test_the_defaults_are_those_in_the_code():
    """And where the browser's page has one, it is the same."""
    found = {code(row[1]): row[3] for row in rows("Options of `start_session`", "browser")}
    resolved = resolve_options(Given(server_url="https://gms.example.com/genesys/cometd"))
    assert found["username"] == f'`"{resolved.username}"`'
    assert found["max_offline_duration"] == f"{resolved.max_offline_duration:g} seconds"
    assert found["disable_websockets"] == f"`{resolved.disable_websockets}`"
    for name, kind in (("transport", Kind.TRANSPORT), ("state_storage", Kind.STORAGE), ("logger", Kind.LOGGER)):
        assert found[name] == f'`"{_DEFAULTS[kind]}"`'
    others = {code(row[0]): row[1] for row in rows("Options of `start_session`", "Python")}
    assert others["profile"] == f'`"{resolved.profile}"`'
    assert resolved.on_exit is None


def test_the_options_of_restore_session_are_those_of_the_browser():
    """With the defaults that they have at a start."""
    start = {code(row[0]): row[2:4] for row in rows("Options of `start_session`", "browser")}
    table = rows("Options of `restore_session`", "browser")
    assert [code(row[0]) for row in table] == list(RESTORE)
    for row in table:
        assert row[2:4] == start[code(row[0])]
