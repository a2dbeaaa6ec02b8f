"""What the readers make of a stream of bytes: pieces that pass at once, and whole things that rules decide about."""

from __future__ import annotations

from typing import TypeAlias

from attrs import define, field, frozen

from chat_sandbox._proxy.rules import Passing

__all__ = ["Bytes", "Exchange", "Piece", "Whole"]


@define(eq=False)
class Exchange:
    """One HTTP request that reached the server, and its answer.

    Attributes:
        method: of the request.
        path: without the query.
        may_switch: it asks for another protocol on this connection.
        switched: whether the server granted that; None while it has not answered.
        drop: the answer is for nobody.
        sent: the server was sent it, or its beginning.
    """

    method: str
    path: str
    may_switch: bool = False
    switched: bool | None = None
    drop: bool = False
    sent: bool = False


@frozen(kw_only=True)
class Bytes:
    """What passes as it is.

    Attributes:
        raw: the bytes.
        exchange: what they belong to, None over WebSocket and for what could not be read.
        begins: they are the beginning of a request.
    """

    raw: bytes = field(repr=False)
    exchange: Exchange | None = None
    begins: bool = False


@frozen(kw_only=True)
class Whole:
    """A request, an answer or a WebSocket's message, read to its end.

    Attributes:
        passing: what rules look at.
        raw: as it came.
        exchange: what it belongs to; None over WebSocket.
        head: of an HTTP message, as it came.
        body: decoded, for reading.
        controls: control frames that came between its fragments.
    """

    passing: Passing
    raw: bytes = field(repr=False)
    head: bytes = field(default=b"", repr=False)
    body: bytes = field(default=b"", repr=False)
    exchange: Exchange | None = None
    controls: bytes = field(default=b"", repr=False)


Piece: TypeAlias = Bytes | Whole
