"""WebSocket: one connection, text frames with JSON arrays."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State

from chat_core import AmbiguousError, ConnectionOptions, NotSentError, OptionError, ProtocolError
from chat_gms.asked import CookieBox, retry_after
from chat_gms.buffers import read_buffer
from chat_gms.http import basic_auth, tls_context
from chat_transport_cometd._bayeux.messages import Message, decode, encode
from chat_transport_cometd._carriers.base import CarrierUnavailableError, Wire

__all__ = ["WebSocket"]

#: Seconds for the closing handshake.
CLOSE_TIMEOUT: Final = 0.5
_DATA: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
#: Fragments of one message, at most; their sizes are the protocol's business (RP-11).
MAX_FRAGMENTS: Final = 4096
#: Characters of a refusal's text that are shown.
_LONGEST_SHOWN: Final = 300


class _Hushed(logging.LoggerAdapter[logging.Logger]):
    """Whatever level a program sets: at DEBUG the library logs every frame, and with it secrets and texts (RP-10)."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        return level > logging.DEBUG and super().isEnabledFor(level)


_logger = _Hushed(logging.getLogger("chat_transport_cometd.websocket"))


class WebSocket:
    """Carries messages over one WebSocket."""

    name = "websocket"

    def __init__(
        self,
        url: str,
        options: ConnectionOptions,
        *,
        cookies: CookieBox,
        wire: Wire,
        max_message_size: int,
        check_send: Callable[[], None] | None = None,
    ) -> None:
        scheme, *rest = urlsplit(url)
        self._url = urlunsplit(({"http": "ws", "https": "wss"}.get(scheme, scheme), *rest))
        self._options = options
        self._cookies = cookies
        self._wire = wire
        self._max_message_size = max_message_size
        self._check_send = check_send or (lambda: None)
        self._socket: ClientConnection | None = None
        #: Whether what arrives, and the end of it, is anybody's business.
        self._listening = True
        #: Why there is nothing to listen to, where that came before the connection was taken up.
        self._lost_early: str | None = None

    async def open(self) -> None:
        """Connect and upgrade; redirects are not followed.

        Raises:
            CarrierUnavailableError: no connection, or the server (or something before it) refused the upgrade.
            NotSentError: nothing may leave.
        """
        self._check_send()
        try:
            self._socket = await self._connect()
        except (InvalidHandshake, ProxyError) as error:
            problem = _refusal(error)
        except (OSError, ssl.SSLError, TimeoutError, EOFError) as error:
            raise CarrierUnavailableError(_words(error)) from error
        else:
            self._take_up(self._socket)
            return
        # Not chained: the library's errors hold the whole answer, with its cookies (RP-10).
        raise problem

    async def _connect(self) -> ClientConnection:
        options = self._options
        headers = {**basic_auth(options.auth), **options.headers}
        if self._cookies:
            headers["Cookie"] = self._cookies.header
        try:
            return await _Connect(
                self._url,
                create_connection=functools.partial(_Socket, self),  # type: ignore[arg-type] # any factory will do
                additional_headers=headers,
                user_agent_header=None,
                compression=None,
                proxy=options.proxy,
                ssl=tls_context(options) if self._url.startswith("wss:") else None,
                open_timeout=options.connect_timeout,
                close_timeout=CLOSE_TIMEOUT,
                # The held connect is the heartbeat; a second one would only cost.
                ping_interval=None,
                max_size=self._max_message_size,
                max_queue=None,
                logger=_logger,
            )
        except InvalidURI as error:
            raise OptionError(f"server_url cannot be used: {error}") from error

    def _take_up(self, socket: ClientConnection) -> None:
        if socket.response is not None:
            for value in socket.response.headers.get_all("Set-Cookie"):
                self._cookies.take(value)
        if self._lost_early is not None:
            self.lost(self._lost_early)

    async def send(
        self,
        messages: list[Message],
        *,
        timeout: float,  # noqa: ARG002 - the link waits
        seldom: bool = False,  # noqa: ARG002 - there is one connection, whatever it is for
    ) -> None:
        """Send one frame; replies arrive by themselves."""
        if self._socket is None or self._socket.state is not State.OPEN:
            raise NotSentError("the WebSocket is not open")
        frame = encode(messages)
        self._check_send()
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            # It was open before: some of the frame may have been written.
            raise AmbiguousError("the WebSocket broke while a message was sent") from error

    def begin(self, messages: list[Message], *, timeout: float) -> asyncio.Task[None]:
        """Send one frame in a task of its own, which the end of the connection ends."""
        task = asyncio.get_running_loop().create_task(self.send(messages, timeout=timeout), name="chat-core: frame")
        task.add_done_callback(_seen)
        return task

    def drop_poll(self) -> bool:
        """Return False: what is pushed comes over the connection over which everything comes."""
        return False

    async def aclose(self) -> None:
        """Close the connection, whatever becomes of whoever waits for that."""
        try:
            self._listening = False
            if self._socket is not None:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(CLOSE_TIMEOUT):
                        await self._socket.close()
        finally:
            if self._socket is not None and not self._socket.transport.is_closing():
                self._socket.transport.abort()

    def received(self, data: bytes) -> None:
        """Take a message, in the moment in which it is complete."""
        if not self._listening or self._lost_early is not None:
            return
        try:
            self._wire.messages(decode(data.decode()))
        except UnicodeDecodeError:
            self.lost("the server sent what is no UTF-8")
        except ProtocolError as error:
            self.lost(error.description)
        except Exception as error:  # noqa: BLE001 - a defect further up must not leave a dead link unseen
            self.lost(f"the WebSocket was given up: {type(error).__name__}")

    def lost(self, reason: str) -> None:
        """Listen no more, and say why; while the connection is being opened, that waits for the end of it."""
        if not self._listening:
            return
        if self._socket is None:
            self._lost_early = self._lost_early or reason
        else:
            self._listening = False
            self._wire.lost(reason)


