"""REST transport for chat-core. This module is the entry point: it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chat_core import Capability, ProbeStep, TransportContext, TransportProvider, hookimpl
from chat_transport_rest.options import RestOptions

if TYPE_CHECKING:
    from chat_core import Transport

__all__ = ["RestOptions", "provider"]


def _make(context: TransportContext) -> Transport:
    from chat_transport_rest._transport import make_transport  # noqa: PLC0415 - httpx only once it is needed

    return make_transport(context)


async def _probe(context: TransportContext) -> Iterable[ProbeStep]:
    from chat_transport_rest._probe import probe  # noqa: PLC0415 - as above

    return await probe(context)


provider = TransportProvider(
    name="rest",
    summary="GMS Chat v2 over REST: form posts and polling",
    factory=_make,
    options=RestOptions,
    capabilities=frozenset(
        {
            Capability.POSITION,
            Capability.TYPING,
            Capability.TYPING_PREVIEW,
            Capability.SET_USER_DATA,
            Capability.NICKNAME,
            Capability.CUSTOM_NOTICE,
            Capability.FILES,
        }
    ),
    probe=_probe,
)


@hookimpl
def chat_transports() -> list[TransportProvider]:
    """Provide the transport ``rest``."""
    return [provider]
