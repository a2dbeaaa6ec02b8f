"""How a chat is held over Bayeux: what is published for a command, and what a delivery means.

The dialect of GMS Chat v2 is the built-in one; another back end's goes into ``transport_options["dialect"]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from attrs import define, field

from chat_core import (
    Batch,
    ChatError,
    Command,
    CustomNoticeCommand,
    EndReason,
    LeaveCommand,
    NicknameCommand,
    SendMessageCommand,
    StartRequest,
    TypingCommand,
    UnsupportedCommandError,
    UserDataCommand,
)
from chat_gms import operations
from chat_gms.client import EventTranslator, refusal
from chat_gms.envelope import LARGEST, MAX_EVENTS, Envelope, MalformedEnvelopeError, decode_head
from chat_gms.operations import Credentials
from chat_gms.verdict import Verdict, judge
from chat_transport_cometd._bayeux.messages import parse_error

__all__ = ["Delivery", "Dialect", "GmsDialect"]


@define(kw_only=True)
class Delivery:
    """What one delivered message means. Not frozen, as one is made for each: that would double what it costs.

    Attributes:
        batch: events and position.
        error: the server refused something, or failed at it.
        passing: the error may pass by itself (statusCode 1).
        ended: the chat is over, for this reason.
        first_index: index of the first event, None when there is none.
        says_nothing: an echo of a publication or the like.
    """

    batch: Batch = field(factory=Batch)
    error: ChatError | None = None
    passing: bool = False
    ended: EndReason | None = None
    first_index: int | None = None
    says_nothing: bool = field(default=False)


class Dialect(Protocol):
    """Translates between chat-core and what is published on one channel."""

    @property
    def channel(self) -> str:
        """The channel, for both directions."""
        ...

    @property
    def session_id(self) -> str:
        """The server's name of the chat, once it is open."""
        ...

    def start(self, request: StartRequest) -> Mapping[str, Any]:
        """Return what is published to open a chat."""
        ...

    def fetch(self, position: int) -> Mapping[str, Any]:
        """Return what is published to take a chat up, or to ask for its transcript from an index on."""
        ...

    def command(self, command: Command) -> Mapping[str, Any]:
        """Return what is published for a command."""
        ...

    def read(self, message: Mapping[str, Any]) -> Delivery:
        """Read a delivered Bayeux message."""
        ...

    def saved(self) -> Mapping[str, Any]:
        """Return what ``restore`` needs, as JSON values."""
        ...

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take what ``saved`` returned in an earlier process."""
        ...


class GmsDialect:
    """GMS Chat v2 on ``/service/chatV2/<service>``."""

    def __init__(self, service: str = "customer-support") -> None:
        self.channel = operations.channel(service)
        self._secure_key: str | None = None
        self._chat_id: str | None = None
        self._user_id: str | None = None
        self._alias: str | None = None
        self._translator = EventTranslator()
        #: What the last good envelope said besides its messages and the position.
        self._said: dict[str, Any] | None = None

    @property
    def session_id(self) -> str:
        """The ``chatId``; where the server never gave one, the visitor's ``userId``."""
        return self._chat_id or self._user_id or ""

    def start(self, request: StartRequest) -> Mapping[str, Any]:
        """RequestChat."""
        return operations.request_chat(nickname=request.username, subject=request.subject, user_data=request.user_data)

    def fetch(self, position: int) -> Mapping[str, Any]:
        """RequestNotifications."""
        return operations.request_notifications(self.credentials, position)

    def command(self, command: Command) -> Mapping[str, Any]:
        """Return the operation of a command."""
        keys = self.credentials
        match command:
            case SendMessageCommand(text=text, type=kind):
                return operations.send_message(keys, text, kind)
            case TypingCommand(is_typing=is_typing, text=preview):
                return operations.typing(keys, is_typing=is_typing, preview=preview)
            case LeaveCommand():
                return operations.disconnect(keys)
            case UserDataCommand(user_data=data):
                return operations.update_data(keys, data)
            case NicknameCommand(nickname=nickname):
                return operations.update_nickname(keys, nickname)
            case CustomNoticeCommand(text=text):
                return operations.custom_notice(keys, text)
            case _:
                raise UnsupportedCommandError(
                    f"GMS over CometD has no operation for {type(command).__name__}; nothing was sent"
                )

    def read(self, message: Mapping[str, Any]) -> Delivery:
        """Read a delivery. Errors are looked for in ``data`` and beside it: real servers do both."""
        data = message.get("data")
        if (batch := self._more_of_the_same(message, data)) is not None:
            return Delivery(batch=batch, first_index=_first_index(batch))
        self._said = None
        if isinstance(data, dict) and "operation" in data and "messages" not in data and "statusCode" not in data:
            return Delivery(says_nothing=True)
        try:
            envelope = decode_head(_with_errors(message, data))
        except MalformedEnvelopeError:
            return Delivery(says_nothing=True)
        verdict = judge(envelope)
        if verdict is Verdict.GOOD or verdict is Verdict.OVER:
            self._learn(envelope)
            if verdict is Verdict.GOOD and envelope.user_data is None and isinstance(data, dict):
                head = _head(data)
                # Text equals nothing but itself; 0 equals False, and 1 True, though they do not say the same.
                if not any(isinstance(head.get(name), int | float) for name in _TOLD) and not any(
                    head.get(name) == 1 for name in _SAYING
                ):
                    self._said = head
            batch = self._translator.batch(envelope)
            return Delivery(
                batch=batch,
                ended=EndReason.CLOSED if verdict is Verdict.OVER else None,
                first_index=_first_index(batch),
            )
        return Delivery(
            error=refusal(envelope),
            passing=verdict is Verdict.RETRY,
            ended=EndReason.CLOSED if envelope.chat_ended and verdict is Verdict.FATAL else None,
        )

    def saved(self) -> Mapping[str, Any]:
        """Return keys, alias and ids."""
        return {
            "secure_key": self._secure_key,
            "chat_id": self._chat_id,
            "user_id": self._user_id,
            "alias": self._alias,
        }

    def away(self, position: int) -> Mapping[str, Any]:
        """Return what the farewell of a visitor carries who will come back, ``position`` being the last index seen.

        Not a part of ``Dialect``: where it is absent the farewell is a plain one.
        """
        return {"transcriptPosition": str(position)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take keys, alias and ids."""
        self._said = None
        self._secure_key = saved.get("secure_key")
        self._chat_id = saved.get("chat_id")
        self._user_id = saved.get("user_id")
        self._alias = saved.get("alias")

    @property
    def credentials(self) -> Credentials:
        """What opens the chat; a dialect that has them offers files."""
        assert self._secure_key is not None, "no chat was opened"
        return Credentials(secure_key=self._secure_key, chat_id=self._chat_id, user_id=self._user_id, alias=self._alias)

    def _more_of_the_same(self, message: Mapping[str, Any], data: object) -> Batch | None:
        """Return the events of an envelope that says nothing new besides them, as most do: None where it may.

        Judging and learning once more what was judged and learnt would take longer than reading the event.
        """
        if data.__class__ is not dict or "error" in message or "errors" in message:
            return None
        elements, position = data.get("messages"), data.get("nextPosition")
        if elements.__class__ is not list or len(elements) > MAX_EVENTS:
            return None
        if position.__class__ is not int or not 0 <= position < LARGEST or _head(data) != self._said:
            return None
        return Batch(events=self._translator.events(elements), next_position=position)

    def _learn(self, envelope: Envelope) -> None:
        """Keep the newest keys; an answer may leave any of them out."""
        self._secure_key = envelope.secure_key or self._secure_key
        self._chat_id = self._chat_id or envelope.chat_id
        self._user_id = envelope.user_id or self._user_id
        self._alias = envelope.alias or self._alias


_TOLD: Final = ("secureKey", "chatId", "userId", "alias")
_SAYING: Final = ("chatEnded", "statusCode")


def _head(data: Mapping[str, Any]) -> dict[str, Any]:
    head = dict(data)
    head.pop("messages", None)
    head.pop("nextPosition", None)
    return head


def _first_index(batch: Batch) -> int | None:
    for event in batch.events:
        if event.index is not None:
            return event.index
    return None


def _with_errors(message: Mapping[str, Any], data: object) -> object:
    if data is None:
        data = {}
    if isinstance(data, dict):
        if isinstance(message.get("errors"), list) and "errors" not in data:
            return {**data, "errors": message["errors"]}
        if isinstance(message.get("error"), str) and "errors" not in data:
            error = parse_error(message)
            return {**data, "errors": [{"code": error.code, "advice": error.text}]}
        if not data:
            return None  # neither events nor an error: no envelope
    return data
