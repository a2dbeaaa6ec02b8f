"""What the fault proxy can do to something that passes.

"Something" is a request or an answer over HTTP, and a message (with all its fragments) over WebSocket.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import Attribute, field, frozen

__all__ = [
    "Action",
    "Answer",
    "Close",
    "Delay",
    "Duplicate",
    "HalfOpen",
    "Reorder",
    "Suppress",
    "Truncate",
]

#: Seconds, at most: what is held longer is lost, and ``Suppress`` says so.
_LONGEST: Final = 3600.0


def _check_seconds(owner: Any, attribute: Attribute[Any], value: object) -> None:
    right = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    if not right or not 0 < value <= _LONGEST:  # type: ignore[operator]
        raise ValueError(
            f"{type(owner).__name__}: {attribute.name} must be seconds above 0 and at most {_LONGEST:g}, "
            f"not {value!r}; what should never arrive is suppressed"
        )


def _check_size(_: Any, __: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"Truncate: size must be the bytes that still pass, 0 or more, not {value!r}")


def _check_when(_: Any, __: Attribute[Any], value: object) -> None:
    if value not in {"before", "after"}:
        raise ValueError(f"Close: when must be 'before' or 'after' it is forwarded, not {value!r}")


def _check_status(_: Any, __: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:  # noqa: PLR2004 - final answers
        raise ValueError(f"Answer: status must be that of a final HTTP answer, 200 to 599, not {value!r}")


def _check_retry_after(_: Any, __: Attribute[Any], value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"Answer: retry_after must be whole seconds, 0 or more, or None, not {value!r}")


def _check_body(_: Any, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, bytes):
        raise ValueError(f"Answer: body must be bytes, not {value!r}; encode it")  # noqa: TRY004 - one class for all


@frozen
class Suppress:
    """It never arrives; the connection stays. Towards one side only, this is one-way loss.

    A single Bayeux message is taken out of its array; what is left of the array passes.
    """


@frozen
class Delay:
    """It arrives late, and everything behind it on this connection later still.

    Attributes:
        seconds: above 0, at most 3600.
    """

    seconds: float = field(validator=_check_seconds)


@frozen
class Duplicate:
    """It arrives twice.

    WebSocket: the message is sent twice. HTTP: a request reaches the server twice and the first answer is dropped; of
    an answer, the Bayeux messages stand in it twice, since HTTP knows no second answer. A single Bayeux message out of
    an array stands in it twice.
    """


@frozen
class Reorder:
    """It is held until the next one that the rule is about has passed.

    WebSocket: the next message in this direction of the same connection. HTTP: the next request, or answer, of another
    connection, since on one connection each waits for the one before.

    Attributes:
        within: seconds after which it is let go when none comes; above 0, at most 3600.
    """

    within: float = field(default=1.0, validator=_check_seconds)


@frozen
class Truncate:
    """Its first bytes arrive, then both connections are closed.

    Attributes:
        size: bytes that still pass; 0 and more.
    """

    size: int = field(default=0, validator=_check_size)


@frozen
class Close:
    """Both connections are aborted, before it is forwarded or after.

    ``after`` towards the server means that the server has it and the client cannot know: the server's side stays open
    until it answers, for a second at most.

    Attributes:
        when: ``before`` or ``after``.
    """

    when: Literal["before", "after"] = field(default="before", validator=_check_when)


@frozen
class HalfOpen:
    """From here on nothing passes in either direction, and both connections stay open: each side seems alive.

    It ends when the client closes, or with the proxy.
    """


@frozen
class Answer:
    """HTTP only: an answer of the proxy's own in place of the request, or of the server's answer.

    In place of a request the server never hears of it; in place of an answer it has done what was asked.

    Attributes:
        status: 200 to 599.
        retry_after: seconds for the header of that name, None for no header.
        body: of the answer.
    """

    status: int = field(default=HTTPStatus.SERVICE_UNAVAILABLE, validator=_check_status)
    retry_after: int | None = field(default=None, validator=_check_retry_after)
    body: bytes = field(default=b"", validator=_check_body)

    def serialize(self, method: str) -> bytes:
        """Return the bytes of it, as an answer to a request with that method."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = ""
        lines = [f"HTTP/1.1 {int(self.status)} {phrase}", f"content-length: {len(self.body)}"]
        if self.retry_after is not None:
            lines.append(f"retry-after: {self.retry_after}")
        return "\r\n".join([*lines, "", ""]).encode("ascii") + (b"" if method == "HEAD" else self.body)


Action: TypeAlias = Suppress | Delay | Duplicate | Reorder | Truncate | Close | HalfOpen | Answer
ACTIONS: Final[tuple[type, ...]] = get_args(Action)
