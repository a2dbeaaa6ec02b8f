"""The one place that sets up HTTP, for both transports. Needs the extra ``chat-gms[http]``.

httpx is the declared dependency; httpx2, its maintained continuation with the same API, is taken where it is installed.
Its requests and answers travel over connections of our own (``http11``), or over its own transport where there is a
proxy, or over the one that a caller injects. One pool per session, one TLS context per process and certificate file, no
redirects, no proxy from the environment, bounded answers, cookies kept by us.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from chat_core._contracts.connection import ConnectionOptions
from chat_core._model.errors import AmbiguousError, ConnectError, NotSentError, OptionError, ProtocolError
from chat_gms.asked import CookieBox, retry_after
from chat_gms.http11 import SELDOM, Http11Transport
from chat_gms.hushing import hushed
from chat_gms.inflating import Inflater

if TYPE_CHECKING:
    import httpx

__all__ = ["Answer", "HttpLink", "basic_auth", "tls_context", "unreachable"]

#: From this HTTP status on an answer is an error.
_ERRORS: Final = 400
#: Parsed addresses kept.
MAX_ADDRESSES: Final = 64
#: Headers of every request; no compression, so that sizes are what they seem (RP-11).
_HEADERS: Final = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "chat-core"}
#: Seconds beyond those of silence that an answer may take in all, however it drips.
LONGEST_DRIP: Final = 60.0
#: What the library says of a broken answer without quoting it.
_HARMLESS: Final = ("Server disconnected", "peer closed connection without sending complete message body")
_NOTHING: Final = contextlib.nullcontext()
#: Bytes of one answer after decompression, at most.
MAX_ANSWER: Final = 16 * 1024 * 1024


def _library() -> Any:
    try:
        return importlib.import_module("httpx2")
    except ImportError:
        return importlib.import_module("httpx")


@frozen
class Answer:
    """An HTTP answer, read to its end.

    Attributes:
        status: the HTTP status.
        headers: of the answer.
        body: empty where it was handed over in pieces.
        handed_over: whether it was.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    handed_over: bool = False

    @property
    def retry_after(self) -> float | None:
        """Seconds the server asks to wait, None when it does not."""
        return retry_after(self.headers.get("retry-after", ""))


@functools.lru_cache(maxsize=16)
def _shared_context(ca_file: str | None) -> ssl.SSLContext:
    if ca_file is None:
        context = _library().create_ssl_context(trust_env=False)
        assert isinstance(context, ssl.SSLContext)
        return context
    return ssl.create_default_context(cafile=ca_file)


