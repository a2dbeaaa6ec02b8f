"""What the page quotes, byte for byte, and the mode that replays it (2.11, 3.4, 3.7)."""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from typing import Any

__all__ = [
    "BAYEUX_402",
    "COMETD_CONNECT",
    "COMETD_COOKIE",
    "COMETD_DELIVERY",
    "COMETD_HANDSHAKE",
    "COMETD_PUBLISH",
    "COMETD_SUBSCRIBE",
    "REST_CREATE",
    "REST_ENDED",
    "REST_LATE_SEND",
    "REST_REFRESH",
    "REST_SEND",
    "Canned",
    "with_id",
]

# 2.11, in its order.

REST_CREATE = """\
{"messages":[{"from":{"nickname":"Ada","participantId":1,"type":"Client"},"index":1,
  "type":"ParticipantJoined","utcTime":1700000000000}],
 "chatEnded":false,"statusCode":0,"alias":"117","secureKey":"1f2e3d4c5b6a7980",
 "userId":"0075FA7700000001","chatId":"0001FakeChatId01","nextPosition":2}"""

REST_SEND = """\
{"messages":[],"chatEnded":false,"statusCode":0,"alias":"117","secureKey":"1f2e3d4c5b6a7980",
 "userId":"0075FA7700000001","chatId":"0001FakeChatId01","nextPosition":3}"""

REST_REFRESH = """\
{"messages":[
  {"from":{"nickname":"Ada","participantId":1,"type":"Client"},"index":2,"type":"Message","text":"Hello","utcTime":1700000003000},
  {"from":{"nickname":"Grace","participantId":2,"type":"Agent"},"index":3,"type":"ParticipantJoined","utcTime":1700000005000},
  {"from":{"nickname":"Grace","participantId":2,"type":"Agent"},"index":4,"type":"TypingStarted","utcTime":1700000006000}],
 "chatEnded":false,"statusCode":0,"alias":"118","secureKey":"1f2e3d4c5b6a7980",
 "userId":"0075FA7700000001","chatId":"0001FakeChatId01","nextPosition":5}"""

REST_ENDED = """\
{"messages":[{"from":{"nickname":"Grace","participantId":2,"type":"Agent"},"index":9,"type":"ParticipantLeft",
  "utcTime":1700000060000,"eventAttributes":{"GCTI_SYSTEM":{"quit-reason-code":"0"}}}],
 "chatEnded":true,"statusCode":0,"alias":"118","chatId":"0001FakeChatId01","nextPosition":10}"""

REST_LATE_SEND = """\
{"messages":[],"chatEnded":true,"statusCode":2,"alias":"118","chatId":"0001FakeChatId01",
 "errors":[{"code":249,"advice":"The media server could not run the request. referenceId[10010001]"}]}"""

# 3.7, message by message; the ids are those of the requests.

COMETD_HANDSHAKE = """\
{"id":"1","channel":"/meta/handshake","successful":true,"clientId":"k3j2h1g0f9e8d7c6b5a4z3y2x","version":"1.0",
    "minimumVersion":"1.0","supportedConnectionTypes":["websocket","long-polling","callback-polling"],
    "advice":{"reconnect":"retry","interval":0,"timeout":30000}}"""

COMETD_COOKIE = "BAYEUX_BROWSER=0a1b2c3d4e5f6g7h; Path=/; HttpOnly"

COMETD_SUBSCRIBE = (
    '{"id":"2","channel":"/meta/subscribe","subscription":"/service/chatV2/customer-support","successful":true}'
)

COMETD_PUBLISH = '{"id":"3","channel":"/service/chatV2/customer-support","successful":true}'

COMETD_DELIVERY = """\
{"channel":"/service/chatV2/customer-support","data":{
     "messages":[{"from":{"nickname":"Ada","participantId":1,"type":"Client"},"index":1,
                  "type":"ParticipantJoined","utcTime":1700000000000}],
     "chatEnded":false,"statusCode":0,"alias":"117","secureKey":"Tm90QVJlYWxLZXk…","userId":"0075FA7700000001",
     "chatId":"0001FakeChatId01","nextPosition":2}}"""

COMETD_CONNECT = """\
{"id":"4","channel":"/meta/connect","successful":true,"advice":{"reconnect":"retry","interval":0,"timeout":30000}}"""

#: 3.4, seen in production.
BAYEUX_402 = (
    '{"channel":"/service/chatV2/request-chat-v2","id":"123abc","error":"402::Unknown client","successful":false}'
)


def with_id(raw: str, identity: str) -> str:
    """Put the id of a request into a quoted reply; all else stays as it is."""
    return re.sub(r'"id":"[^"]*"', lambda _: f'"id":{json.dumps(identity)}', raw, count=1)


class Canned:
    """Answers to be given as they are, by operation (REST) or channel and operation (CometD)."""

    def __init__(self) -> None:
        self._answers: defaultdict[str, deque[str]] = defaultdict(deque)
        #: The value of the quoted cookie of 3.7.
        self.cookie = COMETD_COOKIE.split(";", maxsplit=1)[0].partition("=")[2]

    def add(self, operation: str, *raw: str) -> None:
        """Keep answers for the next requests of one kind."""
        self._answers[operation].extend(raw)

    def take(self, operation: str) -> str | None:
        """The next answer for a request, None: the server makes one."""
        answers = self._answers[operation]
        return answers.popleft() if answers else None

    @property
    def left(self) -> dict[str, int]:
        """What has not been asked for."""
        return {name: len(answers) for name, answers in self._answers.items() if answers}


def parsed(raw: str) -> dict[str, Any]:
    """A canned answer taken apart."""
    answer: dict[str, Any] = json.loads(raw)
    return answer
