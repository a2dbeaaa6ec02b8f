"""WebSocket: one connection, text frames with JSON arrays."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, ProxyError
from websockets.protocol import State

from chat_core import AmbiguousError, ConnectionOptions, NotSentError, OptionError, ProtocolError
from chat_gms.http import CookieBox, basic_auth, retry_after, tls_context
from chat_transport_cometd._bayeux.messages import Message, decode, encode
from chat_transport_cometd._carriers.base import CarrierUnavailableError, Wire

__all__ = ["WebSocket"]

#: Seconds for the closing handshake.
CLOSE_TIMEOUT: Final = 0.5
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
        self, url: str, options: ConnectionOptions, *, cookies: CookieBox, wire: Wire, max_message_size: int
    ) -> None:
        scheme, *rest = urlsplit(url)
        self._url = urlunsplit(({"http": "ws", "https": "wss"}.get(scheme, scheme), *rest))
        self._options = options
        self._cookies = cookies
        self._wire = wire
        self._max_message_size = max_message_size
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect and upgrade; redirects are not followed.

        Raises:
            CarrierUnavailableError: no connection, or the server (or something before it) refused the upgrade.
        """
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
        self._reader = asyncio.get_running_loop().create_task(self._read(socket), name="chat-core: websocket")

    async def send(self, messages: list[Message], *, timeout: float) -> None:  # noqa: ARG002 - the link waits
        """Send one frame; replies arrive by themselves."""
        if self._socket is None or self._socket.state is not State.OPEN:
            raise NotSentError("the WebSocket is not open")
        try:
            await self._socket.send(encode(messages))
        except ConnectionClosed as error:
            # It was open before: some of the frame may have been written.
            raise AmbiguousError("the WebSocket broke while a message was sent") from error

    async def aclose(self) -> None:
        """Close the connection, whatever becomes of whoever waits for that."""
        try:
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.gather(self._reader, return_exceptions=True)
            if self._socket is not None:
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(CLOSE_TIMEOUT):
                        await self._socket.close()
        finally:
            if self._socket is not None and not self._socket.transport.is_closing():
                self._socket.transport.abort()

    async def _read(self, socket: ClientConnection) -> None:
        reason = "the WebSocket was closed"
        try:
            async for frame in socket:
                self._wire.messages(decode(frame))
        except ProtocolError as error:
            reason = error.description
        except ConnectionClosed as error:
            reason = f"the WebSocket broke: {error}"
        except Exception as error:  # noqa: BLE001 - a defect further up must not leave a dead link unseen
            reason = f"the WebSocket was given up: {type(error).__name__}"
        self._wire.lost(reason)


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