def tls_context(options: ConnectionOptions) -> ssl.SSLContext:
    """Return the TLS context in force; certificate checks are never off.

    Raises:
        OptionError: the certificate file cannot be read.
    """
    if options.ssl_context is not None:
        return options.ssl_context
    try:
        return _shared_context(options.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise OptionError(
            f"the certificate file {options.ca_file!r} of transport_options cannot be used: {error}",
            advice="give the path of a PEM file",
        ) from error


class HttpLink:
    """One session's HTTP client.

    Args:
        options: the caller's connection options.
        cookies: shared with the session's other carrier.
        transport: an ``httpx.AsyncBaseTransport`` in place of the network.
        max_answer: bytes of one answer, at most.
        patient: whether a request waits for others to finish when all connections are in use.
        secure: whether the server is reached over TLS; without it no TLS context is made.
        check_send: raises ``NotSentError`` when nothing may leave (RP-14); asked before each write, None for never.
    """

    def __init__(
        self,
        options: ConnectionOptions,
        *,
        cookies: CookieBox,
        secure: bool,
        transport: httpx.AsyncBaseTransport | None = None,
        max_answer: int = MAX_ANSWER,
        patient: bool = False,
        check_send: Callable[[], None] | None = None,
    ) -> None:
        self._check_send = check_send
        self._library = _library()
        self._cookies = cookies
        self._max_answer = max_answer
        self._pool_timeout = None if patient else options.connect_timeout
        self._connect_timeout = options.connect_timeout
        self._options = options
        self._secure = secure
        self._injected = transport is not None
        self._retired: Any = None
        library = self._library
        self._closed = False
        problem: str | None = None
        self._urls: dict[str, Any] = {}
        try:
            self._headers = library.Headers({**_HEADERS, **basic_auth(options.auth), **options.headers})
            self._headers.pop("content-type", None)  # each request has its own
            self._transport = transport or self._make_transport()
        except (ValueError, TypeError, library.InvalidURL) as error:
            # A text that has no place in a header is in the repr of the error about it, so that is not chained (RP-10).
            problem = type(error).__name__ if isinstance(error, UnicodeError) else str(error)
        if problem is not None:
            raise OptionError(f"transport_options cannot be used: {problem}", advice="check proxy and headers")

    def _make_transport(self) -> Any:
        options, library = self._options, self._library
        context = tls_context(options) if self._secure else None
        if options.proxy is None:
            return Http11Transport(library, context=context)
        # The library's client would add redirects, a cookie jar, proxies from the environment and a third of the
        # cost of a request to this; none of the first three is wanted here.
        return library.AsyncHTTPTransport(
            verify=context or False,
            proxy=options.proxy,
            trust_env=False,
            # One connection is held by a poll, one sends; a third spares a wait after an abandoned one.
            limits=library.Limits(max_connections=4, max_keepalive_connections=4, keepalive_expiry=60.0),
        )

    async def _renew(self) -> None:
        """Go on with new connections; the old ones, which others may still use, are closed with the next such."""
        if self._injected or self._closed or self._options.proxy is None:
            return  # our own transport loses nothing
        retired, self._retired = self._retired, self._transport
        self._transport = self._make_transport()
        if retired is not None:
            await retired.aclose()

    async def post(
        self,
        url: str,
        content: bytes | AsyncIterable[bytes],
        *,
        content_type: str,
        timeout: float,
        length: int | None = None,
        begun: Callable[[], None] | None = None,
        seldom: bool = False,
    ) -> Answer:
        """Send a request and read the whole answer.

        Args:
            url: where to.
            content: the body; what an iterable raises passes through.
            content_type: of the body.
            timeout: seconds of silence.
            length: bytes of an iterable body.
            begun: called when the head of the answer has come.
            seldom: no connection is kept for another one of the kind, where there is one besides.

        Raises:
            NotSentError: it never left: no connection, 429 (too many requests), or the server has asked with an earlier
                answer to be left alone for longer than until now.
            AmbiguousError: it may have arrived.
            ProtocolError: the answer is too large.
        """
        exchange = self._post(url, content, content_type, timeout, length, begun=begun, seldom=seldom)
        return await self._told(exchange, timeout, length)

    async def _post(
        self,
        url: str,
        content: bytes | AsyncIterable[bytes],
        content_type: str,
        timeout: float,
        length: int | None,
        *,
        begun: Callable[[], None] | None,
        seldom: bool,
    ) -> Answer:
        response = await self._begin(url, content, content_type, timeout, length, seldom=seldom)
        try:
            if begun is not None:
                begun()
            body = bytearray()
            async for piece in _pieces(response):
                body += piece
                if len(body) > self._max_answer:
                    raise ProtocolError(f"the server's answer is larger than {self._max_answer} bytes")
        finally:
            await response.aclose()
        return self._checked(Answer(response.status_code, response.headers, bytes(body)))

    async def download(
        self,
        url: str,
        content: bytes,
        *,
        content_type: str,
        timeout: float,
        hold: Callable[[Answer], int | None],
        write: Callable[[bytes, int | None], Awaitable[None]],
    ) -> Answer:
        """Send a request and hand its answer over in pieces.

        Args:
            url: where to.
            content: the request's body.
            content_type: of the request's body.
            timeout: seconds of silence.
            hold: says from status and headers how many bytes are held back; an answer that is no longer than that is
                returned instead. None: it is returned in any case.
            write: takes the pieces and the size of the whole, None where not known; what it raises passes through.

        Raises:
            NotSentError, AmbiguousError, ProtocolError: as ``post``; pieces may have been handed over.
        """
        return await self._told(self._download(url, content, content_type, timeout, hold=hold, write=write), None, None)

    async def _download(
        self,
        url: str,
        content: bytes,
        content_type: str,
        timeout: float,
        *,
        hold: Callable[[Answer], int | None],
        write: Callable[[bytes, int | None], Awaitable[None]],
    ) -> Answer:
        response = await self._begin(url, content, content_type, timeout, None)
        try:
            head = Answer(response.status_code, response.headers, b"")
            limit, total = hold(head), _length(response.headers)
            held, handed_over = bytearray(), limit == 0
            async for piece in _pieces(response):
                if handed_over:
                    await write(piece, total)
                    continue
                held += piece
                if limit is not None and len(held) > limit:
                    handed_over = True
                    await write(bytes(held), total)
                elif len(held) > self._max_answer:
                    raise ProtocolError(f"the server's answer is larger than {self._max_answer} bytes")
        finally:
            await response.aclose()
        return self._checked(Answer(head.status, head.headers, b"" if handed_over else bytes(held), handed_over))

    async def _told(self, exchange: Coroutine[Any, Any, Answer], timeout: float | None, length: int | None) -> Answer:
        """Perform an exchange and tell in our errors how it failed.

        They are raised out of reach of the library's: what that says of a broken answer quotes it (RP-10).
        """
        bounded = timeout is not None and length is None
        limit = asyncio.timeout(timeout + LONGEST_DRIP if bounded and timeout is not None else None)
        try:
            # Our own connections log nothing that would have to be kept from anybody.
            with _NOTHING if isinstance(self._transport, Http11Transport) else hushed():
                async with limit:
                    return await exchange
        except Exception as error:
            if limit.expired():
                # The library does not get the place of a cancelled request back into its pool.
                await self._renew()
                problem: Exception | None = AmbiguousError("the server's answer has no end")
            else:
                problem = self._problem(error)
            if problem is None:
                raise
        raise problem

    def _problem(self, error: Exception) -> Exception | None:
        """Return our error for one of the library's, None for what is a caller's own."""
        library = self._library
        problem: Exception
        if isinstance(error, library.ConnectError | library.ConnectTimeout | library.PoolTimeout | library.ProxyError):
            problem = NotSentError(_words(error))
        elif isinstance(error, library.UnsupportedProtocol | library.InvalidURL):
            problem = OptionError(f"the server's address cannot be used: {_words(error)}")
        elif isinstance(error, library.ProtocolError):
            said = str(error) if str(error).startswith(_HARMLESS) else "what was sent or received is not HTTP"
            return AmbiguousError(f"{type(error).__name__}: {said}")
        elif isinstance(error, library.HTTPError | library.StreamError):
            problem = AmbiguousError(_words(error))
        elif isinstance(error, RuntimeError) and self._closed:
            problem = NotSentError("the session is closing")
        else:
            return None
        problem.__cause__ = error
        return problem

    async def _begin(
        self,
        url: str,
        content: bytes | AsyncIterable[bytes],
        content_type: str,
        timeout: float,
        length: int | None,
        *,
        seldom: bool = False,
    ) -> Any:
        """Send a request and return the answer, whose body is the caller's to read and close."""
        if self._closed:
            raise NotSentError("the session is closing")
        if (wait := self._cookies.not_before - asyncio.get_running_loop().time()) > 0:
            raise NotSentError(f"the server asks to wait {wait:.1f} s longer", retry_after=wait)
        timeouts = {
            "connect": self._connect_timeout,
            "pool": self._pool_timeout,
            **dict.fromkeys(("read", "write"), timeout),
        }
        extensions: dict[str, Any] = {"timeout": timeouts}
        if seldom:
            extensions[SELDOM] = True
        if (check := self._check_send) is not None:
            check()
            # Again once there is a connection, which may have taken long to make.
            extensions["trace"] = functools.partial(_check_write, check)
            if not isinstance(content, bytes):
                content = _checked_pieces(content, check)
        # Kept nowhere here: an answer may take long, and the transport lets it go once it has left.
        response = await self._transport.handle_async_request(
            self._request(url, content, content_type, length, extensions)
        )
        if response.status_code >= _ERRORS and (asked := retry_after(response.headers.get("retry-after", ""))):
            self._cookies.not_before = asyncio.get_running_loop().time() + asked
        for value in response.headers.get_list("set-cookie"):
            self._cookies.take(value)
        return response

    def _request(
        self,
        url: str,
        content: bytes | AsyncIterable[bytes],
        content_type: str,
        length: int | None,
        extensions: dict[str, Any],
    ) -> Any:
        address, library = self._parsed(url), self._library
        headers = [(b"content-type", content_type.encode("ascii"))]
        if self._cookies:
            headers.append((b"cookie", self._cookies.header.encode("latin-1")))
        if not isinstance(content, bytes):
            if length is not None:
                headers.append((b"content-length", b"%d" % length))
            headers = [*self._headers.raw, *headers]
            return library.Request("POST", address, headers=headers, content=content, extensions=extensions)
        # What the library would find out for each request, at the cost of as much as the rest of it.
        headers.append((b"content-length", b"%d" % len(content)))
        if "host" not in self._headers:
            headers.insert(0, (b"host", address.netloc))
        request = library.Request(
            "POST",
            address,
            headers=[*headers, *self._headers.raw],
            stream=library.ByteStream(content),
            extensions=extensions,
        )
        if self._injected:
            request.read()  # so that whoever takes the network's place may look at its content
        return request

    def _parsed(self, url: str) -> Any:
        """Return an address as the library reads it; a session posts to a few of them all the time."""
        parsed = self._urls.get(url)
        if parsed is None:
            if len(self._urls) > MAX_ADDRESSES:
                self._urls.clear()  # each file has an address of its own
            parsed = self._urls[url] = self._library.URL(url)
        return parsed

    @staticmethod
    def _checked(answer: Answer) -> Answer:
        if answer.status == 429:  # noqa: PLR2004 - Too Many Requests: not processed
            raise NotSentError("the server says 429 Too Many Requests", retry_after=answer.retry_after)
        return answer

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        with hushed():
            if self._retired is not None:
                await self._retired.aclose()
            await self._transport.aclose()


def basic_auth(auth: tuple[str, str] | None) -> dict[str, str]:
    """Return the header of HTTP basic authentication (RFC 7617)."""
    if auth is None:
        return {}
    user, password = auth
    return {"authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")}


