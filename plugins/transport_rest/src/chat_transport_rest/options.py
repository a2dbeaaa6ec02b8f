"""The ``transport_options`` of the REST transport."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from chat_core import ConnectionOptions, OptionError

__all__ = ["RestOptions"]

#: A silent client is removed after 45 s by default; polls stay well within that.
LONGEST_INTERVAL = 40.0


def _check_seconds(_: Any, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_INTERVAL:
        raise OptionError(
            f"transport_options: {attribute.name} must be above 0 and at most {LONGEST_INTERVAL:g} s, not {value!r}",
            advice="GMS removes a client that is silent for 45 s",
        )


@frozen(kw_only=True)
class RestOptions(ConnectionOptions):
    """Beside what every transport understands (see ``ConnectionOptions``):

    Attributes:
        poll_quick: seconds between two polls while the conversation is lively.
        poll_slow: seconds between two polls once nothing has happened for a while.
        request_timeout: seconds for one answer.
        max_answer_size: bytes of one answer, at most.
        http_transport: an ``httpx.AsyncBaseTransport`` in place of the network.
    """  # noqa: D415

    poll_quick: float = field(default=1.0, validator=_check_seconds)
    poll_slow: float = field(default=4.0, validator=_check_seconds)
    request_timeout: float = field(default=10.0, validator=_check_seconds)
    max_answer_size: int = 4 * 1024 * 1024
    http_transport: Any = field(default=None, repr=False)
