"""The commands about files, a part of ``Session``."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import (
    DeleteFileCommand,
    DownloadFileCommand,
    FileLimitsCommand,
    SendFileCommand,
)
from chat_core._model.errors import OptionError, OptionTypeError, ProtocolError
from chat_core._model.events import PartyType
from chat_core._model.files import FileLimits
from chat_core._session.engine import Engine
from chat_core._session.pending import Pending
from chat_core._session.transfer import FileDownload, FileSource, Progress, TargetFile, outgoing

__all__ = ["FileCommands"]

T = TypeVar("T")

#: Bytes of a download, at most, unless the caller says otherwise (RP-11).
MAX_DOWNLOAD: Final = 256 * 1024 * 1024
_LONGEST_ID: Final = 512
_STAFF: Final = frozenset({PartyType.AGENT, PartyType.SUPERVISOR})


class FileCommands:
    """What a session does with files, on transports that offer it."""

    _engine: Engine

    def _command(
        self, name: str, capability: Capability | None, run: Callable[[], Coroutine[Any, Any, T]]
    ) -> Pending[T]:
        raise NotImplementedError

    def file_limits(self) -> Pending[FileLimits]:
        """Ask the server what files it takes.

        Raises:
            UnsupportedCommandError: the transport has no files.
            NotSentError, AmbiguousError, RefusedError: there was no usable answer.
        """
        return self._command("file_limits", Capability.FILES, self._limits)

    def send_file(
        self,
        source: FileSource,
        *,
        name: str | None = None,
        size: int | None = None,
        content_type: str | None = None,
        description: str | None = None,
        progress: Progress | None = None,
    ) -> Pending[str | None]:
        """Put a file into the conversation, in pieces; returns its id, None where the server did not say.

        The server's limits are asked for and checked first. A ``FileUploaded`` of one's own follows. A file is never
        sent twice: after an ``AmbiguousError`` that event tells whether it arrived.

        Args:
            source: a path, bytes, or an async iterable of bytes.
            name: what the other side sees; by default the path's last part.
            size: bytes, for an async iterable.
            content_type: MIME type, by default from the name.
            description: words for the other side.
            progress: called, or awaited, with the bytes sent and the bytes in all.

        Raises:
            UnsupportedCommandError: the transport has no files.
            FileNotAllowedError: it is beyond the server's limits; nothing was sent.
            OptionError: it cannot be read, or is not as large as was said.
            NotSentError: there was no connection.
            RefusedError: the server refused it.
            AmbiguousError: nobody can tell whether it arrived.
        """

        async def run() -> str | None:
            for what, value in (("name", name), ("content_type", content_type), ("description", description)):
                if value is not None and not isinstance(value, str):
                    raise OptionTypeError(f"{what} must be text, not {type(value).__name__}")
            file = await outgoing(source, name=name, size=size)
            content = file.content(progress)
            try:
                limits = await self._limits()
                staff = any(party.type in _STAFF for party in self._engine.parties.values())
                limits.check(file.name, file.size, agent_is_there=staff)
                reply = await self._engine.transport.send(
                    SendFileCommand(
                        name=file.name,
                        size=file.size,
                        content=content,
                        content_type=content_type or mimetypes.guess_type(file.name)[0] or "application/octet-stream",
                        description=description,
                    )
                )
            finally:
                await content.aclose()  # type: ignore[attr-defined]  # an async generator
                file.close()
            self._engine.take_reply(reply)
            return reply.file_id

        return self._command("send_file", Capability.FILES, run)

    @overload
    def download_file(
        self,
        file_id: str,
        *,
        to: str | os.PathLike[str],
        overwrite: bool = False,
        max_size: int = MAX_DOWNLOAD,
        progress: Progress | None = None,
    ) -> Pending[Path]: ...

    @overload
    def download_file(
        self, file_id: str, *, max_size: int = MAX_DOWNLOAD, progress: Progress | None = None
    ) -> Pending[FileDownload]: ...

    def download_file(
        self,
        file_id: str,
        *,
        to: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        max_size: int = MAX_DOWNLOAD,
        progress: Progress | None = None,
    ) -> Pending[Path] | Pending[FileDownload]:
        """Fetch a file of the conversation; it is never held in memory as a whole.

        Args:
            file_id: as its ``FileUploaded`` names it.
            to: where it is put, at once and readable by this user alone, when all of it has come. Without it the
                answer is a ``FileDownload`` to iterate over.
            overwrite: whether a file that is there may be replaced.
            max_size: bytes, at most.
            progress: called, or awaited, with the bytes received and the bytes in all (None: not known).

        Raises:
            UnsupportedCommandError: the transport has no files.
            OptionError: the place cannot be written to, or the file is larger than ``max_size``.
            StorageUnavailableError: the disk failed while it was written.
            NotSentError, AmbiguousError, RefusedError: the server did not give it; nothing is left behind.
        """

        async def fetch(write: Callable[[bytes, int | None], Awaitable[None]]) -> None:
            self._engine.take_reply(
                await self._engine.transport.send(DownloadFileCommand(file_id=file_id, write=write))
            )

        async def to_file() -> Path:
            _check_download(file_id, max_size)
            path = Path(os.fspath(to)) if to is not None else Path()
            async with TargetFile(path, overwrite=overwrite, max_size=max_size, progress=progress) as target:
                await fetch(target.write)
            return path

        async def to_iterator() -> FileDownload:
            _check_download(file_id, max_size)
            download = FileDownload(max_size=max_size, progress=progress)
            download.begin(fetch)
            self._engine.cancel_at_the_end(download.task)
            return download

        if to is None:
            return self._command("download_file", Capability.FILES, to_iterator)
        return self._command("download_file", Capability.FILES, to_file)

    def delete_file(self, file_id: str) -> Pending[None]:
        """Take a file out of the conversation.

        Raises:
            UnsupportedCommandError: the transport has no files.
            NotSentError, AmbiguousError, RefusedError: the server did not do it.
        """

        async def run() -> None:
            _check_id(file_id)
            self._engine.take_reply(await self._engine.transport.send(DeleteFileCommand(file_id=file_id)))

        return self._command("delete_file", Capability.FILES, run)

    async def _limits(self) -> FileLimits:
        reply = await self._engine.transport.send(FileLimitsCommand())
        self._engine.take_reply(reply)
        if reply.file_limits is None:
            raise ProtocolError("the server answered without limits for files")
        return reply.file_limits


def _check_download(file_id: object, max_size: object) -> None:
    _check_id(file_id)
    if isinstance(max_size, bool) or not isinstance(max_size, int) or max_size < 0:
        raise OptionError(f"max_size must be bytes, not {max_size!r}")


def _check_id(file_id: object) -> None:
    if not isinstance(file_id, str):
        raise OptionTypeError(f"file_id must be text, not {type(file_id).__name__}")
    if not file_id or len(file_id) > _LONGEST_ID or not file_id.isprintable() or set(file_id) <= {"."}:
        raise OptionError("file_id is not what a FileUploaded names", advice="give event.file_id")
