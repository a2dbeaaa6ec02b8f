"""PageContext: where the visitor is, from ASGI and WSGI."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_core import PageContext
from chat_core._launch.user_data import merge_user_data


def asgi(**scope: Any) -> str | None:
    return PageContext.from_asgi({"path": "/", "headers": [(b"host", b"shop.example")], **scope}).url


def wsgi(**environ: Any) -> str | None:
    return PageContext.from_wsgi({"HTTP_HOST": "shop.example", "PATH_INFO": "/", **environ}).url


def test_a_page_from_an_asgi_scope():
    """Address and referrer are taken; forwarding headers are not believed."""
    scope = {
        "type": "http",
        "scheme": "https",
        "path": "/büro/a",
        "query_string": b"q=1",
        "root_path": "",
        "headers": [(b"host", b"shop.example"), (b"Referer", b"https://x/"), (b"x-forwarded-host", b"evil")],
    }
    page = PageContext.from_asgi(scope, title="T")
    assert page == PageContext(title="T", url="https://shop.example/b%C3%BCro/a?q=1", referrer="https://x/")


def test_a_page_from_a_wsgi_environ():
    """The same from the older interface, whose text stands for bytes."""
    environ = {
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "shop.example",
        "SCRIPT_NAME": "/app",
        "PATH_INFO": "/b\u00c3\u00bcro",
        "QUERY_STRING": "q=1",
        "HTTP_REFERER": "https://x/",
        "HTTP_X_FORWARDED_HOST": "evil",
    }
    assert PageContext.from_wsgi(environ, title="T") == PageContext(
        title="T", url="https://shop.example/app/b%C3%BCro?q=1", referrer="https://x/"
    )


@pytest.mark.parametrize(
    ("root", "path", "url"),
    [
        ("/app", "/app/a", "/app/a"),
        ("/app", "/a", "/app/a"),
        ("/app/", "/a", "/app/a"),
        ("/app", "/app", "/app"),
        ("/app", "/application", "/app/application"),
        (5, "/a", "/a"),
    ],
)
def test_the_mount_point_stands_before_the_path_once(root: Any, path: str, url: str):
    """ASGI servers differ in whether the path includes ``root_path``."""
    assert asgi(root_path=root, path=path) == f"http://shop.example{url}"


@pytest.mark.parametrize(
    ("server", "scheme", "url"),
    [
        (("localhost", 80), "http", "http://localhost/"),
        (["localhost", 443], "https", "https://localhost/"),
        (("localhost", 8080), "http", "http://localhost:8080/"),
        (("::1", 8080), "http", "http://[::1]:8080/"),
        (("/run/app.sock", None), "http", None),
        (("", 80), "http", None),
        (("localhost", True), "http", None),
        (("localhost",), "http", None),
        (None, "http", None),
    ],
)
def test_without_a_host_header_the_listening_socket_names_the_host(server: Any, scheme: str, url: str | None):
    """A Unix socket names none."""
    assert PageContext.from_asgi({"path": "/", "scheme": scheme, "server": server}).url == url


def test_a_wsgi_server_names_the_host_with_its_port():
    """As PEP 3333 reconstructs an address; the scheme's own port is left out."""
    environ = {"SERVER_NAME": "localhost", "PATH_INFO": "/"}
    assert PageContext.from_wsgi({**environ, "SERVER_PORT": "8080"}).url == "http://localhost:8080/"
    assert PageContext.from_wsgi({**environ, "SERVER_PORT": "80"}).url == "http://localhost/"
    assert PageContext.from_wsgi(environ).url is None


@pytest.mark.parametrize("host", ["a b", "a/b", "u:p@a", "a?b", "a#b", 'a"b', "a\r\nX: y", "", "a:99999999", "x" * 300])
def test_a_host_header_that_is_no_host_is_not_believed(host: str):
    """Whoever sent the request wrote it."""
    assert asgi(headers=[(b"host", host.encode())]) is None
    assert wsgi(HTTP_HOST=host) is None


def test_queries_come_as_they_are():
    """What is escaped stays so, what should have been is."""
    assert asgi(query_string=b"q=%20a&b=\xff\n") == "http://shop.example/?q=%20a&b=%FF%0A"
    assert wsgi(QUERY_STRING="q=%20a&b=\xff\n") == "http://shop.example/?q=%20a&b=%FF%0A"
    assert asgi(query_string="text") == "http://shop.example/"
    assert wsgi(QUERY_STRING=5) == "http://shop.example/"


def test_a_referrer_with_control_characters_is_none():
    """It goes into what agents read."""
    assert PageContext.from_asgi({"headers": [(b"referer", b"https://x/\x1b[2J")]}).referrer is None
    assert PageContext.from_wsgi({"HTTP_REFERER": "https://x/\n"}).referrer is None
    assert PageContext.from_wsgi({"HTTP_REFERER": 5}).referrer is None


odd = st.none() | st.integers() | st.text() | st.binary() | st.lists(st.binary() | st.integers(), max_size=3)
surrogates = st.text(st.characters(codec=None), max_size=5)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "headers": odd | st.lists(st.tuples(odd, odd) | odd, max_size=3),
            "path": odd | surrogates,
            "root_path": odd | surrogates,
            "query_string": odd,
            "scheme": odd,
            "server": odd | st.tuples(odd, odd),
        },
    ),
    odd | surrogates,
)
def test_odd_scopes_never_raise(scope: dict[str, Any], title: Any):
    """What cannot be used is None, and what comes out can be sent."""
    merge_user_data(None, PageContext.from_asgi(scope, title=title))


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "HTTP_HOST",
                "SERVER_NAME",
                "SERVER_PORT",
                "SCRIPT_NAME",
                "PATH_INFO",
                "QUERY_STRING",
                "HTTP_REFERER",
                "wsgi.url_scheme",
            ),
            odd | surrogates,
        ),
    ),
    odd | surrogates,
)
def test_odd_environs_never_raise(environ: dict[str, Any], title: Any):
    """The same for WSGI."""
    merge_user_data(None, PageContext.from_wsgi(environ, title=title))


@pytest.mark.parametrize("nothing", [None, 5, "scope", [], {}])
def test_what_is_no_scope_gives_an_empty_page(nothing: Any):
    """With the title that was given."""
    assert PageContext.from_asgi(nothing, title="T") == PageContext(title="T")
    assert PageContext.from_wsgi(nothing, title="T") == PageContext(title="T")


def test_a_page_is_a_frozen_value():
    """Made of text or None; keyword-only."""
    page: Any = PageContext(title="T")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        page.title = "other"
    with pytest.raises(TypeError):
        PageContext(title=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        PageContext("T")  # type: ignore[misc]
