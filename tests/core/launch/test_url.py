"""The address of the chat server: what is refused, with reason and remedy, and without telling secrets."""

from __future__ import annotations

import contextlib
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_core import ErrorCode, MissingOptionError, OptionError, OptionTypeError
from chat_core._launch.url import check_server_url, same_origin, shown_url


@pytest.mark.parametrize("host", ["localhost", "localhost.", "127.0.0.1", "127.8.9.1", "[::1]", "app.localhost"])
def test_http_is_for_loopback(host: str):
    """Unencrypted addresses pass where nothing leaves the machine."""
    assert check_server_url(f"http://{host}:8080/x") == f"http://{host}:8080/x"
    assert check_server_url(f"ws://{host}/x") == f"ws://{host}/x"


@pytest.mark.parametrize("host", ["gms.example.com", "localhost.example.com", "10.0.0.1", "0.0.0.0", "[::]", "127.1"])
@pytest.mark.parametrize("scheme", ["http", "ws", "HTTP"])
def test_http_elsewhere_needs_the_callers_word(scheme: str, host: str):
    """Code 3, and the remedy is named."""
    url = f"{scheme}://{host}/x"
    with pytest.raises(OptionError, match="allow_insecure") as caught:
        check_server_url(url)
    assert caught.value.code == ErrorCode.PARAMETER_INCORRECT
    assert check_server_url(url, allow_insecure=True) == url


@pytest.mark.parametrize(
    "url", ["https://a.example/x?y=1", "wss://a.example:8443", "https://bücher.example/", "https://[2001:db8::1]/x"]
)
def test_encrypted_addresses_pass_as_they_are(url: str):
    """Nothing is normalised: prefixes and queries belong to the server."""
    assert check_server_url(url) == url


@pytest.mark.parametrize(
    ("url", "error", "text"),
    [
        (5, OptionTypeError, "server_url must be text, not int"),
        (b"https://a/", OptionTypeError, "server_url must be text, not bytes"),
        ("gms.example.com", OptionError, "is not an absolute http, https, ws or wss URL.*https://host/path"),
        ("/path", OptionError, "is not an absolute http"),
        ("//host/path", OptionError, "is not an absolute http"),
        ("ftp://gms.example.com/x", OptionError, "is not an absolute http"),
        ("https://", OptionError, "is not an absolute http"),
        ("https:///path", OptionError, "is not an absolute http"),
        ("https://:443/path", OptionError, "is not an absolute http"),
        ("https://gms.example.com:99999/", OptionError, "its port is not a number"),
        ("https://gms.example.com:x/", OptionError, "its port is not a number"),
        ("https://[::1/", OptionError, "its host cannot be read"),
        ("https://gms.example.com/a b", OptionError, "holds a blank or a control character"),
        ("https://gms.example.com/a\nb", OptionError, "holds a blank or a control character"),
        ("https://gms.example.com/\x85", OptionError, "holds a blank or a control character"),
        ("https://gms.example.com/\u2028", OptionError, "holds a blank or a control character"),
        ("https://gms.example.com/\u202e", OptionError, "holds a blank or a control character"),
        ("https://good.example\\.evil.example/", OptionError, "backslash"),
        ("https://u:TOPSECRET@gms.example.com/x", OptionError, "holds a user name or password.*auth"),
        ("https://gms.example.com/x#top", OptionError, "has a fragment"),
        ("https://gms.example.com/x#", OptionError, "has a fragment"),
    ],
)
def test_a_bad_address_is_refused(url: Any, error: type[OptionError], text: str):
    """Value, reason and remedy stand in the message; code 3."""
    with pytest.raises(error, match=text) as caught:
        check_server_url(url)
    assert caught.value.code == ErrorCode.PARAMETER_INCORRECT


@pytest.mark.parametrize("url", [None, ""])
def test_row_server_url_missing(url: Any):
    """Code 2; the message says when it is mandatory, and shows an example."""
    with pytest.raises(MissingOptionError, match=r"server_url is missing.*unless a transport.*https://") as caught:
        check_server_url(url)
    assert caught.value.code == ErrorCode.PARAMETER_MISSING


@pytest.mark.parametrize(
    "url",
    [
        "https://u:TOPSECRET@gms.example.com/x",
        "https:u:TOPSECRET@gms.example.com/x",
        "u:TOPSECRET@gms.example.com",
        "https://u:TOPSECRET/x@gms.example.com/x",
        "https://u:x/TOPSECRET@gms.example.com/x",
        "https://u:TOPSECRET?x@gms.example.com/x",
        "https://u:x?TOPSECRET@gms.example.com/x",
        "https://u:TOPSECRET#x@gms.example.com/x",
        "https://u:[TOPSECRET@gms.example.com/x",
        "https://u:TOPSECRET\u2100@gms.example.com/x",
        "https://gms.example.com/x y?token=TOPSECRET",
        "http://gms.example.com/x?a=1&token=TOPSECRET",
        "https://u:TOP SECRET@gms.example.com/x?y",
    ],
)
def test_rp10_a_password_in_the_address_is_not_told(url: str):
    """Neither in the message nor in the traceback, however odd the address is."""
    with pytest.raises(OptionError) as caught:
        check_server_url(url)
    told = "".join(traceback.format_exception(caught.value, limit=0)) + repr(caught.value)
    assert "SECRET" not in told


@given(st.text() | st.text("htps:/@?#[]u.%x0 \\", max_size=20).map(lambda rest: "https://" + rest))
def test_any_text_is_a_url_or_an_option_error(value: str):
    """Nothing else is raised, and what is shown is made for showing."""
    shown_url(value)
    assert not same_origin(value, "https://another.example/")
    with contextlib.suppress(OptionError):
        assert check_server_url(value) == value


def test_same_origin():
    """Scheme, host and port; ws counts as http, and the default port as given."""
    assert same_origin("https://a.example/x", "wss://A.example:443/y")
    assert same_origin("ws://localhost/x", "http://localhost:80/y")
    assert not same_origin("https://a.example/x", "http://a.example/x")
    assert not same_origin("https://a.example/x", "https://b.example/x")
    assert not same_origin("https://a.example/x", "https://a.example:8443/x")


@pytest.mark.parametrize("odd", ["", "/x", "https://[", "https://a:x/"])
def test_what_is_no_address_shares_no_origin(odd: str):
    """Not even with itself."""
    assert not same_origin(odd, odd)
