"""The one place that sets up HTTP."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from email.utils import formatdate

import httpx
import pytest

import chat_gms.asked
from chat_core import AmbiguousError, ConnectionOptions, NotSentError, OptionError, ProtocolError
from chat_gms.asked import MAX_COOKIE_LENGTH, MAX_COOKIES, CookieBox, retry_after
from chat_gms.http import HttpLink, tls_context


def post(handler, *, cookies=None, url="http://host/x", **options: object):
    async def main():
        transport = httpx.MockTransport(handler) if handler is not None else None
        link = HttpLink(
            ConnectionOptions(connect_timeout=1.0, **options),
            cookies=cookies or CookieBox(),
            secure=False,
            transport=transport,
            max_answer=100,
        )
        try:
            return await link.post(url, b"[]", content_type="application/json", timeout=1.0)
        finally:
            await link.aclose()

    return asyncio.run(main())


def test_an_answer_is_read_to_its_end():
    """Status, headers and body; redirects are not followed."""
    seen = []

    def handler(request):
        seen.append(request)
        return httpx.Response(302, headers={"location": "http://elsewhere/"}, content=b"abc")

    answer = post(handler, headers={"apikey": "k"}, auth=("a", "b"))
    assert (answer.status, answer.body, answer.headers["location"]) == (302, b"abc", "http://elsewhere/")
    (request,) = seen
    assert request.headers["apikey"] == "k"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["authorization"] == "Basic YTpi"


def test_a_request_says_what_it_is_once():
    """Host, type and length; a type among the caller's headers is none of the request's."""
    seen = []

    def handler(request):
        seen.append(request)
        return httpx.Response(200)

    post(handler, url="http://host:8080/x", headers={"Content-Type": "text/html", "X-Own": "1"})
    (request,) = seen
    for name, value in (("host", "host:8080"), ("content-type", "application/json"), ("x-own", "1")):
        assert request.headers.get_list(name) == [value]
    assert request.headers.get_list("content-length") == [str(len(request.content))]


def test_cookies_are_kept_and_sent():
    """In our box, shared with the other carrier."""
    box = CookieBox({"a": "1", "bad": 5})
    seen = []

    def handler(request):
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, headers=[("set-cookie", "b=2; Path=/; Partitioned"), ("set-cookie", "c=3")])

    post(handler, cookies=box)
    post(handler, cookies=box)
    assert seen == ["a=1", "a=1; b=2; c=3"]
    assert box.saved() == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize("ending", ["Max-Age=0", "max-age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_cookie_that_ends_is_dropped(ending):
    """By age or by date."""
    box = CookieBox({"a": "1"})
    box.take(f"a=2; {ending}")
    assert not box


@pytest.mark.parametrize("living", ["Max-Age=60", "Expires=Fri, 01 Jan 2100 00:00:00 GMT", "Expires=rubbish", "Secure"])
def test_a_cookie_that_lives_is_kept(living):
    """Dates that cannot be read end nothing."""
    box = CookieBox()
    box.take(f"a=2; {living}")
    assert box.saved() == {"a": "2"}


def test_rp11_cookies_are_bounded():
    """In number and length; a broken one is passed over."""
    box = CookieBox()
    for rubbish in ("", "novalue", "=x", "a=" + "x" * MAX_COOKIE_LENGTH, "a=\r\nb"):
        box.take(rubbish)
    assert not box
    for number in range(MAX_COOKIES + 5):
        box.take(f"n{number}=1")
    assert len(box.saved()) == MAX_COOKIES
    box.take("n0=2")
    assert box.saved()["n0"] == "2"


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("x"), httpx.ConnectTimeout(""), httpx.PoolTimeout("x"), httpx.ProxyError("x")]
)
def test_what_never_left_is_not_sent(error):
    """No connection: sending again is safe."""

    def handler(_):
        raise error

    with pytest.raises(NotSentError, match=type(error).__name__) as caught:
        post(handler)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [httpx.ReadTimeout("x"), httpx.WriteError("x"), httpx.RemoteProtocolError("x")])
def test_what_may_have_arrived_is_ambiguous(error):
    """Nobody can tell."""

    def handler(_):
        raise error

    with pytest.raises(AmbiguousError, match=type(error).__name__):
        post(handler)


def test_429_was_not_processed():
    """With the server's wish."""
    with pytest.raises(NotSentError, match="429") as caught:
        post(lambda _: httpx.Response(429, headers={"retry-after": "3"}))
    assert caught.value.retry_after == 3.0


@pytest.mark.parametrize("status", [429, 503])
def test_rp08_nothing_leaves_before_the_time_that_retry_after_asks_for(status: int, monkeypatch: pytest.MonkeyPatch):
    """Whatever it is for: it counts as not sent, with the time that is left."""
    seen = []
    now = 1000.0
    monkeypatch.setattr(chat_gms.asked.time, "monotonic", lambda: now)

    def handler(request):
        seen.append(request)
        return httpx.Response(status, headers={"retry-after": "3"})

    async def main():
        nonlocal now
        link = HttpLink(
            ConnectionOptions(),
            cookies=CookieBox(),
            secure=False,
            transport=httpx.MockTransport(handler),
            max_answer=100,
        )
        with contextlib.suppress(NotSentError):
            await link.post("http://h/", b"", content_type="text/plain", timeout=1.0)
        now += 2.0
        with pytest.raises(NotSentError, match=r"asks to wait 1\.0 s") as caught:
            await link.post("http://h/", b"", content_type="text/plain", timeout=1.0)
        assert (caught.value.retry_after, len(seen)) == (1.0, 1)
        now += 1.0
        with contextlib.suppress(NotSentError):
            await link.post("http://h/", b"", content_type="text/plain", timeout=1.0)
        assert len(seen) == 2
        await link.aclose()

    asyncio.run(main())


