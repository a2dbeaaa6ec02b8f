"""A gate before the sandbox that can answer in its place, with whatever bytes and without an end."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable, Iterator

from support.gates import Gate

__all__ = ["HostileGate", "accept_key", "chunked", "endless", "frame", "http"]

Attack = Iterable[bytes]


class HostileGate(Gate):
    """Passes each HTTP request on by itself, and WebSockets as they are.

    Attributes:
        attack: sent in place of the next answers, None: none.
        attacks: how many answers are left for that, None: all.
        upgrades: whether upgrades to WebSocket are passed on though an attack is set.
        sent: bytes of attacks that were taken off our hands.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.attack: Attack | None = None
        self.attacks: int | None = None
        self.upgrades = False
        self.sent = 0
        self.attacked = asyncio.Event()
        self._sockets: set[asyncio.StreamWriter] = set()

    def strike(self, attack: Attack, times: int | None = None) -> None:
        self.attack, self.attacks = attack, times
        self.attacked.clear()

    async def inject(self, attack: Attack) -> None:
        """Send bytes into every WebSocket that is open."""
        for writer in list(self._sockets):
            await self._send(attack, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_upgrade = b"upgrade: websocket" in head.lower()
        if self.attack is not None and self.attacks != 0 and not (is_upgrade and self.upgrades):
            if self.attacks is not None:
                self.attacks -= 1
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            await self._send(_for(self.attack, head), writer)
            return
        if is_upgrade:
            self._sockets.add(writer)
            try:
                await self._pass_on(head, reader, writer)
            finally:
                self._sockets.discard(writer)
            return
        # One request a connection, so that none goes past the attack.
        await self._pass_on(head.replace(b"\r\n", b"\r\nconnection: close\r\n", 1), reader, writer)

    async def _send(self, attack: Attack, writer: asyncio.StreamWriter) -> None:
        self.attacked.set()
        with contextlib.suppress(ConnectionError):
            for piece in attack:
                writer.write(piece)
                await writer.drain()
                self.sent += len(piece)


def _for(attack: Attack, head: bytes) -> Attack:
    """An answer to an upgrade needs the key that fits."""
    key = re.search(rb"sec-websocket-key: *(\S+)", head, re.IGNORECASE)
    accept = accept_key(key[1]) if key else b""
    return (piece.replace(b"<accept>", accept) for piece in attack)


def accept_key(key: bytes) -> bytes:
    from base64 import b64encode
    from hashlib import sha1

    return b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def http(body: bytes = b"", *, status: str = "200 OK", length: bool = True, **headers: str) -> list[bytes]:
    """An answer over HTTP, in one piece."""
    fields = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if length:
        fields["content-length"] = str(len(body))
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items()), "connection: close", "", ""]
    return ["\r\n".join(lines).encode("latin-1") + body]


class endless:  # noqa: N801 - read as a word: endless(head, piece)
    """A beginning, and then the same for ever. Can be iterated over again."""

    def __init__(self, begin: Iterable[bytes], piece: bytes) -> None:
        self._begin = list(begin)
        self._piece = piece

    def __iter__(self) -> Iterator[bytes]:
        yield from self._begin
        while True:
            yield self._piece


def chunked(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def frame(
    payload: bytes = b"", *, opcode: int = 1, fin: bool = True, rsv1: bool = False, masked: bool = False
) -> bytes:
    """A WebSocket frame as a server sends it."""
    first = opcode | (0x80 if fin else 0) | (0x40 if rsv1 else 0)
    mask = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        length = bytes([mask | size])
    elif size < 65536:
        length = bytes([mask | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([mask | 127]) + size.to_bytes(8, "big")
    return bytes([first]) + length + (b"\0\0\0\0" if masked else b"") + payload
