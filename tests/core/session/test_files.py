"""Files on this side: limits first, pieces, progress, a download that is there all at once or not at all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chat_core import (
    AmbiguousError,
    Capability,
    Command,
    DeleteFileCommand,
    DownloadFileCommand,
    FileLimits,
    FileLimitsCommand,
    FileNotAllowedError,
    OptionError,
    OptionTypeError,
    ProtocolError,
    Reply,
    SendFileCommand,
    SessionEndedError,
    StorageUnavailableError,
    UnsupportedCommandError,
)
from chat_core._session import transfer
from support.backend import ALL, Backend, FakeTransport
from support.sessions import open_session

LIMITS = FileLimits(
    max_files=2, max_file_size=1_000_000, max_total_size=1_500_000, file_types=frozenset({"txt", "png"})
)
WITH_FILES = ALL | {Capability.FILES}


class FileTransport(FakeTransport):
    """Takes files, and gives back what ``pieces`` holds."""

    def __init__(self, limits: FileLimits | None = LIMITS) -> None:
        super().__init__(Backend())
        self.limits = limits
        self.received = b""
        self.commands: list[Command] = []
        self.pieces: list[bytes] = [b"one", b"two"]
        self.total: int | None = 6
        self.fault: Exception | None = None
        self.after_first = asyncio.Event()
        self.after_first.set()

    async def send(self, command: Command) -> Reply:
        self.commands.append(command)
        match command:
            case FileLimitsCommand():
                return Reply(file_limits=self.limits)
            case SendFileCommand(content=content):
                async for piece in content:
                    self.received += piece
                return Reply(file_id="f1")
            case DownloadFileCommand(write=write):
                for number, piece in enumerate(self.pieces):
                    if number:
                        await self.after_first.wait()
                    await write(piece, self.total)
                if self.fault is not None:
                    raise self.fault
                return Reply()
            case DeleteFileCommand():
                return Reply()
            case _:
                return await super().send(command)

    @property
    def kinds(self) -> list[str]:
        return [type(command).__name__ for command in self.commands]


async def begin(transport: FileTransport | None = None) -> tuple[Any, FileTransport]:
    transport = transport or FileTransport()
    return await open_session(transport, capabilities=WITH_FILES), transport


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def test_a_file_is_sent_in_pieces_with_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The limits are asked for first; the name and type come from the path."""
    monkeypatch.setattr(transfer, "PIECE", 4)
    path = tmp_path / "notes.txt"
    path.write_bytes(b"0123456789")
    seen: list[tuple[int, int | None]] = []

    async def main() -> None:
        session, transport = await begin()
        progress = lambda done, total: seen.append((done, total))  # noqa: E731
        assert await session.send_file(path, description="mine", progress=progress) == "f1"
        assert transport.kinds == ["FileLimitsCommand", "SendFileCommand"]
        sent = transport.commands[1]
        assert isinstance(sent, SendFileCommand)
        assert (sent.name, sent.size, sent.content_type, sent.description) == ("notes.txt", 10, "text/plain", "mine")
        assert transport.received == b"0123456789"
        await session.leave()

    asyncio.run(main())
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_bytes_and_iterables_are_sent_as_well():
    """An async progress callback is awaited."""

    async def main() -> None:
        session, transport = await begin()
        reports: list[int] = []

        async def progress(done: int, total: int | None) -> None:
            await asyncio.sleep(0)
            reports.append(done)

        await session.send_file(b"abc", name="a.txt", progress=progress)
        await session.send_file(in_pieces(b"de", b"f"), name="b.bin.png", size=3, content_type="image/png")
        assert transport.received == b"abcdef"
        assert reports == [3]
        await session.leave()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"source": 5}, OptionTypeError, "not int"),
        ({"source": b"x"}, OptionError, "name= is needed for bytes"),
        ({"source": "/no/such/file.txt"}, OptionError, "cannot be read"),
        ({"source": os.sep}, OptionError, "cannot be read|no regular file"),
        ({"source": b"x", "name": 3}, OptionTypeError, "name must be text"),
        ({"source": in_pieces(b"x"), "name": "a.txt"}, OptionError, "size= is needed"),
        ({"source": in_pieces(b"x"), "size": 1}, OptionError, "name= is needed"),
        ({"source": b"x", "name": "a.exe"}, FileNotAllowedError, "type exe is not among .*: png, txt"),
        ({"source": b"x", "name": "noext"}, FileNotAllowedError, r"type \(none\)"),
        (
            {"source": b"x" * 1_000_001, "name": "a.txt"},
            FileNotAllowedError,
            "1000001 bytes, and a file may have 1000000",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(arguments: dict[str, Any], error: type[Exception], text: str):
    """The text names the value and the limit."""

    async def main() -> None:
        session, transport = await begin()
        with pytest.raises(error, match=text):
            await session.send_file(arguments.pop("source"), **arguments)
        assert "SendFileCommand" not in transport.kinds
        await session.leave()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (FileLimits(max_files=2, used_files=2), "2 of 2 files were sent already"),
        (FileLimits(max_files=0), "0 of 0 files"),
        (FileLimits(max_total_size=10, used_total_size=8), "3 bytes, and 2 are left of the 10"),
        (FileLimits(max_total_size=0), "0 are left of the 0"),
        (FileLimits(needs_agent=True), "only while an agent is in the conversation"),
    ],
)
def test_each_limit_is_kept(limits: FileLimits, text: str):
    """Number, sum and presence of an agent."""

    async def main() -> None:
        session, _ = await begin(FileTransport(limits))
        with pytest.raises(FileNotAllowedError, match=text):
            await session.send_file(b"abc", name="a.txt")
        await session.leave()

    asyncio.run(main())


