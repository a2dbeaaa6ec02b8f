"""The operations of GMS Chat v2 over CometD: ``data`` of a publication, both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from chat_gms.userdata import encode_user_data

__all__ = [
    "Credentials",
    "Operation",
    "channel",
    "custom_notice",
    "disconnect",
    "push_url",
    "request_chat",
    "request_notifications",
    "send_message",
    "typing",
    "update_data",
    "update_nickname",
]


class Operation:
    """Names of operations."""

    REQUEST_CHAT: Final = "requestChat"
    REQUEST_NOTIFICATIONS: Final = "requestNotifications"
    SEND_MESSAGE: Final = "sendMessage"
    START_TYPING: Final = "startTyping"
    STOP_TYPING: Final = "stopTyping"
    UPDATE_NICKNAME: Final = "updateNickname"
    UPDATE_DATA: Final = "updateData"
    PUSH_URL: Final = "pushUrl"
    CUSTOM_NOTICE: Final = "customNotice"
    DISCONNECT: Final = "disconnect"
    # over chat-ntf, beside CometD; over REST they have paths of their own
    FILE_LIMITS: Final = "fileGetLimits"
    FILE_UPLOAD: Final = "fileUpload"
    FILE_DOWNLOAD: Final = "fileDownload"
    FILE_DELETE: Final = "fileDelete"


@frozen(kw_only=True)
class Credentials:
    """What names and opens a chat. The newest alias and secure key count."""

    secure_key: str = field(repr=False)
    chat_id: str | None = None
    user_id: str | None = None
    alias: str | None = None


def channel(service: str) -> str:
    """Return the channel of a chat service, for both directions."""
    return f"/service/chatV2/{service}"


def request_chat(*, nickname: str, subject: str | None = None, user_data: Mapping[str, Any]) -> dict[str, Any]:
    """Open a chat."""
    data: dict[str, Any] = {"operation": Operation.REQUEST_CHAT, "nickname": nickname}
    if subject is not None:
        data["subject"] = subject
    encoded = encode_user_data(user_data)
    if encoded:
        data["userData"] = encoded
    return data


def request_notifications(credentials: Credentials, position: int) -> dict[str, Any]:
    """Take a chat up, or ask for its transcript, from an index on."""
    return _data(Operation.REQUEST_NOTIFICATIONS, credentials, transcriptPosition=position)


def send_message(credentials: Credentials, text: str, message_type: str) -> dict[str, Any]:
    """Send a message."""
    return _data(Operation.SEND_MESSAGE, credentials, message=text, messageType=message_type)


def typing(credentials: Credentials, *, is_typing: bool, preview: str | None = None) -> dict[str, Any]:
    """Say that the visitor started or stopped typing."""
    fields = {} if preview is None else {"message": preview}
    return _data(Operation.START_TYPING if is_typing else Operation.STOP_TYPING, credentials, **fields)


def update_nickname(credentials: Credentials, nickname: str) -> dict[str, Any]:
    """Change the visitor's name."""
    return _data(Operation.UPDATE_NICKNAME, credentials, nickname=nickname)


def update_data(credentials: Credentials, user_data: Mapping[str, Any]) -> dict[str, Any]:
    """Merge entries into the chat's data."""
    return _data(Operation.UPDATE_DATA, credentials, userData=encode_user_data(user_data))


def push_url(credentials: Credentials, url: str) -> dict[str, Any]:
    """Send an address for the other side to open."""
    return _data(Operation.PUSH_URL, credentials, pushUrl=url)


def custom_notice(credentials: Credentials, text: str) -> dict[str, Any]:
    """Send a custom notice."""
    return _data(Operation.CUSTOM_NOTICE, credentials, message=text)


def disconnect(credentials: Credentials) -> dict[str, Any]:
    """Leave the chat."""
    return _data(Operation.DISCONNECT, credentials)


def _data(operation: str, credentials: Credentials, **fields: Any) -> dict[str, Any]:
    data = {"operation": operation, "secureKey": credentials.secure_key, **fields}
    if credentials.user_id is not None:
        data["userId"] = credentials.user_id
    if credentials.alias is not None:
        data["alias"] = credentials.alias
    return data
