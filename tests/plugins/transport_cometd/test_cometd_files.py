"""Where files go, and what is said where they go nowhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat_core import FileLimitsCommand, OptionError, TransportContext, UnsupportedCommandError
from chat_gms.asked import CookieBox
from chat_transport_cometd import CometdOptions
from chat_transport_cometd._files import Files, files_url
from chat_transport_cometd._transport import make_transport
from support.sessions import MemoryLog


@pytest.mark.parametrize(
    ("url", "given", "expected"),
    [
        ("https://h/genesys/cometd", None, "https://h/genesys/2/chat-ntf"),
        ("https://h:8/prefix/genesys/cometd/", None, "https://h:8/prefix/genesys/2/chat-ntf"),
        ("wss://h/genesys/cometd", None, "https://h/genesys/2/chat-ntf"),
        ("ws://127.0.0.1/cometd", None, "http://127.0.0.1/2/chat-ntf"),
        ("https://h/cometd/genesys/cometd", None, "https://h/cometd/genesys/2/chat-ntf"),
        ("https://h/elsewhere", "https://files/ntf", "https://files/ntf"),
    ],
)
def test_files_go_beside_the_server(url: str, given: str | None, expected: str):
    """Or where the caller says."""
    assert files_url(url, given) == expected


@pytest.mark.parametrize("url", ["https://h/x", "https://h/cometd/x", "https://h/xcometd2"])
def test_an_address_that_does_not_tell_is_said(url: str):
    """With the option that helps."""
    with pytest.raises(UnsupportedCommandError, match="files_url"):
        files_url(url, None)


def test_a_dialect_of_ones_own_needs_credentials():
    """The error names what it lacks."""

    class Other:
        """A dialect without files."""

    dialect: Any = Other()
    files = Files("https://h/cometd", CometdOptions(), dialect=dialect, cookies=CookieBox)
    with pytest.raises(UnsupportedCommandError, match="Other has no files: it lacks 'credentials'"):
        asyncio.run(files.send(FileLimitsCommand()))


@pytest.mark.parametrize("url", ["http://files.example/ntf", "ftp://x", "nonsense", "https://u:p@h/x"])
def test_the_place_of_files_is_checked_as_the_server_is(url: str):
    """Secrets go there as well."""
    context = TransportContext(server_url="https://h/cometd", options=CometdOptions(files_url=url), log=MemoryLog())
    with pytest.raises(OptionError, match="files_url"):
        make_transport(context)
