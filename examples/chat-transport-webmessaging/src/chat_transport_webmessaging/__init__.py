"""Genesys Cloud Web Messaging for chat-core. This module is the entry point: it imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import Attribute, field, frozen

from chat_core import Capability, ConnectionOptions, OptionError, TransportContext, TransportProvider, hookimpl

if TYPE_CHECKING:
    from chat_core import Transport

__all__ = ["WebMessagingOptions", "provider"]


def _check_text(_: Any, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise OptionError(f"transport_options: {attribute.name} must be text on one line, not {value!r}")


def _check_seconds(_: Any, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise OptionError(f"transport_options: {attribute.name} must be seconds above 0, not {value!r}")


def _check_size(_: Any, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1024:  # noqa: PLR2004 - less holds no answer
        raise OptionError(f"transport_options: {attribute.name} must be bytes, 1024 at least, not {value!r}")


@frozen(kw_only=True)
class WebMessagingOptions(ConnectionOptions):
    """Beside what every transport understands (see ``ConnectionOptions``):

    Attributes:
        deployment_id: the messenger's deployment.
        origin: the web site for which the deployment is meant; the service has a list of those it admits.
        application: what the client calls itself in the address.
        request_timeout: seconds for one answer.
        health_interval: seconds of silence after which the service is asked whether it is still there. It permits one
            question each 30 s.
        max_message_size: bytes of one frame that arrives, at most.
    """  # noqa: D415

    deployment_id: str = field(validator=_check_text)
    origin: str = field(validator=_check_text)
    application: str = field(default="chat-core", validator=_check_text)
    request_timeout: float = field(default=10.0, validator=_check_seconds)
    health_interval: float = field(default=30.0, validator=_check_seconds)
    max_message_size: int = field(default=1024 * 1024, validator=_check_size)


def _make(context: TransportContext) -> Transport:
    from chat_transport_webmessaging._transport import make_transport  # noqa: PLC0415 - websockets only once needed

    return make_transport(context)


provider = TransportProvider(
    name="webmessaging",
    summary="Genesys Cloud Web Messaging over WebSocket",
    factory=_make,
    options=WebMessagingOptions,
    # No position: the service numbers nothing, so what a broken connection lost cannot be asked for.
    capabilities=frozenset({Capability.PUSH, Capability.TYPING}),
)


@hookimpl
def chat_transports() -> list[TransportProvider]:
    """Provide the transport ``webmessaging``."""
    return [provider]
