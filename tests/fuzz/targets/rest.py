"""Answers over REST: a status, a few headers and whatever body."""

from __future__ import annotations

import contextlib

from chat_core import AmbiguousError, LoginRefusedError, ProtocolError
from chat_gms import rest
from chat_gms.forms import encode_form
from chat_gms.http import Answer
from chat_gms.operations import Credentials
from chat_transport_rest._answers import read_answer

JSON, PREFIX = True, 1
_STATUS = (200, 200, 200, 200, 400, 401, 403, 404, 408, 429, 500, 502, 503, 302, 204, 99)


def check(data: bytes) -> None:
    if not data:
        return
    status, opening = _STATUS[data[0] % 16], data[0] >= 128
    answer = Answer(status, {"content-type": "application/json"}, data[1:])
    try:
        envelope = read_answer(answer, "https://host/chat", opening=opening)
    except (LoginRefusedError, ProtocolError) as error:
        assert opening, "a chat that is open gives no such error"
        assert len(str(error)) < 300
        return
    except AmbiguousError as error:
        assert len(str(error)) < 300
        return
    keys = Credentials(
        secure_key=envelope.secure_key or "k", chat_id=envelope.chat_id, user_id=envelope.user_id, alias=envelope.alias
    )
    post = rest.refresh(keys, (envelope.last_index or 0) + 1)
    encode_form(post.fields)
    with contextlib.suppress(ValueError):  # a number that has no JSON form is told as such
        encode_form(rest.update_data(keys, envelope.user_data or {}).fields)
