"""File operations beside CometD: form posts to ``<gms>/genesys/2/chat-ntf``, with the affinity cookie."""

from __future__ import annotations

from typing import Any

from chat_gms.operations import Credentials, Operation
from chat_gms.rest import Post

__all__ = ["delete_file", "download_file", "file_limits", "upload_file"]


def file_limits(keys: Credentials) -> Post:
    """Ask what files are taken."""
    return _post(keys, Operation.FILE_LIMITS)


def upload_file(keys: Credentials, description: str | None) -> Post:
    """Return the fields beside an uploaded file."""
    data = None if description is None else {"file-description": description}
    return _post(keys, Operation.FILE_UPLOAD, userData=data)


def download_file(keys: Credentials, file_id: str) -> Post:
    """Fetch a file."""
    return _post(keys, Operation.FILE_DOWNLOAD, fileId=file_id)


def delete_file(keys: Credentials, file_id: str) -> Post:
    """Take a file out of the chat."""
    return _post(keys, Operation.FILE_DELETE, fileId=file_id)


def _post(keys: Credentials, operation: str, **fields: Any) -> Post:
    return Post(path="", fields={"operation": operation, **fields, "secureKey": keys.secure_key})
