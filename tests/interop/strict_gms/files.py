"""Files: limits, upload, download and delete (section 2.8), for both views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interop.strict_gms.chats import Chat, StoredFile
from interop.strict_gms.forms import Form
from interop.strict_gms.violations import ViolationError

__all__ = ["CAPTURED_LIMITS", "FileRefusedError", "Limits", "delete", "download", "limits_event", "upload"]


class FileRefusedError(Exception):
    """The server refuses a file by its rules, which is no breach of the page (2.5: 201 to 203)."""

    def __init__(self, code: int, advice: str) -> None:
        super().__init__(advice)
        self.code = code
        self.advice = advice


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The figures of the capture in 2.8."""

    download_attempts: int = 2
    upload_max_files: int = 5
    upload_max_file_size: int = 10485760
    upload_max_total_size: int = 99614720
    upload_need_agent: bool = False
    upload_file_types: str = "jpeg:jpg:pdf:png:zip"
    #: "value "odd" in the capture" (2.8).
    delete_file: str = "odd"


#: 2.8, word for word: all values are text, used all 0.
CAPTURED_LIMITS = {
    "download-attempts": "2",
    "upload-max-files": "5",
    "upload-max-file-size": "10485760",
    "upload-max-total-size": "99614720",
    "upload-need-agent": "false",
    "upload-file-types": "jpeg:jpg:pdf:png:zip",
    "used-upload-max-files": "0",
    "used-upload-max-total-size": "0",
    "used-download-attempts": "0",
    "delete-file": "odd",
}


def limits_event(chat: Chat, limits: Limits) -> dict[str, Any]:
    """2.8: a Notice with this text, without index, all values text."""
    chat.counts.asked = True
    data = {
        "download-attempts": limits.download_attempts,
        "upload-max-files": limits.upload_max_files,
        "upload-max-file-size": limits.upload_max_file_size,
        "upload-max-total-size": limits.upload_max_total_size,
        "upload-need-agent": str(limits.upload_need_agent).lower(),
        "upload-file-types": limits.upload_file_types,
        "used-upload-max-files": chat.counts.files,
        "used-upload-max-total-size": chat.counts.total,
        "used-download-attempts": chat.counts.downloads,
        "delete-file": limits.delete_file,
    }
    return {
        "from": chat.system(),
        "type": "Notice",
        "text": "file-client-cfg-get",
        "userData": {name: str(value) for name, value in data.items()},
        "utcTime": 1_700_000_000_000,
    }


def upload(chat: Chat, limits: Limits, form: Form, refusal: tuple[int, str] | None) -> dict[str, str]:
    """Take a file in; returns the result data (2.2, 3.6).

    Raises:
        ViolationError: limits were not asked first (2.8), or the form is not multipart (2.2).
        FileRefusedError: the file is beyond a limit (2.5).
    """
    if not form.multipart or form.file is None:
        raise ViolationError("2.2", "an upload is a multipart form with a part 'file'")
    if not chat.counts.asked:
        raise ViolationError("2.8", "the limits are to be asked first")
    if refusal is not None:
        raise FileRefusedError(*refusal)
    size = len(form.file.content)
    # Genesys' rule (2.8): max-files > 0 and used < max, and total-size > 0 and used-total < total.
    if chat.counts.files >= limits.upload_max_files:
        raise FileRefusedError(201, "The maximum number of files has been reached.")
    if size > limits.upload_max_file_size or chat.counts.total + size > limits.upload_max_total_size:
        raise FileRefusedError(202, "The file is too large.")
    if form.file.name.rpartition(".")[2].lower() not in limits.upload_file_types.split(":"):
        raise FileRefusedError(203, "The type of the file is not allowed.")
    chat.counts.files += 1
    chat.counts.total += size
    chat.operations.append("file")
    return {"file-id": chat.store(chat.client, form.file, dict(form.user_data or {}))}


def download(chat: Chat, limits: Limits, file_id: str) -> bytes:
    """The answer is the file itself (2.2).

    Raises:
        FileRefusedError: there is no such file, or no attempt left.
    """
    stored = _find(chat, file_id)
    if chat.counts.downloads >= limits.download_attempts:
        raise FileRefusedError(201, "No download is left.")
    chat.counts.downloads += 1
    chat.operations.append("file/download")
    return stored.upload.content


def delete(chat: Chat, file_id: str) -> None:
    """2.3: a FileDeleted event tells of it.

    Raises:
        FileRefusedError: there is no such file.
    """
    stored = _find(chat, file_id)
    stored.deleted = True
    chat.operations.append("file/delete")
    chat.add(chat.client, "FileDeleted", userData={"file-id": file_id, "file-name": stored.upload.name})


def _find(chat: Chat, file_id: str) -> StoredFile:
    stored = chat.files.get(file_id)
    if stored is None or stored.deleted:
        raise FileRefusedError(100, "There is no such file.")
    return stored
