"""What files a chat takes, as its server says."""

from __future__ import annotations

from attrs import frozen

from chat_core._model.errors import FileNotAllowedError

__all__ = ["FileLimits"]


@frozen(kw_only=True)
class FileLimits:
    """The server's limits for files of one chat. What it did not say is None, and limits nothing.

    Attributes:
        max_files: how many files the visitor may send, in all; 0: none.
        max_file_size: bytes of one file.
        max_total_size: bytes of all files.
        file_types: extensions that are taken, in lower case without the dot; empty: any.
        needs_agent: whether files are taken only while an agent is in the conversation.
        used_files: how many the visitor has sent.
        used_total_size: bytes of those.
        max_downloads: how often files may be downloaded, in all.
        used_downloads: how often they were.
    """

    max_files: int | None = None
    max_file_size: int | None = None
    max_total_size: int | None = None
    file_types: frozenset[str] = frozenset()
    needs_agent: bool = False
    used_files: int = 0
    used_total_size: int = 0
    max_downloads: int | None = None
    used_downloads: int = 0

    def check(self, name: str, size: int, *, agent_is_there: bool) -> None:
        """Refuse a file that the server would refuse.

        Args:
            name: with its extension.
            size: in bytes.
            agent_is_there: whether an agent is in the conversation.

        Raises:
            FileNotAllowedError: the text names the limit.
        """
        extension = name.rpartition(".")[2].lower() if "." in name else ""
        if self.max_files is not None and self.used_files >= self.max_files:
            self._refuse(name, f"{self.used_files} of {self.max_files} files were sent already")
        if self.file_types and extension not in self.file_types:
            taken = ", ".join(sorted(self.file_types))
            self._refuse(name, f"its type {extension or '(none)'} is not among those that the server takes: {taken}")
        if self.max_file_size is not None and size > self.max_file_size:
            self._refuse(name, f"it has {size} bytes, and a file may have {self.max_file_size}")
        if self.max_total_size is not None and self.used_total_size + size > self.max_total_size:
            left = max(0, self.max_total_size - self.used_total_size)
            self._refuse(name, f"it has {size} bytes, and {left} are left of the {self.max_total_size} for all files")
        if self.needs_agent and not agent_is_there:
            self._refuse(name, "the server takes files only while an agent is in the conversation")

    @staticmethod
    def _refuse(name: str, reason: str) -> None:
        raise FileNotAllowedError(f"the file {name!r} was not sent: {reason}")
