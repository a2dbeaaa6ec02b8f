"""Files on this side: what is sent is read in pieces, what is fetched becomes a file all at once or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import secrets
import stat
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, TypeAlias

from chat_core._model.errors import OptionError, OptionTypeError, SessionEndedError, StorageUnavailableError

__all__ = ["FileDownload", "FileSource", "Outgoing", "Progress", "TargetFile", "outgoing"]

FileSource: TypeAlias = "str | os.PathLike[str] | bytes | AsyncIterable[bytes]"
#: Called with the bytes done so far, and in all (None: not known). May be async.
Progress: TypeAlias = Callable[[int, "int | None"], object]

#: Bytes read at once.
PIECE: Final = 256 * 1024
#: Pieces of a download that wait for a slow reader.
WAITING: Final = 4


class Outgoing:
    """A file on its way out: a name, a size, and the content in pieces, to be read once.

    Attributes:
        name: as the other side sees it.
        size: in bytes.
    """

    def __init__(self, name: str, size: int, pieces: AsyncIterable[bytes], close: Callable[[], None]) -> None:
        self.name = name
        self.size = size
        self._pieces = pieces
        self._close = close

    async def content(self, progress: Progress | None = None) -> AsyncIterator[bytes]:
        """Yield the content.

        Raises:
            OptionError: there is more or less of it than was said.
        """
        done = 0
        async for piece in self._pieces:
            done += len(piece)
            if done > self.size:
                raise OptionError(f"the file {self.name!r} has more than the {self.size} bytes that were announced")
            yield piece
            await report(progress, done, self.size)
        if done != self.size:
            raise OptionError(f"the file {self.name!r} has {done} bytes, and {self.size} were announced")

    def close(self) -> None:
        """Close what it is read from."""
        self._close()


async def report(progress: Progress | None, done: int, total: int | None) -> None:
    """Call a progress callback, plain or async."""
    if progress is not None:
        result = progress(done, total)
        if inspect.isawaitable(result):
            await result


async def outgoing(source: FileSource, *, name: str | None, size: int | None) -> Outgoing:
    """Open what is to be sent.

    Raises:
        OptionError: it cannot be read, or name or size is missing.
        OptionTypeError: it is nothing that can be sent.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        return Outgoing(_named(name, "bytes"), len(content), _pieces_of(content), lambda: None)
    if isinstance(source, str | os.PathLike):
        path = Path(os.fspath(source))
        file, length = await asyncio.to_thread(_open, path)
        return Outgoing(name or path.name, length, _pieces_from(file), file.close)
    if isinstance(source, AsyncIterable):
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise OptionError("size= is needed for an async iterable: the bytes of the file", advice="give it")
        return Outgoing(_named(name, "an async iterable"), size, source, lambda: None)
    raise OptionTypeError(f"a file to send is a path, bytes or an async iterable of bytes, not {type(source).__name__}")


def _named(name: str | None, what: str) -> str:
    if not name:
        raise OptionError(f"name= is needed for {what}: what the other side sees", advice="give it, with its extension")
    return name


def _open(path: Path) -> tuple[BinaryIO, int]:
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise OptionError(f"the file {path} cannot be read: {error.strerror or error}") from error
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise OptionError(f"{path} is no regular file", advice="give the path of a file")
    return file, status.st_size


async def _pieces_of(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]


async def _pieces_from(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, PIECE):
        yield piece


class TargetFile:
    """A file that is there all at once: written beside its place, private, and moved to it at the end.

    Args:
        path: the place.
        overwrite: whether a file that is there already may be replaced.
        max_size: bytes, at most.
    """

    def __init__(self, path: Path, *, overwrite: bool, max_size: int, progress: Progress | None) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
        self._overwrite = overwrite
        self._max_size = max_size
        self._progress = progress
        self._file: BinaryIO | None = None
        self._done = 0

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await asyncio.to_thread(self._finish)
        finally:
            self._discard()

    async def write(self, piece: bytes, total: int | None) -> None:
        """Take a piece.

        Raises:
            OptionError: it grows beyond the size allowed.
            StorageUnavailableError: it cannot be written.
        """
        self._done += len(piece)
        check_size(self._done, total, self._max_size)
        await asyncio.to_thread(self._write, piece)
        await report(self._progress, self._done, total)

    def _begin(self) -> None:
        if self._path.is_dir():
            raise OptionError(f"{self._path} is a directory", advice="give the path of the file to be made")
        self._refuse_to_overwrite()
        try:
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise OptionError(f"{self._path} cannot be written: {error.strerror or error}") from error
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def _write(self, piece: bytes) -> None:
        assert self._file is not None
        view = memoryview(piece)
        try:
            while view:
                view = view[_write_some(self._file, view) :]
        except OSError as error:
            raise StorageUnavailableError(f"{self._path} cannot be written: {error.strerror or error}") from error

    def _finish(self) -> None:
        assert self._file is not None
        self._file.close()
        self._refuse_to_overwrite()
        self._part.replace(self._path)

    def _refuse_to_overwrite(self) -> None:
        if not self._overwrite and (self._path.exists() or self._path.is_symlink()):
            raise OptionError(f"{self._path} is there already", advice="pass overwrite=True or another path")

    def _discard(self) -> None:
        if self._file is not None:
            self._file.close()
            with contextlib.suppress(OSError):
                self._part.unlink()


def _write_some(file: BinaryIO, piece: memoryview) -> int:
    return file.write(piece)


def check_size(done: int, total: int | None, max_size: int) -> None:
    """Refuse a download beyond the size allowed, before all of it has come where its size is known.

    Raises:
        OptionError: it is too large.
    """
    if max(done, total or 0) > max_size:
        raise OptionError(
            f"the file is larger than the {max_size} bytes allowed", advice="pass a larger max_size= to download_file"
        )


class FileDownload(AsyncIterator[bytes]):
    """A file that is being fetched, to be iterated over in pieces. A slow reader slows the download down.

    Attributes:
        size: in bytes, None as long as the server has not said it.
    """

    def __init__(self, *, max_size: int, progress: Progress | None) -> None:
        self.size: int | None = None
        self._max_size = max_size
        self._progress = progress
        self._done = 0
        self._pieces: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def begin(self, run: Callable[[Callable[[bytes, int | None], Awaitable[None]]], Awaitable[None]]) -> None:
        """Start fetching: ``run`` is given the function that takes the pieces."""

        async def fetch() -> None:
            await run(self._take)

        def finished(task: asyncio.Task[None]) -> None:
            self._changed.set()
            if not task.cancelled():
                task.exception()  # seen: the reader raises it, if there still is one

        self._task = asyncio.get_running_loop().create_task(fetch(), name="chat-core: download")
        self._task.add_done_callback(finished)

    @property
    def task(self) -> asyncio.Task[None]:
        """What fetches."""
        assert self._task is not None
        return self._task

    async def __anext__(self) -> bytes:
        while not self._closed:
            if self._pieces:
                self._changed.set()
                return self._pieces.popleft()
            if self.task.cancelled():
                raise SessionEndedError("the download was given up: the session is over or detached")
            if self.task.done():
                self.task.result()  # raises what went wrong
                break
            self._changed.clear()
            await self._changed.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop fetching."""
        self._closed = True
        self.task.cancel()
        self._changed.set()
        await asyncio.wait({self.task})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _take(self, piece: bytes, total: int | None) -> None:
        self.size = total
        self._done += len(piece)
        check_size(self._done, total, self._max_size)
        while len(self._pieces) >= WAITING:
            self._changed.clear()
            await self._changed.wait()
        self._pieces.append(piece)
        self._changed.set()
        await report(self._progress, self._done, total)
