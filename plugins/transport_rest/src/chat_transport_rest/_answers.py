"""What an answer of the service is: an envelope, or an error that says what came in its place."""

from __future__ import annotations

from typing import Any, Final

from chat_core import AmbiguousError, LoginRefusedError, Origin, ProtocolError
from chat_gms.envelope import Envelope, MalformedEnvelopeError
from chat_gms.http import Answer
from chat_gms.reading import read_head

__all__ = ["read_answer"]

_OK: Final = 200
_UNAUTHORIZED: Final = frozenset({401, 403, 407})
#: The server was there and could not: it may have done it.
_MAY_PASS: Final = frozenset({408, 500, 502, 503, 504})


def read_answer(answer: Answer, url: str, *, opening: bool) -> Envelope:
    """Read an answer, but for its messages.

    Args:
        answer: read to its end.
        url: the service's address, for messages.
        opening: whether the chat is being opened, so that a wrong address or login shows itself.

    Raises:
        LoginRefusedError, ProtocolError: while the chat is being opened.
        AmbiguousError: it is no envelope, and nobody can tell what became of the request.
    """
    shown = f"{url} answered HTTP {answer.status}"
    details: dict[str, Any] = {"code": answer.status, "origin": Origin.HTTP}
    if answer.status in _UNAUTHORIZED and opening:
        raise LoginRefusedError(shown, advice="check auth and headers in transport_options", **details)
    try:
        return read_head(answer.body)
    except MalformedEnvelopeError as error:
        if opening and answer.status not in _MAY_PASS:
            what = "a page that is no JSON" if answer.status == _OK else f"HTTP {answer.status}"
            raise ProtocolError(
                f"not a GMS chat service: {url} answered with {what}",
                advice="server_url is the service's address, such as https://host/genesys/2/chat/customer-support",
                **details,
            ) from error
        if answer.status == _OK:
            raise AmbiguousError(
                "the answer was not JSON: something before the server answered in its place"
            ) from error
        raise AmbiguousError(shown, **details) from error
