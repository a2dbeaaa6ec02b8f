"""The operations of GMS Chat v2 over REST: where each is posted, and with which fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from attrs import field, frozen

from chat_gms.operations import Credentials, Operation

__all__ = [
    "OPERATIONS",
    "Post",
    "create",
    "custom_notice",
    "delete_file",
    "disconnect",
    "download_file",
    "file_limits",
    "push_url",
    "refresh",
    "send",
    "typing",
    "update_data",
    "update_nickname",
    "upload_file",
]

#: The last part of the path, and the operation it stands for.
OPERATIONS: Final[Mapping[str, str]] = {
    "send": Operation.SEND_MESSAGE,
    "refresh": Operation.REQUEST_NOTIFICATIONS,
    "startTyping": Operation.START_TYPING,
    "stopTyping": Operation.STOP_TYPING,
    "disconnect": Operation.DISCONNECT,
    "pushUrl": Operation.PUSH_URL,
    "updateNickname": Operation.UPDATE_NICKNAME,
    "customNotice": Operation.CUSTOM_NOTICE,
    "updateData": Operation.UPDATE_DATA,
}


@frozen(kw_only=True)
class Post:
    """One request.

    Attributes:
        path: what follows the service's address, without a slash at its beginning; "" to open a chat.
        fields: of the form; a mapping as a value becomes bracket keys.
    """

    path: str
    fields: Mapping[str, Any] = field(repr=False)


def create(*, nickname: str, subject: str | None, user_data: Mapping[str, Any]) -> Post:
    """Open a chat."""
    return Post(path="", fields={"nickname": nickname, "subject": subject, "userData": user_data})


def refresh(keys: Credentials, position: int) -> Post:
    """Ask for the events from an index on; 1 is everything."""
    return _post(keys, "refresh", transcriptPosition=position)


def send(keys: Credentials, text: str, message_type: str, position: int | None = None) -> Post:
    """Send a message; with a position the answer brings the events from there on."""
    return _post(keys, "send", message=text, messageType=message_type, transcriptPosition=position)


def typing(keys: Credentials, *, is_typing: bool, preview: str | None) -> Post:
    """Say that the visitor started or stopped typing."""
    return _post(keys, "startTyping" if is_typing else "stopTyping", message=preview)


def disconnect(keys: Credentials) -> Post:
    """Leave the chat."""
    return _post(keys, "disconnect")


def push_url(keys: Credentials, url: str) -> Post:
    """Send an address for the other side to open."""
    return _post(keys, "pushUrl", pushUrl=url)


def update_nickname(keys: Credentials, nickname: str) -> Post:
    """Change the visitor's name."""
    return _post(keys, "updateNickname", nickname=nickname)


def custom_notice(keys: Credentials, text: str) -> Post:
    """Send a custom notice."""
    return _post(keys, "customNotice", message=text)


def update_data(keys: Credentials, user_data: Mapping[str, Any]) -> Post:
    """Merge entries into the chat's data."""
    return _post(keys, "updateData", userData=user_data)


def file_limits(keys: Credentials) -> Post:
    """Ask what files are taken."""
    return _post(keys, "file/limits")


def upload_file(keys: Credentials, description: str | None) -> Post:
    """Return the fields beside an uploaded file."""
    return _post(keys, "file", userData=None if description is None else {"file-description": description})


def download_file(keys: Credentials, file_id: str) -> Post:
    """Fetch a file."""
    return _post(keys, f"file/{_part(file_id)}/download")


def delete_file(keys: Credentials, file_id: str) -> Post:
    """Take a file out of the chat."""
    return _post(keys, f"file/{_part(file_id)}/delete")


def _part(file_id: str) -> str:
    # "replace": an id is a stranger's text, and half a character has no place in an address.
    return quote(file_id, safe="", errors="replace")


def _post(keys: Credentials, operation: str, **fields: Any) -> Post:
    # userId and alias are deprecated and still sent by almost every client: the newest alias always.
    return Post(
        path=f"{keys.chat_id}/{operation}",
        fields={**fields, "secureKey": keys.secure_key, "userId": keys.user_id, "alias": keys.alias},
    )
