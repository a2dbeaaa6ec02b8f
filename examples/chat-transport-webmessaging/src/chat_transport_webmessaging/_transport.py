"""The transport: one WebSocket, brought back when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from chat_core import (
    AmbiguousError,
    Backoff,
    Batch,
    ChatError,
    Command,
    ConnectError,
    ConnectTimeoutError,
    Ended,
    EndReason,
    ErrorInfo,
    LeaveCommand,
    LinkDown,
    LinkUp,
    LoginRefusedError,
    NotSentError,
    Opened,
    OptionError,
    ProtocolError,
    RefusedError,
    Reply,
    SendMessageCommand,
    StartRequest,
    StateCorruptError,
    TransportContext,
    TransportError,
    TypingCommand,
    UnsupportedCommandError,
)
from chat_transport_webmessaging import WebMessagingOptions
from chat_transport_webmessaging._wire import HEALTH_ID, Frame, Wire, decode, fault

__all__ = ["WebMessagingTransport", "make_transport"]

#: Seconds for the closing handshake.
CLOSE_TIMEOUT: Final = 1.0
#: Seconds between two notes that the visitor is typing, at least.
TYPING_PAUSE: Final = 5.0

_LOGIN: Final = frozenset({401, 403})
_PASSES: Final = frozenset({408, 429, *range(500, 600)})

_logger = logging.getLogger("chat_transport_webmessaging.websocket")
# At DEBUG the library logs every frame, and each frame of ours holds the token.
_logger.setLevel(logging.INFO)


class WebMessagingTransport:
    """One session of the service. Made by the provider, without I/O."""

    def __init__(self, context: TransportContext, url: str) -> None:
        self._options: WebMessagingOptions = context.options
        self._log = context.log
        self._url = url
        self._token = ""
        self._wire: Wire | None = None
        self._socket: ClientConnection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._backoff = Backoff()
        #: Requests that wait for what the service says to them, by tracing id.
        self._waiting: dict[str, asyncio.Future[Frame]] = {}
        self._queue: asyncio.Queue[Batch | LinkDown | LinkUp | Ended | None] = asyncio.Queue()
        self._over = asyncio.Event()
        self._leaving = False
        self._closed = False
        self._typed_at: float | None = None

    # The contract

    async def start(self, request: StartRequest) -> Opened:
        """Open a session under a token of our own."""
        self._begin(str(uuid.uuid4()), _attributes(request))
        answer = await self._open()
        room = answer.body.get("maxCustomDataBytes")
        size = len(json.dumps(_attributes(request)).encode())
        if isinstance(room, int) and not isinstance(room, bool) and 0 < room < size:
            raise OptionError(
                f"user_data takes {size} bytes with username and subject, and the service takes {room}",
                advice="give fewer or shorter entries",
            )
        return self._opened(answer)

    async def resume(self, saved: Mapping[str, Any]) -> Opened:
        """Take a session up by its token. What was said before is not brought back."""
        token = saved.get("token")
        if not isinstance(token, str) or not token:
            raise StateCorruptError("the saved state has no text 'token'", advice="start a new session")
        self._begin(token, {})
        try:
            answer = await self._open()
        except AmbiguousError as error:
            # Nothing was started by asking; the session may still be there.
            raise ConnectError(f"the service gave no usable answer: {error.description}") from error
        if answer.body.get("newSession") is True:
            # The service made one anew under the old token. Nobody wants that one.
            with contextlib.suppress(TransportError):
                await self._write(self._ready().close())
            raise RefusedError("the service does not know the session any more", session_unknown=True)
        return self._opened(answer)

    async def fetch(self, position: int) -> Batch:
        """There is no transcript with positions."""
        raise RefusedError(f"Web Messaging numbers nothing, so there is nothing to fetch from {position} on")

    async def send(self, command: Command) -> Reply:
        """Bring a command to the service; a message has arrived when the service sends it back."""
        match command:
            case SendMessageCommand(text=text):
                await self._ask(*self._ready().message(text))
                self._ready().accepted()
            case TypingCommand(is_typing=is_typing):
                await self._type(is_typing=is_typing)
            case LeaveCommand():
                await self._leave()
            case _:
                raise UnsupportedCommandError(f"the transport 'webmessaging' cannot do {type(command).__name__}")
        return Reply()

    async def incoming(self) -> AsyncIterator[Batch | LinkDown | LinkUp | Ended]:
        """Yield what arrives."""
        while (item := await self._queue.get()) is not None:
            yield item
            if isinstance(item, Ended):
                return

    def saved(self) -> Mapping[str, Any]:
        """Return the token, which is the session."""
        return {"token": self._token}

    async def aclose(self) -> None:
        """Drop the connection; the session goes on."""
        if self._closed:
            return
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._drop()
        self._queue.put_nowait(None)

    # Opening

    def _begin(self, token: str, attributes: Mapping[str, str]) -> None:
        self._token = token
        self._wire = Wire(token, self._options.deployment_id, attributes)

    def _opened(self, answer: Frame) -> Opened:
        self._backoff.worked(_now())
        self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="chat-core: web messaging")
        # The token opens the session, so it does not serve as its name.
        name = hashlib.sha256(self._token.encode()).hexdigest()[:16]
        return Opened(session_id=f"wm-{name}", ended=_read_only() if answer.body.get("readOnly") is True else None)

    async def _open(self) -> Frame:
        """Connect and configure the session; returns the service's answer."""
        options = self._options
        try:
            socket = await _Connect(
                self._url,
                origin=options.origin,  # type: ignore[arg-type] # a NewType of the library
                additional_headers=options.request_headers(),
                user_agent_header=None,
                compression=None,
                proxy=options.proxy,
                ssl=options.tls_context() if self._url.startswith("wss:") else None,
                open_timeout=options.connect_timeout,
                close_timeout=CLOSE_TIMEOUT,
                max_size=options.max_message_size,
                logger=_logger,
            )
        except InvalidStatus as error:
            raise _refused_upgrade(error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError("the service did not answer in time") from error
        except (OSError, WebSocketException) as error:
            raise ConnectError(f"the service cannot be reached: {type(error).__name__}: {error}") from error
        self._socket = socket
        try:
            return await self._configure(socket)
        except BaseException:
            await self._drop()
            raise

    async def _configure(self, socket: ClientConnection) -> Frame:
        assert self._wire is not None
        tracing_id, text = self._wire.configure()
        try:
            async with asyncio.timeout(self._options.request_timeout):
                await socket.send(text)
                while True:
                    frame = decode(await socket.recv())
                    if frame.ends or (frame.failed and frame.tracing_id in {tracing_id, ""}):
                        error = fault(frame)
                        if isinstance(error, NotSentError):
                            raise ConnectError(error.description, code=error.code, origin=error.origin) from error
                        raise error
                    if frame.class_ == "SessionResponse":
                        return frame
                    self._take(frame)
        except TimeoutError as error:
            raise AmbiguousError("the service did not say in time whether it opened the session") from error
        except ConnectionClosed as error:
            raise AmbiguousError(f"the WebSocket broke while the session was opened: {error}") from error

    # The link

    async def _keep(self) -> None:
        """Read; bring the connection back when it breaks."""
        while not self._over.is_set():
            assert self._socket is not None
            reason = await self._read(self._socket)
            await self._drop()
            if self._over.is_set():
                return
            if self._leaving:
                self._end(EndReason.CLOSED)
                return
            self._put(LinkDown(reason=reason))
            if await self._reconnect():
                self._put(LinkUp())

    async def _read(self, socket: ClientConnection) -> str:
        """Take what arrives until the link is lost or the session over; returns what was wrong with the link."""
        asked = False
        while not self._over.is_set():
            try:
                async with asyncio.timeout(self._options.request_timeout if asked else self._options.health_interval):
                    data = await socket.recv()
                asked = False
                self._take(decode(data))
            except TimeoutError:
                if asked:
                    return "the service has fallen silent"
                asked = True
                with contextlib.suppress(TransportError):
                    await self._write(self._ready().health())
            except ConnectionClosed as error:
                return f"the WebSocket broke: {error}"
            except ProtocolError as error:
                # What it held is lost. A broken link says so to the readers; going on would not.
                self._log.warning("the service sent what is not its protocol", error.description)
                return error.description
        return ""

    async def _reconnect(self) -> bool:
        """Try until the session is back, or surely over."""
        pause = self._backoff.failed(_now())
        while True:
            await asyncio.sleep(pause)
            try:
                answer = await self._open()
            except ChatError as error:
                if isinstance(error, LoginRefusedError) or getattr(error, "session_unknown", False):
                    self._end(EndReason.LOST, error)
                    return False
                self._log.debug("the service could not be reached again", str(error))
                pause = self._backoff.failed(_now(), retry_after=getattr(error, "retry_after", None))
                continue
            self._backoff.worked(_now())
            if answer.body.get("newSession") is True:
                self._end(EndReason.LOST, RefusedError("the service does not know the session any more"))
                return False
            if answer.body.get("readOnly") is True:
                self._end(EndReason.CLOSED)
                return False
            return True

    def _take(self, frame: Frame) -> None:
        if frame.tracing_id == HEALTH_ID:
            return
        waiter = self._waiting.get(frame.tracing_id)
        if waiter is not None and not waiter.done() and (frame.failed or frame.class_ == "StructuredMessage"):
            waiter.set_result(frame)
        if frame.ends or frame.session_unknown:
            self._end(EndReason.CLOSED if frame.ends else EndReason.LOST, None if self._leaving else fault(frame))
        elif not (frame.failed and waiter is not None):
            assert self._wire is not None
            if events := self._wire.events(frame):
                self._put(Batch(events=events))

    async def _drop(self) -> None:
        """Close the connection, bounded, and tell whoever waits that no answer will come."""
        socket, self._socket = self._socket, None
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(AmbiguousError("the connection broke before the service answered"))
        if socket is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await socket.close()
            socket.transport.abort()

    def _end(self, reason: EndReason, error: ChatError | None = None) -> None:
        if not self._over.is_set():
            self._over.set()
            info = None if error is None else ErrorInfo(code=error.code, description=error.description)
            self._put(Ended(reason=reason, error=info))

    def _put(self, item: Batch | LinkDown | LinkUp | Ended) -> None:
        if not self._closed:
            self._queue.put_nowait(item)

    # Requests

    def _ready(self) -> Wire:
        """Return the wire where a request can be written now.

        Raises:
            NotSentError: there is no connection.
        """
        if self._wire is None or self._socket is None or self._socket.state is not State.OPEN or self._over.is_set():
            raise NotSentError("there is no connection")
        return self._wire

    async def _write(self, text: str) -> None:
        """Write a request."""
        assert self._socket is not None
        try:
            async with asyncio.timeout(self._options.request_timeout):
                await self._socket.send(text)
        except TimeoutError as error:
            raise AmbiguousError("the connection took nothing in time") from error
        except ConnectionClosed as error:
            raise AmbiguousError("the WebSocket broke while a request was written") from error

    async def _ask(self, tracing_id: str, text: str) -> None:
        """Write a request and wait for what the service says to it."""
        waiter: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[tracing_id] = waiter
        try:
            await self._write(text)
            async with asyncio.timeout(self._options.request_timeout):
                frame = await waiter
        except TimeoutError as error:
            raise AmbiguousError("the service did not answer in time") from error
        finally:
            del self._waiting[tracing_id]
        if frame.failed:
            refusal = fault(frame)
            if isinstance(refusal, LoginRefusedError):
                raise RefusedError(refusal.description, code=refusal.code, origin=refusal.origin)
            raise refusal

    async def _type(self, *, is_typing: bool) -> None:
        wire, now = self._ready(), _now()
        # The service takes one such note each 5 s and knows no "stopped".
        if is_typing and (self._typed_at is None or now - self._typed_at >= TYPING_PAUSE):
            await self._write(wire.typing())
            self._typed_at = now

    async def _leave(self) -> None:
        request = self._ready().close()
        self._leaving = True
        await self._write(request)
        try:
            async with asyncio.timeout(self._options.request_timeout):
                await self._over.wait()
        except TimeoutError as error:
            raise AmbiguousError("the service did not say in time that the session is closed") from error


class _Connect(connect):
    """Follows no redirect: a chat must not be sent elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _refused_upgrade(error: InvalidStatus) -> ChatError:
    status = error.response.status_code
    if status in _LOGIN:
        return LoginRefusedError(
            f"the service refused the connection with HTTP {status}",
            code=status,
            origin="http",
            advice="the deployment admits a list of origins, and a deployment id that it knows",
        )
    if status in _PASSES:
        return ConnectError(f"the service answered the connection with HTTP {status}", code=status, origin="http")
    return ProtocolError(f"what answers with HTTP {status} is no Web Messaging", code=status, origin="http")


def _attributes(request: StartRequest) -> dict[str, str]:
    """Return the custom attributes: texts as they are, other values as JSON, nothing for None."""
    data = {"username": request.username, "subject": request.subject, **request.user_data}
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in data.items() if value is not None
    }


def _read_only() -> Ended:
    return Ended(reason=EndReason.CLOSED)


def _now() -> float:
    return asyncio.get_running_loop().time()


def make_transport(context: TransportContext) -> WebMessagingTransport:
    """Make a transport from its context; the provider's factory.

    Raises:
        OptionError: something cannot be used.
    """
    if context.disable_websockets:
        raise OptionError(
            "the transport 'webmessaging' has nothing but WebSocket", advice="leave disable_websockets out"
        )
    parts = urlsplit(context.server_url or "")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in {"ws", "wss"}:
        raise OptionError(
            "the transport 'webmessaging' needs server_url, the address of the service",
            advice="write it as wss://webmessaging.<region>/v1",
        )
    options: WebMessagingOptions = context.options
    query = {"deploymentId": options.deployment_id, "application": options.application, **dict(parse_qsl(parts.query))}
    return WebMessagingTransport(context, parts._replace(scheme=scheme, query=urlencode(query)).geturl())
