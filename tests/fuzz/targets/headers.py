"""Headers of an answer: cookies, the time to wait, the length."""

from __future__ import annotations

from chat_gms.asked import LONGEST_WAIT, MAX_COOKIE_LENGTH, MAX_COOKIES, CookieBox, retry_after
from chat_gms.http import _length


def check(data: bytes) -> None:
    cookies = CookieBox()
    # As httpx and websockets hand header lines over.
    text = data.decode("ascii", "surrogateescape") if data[:1] == b"\xff" else data.decode("latin-1")
    for line in text.split("\n"):
        seconds = retry_after(line)
        assert seconds is None or 0 <= seconds <= LONGEST_WAIT
        length = _length({"content-length": line})
        assert length is None or length >= 0
        cookies.take(line)
    saved = cookies.saved()
    assert len(saved) <= MAX_COOKIES
    assert all(len(name) + len(value) <= MAX_COOKIE_LENGTH for name, value in saved.items())
    header = cookies.header
    assert header.isascii()
    assert header.isprintable(), "it can be sent as it is"
    assert CookieBox(saved).header == header
