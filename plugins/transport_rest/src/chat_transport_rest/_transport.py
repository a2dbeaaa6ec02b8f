"""The REST transport: GMS Chat v2 by form posts and polling."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from chat_core import (
    AmbiguousError,
    Backoff,
    Batch,
    ChatError,
    Command,
    ConnectError,
    ConnectTimeoutError,
    CustomNoticeCommand,
    Ended,
    EndReason,
    ErrorInfo,
    Event,
    LeaveCommand,
    LinkDown,
    LinkUp,
    NicknameCommand,
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
    UserDataCommand,
)
from chat_gms import rest
from chat_gms.asked import CookieBox
from chat_gms.client import EventTranslator, refusal
from chat_gms.envelope import Envelope
from chat_gms.forms import encode_form
from chat_gms.http import HttpLink, unreachable
from chat_gms.operations import Credentials
from chat_gms.rest import Post
from chat_gms.transfer import FileCommand, FileTransfer
from chat_gms.verdict import Verdict, judge
from chat_transport_rest._answers import read_answer
from chat_transport_rest._pace import Pace
from chat_transport_rest.options import RestOptions

__all__ = ["RestTransport", "make_transport"]

FORM: Final = "application/x-www-form-urlencoded"
#: Seconds for which polls that are refused, or answered with statusCode 1 ("an error that may pass"), are tried over
#: before the link counts as down; at once where the next try comes later than that.
PATIENCE: Final = 20.0
#: Seconds after which an answer to a question is long in coming.
SLOW: Final = 3.0


class _PassingError(AmbiguousError):
    """The server answered statusCode 1: an error that may pass; nothing else of the answer counts."""


class RestTransport:
    """One chat over REST. Made by the provider, without I/O."""

    def __init__(self, context: TransportContext) -> None:
        options = context.options
        assert isinstance(options, RestOptions)
        assert context.server_url is not None
        self._options = options
        self._url = context.server_url.rstrip("/")
        self._log = context.log
        self._check_send = context.check_send
        self._cookies = CookieBox()
        self._http: HttpLink | None = None
        self._files = FileTransfer(self._url, rest, link=lambda: self._make_link(patient=True), learn=self._learn)
        self._translator = EventTranslator()
        self._chat_id: str | None = None
        self._secure_key: str | None = None
        self._user_id: str | None = None
        self._alias: str | None = None
        self._highest = 0
        self._pace: Pace | None = None
        self._queue: asyncio.Queue[Batch | LinkDown | LinkUp | Ended | None] = asyncio.Queue()
        self._starting: asyncio.Task[Envelope] | None = None
        self._poller: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        #: One poll at a time, and none while the transcript is asked for.
        self._refreshing = asyncio.Lock()
        self._ended: Ended | None = None
        self._down = False
        self._closed = False

    # The contract

    async def start(self, request: StartRequest) -> Opened:
        """Open a chat with one request; it is never repeated."""
        post = rest.create(nickname=request.username, subject=request.subject, user_data=request.user_data)
        # Goes on when whoever starts is cancelled: the answer holds the keys without which the chat cannot be left.
        self._starting = starting = asyncio.get_running_loop().create_task(
            self._opening(post), name="chat-core: open the chat"
        )
        starting.add_done_callback(_seen)
        envelope = await asyncio.shield(starting)
        if self._chat_id is None or self._secure_key is None:
            raise ProtocolError(
                f"not a GMS chat service: {self._url} answered without chatId and secureKey",
                advice="server_url is the service's address, such as https://host/genesys/2/chat/customer-support",
            )
        return self._opened(envelope)

    async def resume(self, saved: Mapping[str, Any]) -> Opened:
        """Take a chat up by its keys: the whole transcript is asked for."""
        for name in ("chat_id", "secure_key"):
            if not isinstance(saved.get(name), str):
                raise StateCorruptError(f"the saved state has no text {name!r}", advice="start a new session")
        self._chat_id, self._secure_key = saved["chat_id"], saved["secure_key"]
        self._user_id, self._alias = saved.get("user_id"), saved.get("alias")
        cookies = saved.get("cookies")
        self._cookies = CookieBox(cookies if isinstance(cookies, Mapping) else None)
        try:
            envelope = await self._opening(rest.refresh(self._keys, 1))
        except AmbiguousError as error:
            # Nothing was started by asking; the chat may still be there.
            raise ConnectError(f"the server at {self._url} gave no usable answer: {error.description}") from error
        return self._opened(envelope)

    async def fetch(self, position: int) -> Batch:
        """Ask for the transcript from an index on; the answer is this request's own."""
        began = self._now()
        try:
            async with self._refreshing:
                envelope = await self._ask(rest.refresh(self._keys, position))
        except asyncio.CancelledError:
            if self._now() - began > SLOW:
                # A gap is closed over a new link rather than given up over this one.
                self._set_down("the server does not answer")
            raise
        # Polls go on from where they were: what is fetched here need not have reached the session's log.
        highest = self._highest
        try:
            return self._take(envelope)
        finally:
            self._highest = highest

    async def send(self, command: Command) -> Reply:
        """Post a command; a message asks for the events so far in the same round trip."""
        if isinstance(command, FileCommand):
            return await self._transfer(command)
        if isinstance(command, LeaveCommand) and self._chat_id is None and self._starting is not None:
            await asyncio.wait({self._starting})
        post = self._post_of(command)
        envelope = await self._ask(post)
        self._wake()
        if isinstance(command, SendMessageCommand):
            return Reply(batch=self._take(envelope))
        self._take(envelope)
        return Reply()

    async def incoming(self) -> AsyncIterator[Batch | LinkDown | LinkUp | Ended]:
        """Yield what polls bring, until the chat is over or the transport closed."""
        if self._ended is None and not self._closed:
            self._poller = asyncio.get_running_loop().create_task(self._poll_for_ever(), name="chat-core: poll")
        while (item := await self._queue.get()) is not None:
            yield item
            if isinstance(item, Ended):
                return

    def saved(self) -> Mapping[str, Any]:
        """Return the chat's keys and the affinity cookies."""
        return {
            "chat_id": self._chat_id,
            "secure_key": self._secure_key,
            "user_id": self._user_id,
            "alias": self._alias,
            "cookies": self._cookies.saved(),
        }

    async def aclose(self) -> None:
        """Stop polling and drop the connections; the chat goes on."""
        if self._closed:
            return
        self._closed = True
        tasks = [task for task in (self._starting, self._poller) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in (self._files, self._http):
            if link is not None:
                with contextlib.suppress(Exception):
                    await link.aclose()
        self._queue.put_nowait(None)

    # The poller: one at a time, the next one after the answer

    async def _poll_for_ever(self) -> None:
        self._pace = pace = Pace(quick=self._options.poll_quick, slow=self._options.poll_slow, now=self._now())
        backoff = Backoff()
        backoff.worked(self._now())
        passing_since: float | None = None
        pause = pace.pause(self._now())
        while self._ended is None:
            await self._wait(pause)
            try:
                envelope = await self._poll()
                if envelope is None:
                    return
            except RefusedError as error:
                if error.session_unknown:
                    return  # the end was put by _ask
                self._log.warning("a poll was refused", str(error))
                passing_since = passing_since or self._now()
                pause = backoff.failed(self._now())
                if self._now() + pause - passing_since > PATIENCE:
                    self._set_down(error.description)
            except TransportError as error:
                passing_since = passing_since or self._now()
                quiet = isinstance(error, _PassingError) or (
                    isinstance(error, NotSentError) and error.retry_after is not None
                )
                pause = backoff.failed(self._now(), retry_after=getattr(error, "retry_after", None))
                if not quiet or self._now() + pause - passing_since > PATIENCE:
                    self._set_down(error.description)
            else:
                passing_since = None
                backoff.worked(self._now())
                batch = self._take(envelope)
                if batch.events:
                    pace.happened(self._now())
                if self._ended is None:
                    self._put(batch)
                self._set_up()
                pause = pace.pause(self._now())

    async def _poll(self) -> Envelope | None:
        """Ask once; None when the chat ended before it was the turn of this poll."""
        async with self._refreshing:
            if self._ended is not None:
                return None
            return await self._ask(rest.refresh(self._keys, self._highest + 1))

    async def _wait(self, pause: float) -> None:
        """Wait for the next poll; a command that was sent makes it come at the quick pace."""
        self._soon.clear()
        over = self._now() + pause
        # A timer instead of asyncio.timeout(), without which a poll costs noticeably less.
        timer = asyncio.get_running_loop().call_later(pause, self._soon.set)
        try:
            await self._soon.wait()
        finally:
            timer.cancel()
        left = min(self._options.poll_quick, over - self._now())
        if left > 0:
            await asyncio.sleep(left)

    def _wake(self) -> None:
        """Poll at the quick pace: something has happened."""
        if self._pace is not None:
            self._pace.happened(self._now())
        self._soon.set()

    def _set_down(self, reason: str) -> None:
        if not self._down:
            self._down = True
            self._put(LinkDown(reason=reason))

    def _set_up(self) -> None:
        if self._down:
            self._down = False
            self._put(LinkUp())

    # One request

    async def _opening(self, post: Post) -> Envelope:
        try:
            async with asyncio.timeout(self._options.start_timeout):
                return await self._ask(post, opening=True)
        except NotSentError as error:
            raise unreachable(self._url, error) from error
        except ChatError:
            raise
        except TimeoutError as error:
            raise ConnectTimeoutError(
                f"the server at {self._url} did not answer within {self._options.start_timeout:g} s"
            ) from error

    async def _ask(self, post: Post, *, opening: bool = False) -> Envelope:
        """Post, and judge the answer.

        Raises:
            NotSentError, AmbiguousError, RefusedError: as in the contract; ProtocolError and LoginRefusedError while
                the chat is being opened.
        """
        answer = await self._link().post(
            f"{self._url}/{post.path}" if post.path else self._url,
            encode_form(post.fields),
            content_type=FORM,
            timeout=self._options.request_timeout,
        )
        envelope = read_answer(answer, self._url, opening=opening)
        verdict = judge(envelope)
        if verdict is Verdict.RETRY:
            raise _PassingError("the server answered statusCode 1, an error that may pass")
        if verdict is Verdict.FATAL:
            error = refusal(envelope)
            if not opening and (envelope.chat_ended or error.session_unknown):
                self._end(EndReason.LOST if error.session_unknown else EndReason.CLOSED, error)
            raise error
        self._learn(envelope)
        return envelope

    def _post_of(self, command: Command) -> Post:
        keys = self._keys
        match command:
            case SendMessageCommand(text=text, type=kind):
                return rest.send(keys, text, kind, self._highest + 1)
            case TypingCommand(is_typing=is_typing, text=preview):
                return rest.typing(keys, is_typing=is_typing, preview=preview)
            case LeaveCommand():
                return rest.disconnect(keys)
            case UserDataCommand(user_data=data):
                return rest.update_data(keys, data)
            case NicknameCommand(nickname=nickname):
                return rest.update_nickname(keys, nickname)
            case CustomNoticeCommand(text=text):
                return rest.custom_notice(keys, text)
            case _:
                raise UnsupportedCommandError(
                    f"the transport 'rest' has no operation for {type(command).__name__}; nothing was sent"
                )

    async def _transfer(self, command: FileCommand) -> Reply:
        if self._closed:
            raise NotSentError("the transport is closed")
        reply = await self._files.send(command, self._keys)
        self._wake()  # a file that was sent or deleted is an event
        return reply

    # What an answer brings

    def _opened(self, envelope: Envelope) -> Opened:
        assert self._chat_id is not None
        batch = self._translate(envelope)
        ended = Ended(reason=EndReason.CLOSED) if judge(envelope) is Verdict.OVER else None
        self._ended = ended
        return Opened(session_id=self._chat_id, batch=batch, ended=ended)

    def _take(self, envelope: Envelope) -> Batch:
        """Return an answer's events; an end in it is put where the session sees it, behind them."""
        batch = self._translate(envelope)
        if judge(envelope) is Verdict.OVER and self._ended is None:
            self._ended = Ended(reason=EndReason.CLOSED, batch=batch)
            self._put(self._ended)
        return batch

    def _translate(self, envelope: Envelope) -> Batch:
        batch = self._translator.batch(envelope)
        self._highest = max(self._highest, *(_index(event) for event in batch.events), 0)
        return batch

    def _end(self, reason: EndReason, error: RefusedError) -> None:
        if self._ended is None:
            self._ended = Ended(reason=reason, error=ErrorInfo(code=error.code, description=error.description))
            self._put(self._ended)

    def _learn(self, envelope: Envelope) -> None:
        """Keep the newest keys: the alias may change with any answer."""
        self._chat_id = self._chat_id or envelope.chat_id
        self._secure_key = envelope.secure_key or self._secure_key
        self._user_id = envelope.user_id or self._user_id
        self._alias = envelope.alias or self._alias

    def _put(self, item: Batch | LinkDown | LinkUp | Ended) -> None:
        if not self._closed:
            self._queue.put_nowait(item)

    @property
    def _keys(self) -> Credentials:
        if self._secure_key is None or self._chat_id is None:
            raise NotSentError("no chat was opened")
        return Credentials(secure_key=self._secure_key, chat_id=self._chat_id, user_id=self._user_id, alias=self._alias)

    def _link(self) -> HttpLink:
        if self._closed:
            raise NotSentError("the transport is closed")
        if self._http is None:
            self._http = self._make_link()
        return self._http

    def _make_link(self, *, patient: bool = False) -> HttpLink:
        return HttpLink(
            self._options,
            cookies=self._cookies,
            secure=urlsplit(self._url).scheme == "https",
            transport=self._options.http_transport,
            max_answer=self._options.max_answer_size,
            patient=patient,
            check_send=self._check_send,
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _seen(task: asyncio.Task[Envelope]) -> None:
    """Look at how it ended: whoever waited may have been cancelled."""
    if not task.cancelled():
        task.exception()


def _index(event: Event) -> int:
    return event.index or 0


def make_transport(context: TransportContext) -> RestTransport:
    """Make a transport from its context; the provider's factory.

    Raises:
        OptionError: an option cannot be used.
    """
    if context.server_url is None:
        raise OptionError("the transport 'rest' needs server_url, the address of the chat service")
    if urlsplit(context.server_url).scheme not in {"http", "https"}:
        raise OptionError(f"the transport 'rest' needs an http or https address, not {context.server_url!r}")
    return RestTransport(context)
