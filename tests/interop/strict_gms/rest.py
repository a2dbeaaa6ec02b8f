"""The REST view: section 2, ``/genesys/2/chat/{service}`` and everything below it (2.2)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from interop.strict_gms import files
from interop.strict_gms.answers import GONE, bare_error, envelope, failure, text_of
from interop.strict_gms.chats import Chat
from interop.strict_gms.fields import REST, check_names, check_position, check_time_zone
from interop.strict_gms.forms import Form, read_form
from interop.strict_gms.violations import ViolationError

if TYPE_CHECKING:
    from interop.strict_gms.server import StrictGms

__all__ = ["RestView", "json_answer"]


def json_answer(body: str | dict[str, Any], status: int = 200) -> web.Response:
    """2.1: the answer is JSON in UTF-8; 2.3: HTTP 200."""
    text = body if isinstance(body, str) else text_of(body)
    return web.Response(body=text.encode(), status=status, content_type="application/json", charset="UTF-8")


class RestView:
    """Handles one request at a time per chat; a refresh takes ``answer_time`` so that overlapping ones show."""

    def __init__(self, server: StrictGms) -> None:
        self._server = server

    def add_routes(self, app: web.Application) -> None:
        """2.2; a trailing slash after the service name is used with success (2.1)."""
        base = "/genesys/2/chat/{service}"
        app.router.add_route("*", base, self.create)
        app.router.add_route("*", base + "/", self.create)
        app.router.add_route("*", base + "/{chat}/file/{file}/{operation}", self.operate)
        app.router.add_route("*", base + "/{chat}/{operation:.+}", self.operate)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """``{s}``: creates the session; the answer carries the credentials and the client's ParticipantJoined."""
        try:
            form = await read_form(request)
            # 2.10: widgets send these, empty, with a create.
            form.fields = {name: value for name, value in form.fields.items() if name != "text" or value}
            check_names("create", REST["create"], form.fields, form.user_data)
            check_time_zone(form.user_data or {})
            for name, value in form.credentials.items():
                if value:
                    raise ViolationError("2.2", f"create has no {name}")
            self._check_service(request)
        except ViolationError as error:
            return self._refuse(error)
        if self._server.refuse_chats is not None:
            return json_answer(bare_error(*self._server.refuse_chats))
        canned = self._server.canned.take("create")
        chat = self._server.open_chat("rest", form.fields, form.user_data, canned)
        chat.operations.append("create")
        if canned is not None:
            return json_answer(canned)
        return json_answer(envelope(chat, chat.since(1), first=True))

    async def operate(self, request: web.Request) -> web.StreamResponse:
        """Everything on a chat."""
        operation = request.match_info["operation"].removesuffix("/")
        file_id = request.match_info.get("file")
        if file_id is not None:
            operation = f"file/{operation}"
        chat = self._server.chat_of(request.match_info["chat"])
        try:
            form = await read_form(request)
            rule = REST.get(operation)
            if rule is None or operation == "create":
                raise ViolationError("2.2", f"there is no operation {operation!r}", status=404)
            self._check_service(request)
            if chat is None:
                return json_answer(bare_error(*GONE, chat_id=request.match_info["chat"]))
            if operation == "file" and not form.multipart:
                raise ViolationError("2.2", "an upload is a multipart form")
            if form.file is not None and operation != "file":
                raise ViolationError("2.2", f"{operation} has no file")
            check_names(operation, rule, form.fields, form.user_data)
            check_time_zone(form.user_data or {})
            chat.check_credentials(form.credentials)
            self._check_liveness(chat)
            return await self._run(chat, operation, file_id, form)
        except ViolationError as error:
            return self._refuse(error, chat)

    async def _run(self, chat: Chat, operation: str, file_id: str | None, form: Form) -> web.StreamResponse:
        position = None
        if "transcriptPosition" in form.fields:
            position = check_position(form.fields["transcriptPosition"])
            chat.check_position(position)
        if operation == "refresh":
            return await self._refresh(chat, 1 if position is None else position)
        canned = self._server.canned.take(operation)
        if canned is not None:
            chat.operations.append(operation)
            self._server.learn(chat, canned)
            return json_answer(canned)
        if chat.ended:  # 2.5, 2.11: a late send gets the 249 form
            chat.late_operations += chat.told_end
            return json_answer(failure(chat, *GONE))
        if operation.startswith("file"):
            return self._file(chat, operation, file_id, form)
        if operation == "readReceipt":
            chat.receipts.append(position or 0)
        chat.perform(operation, form.fields, form.user_data)
        # 2.2: with a position the answer brings the transcript from there, without it messages is normally empty.
        events = chat.since(position) if position is not None and operation == "send" else []
        data = {name: str(value) for name, value in chat.user_data.items()} if operation == "updateData" else None
        return json_answer(envelope(chat, events, data=data))

    async def _refresh(self, chat: Chat, position: int) -> web.StreamResponse:
        if chat.refreshing:
            raise ViolationError("9", "one poll at a time, the next one after the answer")
        chat.refreshing = True
        chat.changes.happened()
        try:
            await asyncio.sleep(self._server.answer_time)  # the time that this server takes
            chat.operations.append("refresh")
            chat.changes.happened()
            if self._server.busy_polls:
                self._server.busy_polls -= 1
                return json_answer(
                    {"statusCode": 1, "chatEnded": False, "alias": "0", "secureKey": "not to be trusted"}
                )
            canned = self._server.canned.take("refresh")
            if canned is not None:
                self._server.learn(chat, canned)
                return json_answer(canned)
            if chat.ended and chat.told_end:  # 2.6: a late refresh gets an error answer
                return json_answer(failure(chat, *GONE))
            return json_answer(envelope(chat, [*chat.since(position), *chat.take_loose()]))
        finally:
            chat.refreshing = False

    def _file(self, chat: Chat, operation: str, file_id: str | None, form: Form) -> web.StreamResponse:
        limits = self._server.limits
        try:
            match operation:
                case "file/limits":
                    return json_answer(envelope(chat, [files.limits_event(chat, limits)], with_chat_id=False))
                case "file":
                    return json_answer(
                        envelope(chat, [], data=files.upload(chat, limits, form, self._server.refuse_files))
                    )
                case "file/download":
                    return web.Response(body=files.download(chat, limits, file_id or ""))
                case _:
                    files.delete(chat, file_id or "")
                    return json_answer(envelope(chat, []))
        except files.FileRefusedError as error:
            return json_answer(failure(chat, error.code, error.advice))

    def _check_service(self, request: web.Request) -> None:
        if request.match_info["service"] != self._server.service:
            raise ViolationError("2.2", f"there is no service {request.match_info['service']!r}", status=404)

    def _check_liveness(self, chat: Chat) -> None:
        """2.6: a client that sends no request for flex-disconnect-timeout is removed, reason "3"."""
        silent = time.monotonic() - chat.last_request
        chat.last_request = time.monotonic()
        if silent > self._server.removal_time and not chat.ended and not chat.resting:
            chat.end(reason="3")
            raise ViolationError("2.6", f"no request for {silent:.1f} s", code=249)
        chat.resting = False

    def _refuse(self, error: ViolationError, chat: Chat | None = None) -> web.StreamResponse:
        self._server.record(error)
        advice = f"The request is wrong. {error.words}"
        body = bare_error(error.code, advice, ended=False) if chat is None else failure(chat, error.code, advice)
        return json_answer(body, error.status)