def test_rp11_an_answer_is_bounded():
    """While it is read."""
    with pytest.raises(ProtocolError, match="100 bytes"):
        post(lambda _: httpx.Response(200, content=b"x" * 101))
    assert post(lambda _: httpx.Response(200, content=b"x" * 100)).body == b"x" * 100


def test_rp11_the_bound_holds_after_decompression():
    """A small body may become a large one."""
    import gzip

    with pytest.raises(ProtocolError):
        post(lambda _: httpx.Response(200, content=gzip.compress(b"x" * 5000), headers={"content-encoding": "gzip"}))


def test_a_closed_link_sends_nothing():
    """Nothing left."""

    async def main():
        link = HttpLink(ConnectionOptions(), cookies=CookieBox(), secure=False)
        await link.aclose()
        with pytest.raises(NotSentError):
            await link.post("http://127.0.0.1:9/", b"", content_type="a/b", timeout=1)

    asyncio.run(main())


def test_an_address_no_library_understands_is_an_option_error():
    """Nothing left."""
    with pytest.raises(OptionError):
        post(None, url="gopher://host/")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5.0), (" 0 ", 0.0), ("99999999999", 3600.0), ("", None), ("soon", None), ("-5", None), ("²", None)],
)
def test_retry_after_in_seconds(value, seconds):
    """An hour at most."""
    assert retry_after(value) == seconds


def test_retry_after_as_a_date():
    """The past is no pause."""
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert retry_after(formatdate(0, usegmt=True)) == 0.0


def test_the_tls_context_is_shared_and_checks():
    """One per process and certificate file; the caller's own goes before."""
    context = tls_context(ConnectionOptions())
    assert context is tls_context(ConnectionOptions())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    own = ssl.create_default_context()
    assert tls_context(ConnectionOptions(ssl_context=own)) is own


def test_a_certificate_file_that_cannot_be_read_is_named(tmp_path):
    """Missing, or no certificate."""
    path = tmp_path / "ca.pem"
    with pytest.raises(OptionError, match=r"ca\.pem"):
        tls_context(ConnectionOptions(ca_file=str(path)))
    path.write_text("rubbish")
    with pytest.raises(OptionError, match=r"ca\.pem"):
        tls_context(ConnectionOptions(ca_file=str(path)))


@pytest.mark.parametrize("cookie", ["a=\xe9", "\udce9=1", "a=\x7f", "a=\x00", "a=\u2028b"])
def test_rp11_a_cookie_that_no_header_can_carry_is_passed_over(cookie):
    """The fuzzer's find: every later request failed. A saved one is not taken either."""
    box = CookieBox({"a": cookie.partition("=")[2], "b": "1", "\xe9": "1"})
    box.take(cookie)
    assert "\xe9" not in box.saved()
    assert box.header in {"b=1", "a=1; b=1"}


def test_rp11_compression_nobody_asked_for_is_undone_in_one_layer_and_in_pieces():
    """Gzip and deflate are read; layers upon layers, other kinds and damage are no answer."""
    import gzip
    import zlib

    class Stream(httpx.AsyncByteStream):
        def __init__(self, data) -> None:
            self.data = data

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for start in range(0, len(self.data), 7):
                yield self.data[start : start + 7]

    def answer(data, encoding):
        return post(lambda _: httpx.Response(200, headers={"content-encoding": encoding}, stream=Stream(data))).body

    assert answer(gzip.compress(b"abc" * 20), "gzip") == b"abc" * 20
    assert answer(zlib.compress(b"abc"), "Deflate") == b"abc"
    with pytest.raises(ProtocolError):
        answer(gzip.compress(b" " * 10**7), "gzip")
    for data, encoding in ((gzip.compress(gzip.compress(b"a")), "gzip, gzip"), (b"x", "br"), (b"xxxxx", "gzip")):
        with pytest.raises(AmbiguousError):
            answer(data, encoding)


def test_rp10_only_our_own_requests_are_kept_out_of_the_librarys_log(caplog):
    """Whatever levels are set; what else the program does with the library is logged as it wants."""
    import logging

    logger = logging.getLogger("httpcore.http11")

    def handler(_):
        logger.debug("ours")
        logger.warning("a warning")
        return httpx.Response(200)

    with caplog.at_level(logging.DEBUG, logger="httpcore.http11"):
        post(handler)
        logger.debug("theirs")
    assert [record.message for record in caplog.records if record.name == logger.name] == ["a warning", "theirs"]


def test_rp10_what_is_wrong_with_an_answer_is_told_without_quoting_it():
    """The library quotes the line it could not read, which may be a part of a chat."""

    def handler(_):
        raise httpx.RemoteProtocolError("illegal status line: bytearray(b'canary')")

    with pytest.raises(AmbiguousError, match="RemoteProtocolError") as caught:
        post(handler)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_rp10_a_header_that_cannot_be_sent_is_not_shown():
    """It may be a key."""
    with pytest.raises(OptionError) as caught:
        post(lambda _: httpx.Response(200), headers={"apikey": "canary\ud800"})
    error = caught.value
    while error is not None:
        assert "canary" not in repr(error)
        error = error.__cause__ or error.__context__
