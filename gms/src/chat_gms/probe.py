"""The first thing that every transport's probe tries. Needs the extra ``chat-gms[http]``."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

from chat_core._contracts.connection import ConnectionOptions
from chat_core._contracts.providers import ProbeStep
from chat_gms.http import tls_context

__all__ = ["try_connection"]


async def try_connection(url: str, options: ConnectionOptions) -> ProbeStep:
    """Connect to the server, with TLS where the address asks for it, and say how that went."""
    parts = urlsplit(url)
    secure = parts.scheme in {"https", "wss"}
    name = "TLS" if secure else "TCP"
    began = time.perf_counter()
    try:
        async with asyncio.timeout(options.connect_timeout):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if secure else 80), ssl=tls_context(options) if secure else None
            )
            version = writer.get_extra_info("ssl_object").version() if secure else "no TLS"
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        return ProbeStep(
            name=name, ok=False, detail=str(error) or type(error).__name__, seconds=time.perf_counter() - began
        )
    return ProbeStep(name=name, ok=True, detail=str(version), seconds=time.perf_counter() - began)
