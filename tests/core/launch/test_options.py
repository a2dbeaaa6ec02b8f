"""Options: the rows of the API page's two tables, as far as resolving decides them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from chat_core import MissingOptionError, OptionError, OptionTypeError, PageContext
from chat_core._launch.options import Given, OptionOrigin, ResolvedOptions, resolve_options
from chat_core._launch.url import check_server_url, same_origin
from chat_core._launch.user_data import MAX_SIZE, merge_user_data

PAGE = PageContext(title="Invoices", url="https://shop.example/invoices", referrer="https://shop.example/")


def resolve(**given: Any) -> ResolvedOptions:
    return resolve_options(Given(**given))


@pytest.mark.parametrize("username", [None, ""])
def test_row_username_defaults_to_user(username: str | None):
    """An absent or empty name becomes "User"."""
    assert resolve(username=username).username == "User"
    assert resolve(username="Ada").username == "Ada"


def test_row_subject_is_left_empty_when_absent():
    """An absent subject stays None and is not sent."""
    assert resolve().subject is None
    assert resolve(subject="Invoice").subject == "Invoice"
    assert resolve(subject="").subject == ""


def test_row_user_data_is_merged_over_the_defaults():
    """source, pageTitle, url and referrer are always there; the caller's keys join them."""
    assert dict(resolve(user_data={"FirstName": "John"}, page=PAGE).user_data) == {
        "source": "web",
        "pageTitle": "Invoices",
        "url": "https://shop.example/invoices",
        "referrer": "https://shop.example/",
        "FirstName": "John",
    }


def test_row_user_data_null_overrides_a_default():
    """Setting source to None displaces "web" and leaves the others as they are."""
    merged = resolve(user_data={"source": None}, page=PAGE).user_data
    assert merged["source"] is None
    assert merged["pageTitle"] == "Invoices"


def test_row_user_data_without_a_page():
    """The four keys are always in the options; without a page three are None."""
    assert dict(resolve().user_data) == {"source": "web", "pageTitle": None, "url": None, "referrer": None}


def test_row_max_offline_duration_defaults_to_five_seconds():
    """Infinity is allowed, and zero."""
    assert resolve().max_offline_duration == 5.0
    assert resolve(max_offline_duration=math.inf).max_offline_duration == math.inf
    assert resolve(max_offline_duration=0).max_offline_duration == 0.0


def test_row_disable_websockets_defaults_to_false():
    """And can be switched on."""
    assert resolve().disable_websockets is False
    assert resolve(disable_websockets=True).disable_websockets is True


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"username": 5}, OptionTypeError, "username must be text, not int"),
        ({"subject": b"x"}, OptionTypeError, "subject must be text, not bytes"),
        ({"server_url": 5}, OptionTypeError, "server_url must be text, not int"),
        ({"user_data": "x"}, OptionTypeError, "user_data must be a mapping, not str"),
        ({"user_data": {1: 2}}, OptionTypeError, "a key of user_data must be text, not 1"),
        ({"user_data": {"when": object()}}, OptionError, r"user_data\['when'\] of type object has no JSON form"),
        ({"user_data": {"n": math.nan}}, OptionError, r"user_data\['n'\] of type float has no JSON form"),
        ({"user_data": {"big": "x" * (MAX_SIZE + 1)}}, OptionError, "larger than"),
        ({"page": {}}, OptionTypeError, "page must be a PageContext, not dict"),
        ({"max_offline_duration": "5"}, OptionTypeError, "max_offline_duration must be seconds, not str"),
        ({"max_offline_duration": True}, OptionTypeError, "max_offline_duration must be seconds, not bool"),
        ({"max_offline_duration": -1}, OptionError, "must be 0 seconds or more, not -1"),
        ({"max_offline_duration": math.nan}, OptionError, "must be 0 seconds or more, not nan"),
        ({"disable_websockets": 1}, OptionTypeError, "disable_websockets must be True or False, not 1"),
        ({"profile": 5}, OptionTypeError, "profile must be text"),
        ({"profile": ""}, OptionError, "profile must have 1 to 200 characters, not 0"),
        ({"on_exit": "stay"}, OptionError, "on_exit must be 'leave' or 'detach', not 'stay'"),
    ],
)
def test_a_wrong_value_is_named_with_its_reason(given: dict[str, Any], error: type[Exception], text: str):
    """Before anything is sent."""
    with pytest.raises(error, match=text):
        resolve(**given)


