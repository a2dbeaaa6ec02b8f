"""The address that a chat is started with."""

from __future__ import annotations

from urllib.parse import urlsplit

from chat_core import OptionError, check_server_url
from chat_core._launch.url import same_origin, shown_url


def check(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    shown = shown_url(text)
    same_origin(text, "https://example.com/x")
    try:
        check_server_url(text)
    except OptionError as error:
        words = str(error)
    else:
        words = ""
        parts = urlsplit(text)
        assert parts.scheme in {"http", "https", "ws", "wss"}
        assert parts.username is None
        assert same_origin(text, text)
    # Hidden in the middle of the address: a password must not come out.
    secret = "s3cr3t-canary"
    for address in (
        f"https://ada:{secret}@{text}",
        f"https://{text}:{secret}@host/",
        f"https://host/?key={secret}{text}",
    ):
        try:
            check_server_url(address, allow_insecure=True)
        except OptionError as error:
            words += str(error)
        assert secret not in shown_url(address)
    assert secret not in words
    assert secret not in shown
