"""File operations of CometD chats: ``/genesys/2/chat-ntf`` (3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from interop.strict_gms import files
from interop.strict_gms.answers import GONE, envelope, failure
from interop.strict_gms.chats import Chat
from interop.strict_gms.fields import NTF, check_names
from interop.strict_gms.forms import Form, read_form
from interop.strict_gms.rest import json_answer
from interop.strict_gms.violations import ViolationError

if TYPE_CHECKING:
    from interop.strict_gms.server import StrictGms

__all__ = ["NtfView"]


class NtfView:
    """One address, the operation is a field."""

    def __init__(self, server: StrictGms) -> None:
        self._server = server

    def add_routes(self, app: web.Application) -> None:
        """3.1."""
        app.router.add_route("*", "/genesys/2/chat-ntf", self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            form = await read_form(request)
            operation = form.fields.pop("operation", None)
            if operation is None and form.file is not None:
                operation = "fileUpload"  # 3.6: one client leaves it out
            rule = NTF.get(operation or "")
            if rule is None or operation is None:
                raise ViolationError("3.6", f"there is no operation {operation!r}")
            check_names(operation, rule, form.fields, form.user_data)
            chat = self._server.chat_with_key(form.credentials.get("secureKey"))
            if chat is None:
                raise ViolationError("3.6", "the secureKey is not that of a chat")
            chat.check_credentials(form.credentials)
            self._check_cookie(request, chat)
        except ViolationError as error:
            self._server.record(error)
            errors = [{"code": error.code, "advice": error.words}]
            return json_answer({"statusCode": 2, "chatEnded": False, "errors": errors}, error.status)
        return self._run(chat, operation, form)

    def _check_cookie(self, request: web.Request, chat: Chat) -> None:
        """3.6: with the cookie of the CometD session; without it the request is refused."""
        cookie = request.cookies.get("BAYEUX_BROWSER")
        sessions = self._server.cometd.bayeux.sessions.values()
        if cookie is None or cookie not in {session.cookie for session in sessions if session.chat is chat}:
            raise ViolationError("3.6", f"the cookie of the CometD session is missing: {cookie!r}", status=403)

    def _run(self, chat: Chat, operation: str, form: Form) -> web.StreamResponse:
        limits = self._server.limits
        if chat.ended:
            return json_answer(failure(chat, *GONE))
        try:
            match operation:
                case "fileGetLimits" | "fileGetsLimits":
                    return self._answer(chat, [files.limits_event(chat, limits)], None)
                case "fileUpload":
                    return self._answer(chat, [], files.upload(chat, limits, form, self._server.refuse_files))
                case "fileDownload":
                    return web.Response(body=files.download(chat, limits, form.fields["fileId"]))
                case _:
                    files.delete(chat, form.fields["fileId"])
                    return self._answer(chat, [], None)
        except ViolationError as error:
            self._server.record(error)
            return json_answer(failure(chat, error.code, error.words))
        except files.FileRefusedError as error:
            return json_answer(failure(chat, error.code, error.advice))

    def _answer(self, chat: Chat, events: list[dict[str, Any]], data: dict[str, str] | None) -> web.StreamResponse:
        """3.6: ``{messages, chatEnded, statusCode, secureKey, userData}``; 2.8: no chatId."""
        return json_answer(envelope(chat, events, data=data, with_chat_id=False, cometd=True))
