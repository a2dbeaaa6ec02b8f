"""Long polling: each group of messages is one POST, and the connect is one that the server holds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from chat_core import AmbiguousError, ConnectionOptions, LoginRefusedError, Origin, ProtocolError
from chat_gms.asked import CookieBox
from chat_gms.http import Answer, HttpLink
from chat_transport_cometd._bayeux.engine import CONNECT
from chat_transport_cometd._bayeux.messages import Message, decode, encode
from chat_transport_cometd._carriers.base import ServerBusyError, Wire

if TYPE_CHECKING:
    import httpx

__all__ = ["LongPolling"]

#: Seconds for what is on its way when the carrier is closed.
LAST_ANSWERS: Final = 0.2
_OK = 200
_UNAUTHORIZED = frozenset({401, 403, 407})
#: Characters of another address that are shown.
_LONGEST_SHOWN = 200
_BUSY = frozenset({408, 502, 503, 504})


class LongPolling:
    """Carries messages over HTTP."""

    name = "long-polling"

    def __init__(
        self,
        url: str,
        options: ConnectionOptions,
        *,
        cookies: CookieBox,
        wire: Wire,
        max_message_size: int,
        http_transport: httpx.AsyncBaseTransport | None = None,
        check_send: Callable[[], None] | None = None,
    ) -> None:
        self._url = url
        self._wire = wire
        #: Whether this server has ever answered in Bayeux; before that, anything else means a wrong address.
        self._spoke_bayeux = False
        self._requests: set[asyncio.Task[None]] = set()
        #: The last connect: the server may hold it for long.
        self._poll: asyncio.Task[None] | None = None
        #: Its answer has begun to come.
        self._poll_is_answered = False
        self._http = HttpLink(
            options,
            cookies=cookies,
            secure=url.startswith("https:"),
            transport=http_transport,
            max_answer=max_message_size,
            check_send=check_send,
        )

    async def open(self) -> None:
        """Nothing to do: the first request connects."""

    async def send(self, messages: list[Message], *, timeout: float, seldom: bool = False) -> None:
        """POST the messages and hand over what the answer brings."""
        request = self.begin(messages, timeout=timeout, seldom=seldom)
        # Left to finish when whoever sends is cancelled: its answer may bring events, and httpx never gets the place of
        # a cancelled request back into its pool.
        try:
            await asyncio.shield(request)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if request.cancelled() and task is not None and not task.cancelling():
                # Not whoever sends was cancelled but the request, when the carrier was closed.
                raise AmbiguousError("the connection was closed before the answer came") from None
            raise

    def begin(self, messages: list[Message], *, timeout: float, seldom: bool = False) -> asyncio.Task[None]:
        """POST the messages in a task of its own, which is cancelled when the carrier is closed."""
        poll = messages[0]["channel"] == CONNECT
        exchange = self._exchange(messages, timeout, self._note_answer if poll else None, seldom=seldom)
        request = asyncio.get_running_loop().create_task(exchange, name="chat-core: post")
        self._requests.add(request)
        if poll:
            self._poll, self._poll_is_answered = request, False
        request.add_done_callback(self._finished)
        return request

    def drop_poll(self) -> bool:
        """Drop the held poll with its connection; the next poll takes another one."""
        if self._poll is None or self._poll.done() or self._poll_is_answered:
            return False
        return self._poll.cancel()

    def _finished(self, request: asyncio.Task[None]) -> None:
        self._requests.discard(request)
        if not request.cancelled():
            request.exception()  # seen: whoever waited may have left

    def _note_answer(self) -> None:
        self._poll_is_answered = True

    async def _exchange(
        self, messages: list[Message], timeout: float, begun: Callable[[], None] | None, *, seldom: bool
    ) -> None:
        answer = await self._http.post(
            self._url,
            encode(messages).encode(),
            content_type="application/json;charset=UTF-8",
            timeout=timeout,
            begun=begun,
            seldom=seldom,
        )
        if answer.status != _OK:
            raise self._refused(answer)
        try:
            self._wire.messages(decode(answer.body))
        except ProtocolError as error:
            if self._spoke_bayeux:
                # A proxy in between: nobody can tell what became of the request.
                raise AmbiguousError(f"the answer to a request was not Bayeux: {error.description}") from error
            raise ProtocolError(f"{self._url}: {error.description}", advice="check the path of server_url") from error
        self._spoke_bayeux = True

    async def aclose(self) -> None:
        """Close every connection, a held poll included, whatever becomes of whoever waits for that.

        What else is on its way gets a moment: its answer may be that the server wants to be left alone for a while,
        which the next carrier has to know.
        """
        if self._poll is not None:
            self._poll.cancel()
        try:
            if others := self._requests - {self._poll}:
                await asyncio.wait(others, timeout=LAST_ANSWERS)
        finally:
            for request in list(self._requests):
                request.cancel()
            try:
                await asyncio.gather(*self._requests, return_exceptions=True)
            finally:
                with contextlib.suppress(Exception):
                    await self._http.aclose()

    def _refused(self, answer: Answer) -> Exception:
        words = f"{self._url} answered HTTP {answer.status}"
        details: dict[str, Any] = {"code": answer.status, "origin": Origin.HTTP}
        if self._spoke_bayeux or answer.status in _BUSY:
            return ServerBusyError(words, retry_after=answer.retry_after, **details)
        if answer.status in _UNAUTHORIZED:
            return LoginRefusedError(words, advice="check auth and headers in transport_options", **details)
        if 300 <= answer.status < 400:  # noqa: PLR2004 - redirects
            where = answer.headers.get("location", "nowhere")
            # As far as an error may show it: no user, no password, no query, no end of it.
            where = where.partition("?")[0].rpartition("@")[2][:_LONGEST_SHOWN]
            return ProtocolError(
                f"{words}, a redirect to {where!r}, which is not followed",
                advice="give the final address as server_url",
                **details,
            )
        return ProtocolError(f"not a Bayeux server: {words}", advice="check the path of server_url", **details)
