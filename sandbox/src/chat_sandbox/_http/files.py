"""Files over HTTP: below the chat's address for REST, at ``chat-ntf`` beside CometD. Both do the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import Response

from chat_gms import encode_envelope
from chat_gms.forms import nest
from chat_gms.operations import Operation
from chat_sandbox._backend.chats import Backend, Chat, unknown_chat
from chat_sandbox._backend.files import FileRefusedError, description_of
from chat_sandbox._bayeux.server import COOKIE
from chat_sandbox._http.answers import JsonAnswer
from chat_sandbox.faults import Faults

__all__ = ["FileView"]

#: The operation that a client of one vendor misspells.
_MISSPELT: Final = {"fileGetsLimits": Operation.FILE_LIMITS}


@frozen(kw_only=True)
class _Upload:
    name: str
    content_type: str
    content: bytes = field(repr=False)


class FileView:
    """Lets clients put files into chats and take them out.

    Args:
        backend: the chats.
        faults: what may go wrong.
        abort: breaks the connection of a request.
        has_cookie: whether a CometD session has that affinity cookie.
    """

    def __init__(
        self, backend: Backend, faults: Faults, abort: Any, *, has_cookie: Callable[[str | None], bool]
    ) -> None:
        self._backend = backend
        self._faults = faults
        self._abort = abort
        self._has_cookie = has_cookie

    async def limits(self, request: Request) -> Response:
        """POST {service}/{chatId}/file/limits."""
        return await self._answer(request, Operation.FILE_LIMITS, request.path_params["chat"])

    async def upload(self, request: Request) -> Response:
        """POST {service}/{chatId}/file."""
        return await self._answer(request, Operation.FILE_UPLOAD, request.path_params["chat"])

    async def download(self, request: Request) -> Response:
        """POST {service}/{chatId}/file/{fileId}/download."""
        return await self._answer(request, Operation.FILE_DOWNLOAD, request.path_params["chat"])

    async def delete(self, request: Request) -> Response:
        """POST {service}/{chatId}/file/{fileId}/delete."""
        return await self._answer(request, Operation.FILE_DELETE, request.path_params["chat"])

    async def beside_cometd(self, request: Request) -> Response:
        """POST chat-ntf: the operation is a field, and the CometD session's affinity cookie is needed."""
        if not self._has_cookie(request.cookies.get(COOKIE)):
            return Response("no CometD session has that cookie", 403)
        return await self._answer(request, None, None)

    async def _answer(self, request: Request, operation: str | None, chat_id: str | None) -> Response:
        async with request.form(max_part_size=16 * 1024 * 1024) as form:
            fields = nest([(name, value) for name, value in form.multi_items() if isinstance(value, str)])
            part = form.get("file")
            upload = None
            if part is not None and not isinstance(part, str):
                kind = part.content_type or "application/octet-stream"
                upload = _Upload(name=part.filename or "", content_type=kind, content=await part.read())
        given = fields.get("operation", Operation.FILE_UPLOAD if upload is not None else None)
        operation = operation or _MISSPELT.get(str(given), str(given))
        chat = self._backend.find(fields.get("secureKey"))
        await self._faults.pass_through()
        if (status := self._faults.take("http", operation, chat)) is not None:
            headers = {} if status[1] is None else {"retry-after": str(status[1])}
            return Response(status[2], status[0], headers=headers)
        if (seconds := self._faults.take("delay", operation, chat)) is not None:
            await asyncio.sleep(seconds)
        if chat is None or chat.ended or (chat_id is not None and chat.id != chat_id):
            return JsonAnswer(encode_envelope(unknown_chat()))
        if (refused := self._faults.take("refuse", operation, chat)) is not None:
            return JsonAnswer(encode_envelope(refused))
        lost = self._faults.take("lose answer", operation, chat)
        if "file" in request.path_params:
            fields["fileId"] = request.path_params["file"]
        try:
            answer = self._perform(chat, operation, fields, upload)
        except FileRefusedError as error:
            answer = JsonAnswer(encode_envelope(chat.files.refused(error)))
        if lost:
            self._abort(request.scope)
            return Response(status_code=500)
        return answer

    @staticmethod
    def _perform(chat: Chat, operation: str, fields: dict[str, Any], upload: _Upload | None) -> Response:
        file_id = fields.get("fileId")
        match operation:
            case Operation.FILE_LIMITS:
                envelope = chat.files.limits()
            case Operation.FILE_UPLOAD:
                if upload is None:
                    raise FileRefusedError(100, "A file is missing.")
                envelope = chat.files.upload(
                    upload.name,
                    upload.content,
                    content_type=upload.content_type,
                    description=description_of(fields),
                )
            case Operation.FILE_DOWNLOAD:
                file = chat.files.download(file_id)
                disposition = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
                return Response(
                    file.content, media_type=file.content_type, headers={"content-disposition": disposition}
                )
            case Operation.FILE_DELETE:
                envelope = chat.files.delete(file_id)
            case _:
                raise FileRefusedError(100, f"The operation {operation!r} is not known.")
        return JsonAnswer(encode_envelope(envelope))
