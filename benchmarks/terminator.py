"""Puts TLS before a server: ``terminator.py PORT FOLDER``; prints its own port. The authority is in FOLDER/ca.pem.

Two processes share the port, since each connection takes two sockets and a process may have only so many: over long
polling a peer has two connections for each of 5,000 sessions. Ended by a signal to their process group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from pathlib import Path

import trustme


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def settled(folder: Path) -> ssl.SSLContext:
    """Return the server's side of TLS, and leave the authority's certificate in a folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def serve(listening: socket.socket, upstream: int, context: ssl.SSLContext) -> None:
    """Serve until the process is ended."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", upstream)
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))

    server = await asyncio.start_server(take, sock=listening, ssl=context, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    _, port, place = sys.argv
    encrypted = settled(Path(place))
    shared = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{shared.getsockname()[1]}\n")
    sys.stdout.flush()
    os.fork()
    asyncio.run(serve(shared, int(port), encrypted))