async def _check_write(check: Callable[[], None], event: str, _: Mapping[str, Any]) -> None:
    """Be told what the library is about to do, and stop it before it writes."""
    if event.endswith((".send_request_headers.started", ".send_request_body.started")):
        check()


async def _checked_pieces(content: AsyncIterable[bytes], check: Callable[[], None]) -> AsyncIterator[bytes]:
    async for piece in content:
        check()
        yield piece
    check()  # what was gathered of the last pieces is written now


async def _pieces(response: Any) -> AsyncIterator[bytes]:
    """Yield an answer's body. The library would undo compression chunk by chunk, however much becomes of one."""
    inflater = Inflater(response.headers.get("content-encoding", ""))
    async for chunk in response.stream:
        for piece in inflater.pieces(chunk):
            yield piece


def _words(error: Exception) -> str:
    """Name an HTTP library's error; some have no text of their own."""
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name


def _length(headers: Mapping[str, str]) -> int | None:
    """Return the bytes of a body, None where nobody says or what is counted is its compressed form."""
    value = headers.get("content-length", "")
    return int(value[:18]) if value.isascii() and value.isdecimal() and "content-encoding" not in headers else None


def unreachable(url: str, error: Exception) -> ConnectError:
    """Return the error of a server that cannot be reached at all."""
    return ConnectError(
        f"the server at {url} cannot be reached: {error}",
        advice="check the address and the network; 'chat-core doctor URL' tries each step",
    )