def test_no_limits_limit_nothing_and_an_agent_opens_the_door():
    """A server that says nothing takes everything; an answer without limits is no answer."""

    async def main() -> None:
        session, transport = await begin(FileTransport(FileLimits(needs_agent=True)))
        transport.backend.agent_joins()
        while len(session.parties) < 2:
            await asyncio.sleep(0.001)
        assert await session.send_file(b"", name="anything") == "f1"
        transport.limits = None
        with pytest.raises(ProtocolError, match="without limits"):
            await session.file_limits()
        await session.leave()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("pieces", "size", "text"), [((b"ab",), 1, "more than the 1 bytes"), ((b"ab",), 3, "has 2 bytes, and 3")]
)
def test_a_source_must_be_as_large_as_was_said(pieces: tuple[bytes, ...], size: int, text: str):
    """Else the upload breaks off instead of being cut or padded."""

    async def main() -> None:
        session, _ = await begin()
        with pytest.raises(OptionError, match=text):
            await session.send_file(in_pieces(*pieces), name="a.txt", size=size)
        await session.leave()

    asyncio.run(main())


def test_a_download_appears_all_at_once(tmp_path: Path):
    """Nothing is there before the end, and afterwards only the file, for this user alone."""
    place = tmp_path / "got.txt"
    seen: list[tuple[int, int | None]] = []

    async def main() -> None:
        session, transport = await begin()
        transport.after_first.clear()
        pending = session.download_file("f1", to=place, progress=lambda done, total: seen.append((done, total)))
        task = asyncio.create_task(pending)
        while not seen:
            await asyncio.sleep(0.001)
        assert not place.exists()
        transport.after_first.set()
        assert await task == place
        await session.leave()

    asyncio.run(main())
    assert place.read_bytes() == b"onetwo"
    assert place.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["got.txt"]
    assert seen == [(3, 6), (6, 6)]


