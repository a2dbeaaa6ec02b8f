"""The server: one event log, two views (section 10), and the face for tests."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from interop.strict_gms.captures import Canned, parsed
from interop.strict_gms.chats import Chat, View
from interop.strict_gms.cometd import CometdView
from interop.strict_gms.files import Limits
from interop.strict_gms.ntf import NtfView
from interop.strict_gms.quirks import Quirks
from interop.strict_gms.rest import RestView
from interop.strict_gms.violations import ViolationError
from interop.strict_gms.waiting import Changes

__all__ = ["StrictGms"]


class StrictGms:
    """A GMS on loopback that takes the page at its word.

    Attributes:
        violations: what a client did that the page does not allow, a sentence each. Tests assert that it is empty.
        chats: all of them, in the order of their making.
        canned: answers to be given as they are.
        refuse_chats: the code and advice with which new chats are refused (2.5).
        refuse_files: the code and advice with which uploads are refused, whatever the limits say (2.5).
        busy_polls: how many refreshes get statusCode 1 (2.4).
        sent: every JSON text that went out on CometD.
    """

    def __init__(
        self,
        *,
        quirks: Quirks | None = None,
        service: str = "customer-support",
        limits: Limits | None = None,
        ack: bool = False,
        websocket: bool = True,
        documented_cookie: bool = False,
        timeout: float = 30.0,
        max_interval: float = 10.0,
        removal_time: float = 45.0,
        answer_time: float = 0.01,
        grace: float = 1.0,
    ) -> None:
        """Take what may differ from server to server.

        Args:
            quirks: what the page says a back end may do.
            service: the name of the chat service.
            limits: of files (2.8).
            ack: whether the acknowledgement extension is there (5.5; on GMS unknown, 3.1).
            websocket: whether an upgrade is accepted (5.4).
            documented_cookie: the cookie in the form of S-DEP instead of the captured one (3.1).
            timeout: seconds for which a connect is held (5.3).
            max_interval: seconds without a connect after which a session is dropped (3.5).
            removal_time: seconds without a request after which a REST client is removed (2.6).
            answer_time: seconds that a refresh takes.
            grace: the "short timeout" of 3.2, in seconds.
        """
        self.quirks = quirks or Quirks()
        self.service = service
        self.limits = limits or Limits()
        self.ack = ack
        self.websocket = websocket
        self.documented_cookie = documented_cookie
        self.timeout = timeout
        self.max_interval = max_interval
        self.removal_time = removal_time
        self.answer_time = answer_time
        self.grace = grace
        self.violations: list[str] = []
        self.chats: list[Chat] = []
        self.canned = Canned()
        self.refuse_chats: tuple[int, str] | None = None
        self.refuse_files: tuple[int, str] | None = None
        self.busy_polls = 0
        self.sent: list[str] = []
        self.cometd = CometdView(self)
        self._rest = RestView(self)
        self._ntf = NtfView(self)
        self._changes = Changes()
        self._handed_out = 0
        self._runner: web.AppRunner | None = None
        self._origin = ""

    # The address

    @property
    def rest_url(self) -> str:
        """2.2."""
        return f"{self._origin}/genesys/2/chat/{self.service}"

    @property
    def cometd_url(self) -> str:
        """3.1."""
        return f"{self._origin}/genesys/cometd"

    @property
    def ntf_url(self) -> str:
        """3.1."""
        return f"{self._origin}/genesys/2/chat-ntf"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        self._ntf.add_routes(app)
        self._rest.add_routes(app)
        self.cometd.add_routes(app)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._origin = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for chat in self.chats:
            silent = time.monotonic() - chat.last_request
            if chat.view == "rest" and not chat.ended and not chat.resting and silent > self.removal_time:
                self.record(ViolationError("2.6", f"no request for {silent:.1f} s at the end"))
        await self.cometd.aclose()
        if self._runner is not None:
            await self._runner.cleanup()

    # For tests

    async def next_chat(self, timeout: float = 10) -> Chat:
        """The next chat that nobody has asked for yet."""
        await self._changes.until(lambda: len(self.chats) > self._handed_out, timeout, "no new chat")
        self._handed_out += 1
        return self.chats[self._handed_out - 1]

    # For the views

    def record(self, error: ViolationError) -> None:
        """Keep a breach of the page."""
        self.violations.append(str(error))

    def chat_of(self, chat_id: str) -> Chat | None:
        """2.2: the chat in a path."""
        return next((chat for chat in self.chats if chat.chat_id == chat_id), None)

    def chat_with_key(self, secure_key: object) -> Chat | None:
        """3.3, 3.6: CometD names a chat by its key alone."""
        return next((chat for chat in self.chats if chat.secure_key == secure_key), None)

    def open_chat(
        self, view: View, fields: dict[str, Any], user_data: dict[str, Any] | None, canned: str | None = None
    ) -> Chat:
        """Make a chat; a canned answer brings its credentials."""
        chat = Chat(self.service, view, self.quirks)
        chat.subject = fields.get("subject")
        chat.user_data = dict(user_data or {})
        nickname = fields.get("nickname") or f"{fields.get('firstName')} {fields.get('lastName')}"
        person = chat.person(nickname, "Client")
        if canned is None:
            chat.add(person, "ParticipantJoined")
        else:
            answer = parsed(canned)
            answer = answer.get("data", answer)
            chat.chat_id, chat.user_id, chat.secure_key = answer["chatId"], answer["userId"], answer["secureKey"]
            self.learn(chat, canned)
        self.chats.append(chat)
        self._changes.happened()
        return chat

    def learn(self, chat: Chat, canned: str) -> None:
        """What a canned answer says holds from now on."""
        answer = parsed(canned)
        answer = answer.get("data", answer)
        if answer["statusCode"] == 0:
            chat.alias = answer["alias"]
            chat.issue(chat.alias)
            for event in answer["messages"]:
                if event["index"] >= chat.next_position:
                    chat.events.append(event)
                chat.delivered = max(chat.delivered, event["index"])
        if answer["chatEnded"]:
            chat.ended = chat.told_end = True
        chat.changes.happened()
