"""The one place that sets up HTTP, for both transports. Needs the extra ``chat-gms[http]``.

httpx is the declared dependency; httpx2, its maintained continuation with the same API, is taken where it is installed.
One connection pool per session (the cost of httpx's grows with the square of the sessions that share one), one TLS
context per process and certificate file, no redirects, no proxy from the environment, bounded answers, cookies kept by
us.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import re
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from chat_core._contracts.connection import ConnectionOptions
from chat_core._model.errors import AmbiguousError, ConnectError, NotSentError, OptionError, ProtocolError
from chat_gms.hushing import hushed
from chat_gms.inflating import Inflater

if TYPE_CHECKING:
    import httpx

__all__ = ["Answer", "CookieBox", "HttpLink", "basic_auth", "retry_after", "tls_context", "unreachable"]

#: Cookies kept for one server, and the length of one, at most (RP-11).
MAX_COOKIES: Final = 50
MAX_COOKIE_LENGTH: Final = 4096
_SENDABLE: Final = re.compile("[ -:<-~]*")
#: Seconds of a server's ``Retry-After`` that are believed, at most.
LONGEST_WAIT: Final = 3600.0
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


def retry_after(value: str) -> float | None:
    """Read a ``Retry-After`` header, seconds or a date: seconds to wait, an hour at most; None when it says nothing."""
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return min(float(value[:9]), LONGEST_WAIT)
    at = _date(value)
    return None if at is None else min(max(0.0, at - time.time()), LONGEST_WAIT)


class CookieBox:
    """The cookies of one server, shared by every carrier of one session: load balancers steer by them."""

    def __init__(self, saved: Mapping[str, Any] | None = None) -> None:
        self._values: dict[str, str] = {}
        for name, value in (saved or {}).items():
            if isinstance(name, str) and isinstance(value, str):
                self._keep(name, value)

    def __bool__(self) -> bool:
        return bool(self._values)

    @property
    def header(self) -> str:
        """The ``Cookie`` header's value."""
        return "; ".join(f"{name}={value}" for name, value in self._values.items())

    def saved(self) -> dict[str, str]:
        """Return the cookies for a saved state."""
        return dict(self._values)

    def take(self, set_cookie: str) -> None:
        """Take one ``Set-Cookie`` header. Attributes that are not understood (``Partitioned``) are passed over."""
        pair, *attributes = set_cookie.split(";")
        name, equals, value = pair.strip().partition("=")
        if not equals:
            return
        if any(_ends(attribute) for attribute in attributes):
            self._values.pop(name, None)
        else:
            self._keep(name, value)

    def _keep(self, name: str, value: str) -> None:
        # What a header cannot carry back would make every later request fail.
        if not name or len(name) + len(value) > MAX_COOKIE_LENGTH or not _SENDABLE.fullmatch(name + value):
            return
        if name in self._values or len(self._values) < MAX_COOKIES:
            self._values[name] = value


def _ends(attribute: str) -> bool:
    key, _, value = attribute.strip().partition("=")
    key, value = key.lower(), value.strip()
    if key == "max-age":
        return value.startswith("-") or value == "0"
    if key == "expires":
        at = _date(value)
        return at is not None and at <= time.time()
    return False


def _date(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        return None


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
    ) -> None:
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
        #: When the server wants to hear of us again, having said ``Retry-After`` (the loop's seconds).
        self._not_before = 0.0
        try:
            self._headers = library.Headers({**_HEADERS, **basic_auth(options.auth), **options.headers})
            self._transport = transport or self._make_transport()
        except (ValueError, TypeError, library.InvalidURL) as error:
            # A text that has no place in a header is in the repr of the error about it, so that is not chained (RP-10).
            problem = type(error).__name__ if isinstance(error, UnicodeError) else str(error)
        if problem is not None:
            raise OptionError(f"transport_options cannot be used: {problem}", advice="check proxy and headers")

    def _make_transport(self) -> Any:
        options, library = self._options, self._library
        # The library's client would add redirects, a cookie jar, proxies from the environment and a third of the
        # cost of a request to this; none of the first three is wanted here.
        return library.AsyncHTTPTransport(
            verify=tls_context(options) if self._secure else False,
            proxy=options.proxy,
            trust_env=False,
            # One connection is held by a poll, one sends; a third spares a wait after an abandoned one.
            limits=library.Limits(max_connections=4, max_keepalive_connections=4, keepalive_expiry=60.0),
        )

    async def _renew(self) -> None:
        """Go on with new connections; the old ones, which others may still use, are closed with the next such."""
        if self._injected or self._closed:
            return
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
    ) -> Answer:
        """Send a request and read the whole answer.

        Args:
            url: where to.
            content: the body; what an iterable raises passes through.
            content_type: of the body.
            timeout: seconds of silence.
            length: bytes of an iterable body.

        Raises:
            NotSentError: it never left: no connection, 429 (too many requests), or the server has asked with an earlier
                answer to be left alone for longer than until now.
            AmbiguousError: it may have arrived.
            ProtocolError: the answer is too large.
        """
        return await self._told(self._post(url, content, content_type, timeout, length), timeout, length)

    async def _post(
        self, url: str, content: bytes | AsyncIterable[bytes], content_type: str, timeout: float, length: int | None
    ) -> Answer:
        async with self._stream(url, content, content_type, timeout, length) as response:
            body = bytearray()
            async for piece in _pieces(response):
                body += piece
                if len(body) > self._max_answer:
                    raise ProtocolError(f"the server's answer is larger than {self._max_answer} bytes")
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
        async with self._stream(url, content, content_type, timeout, None) as response:
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
        return self._checked(Answer(head.status, head.headers, b"" if handed_over else bytes(held), handed_over))

    async def _told(self, exchange: Coroutine[Any, Any, Answer], timeout: float | None, length: int | None) -> Answer:
        """Perform an exchange and tell in our errors how it failed.

        They are raised out of reach of the library's: what that says of a broken answer quotes it (RP-10).
        """
        bounded = timeout is not None and length is None
        limit = asyncio.timeout(timeout + LONGEST_DRIP if bounded and timeout is not None else None)
        try:
            with hushed():
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

    @contextlib.asynccontextmanager
    async def _stream(
        self, url: str, content: bytes | AsyncIterable[bytes], content_type: str, timeout: float, length: int | None
    ) -> AsyncIterator[Any]:
        library = self._library
        if self._closed:
            raise NotSentError("the session is closing")
        if (wait := self._not_before - asyncio.get_running_loop().time()) > 0:
            raise NotSentError(f"the server asks to wait {wait:.1f} s longer", retry_after=wait)
        headers = self._headers.copy()
        headers["content-type"] = content_type
        if length is not None:
            headers["content-length"] = str(length)
        if self._cookies:
            headers["cookie"] = self._cookies.header
        timeouts = {
            "connect": self._connect_timeout,
            "pool": self._pool_timeout,
            **dict.fromkeys(("read", "write"), timeout),
        }
        request = library.Request(
            "POST", self._parsed(url), headers=headers, content=content, extensions={"timeout": timeouts}
        )
        response = await self._transport.handle_async_request(request)
        response.request = request
        try:
            if response.status_code >= _ERRORS and (asked := retry_after(response.headers.get("retry-after", ""))):
                self._not_before = asyncio.get_running_loop().time() + asked
            for value in response.headers.get_list("set-cookie"):
                self._cookies.take(value)
            yield response
        finally:
            await response.aclose()

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
