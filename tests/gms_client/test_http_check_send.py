"""Nothing leaves once it may not: asked before a request, and again when its connection is there (RP-14)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from chat_core import ConnectionOptions, NotSentError
from chat_gms.asked import CookieBox
from chat_gms.http import HttpLink


class Gate:
    """Lets so many questions pass."""

    def __init__(self, passes: int) -> None:
        self.passes = passes

    def __call__(self) -> None:
        self.passes -= 1
        if self.passes < 0:
            raise NotSentError("not any more")


async def received_through(gate: Gate, content: bytes | AsyncIterator[bytes], length: int | None = None) -> bytes:
    """Post to a server that answers nothing; returns what it received."""
    received = bytearray()
    connections: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.Event()
        connections.append(gone)
        while data := await reader.read(65536):
            received.extend(data)
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        link = HttpLink(ConnectionOptions(), cookies=CookieBox(), secure=False, check_send=gate)
        with pytest.raises(NotSentError, match="not any more"):
            await link.post(url, content, content_type="text/plain", timeout=5, length=length)
        await link.aclose()
        async with asyncio.timeout(10):
            for gone in connections:
                await gone.wait()
    return bytes(received)


def test_what_may_not_leave_from_the_beginning_makes_no_connection():
    """Not one byte."""
    assert asyncio.run(received_through(Gate(0), b"secret")) == b""


def test_what_may_not_leave_once_there_is_a_connection_is_not_written():
    """Connecting may take longer than a lease lasts; the question is asked again before the first byte."""
    assert asyncio.run(received_through(Gate(1), b"secret")) == b""


def test_a_body_that_is_sent_in_pieces_stops_at_the_piece_that_may_not_leave():
    """The server never gets the whole of it."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(10):
            yield b"%d" % number * 200_000

    received = asyncio.run(received_through(Gate(6), pieces(), 2_000_000))
    assert b"\r\n\r\n" in received
    assert b"9" * 10 not in received
