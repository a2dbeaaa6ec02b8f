"""The ``transport_options`` of the CometD transport."""

from __future__ import annotations

import re
from typing import Any

from attrs import Attribute, field, frozen

from chat_core import ConnectionOptions, OptionError

__all__ = ["CometdOptions"]

_SERVICE = re.compile(r"[A-Za-z0-9_.~!$'()@-]+(/[A-Za-z0-9_.~!$'()@-]+)*")


def _check_service(_: Any, __: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not _SERVICE.fullmatch(value):
        raise OptionError(
            f"transport_options: service must be the name of a GMS chat service, not {value!r}",
            advice="give what follows /genesys/2/chat/ or /service/chatV2/, such as 'customer-support'",
        )


def _check_dialect(_: Any, __: Attribute[Any], value: object) -> None:
    names = ("channel", "session_id", "start", "fetch", "command", "read", "saved", "restore")
    missing = [name for name in names if not hasattr(value, name)]
    if value is not None and missing:
        raise OptionError(f"transport_options: the dialect {value!r} lacks {', '.join(missing)}")


def _check_seconds(_: Any, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise OptionError(f"transport_options: {attribute.name} must be seconds above 0, not {value!r}")


def _check_size(_: Any, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1024:  # noqa: PLR2004 - a handshake needs that
        raise OptionError(f"transport_options: {attribute.name} must be bytes, 1024 at least, not {value!r}")


@frozen(kw_only=True)
class CometdOptions(ConnectionOptions):
    """Beside what every transport understands (see ``ConnectionOptions``):

    Attributes:
        service: the GMS chat service; the channel is ``/service/chatV2/<service>``.
        dialect: an object in place of the GMS dialect, for another back end on CometD; serves one session.
        ack: offer the acknowledgement extension; None: on long polling only.
        timesync: offer the time extension.
        max_network_delay: seconds for an answer beyond the time the server holds it.
        max_message_size: bytes of one WebSocket frame or HTTP answer, at most.
        files_url: the address of GMS's file service; None: ``../2/chat-ntf``, beside ``server_url``. It is checked as
            ``server_url`` is.
        http_transport: an ``httpx.AsyncBaseTransport`` in place of the network; there is no WebSocket then.
    """  # noqa: D415

    service: str = field(default="customer-support", validator=_check_service)
    dialect: Any = field(default=None, repr=False, validator=_check_dialect)
    ack: bool | None = None
    timesync: bool = False
    max_network_delay: float = field(default=10.0, validator=_check_seconds)
    max_message_size: int = field(default=4 * 1024 * 1024, validator=_check_size)
    files_url: str | None = None
    http_transport: Any = field(default=None, repr=False)
