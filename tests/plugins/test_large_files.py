"""Files pass through in pieces: what a transfer takes of memory does not grow with the file."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import chat_core

SIZE = 64 * 1024 * 1024
PIECE = bytes(256 * 1024)
#: Bytes that a transfer may take at once.
ROOM = 12 * 1024 * 1024

ENVELOPE: dict[str, Any] = {
    "messages": [],
    "chatEnded": False,
    "statusCode": 0,
    "secureKey": "k",
    "chatId": "c",
    "nextPosition": 1,
}
LIMITS = {
    **ENVELOPE,
    "messages": [{"type": "Notice", "text": "file-client-cfg-get", "userData": {"upload-max-files": "9"}}],
}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a GMS would, without keeping anything."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            left = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            while left:
                left -= len(await reader.read(min(left, 65536)))
            path = head.split(b" ")[1]
            if path.endswith(b"/download"):
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n\r\n" % SIZE
                )
                for _ in range(SIZE // len(PIECE)):
                    writer.write(PIECE)
                    await writer.drain()
                continue
            answer: dict[str, Any] = LIMITS if path.endswith(b"/limits") else ENVELOPE
            if path.endswith(b"/file"):
                answer = {**ENVELOPE, "userData": {"file-id": "f"}}
            body = json.dumps(answer).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
            writer.write(body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def content() -> AsyncIterator[bytes]:
    for _ in range(SIZE // len(PIECE)):
        yield PIECE


def test_sixty_four_megabytes_pass_in_twelve(tmp_path: Path):
    """An upload, a download to a path and one in pieces; each whole."""

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        session = await chat_core.start_session(
            server_url=f"http://127.0.0.1:{port}/prefix/genesys/2/chat/s", transport="rest", state_storage="memory"
        )
        tracemalloc.start()
        try:
            assert await session.send_file(content(), name="large.bin", size=SIZE) == "f"
            path = await session.download_file("f", to=tmp_path / "large.bin")
            assert path.stat().st_size == SIZE
            done = 0
            async for piece in await session.download_file("f"):
                done += len(piece)
            assert done == SIZE
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < ROOM, peak
        await session.detach()
        server.close()
        await server.wait_closed()

    asyncio.run(main())
