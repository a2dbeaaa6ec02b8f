"""The commands about files, a part of ``Session``."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias, TypeVar, overload

from chat_core._model.files import FileLimits
from chat_core._session import session, transfer
from chat_core._session.files import MAX_DOWNLOAD
from chat_core._session.transfer import Progress

if TYPE_CHECKING:
    from chat_core._blocking.portal import Portal

__all__ = ["FileCommands", "FileDownload"]

T = TypeVar("T")
FileSource: TypeAlias = "str | os.PathLike[str] | bytes | Iterable[bytes]"

_END: Final = object()


class FileDownload(Iterator[bytes]):
    """A file that is being fetched, to be iterated over in pieces. A slow reader slows the download down."""

    def __init__(self, portal: Portal, download: transfer.FileDownload) -> None:
        self._portal = portal
        self._download = download

    @property
    def size(self) -> int | None:
        """The file's bytes, None as long as the server has not said it."""
        return self._download.size

    def __next__(self) -> bytes:
        piece = self._portal.call(self._next)
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Stop fetching."""
        if not self._portal.is_inherited:
            self._portal.call(self._download.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _next(self) -> bytes | None:
        return await anext(self._download, None)


class FileCommands:
    """What a session does with files, on transports that offer it."""

    _portal: Portal
    _session: session.Session

    def _call(self, work: Callable[[], Awaitable[T]], *, unwanted: Callable[[T], Awaitable[object]] | None = None) -> T:
        raise NotImplementedError

    def file_limits(self) -> FileLimits:
        """Ask the server what files it takes.

        Raises:
            UnsupportedCommandError: the transport has no files.
            NotSentError, AmbiguousError, RefusedError: there was no usable answer.
        """
        return self._call(self._session.file_limits)

    def send_file(
        self,
        source: FileSource,
        *,
        name: str | None = None,
        size: int | None = None,
        content_type: str | None = None,
        description: str | None = None,
        progress: Progress | None = None,
    ) -> str | None:
        """Put a file into the conversation, in pieces; returns its id, None where the server did not say.

        The server's limits are asked for and checked first. A ``FileUploaded`` of one's own follows. A file is never
        sent twice: after an ``AmbiguousError`` that event tells whether it arrived.

        Args:
            source: a path, bytes, or an iterable of bytes.
            name: what the other side sees; by default the path's last part.
            size: bytes, for an iterable.
            content_type: MIME type, by default from the name.
            description: words for the other side.
            progress: called in a thread of its own with the bytes sent and the bytes in all.

        Raises:
            UnsupportedCommandError: the transport has no files.
            FileNotAllowedError: it is beyond the server's limits; nothing was sent.
            OptionError: it cannot be read, or is not as large as was said.
            NotSentError: there was no connection.
            RefusedError: the server refused it.
            AmbiguousError: nobody can tell whether it arrived.
        """
        return self._call(
            lambda: self._session.send_file(
                _source(source),
                name=name,
                size=size,
                content_type=content_type,
                description=description,
                progress=_reporting(progress),
            )
        )

    @overload
    def download_file(
        self,
        file_id: str,
        *,
        to: str | os.PathLike[str],
        overwrite: bool = False,
        max_size: int = MAX_DOWNLOAD,
        progress: Progress | None = None,
    ) -> Path: ...

    @overload
    def download_file(
        self, file_id: str, *, max_size: int = MAX_DOWNLOAD, progress: Progress | None = None
    ) -> FileDownload: ...

    def download_file(
        self,
        file_id: str,
        *,
        to: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        max_size: int = MAX_DOWNLOAD,
        progress: Progress | None = None,
    ) -> Path | FileDownload:
        """Fetch a file of the conversation; it is never held in memory as a whole.

        Args:
            file_id: as its ``FileUploaded`` names it.
            to: where it is put, at once and readable by this user alone, when all of it has come. Without it the
                answer is a ``FileDownload`` to iterate over.
            overwrite: whether a file that is there may be replaced.
            max_size: bytes, at most.
            progress: called in a thread of its own with the bytes received and the bytes in all (None: not known).

        Raises:
            UnsupportedCommandError: the transport has no files.
            OptionError: the place cannot be written to, or the file is larger than ``max_size``.
            StorageUnavailableError: the disk failed while it was written.
            NotSentError, AmbiguousError, RefusedError: the server did not give it; nothing is left behind.
        """
        report = _reporting(progress)
        if to is None:
            download = self._call(
                lambda: self._session.download_file(file_id, max_size=max_size, progress=report),
                unwanted=lambda one: one.aclose(),
            )
            return FileDownload(self._portal, download)
        return self._call(
            lambda: self._session.download_file(file_id, to=to, overwrite=overwrite, max_size=max_size, progress=report)
        )

    def delete_file(self, file_id: str) -> None:
        """Take a file out of the conversation.

        Raises:
            UnsupportedCommandError: the transport has no files.
            NotSentError, AmbiguousError, RefusedError: the server did not do it.
        """
        return self._call(lambda: self._session.delete_file(file_id))


def _source(source: FileSource) -> transfer.FileSource:
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview) or not isinstance(source, Iterable):
        return source  # type: ignore[return-value] # what else bytes may be, and what is refused

    async def pieces() -> AsyncIterator[bytes]:
        iterator = iter(source)
        while (piece := await asyncio.to_thread(next, iterator, _END)) is not _END:
            yield piece  # type: ignore[misc] # anything but the end is what the caller's iterable gave

    return pieces()


def _reporting(progress: Progress | None) -> Progress | None:
    """Let the caller's function be called in a thread: it may block, and call blocking methods."""
    if progress is None:
        return None

    async def report(done: int, total: int | None) -> None:
        result = await asyncio.to_thread(progress, done, total)
        if inspect.isawaitable(result):
            await result

    return report
