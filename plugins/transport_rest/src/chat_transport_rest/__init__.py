"""REST transport for chat-core. This version holds the place and says so; it cannot carry a chat yet."""

from __future__ import annotations

from chat_core import ConnectionOptions, PluginError, Transport, TransportContext, TransportProvider, hookimpl

__all__ = ["provider"]


def _make(context: TransportContext) -> Transport:
    del context
    raise PluginError(
        "the transport 'rest' is not there yet in chat-transport-rest 0.1.0; nothing was sent",
        advice="use the transport 'cometd' (pip install chat-transport-cometd)",
    )


provider = TransportProvider(
    name="rest",
    summary="not there yet in this version: GMS Chat v2 over REST",
    factory=_make,
    options=ConnectionOptions,
)


@hookimpl
def chat_transports() -> list[TransportProvider]:
    """Provide the name ``rest``, which says that it is not there yet."""
    return [provider]
