"""What one server asks of whoever calls it: to carry its cookies, and to leave it alone for a while."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

__all__ = ["CookieBox", "retry_after"]

#: Cookies kept for one server, and the length of one, at most (RP-11).
MAX_COOKIES: Final = 50
MAX_COOKIE_LENGTH: Final = 4096
_SENDABLE: Final = re.compile("[ -:<-~]*")
#: Seconds of a server's ``Retry-After`` that are believed, at most.
LONGEST_WAIT: Final = 3600.0


def retry_after(value: str) -> float | None:
    """Read a ``Retry-After`` header, seconds or a date: seconds to wait, an hour at most; None when it says nothing."""
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return min(float(value[:9]), LONGEST_WAIT)
    at = _date(value)
    return None if at is None else min(max(0.0, at - time.time()), LONGEST_WAIT)


class CookieBox:
    """What one server has asked of a session, on whatever carrier: its cookies, by which load balancers steer.

    Attributes:
        not_before: when it wants to hear of us again, having said ``Retry-After`` (the loop's seconds). A link that is
            made anew is one more request to the same server.
    """

    def __init__(self, saved: Mapping[str, Any] | None = None) -> None:
        self.not_before = 0.0
        self._values: dict[str, str] = {}
        for name, value in (saved or {}).items():
            if isinstance(name, str) and isinstance(value, str):
                self._keep(name, value)

    def __bool__(self) -> bool:
        return bool(self._values)

    @property
    def header(self) -> str:
        """The ``Cookie`` header's value."""
        return "; ".join(f"{name}={value}" for name, value in self._values.items())

    def saved(self) -> dict[str, str]:
        """Return the cookies for a saved state."""
        return dict(self._values)

    def take(self, set_cookie: str) -> None:
        """Take one ``Set-Cookie`` header. Attributes that are not understood (``Partitioned``) are passed over."""
        pair, *attributes = set_cookie.split(";")
        name, equals, value = pair.strip().partition("=")
        if not equals:
            return
        if any(_ends(attribute) for attribute in attributes):
            self._values.pop(name, None)
        else:
            self._keep(name, value)

    def _keep(self, name: str, value: str) -> None:
        # What a header cannot carry back would make every later request fail.
        if not name or len(name) + len(value) > MAX_COOKIE_LENGTH or not _SENDABLE.fullmatch(name + value):
            return
        if name in self._values or len(self._values) < MAX_COOKIES:
            self._values[name] = value


def _ends(attribute: str) -> bool:
    key, _, value = attribute.strip().partition("=")
    key, value = key.lower(), value.strip()
    if key == "max-age":
        return value.startswith("-") or value == "0"
    if key == "expires":
        at = _date(value)
        return at is not None and at <= time.time()
    return False


def _date(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        return None