class _Socket(ClientConnection, asyncio.BufferedProtocol):
    """Hands each message over in the moment in which it is complete: no queue and no task stand between."""

    def __init__(self, carrier: WebSocket, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._carrier = carrier
        #: Of a message that comes in fragments, those that are there.
        self._fragments: list[bytes] = []
        self._buffer = read_buffer()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - there is one size
        """Say where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes."""
        self.data_received(bytes(self._buffer[:nbytes]))

    def process_event(self, event: Event) -> None:
        """Take what the protocol has read: the answer to the upgrade, or a frame."""
        if not isinstance(event, Frame) or event.opcode not in _DATA:
            super().process_event(event)
        elif event.fin and not self._fragments:
            self._carrier.received(bytes(event.data))
        elif len(self._fragments) >= MAX_FRAGMENTS:
            self._carrier.lost(f"the server sent a message in more than {MAX_FRAGMENTS} fragments")
            self.transport.abort()  # each further one would cost as much as the first
        else:
            self._fragments.append(bytes(event.data))
            if event.fin:
                whole, self._fragments = b"".join(self._fragments), []
                self._carrier.received(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the carrier."""
        super().connection_lost(exc)
        error = self.protocol.close_exc
        clean = isinstance(error, ConnectionClosedOK)
        self._carrier.lost("the WebSocket was closed" if clean else f"the WebSocket broke: {error}")


def _seen(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


def _refusal(error: InvalidHandshake | ProxyError) -> CarrierUnavailableError:
    if not isinstance(error, InvalidStatus):
        return CarrierUnavailableError(_words(error))
    status = error.response.status_code
    return CarrierUnavailableError(
        f"the upgrade to WebSocket was answered with HTTP {status}",
        status=status,
        retry_after=retry_after(error.response.headers.get("Retry-After", "")),
    )


def _words(error: Exception) -> str:
    name = type(error).__name__
    return f"{name}: {error}"[:_LONGEST_SHOWN] if str(error) else name


class _Connect(connect):
    """Follows no redirect: a chat request must not be sent elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc
