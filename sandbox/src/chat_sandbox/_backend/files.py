"""Files of a chat, with limits as GMS tells them: every value is text."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from chat_gms import Envelope, EventType, GmsError, GmsEvent, GmsParty, PartyType
from chat_gms.files import FILE_ID, LIMITS

if TYPE_CHECKING:
    from chat_sandbox._backend.chats import Chat

__all__ = ["FilePolicy", "FileRefusedError", "Files", "StoredFile", "description_of"]

TOO_MANY: Final = 201
TOO_LARGE: Final = 202
WRONG_TYPE: Final = 203
NO_SUCH_FILE: Final = 100


@frozen(kw_only=True)
class FilePolicy:
    """What files a sandbox takes; the figures are those of a captured server.

    Attributes:
        max_files: of one visitor in one chat.
        max_file_size: bytes.
        max_total_size: bytes.
        file_types: extensions.
        needs_agent: only while an agent is in the conversation.
        max_downloads: of one chat.
    """

    max_files: int = 5
    max_file_size: int = 10_485_760
    max_total_size: int = 99_614_720
    file_types: tuple[str, ...] = ("jpeg", "jpg", "pdf", "png", "txt", "zip")
    needs_agent: bool = False
    max_downloads: int = 100


@frozen(kw_only=True)
class StoredFile:
    """A file in a chat."""

    id: str
    name: str
    content: bytes = field(repr=False)
    content_type: str
    description: str | None = None
    by_visitor: bool = True


class FileRefusedError(Exception):
    """A file operation is refused."""

    def __init__(self, code: int, advice: str) -> None:
        super().__init__(advice)
        self.code = code
        self.advice = advice


class Files:
    """The files of one chat.

    Attributes:
        by_id: what is there now.
    """

    def __init__(self, chat: Chat, policy: FilePolicy) -> None:
        self._chat = chat
        self._policy = policy
        self.by_id: dict[str, StoredFile] = {}
        self._uploads = 0
        self._downloads = 0

    def limits(self) -> Envelope:
        """Return the answer to the question for limits: a notice without index, and no chatId."""
        policy = self._policy
        data = {
            "download-attempts": str(policy.max_downloads),
            "upload-max-files": str(policy.max_files),
            "upload-max-file-size": str(policy.max_file_size),
            "upload-max-total-size": str(policy.max_total_size),
            "upload-need-agent": "true" if policy.needs_agent else "false",
            "upload-file-types": ":".join(policy.file_types),
            "used-upload-max-files": str(self._uploads),
            "used-upload-max-total-size": str(self._used),
            "used-download-attempts": str(self._downloads),
            "delete-file": "odd",
        }
        notice = GmsEvent(type=EventType.NOTICE, text=LIMITS, user_data=data, party=self._chat.visitor)
        return evolve(self._chat.envelope([notice]), chat_id=None)

    def upload(self, name: str, content: bytes, *, content_type: str, description: str | None) -> Envelope:
        """Take a file from the visitor.

        Raises:
            FileRefusedError: it is beyond the limits.
        """
        policy = self._policy
        if self._uploads >= policy.max_files:
            raise FileRefusedError(TOO_MANY, "The maximum number of files was reached.")
        if name.rpartition(".")[2].lower() not in policy.file_types:
            raise FileRefusedError(WRONG_TYPE, "This type of file is not allowed.")
        if len(content) > policy.max_file_size or self._used + len(content) > policy.max_total_size:
            raise FileRefusedError(TOO_LARGE, "The file is too large.")
        if policy.needs_agent and not any(party.type != PartyType.EXTERNAL for party in self._chat.others()):
            raise FileRefusedError(TOO_MANY, "Files are taken only while an agent is in the conversation.")
        self._uploads += 1
        file = self.put(self._chat.visitor, name, content, content_type=content_type, description=description)
        return evolve(self._chat.envelope(), user_data={FILE_ID: file.id})

    def put(
        self, party: GmsParty, name: str, content: bytes, *, content_type: str, description: str | None = None
    ) -> StoredFile:
        """Keep a file and tell everybody."""
        file = StoredFile(
            id=secrets.token_hex(12),
            name=name,
            content=content,
            content_type=content_type,
            description=description,
            by_visitor=party.type == PartyType.CLIENT,
        )
        self.by_id[file.id] = file
        data: dict[str, Any] = {FILE_ID: file.id, "file-name": name, "file-size": str(len(content))}
        if description is not None:
            data["file-description"] = description
        self._chat.add(EventType.FILE_UPLOADED, party, text=name, user_data=data)
        return file

    def download(self, file_id: object) -> StoredFile:
        """Hand a file out.

        Raises:
            FileRefusedError: it is not there, or too many were handed out.
        """
        file = self._find(file_id)
        if self._downloads >= self._policy.max_downloads:
            raise FileRefusedError(TOO_MANY, "The maximum number of downloads was reached.")
        self._downloads += 1
        return file

    def delete(self, file_id: object) -> Envelope:
        """Take a file out.

        Raises:
            FileRefusedError: it is not there.
        """
        file = self._find(file_id)
        del self.by_id[file.id]
        self._chat.add(EventType.FILE_DELETED, self._chat.visitor, text=file.name, user_data={FILE_ID: file.id})
        return self._chat.envelope()

    def refused(self, error: FileRefusedError) -> Envelope:
        """Return the answer of an operation that is refused; the chat goes on."""
        return Envelope(
            status_code=2,
            chat_ended=self._chat.ended,
            chat_id=self._chat.id,
            alias=self._chat.alias,
            errors=(GmsError(code=error.code, advice=error.advice),),
        )

    @property
    def _used(self) -> int:
        return sum(len(file.content) for file in self.by_id.values() if file.by_visitor)

    def _find(self, file_id: object) -> StoredFile:
        file = self.by_id.get(file_id) if isinstance(file_id, str) else None
        if file is None:
            raise FileRefusedError(NO_SUCH_FILE, "There is no such file.")
        return file


def description_of(fields: Mapping[str, Any]) -> str | None:
    """Return ``userData[file-description]`` of a form."""
    data = fields.get("userData")
    value = data.get("file-description") if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else None