def test_every_value_remembers_its_origin():
    """``explain`` lists each option with value, origin and note, and shows neither secrets nor texts."""
    options = resolve(
        username="Ada",
        subject="Invoice",
        user_data={"Password": "TOPSECRET"},
        transport_options={"auth": ("u", "TOPSECRET"), "service": "s"},
        page=PAGE,
    )
    lines = {one.name: one for one in options.explain()}
    assert lines["username"].origin == OptionOrigin.ARGUMENT
    assert lines["profile"].origin == OptionOrigin.CORE
    assert str(lines["profile"]) == "profile = default (core default)"
    assert "Password" in lines["user_data"].value
    shown = " ".join(map(str, options.explain()))
    assert "TOPSECRET" not in shown
    assert "Invoice<" not in shown
    assert lines["subject"].value == "<7 characters>"


def test_user_data_is_a_copy():
    """What the caller changes afterwards changes nothing here."""
    given: dict[str, Any] = {"list": [1]}
    merged = merge_user_data(given, None)
    given["list"].append(2)
    assert merged["list"] == [1]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "[::1]", "app.localhost"])
def test_http_is_for_loopback(host: str):
    """Unencrypted addresses pass where nothing leaves the machine."""
    assert check_server_url(f"http://{host}:8080/x")
    assert check_server_url(f"ws://{host}/x")


@pytest.mark.parametrize(
    ("url", "error", "text"),
    [
        (None, MissingOptionError, "server_url is missing"),
        ("", MissingOptionError, "server_url is missing"),
        (5, OptionTypeError, "server_url must be text"),
        ("gms.example.com", OptionError, "is not an absolute http, https, ws or wss URL"),
        ("ftp://gms.example.com/x", OptionError, "is not an absolute http"),
        ("https://", OptionError, "is not an absolute http"),
        ("https://gms.example.com:99999/", OptionError, "is no URL"),
        ("https://gms.example.com/a b", OptionError, "holds a blank or a control character"),
        ("https://gms.example.com/a\nb", OptionError, "holds a blank or a control character"),
        ("http://gms.example.com/x", OptionError, "would send the chat unencrypted to gms.example.com"),
        ("http://10.0.0.1/x", OptionError, "allow_insecure"),
        ("https://u:TOPSECRET@gms.example.com/x", OptionError, "holds a user name or password.*auth"),
        ("https://gms.example.com/x#top", OptionError, "has a fragment"),
    ],
)
def test_a_bad_address_is_refused(url: Any, error: type[Exception], text: str):
    """The value, the reason and the remedy stand in the message; a password does not."""
    with pytest.raises(error, match=text) as caught:
        check_server_url(url)
    assert "TOPSECRET" not in str(caught.value)


def test_allow_insecure_permits_http_anywhere():
    """On the caller's own word."""
    assert check_server_url("http://10.0.0.1/x", allow_insecure=True) == "http://10.0.0.1/x"


def test_same_origin():
    """Scheme, host and port; ws counts as http, and the default port as given."""
    assert same_origin("https://a.example/x", "wss://a.example:443/y")
    assert not same_origin("https://a.example/x", "http://a.example/x")
    assert not same_origin("https://a.example/x", "https://b.example/x")
    assert not same_origin("https://a.example/x", "https://a.example:8443/x")


def test_a_page_from_an_asgi_scope():
    """Address and referrer are taken; forwarding headers are not believed."""
    scope = {
        "type": "http",
        "scheme": "https",
        "path": "/büro/a",
        "query_string": b"q=1",
        "root_path": "",
        "headers": [(b"host", b"shop.example"), (b"referer", b"https://x/"), (b"x-forwarded-host", b"evil")],
    }
    page = PageContext.from_asgi(scope, title="T")
    assert page == PageContext(title="T", url="https://shop.example/b%C3%BCro/a?q=1", referrer="https://x/")
    assert PageContext.from_asgi({"path": "/", "server": ("localhost", 80)}).url == "http://localhost:80/"
    assert PageContext.from_asgi({"headers": 5, "path": 5, "server": None}) == PageContext()


def test_a_page_from_a_wsgi_environ():
    """The same from the older interface; what it lacks is None."""
    environ = {
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "shop.example",
        "SCRIPT_NAME": "/app",
        "PATH_INFO": "/a",
        "QUERY_STRING": "q=1",
        "HTTP_REFERER": "https://x/",
    }
    assert PageContext.from_wsgi(environ) == PageContext(url="https://shop.example/app/a?q=1", referrer="https://x/")
    assert PageContext.from_wsgi({}) == PageContext()
