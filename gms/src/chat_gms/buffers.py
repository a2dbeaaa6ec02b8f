"""One buffer for all that an event loop reads.

asyncio makes 256 KiB of room for each read of a plain protocol and gives most of it back, which costs time and lets the
C library's heap grow for ever in a process with many connections. With ``asyncio.BufferedProtocol`` a read goes into a
buffer that is there. It is used from being handed out until ``buffer_updated`` has returned, and so by one connection
at a time.
"""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

__all__ = ["SIZE", "read_buffer"]

#: Bytes of one read, at most.
SIZE: Final = 64 * 1024

_BUFFERS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview]] = WeakKeyDictionary()


def read_buffer() -> memoryview:
    """Return the running loop's buffer."""
    loop = asyncio.get_running_loop()
    buffer = _BUFFERS.get(loop)
    if buffer is None:
        buffer = _BUFFERS[loop] = memoryview(bytearray(SIZE))
    return buffer
