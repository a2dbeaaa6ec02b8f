"""GMS Chat v2 over REST: the view of the back end that form posts give."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from chat_gms import Envelope, encode_envelope
from chat_gms.forms import nest
from chat_gms.operations import Operation
from chat_gms.rest import OPERATIONS
from chat_sandbox._backend.chats import Backend, Chat, refusal, unknown_chat
from chat_sandbox._backend.operations import perform
from chat_sandbox._http.answers import JsonAnswer
from chat_sandbox.faults import Faults

__all__ = ["RestView"]


class RestView:
    """Lets REST clients hold the back end's chats."""

    def __init__(self, backend: Backend, faults: Faults, abort: Any) -> None:
        self._backend = backend
        self._faults = faults
        self._abort = abort

    async def create(self, request: Request) -> Response:
        """POST {service}: open a chat."""
        return await self._answer(request, Operation.REQUEST_CHAT, None)

    async def operate(self, request: Request) -> Response:
        """POST {service}/{chatId}/{operation}."""
        operation = OPERATIONS.get(request.path_params["operation"])
        if operation is None:
            return JsonAnswer({"message": "no such operation"}, 404)
        return await self._answer(request, operation, request.path_params["chat"])

    async def _answer(self, request: Request, operation: str, chat_id: str | None) -> Response:
        async with request.form() as form:
            data = nest([(name, value) for name, value in form.multi_items() if isinstance(value, str)])
        chat = self._backend.by_id(chat_id)
        await self._faults.pass_through()
        if (status := self._faults.take("http", operation, chat)) is not None:
            headers = {} if status[1] is None else {"retry-after": str(status[1])}
            return Response(status[2], status[0], headers=headers)
        if self._faults.take("hiccup", operation, chat):
            return JsonAnswer({"statusCode": 1, "chatEnded": False, "messages": [], "nextPosition": 1})
        lost = self._faults.take("lose answer", operation, chat)
        envelope = self._perform(request.path_params["service"], operation, chat, chat_id, data)
        if (seconds := self._faults.take("delay", operation, chat)) is not None:
            await asyncio.sleep(seconds)
        if lost:
            self._abort(request.scope)
            return Response(status_code=500)
        await self._faults.pass_through()
        return JsonAnswer(self._faults.mangle(encode_envelope(envelope), operation, chat))

    def _perform(
        self, service: str, operation: str, named: Chat | None, chat_id: str | None, data: dict[str, Any]
    ) -> Envelope:
        if operation == Operation.REQUEST_CHAT and self._faults.refuse_chat is not None:
            return refusal(*self._faults.refuse_chat)
        if (refused := self._faults.take("refuse", operation, named)) is not None:
            answer: Envelope = refused
            return answer
        if chat_id is not None:
            chat = self._backend.find(data.get("secureKey"))
            if chat is None or chat is not named:
                return unknown_chat()
            chat.polled = True
            if operation == Operation.REQUEST_NOTIFICATIONS:
                return self._from(chat, data.get("transcriptPosition"), default=1)
        result = perform(self._backend, service, {**data, "operation": operation}, lambda _: None)
        if result.answer is not None and result.answer.errors:
            return result.answer
        assert result.chat is not None
        result.chat.polled = True
        return self._from(result.chat, data.get("transcriptPosition"), default=1 if chat_id is None else 0)

    def _from(self, chat: Chat, position: object, *, default: int) -> Envelope:
        """0 is no events, 1 all of them, n those with an index from n on."""
        wanted = int(position) if isinstance(position, str) and position.isdecimal() else default
        if wanted and (early := self._faults.take("overlap", Operation.REQUEST_NOTIFICATIONS, chat)):
            wanted = max(1, wanted - early)
        return chat.transcript(wanted) if wanted else chat.envelope()