def test_a_download_that_fails_leaves_nothing_behind(tmp_path: Path):
    """Refused places, files that are there, a broken transfer, one that grows too large."""
    there = tmp_path / "there.txt"
    there.write_text("mine")

    async def main() -> None:
        session, transport = await begin()
        for place, text in (
            (tmp_path, "is a directory"),
            (there, "is there already"),
            (tmp_path / "no" / "such.txt", "cannot be written"),
        ):
            with pytest.raises(OptionError, match=text):
                await session.download_file("f1", to=place)
        with pytest.raises(OptionError, match="larger than the 5 bytes"):
            await session.download_file("f1", to=tmp_path / "new.txt", max_size=5)
        transport.fault = AmbiguousError("broken")
        with pytest.raises(AmbiguousError):
            await session.download_file("f1", to=tmp_path / "new.txt")
        transport.fault = None
        for wrong in ("", "..", "a\nb", "x" * 600):
            with pytest.raises(OptionError, match="file_id"):
                await session.download_file(wrong, to=tmp_path / "new.txt")
        with pytest.raises(OptionTypeError, match="file_id"):
            await session.delete_file(7)
        with pytest.raises(OptionError, match="max_size"):
            await session.download_file("f1", to=tmp_path / "new.txt", max_size=-1)
        assert await session.download_file("f1", to=there, overwrite=True) == there
        await session.leave()

    asyncio.run(main())
    assert [one.name for one in tmp_path.iterdir()] == ["there.txt"]
    assert there.read_bytes() == b"onetwo"


def test_a_disk_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file system's words arrive, and nothing is left behind."""

    async def main() -> None:
        session, _ = await begin()

        def full(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(transfer, "_write_some", full)
        with pytest.raises(StorageUnavailableError, match="No space left on device"):
            await session.download_file("f1", to=tmp_path / "new.txt")
        await session.leave()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_download_can_be_iterated_over():
    """A slow reader slows it down; its size is known from the first piece on."""

    async def main() -> None:
        session, transport = await begin()
        transport.pieces = [bytes([number]) for number in range(20)]
        transport.total = 20
        download = await session.download_file("f1")
        assert [piece async for piece in download] == transport.pieces
        assert download.size == 20
        transport.fault = AmbiguousError("broken")
        download = await session.download_file("f1")
        assert [await anext(download) for _ in range(20)] == transport.pieces
        with pytest.raises(AmbiguousError):
            await anext(download)
        download = await session.download_file("f1", max_size=3)
        with pytest.raises(OptionError, match="larger than the 3 bytes"):
            await anext(download)
        await session.leave()

    asyncio.run(main())


def test_a_download_can_be_given_up_and_a_wait_be_cancelled_without_losing_a_piece():
    """``aclose`` ends it; a cancelled wait leaves the next piece for the next one."""

    async def main() -> None:
        session, transport = await begin()
        async with await session.download_file("f1") as download:
            assert await anext(download) == b"one"
        assert [piece async for piece in download] == []
        transport.after_first.clear()
        async with await session.download_file("f1") as download:
            assert await anext(download) == b"one"
            waiting = asyncio.create_task(anext(download))
            await asyncio.sleep(0)
            waiting.cancel()
            transport.after_first.set()
            assert [piece async for piece in download] == [b"two"]
        await session.leave()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["leave", "detach"])
def test_a_session_that_ends_ends_its_downloads(how: str):
    """A reader is told, and is not left with a part that looks like the whole."""

    async def main() -> None:
        session, transport = await begin()
        transport.after_first.clear()
        download = await session.download_file("f1")
        assert await anext(download) == b"one"
        await getattr(session, how)()
        with pytest.raises(SessionEndedError, match="given up"):
            await anext(download)

    asyncio.run(main())


def test_a_transport_without_files_says_so():
    """Before anything is sent or opened."""

    async def main() -> None:
        session = await open_session(FakeTransport())
        for pending in (
            session.file_limits(),
            session.send_file("/no/such/file"),
            session.download_file("f1", to="/no/such/place"),
            session.download_file("f1"),
            session.delete_file("f1"),
        ):
            with pytest.raises(UnsupportedCommandError, match="does not offer"):
                await pending
        await session.leave()

    asyncio.run(main())


def test_a_file_is_deleted():
    """By its id."""

    async def main() -> None:
        session, transport = await begin()
        await session.delete_file("f1")
        assert transport.commands == [DeleteFileCommand(file_id="f1")]
        await session.leave()

    asyncio.run(main())
