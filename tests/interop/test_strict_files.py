"""Files, by the client, against the server that takes the protocol page at its word (sections 2.2, 2.8 and 3.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chat_core import FileDeleted, FileNotAllowedError, FileUploaded, RefusedError
from interop.strict_gms import Limits, StrictGms
from support.strict import CARRIERS, everything, shown, start

#: Bytes that are neither text nor a multipart boundary by themselves.
CONTENT = bytes(range(256)) * 40 + b"\r\n--boundary--\r\n"


@asynccontextmanager
async def strict(**options: Any) -> AsyncIterator[StrictGms]:
    """A server whose list of violations is empty in the end."""
    async with StrictGms(**options) as server:
        yield server
    assert server.violations == []


@pytest.fixture
def bill(tmp_path: Path) -> Path:
    path = tmp_path / "Räk ning.pdf"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_file_goes_there_and_back(carrier: str, bill: Path, tmp_path: Path):
    """Limits, upload, its event, download, delete, its event; the bytes are the same."""

    async def main() -> None:
        async with strict() as server:
            session = await start(server, carrier)
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            await session.file_limits()
            assert chat.counts.asked
            file_id = await session.send_file(bill, description="the bill")
            stored = chat.files[file_id]
            assert (stored.upload.name, stored.upload.content) == (bill.name, CONTENT)
            assert stored.user_data["file-description"] == "the bill"
            event = await session.wait_for(FileUploaded, timeout=5, own=True)
            assert (event.file_id, event.name, event.own) == (file_id, bill.name, True)
            copy = tmp_path / "copy.pdf"
            await session.download_file(file_id, to=copy)
            assert copy.read_bytes() == CONTENT
            await session.delete_file(file_id)
            assert stored.deleted
            assert (await session.wait_for(FileDeleted, timeout=5, own=True)).file_id == file_id
            await session.send_message("there it is", until="echoed")
            await session.leave()
            lines = shown(await everything(session))
            assert lines == ["Ada joined", "Grace joined", "there it is", "ended left"]

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_agent_sends_a_file(carrier: str, tmp_path: Path):
    """Section 2.8: FileUploaded brings the name and the id that the download needs."""

    async def main() -> None:
        async with strict() as server:
            session = await start(server, carrier)
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            chat.agent_sends_file("offer.pdf", CONTENT)
            event = await session.wait_for(FileUploaded, timeout=5)
            assert (event.name, event.own) == ("offer.pdf", False)
            copy = tmp_path / "offer.pdf"
            await session.download_file(event.file_id, to=copy)
            assert copy.read_bytes() == CONTENT
            await session.leave()

    asyncio.run(main())


LIMITS = {
    "too many": (Limits(upload_max_files=0), "bill.pdf"),
    "too large": (Limits(upload_max_file_size=10), "bill.pdf"),
    "too much": (Limits(upload_max_total_size=10), "bill.pdf"),
    "type": (Limits(), "bill.exe"),
    "no agent": (Limits(upload_need_agent=True), "bill.pdf"),
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("why", LIMITS)
def test_a_file_beyond_the_limits_is_not_sent(carrier: str, why: str, tmp_path: Path):
    """Section 2.8: limits are asked first, and Genesys' rule decides; the chat goes on."""
    limits, name = LIMITS[why]

    async def main() -> None:
        path = tmp_path / name
        path.write_bytes(CONTENT)
        async with strict(limits=limits) as server:
            session = await start(server, carrier)
            chat = await server.next_chat()
            with pytest.raises(FileNotAllowedError):
                await session.send_file(path)
            assert chat.counts.asked
            assert "file" not in chat.operations
            await session.send_message("still here", until="echoed")
            await session.leave()

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("code", [201, 202, 203])
def test_a_file_that_the_server_refuses(carrier: str, code: int, bill: Path):
    """Section 2.5: codes 201 to 203 arrive with their words; the chat goes on."""

    async def main() -> None:
        async with strict() as server:
            session = await start(server, carrier)
            chat = await server.next_chat()
            server.refuse_files = (code, "The rules have changed.")
            with pytest.raises(RefusedError, match="The rules have changed") as caught:
                await session.send_file(bill)
            assert caught.value.code == code
            assert not chat.files
            await session.send_message("still here", until="echoed")
            await session.leave()

    asyncio.run(main())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_download_that_is_refused_is_no_file(carrier: str, tmp_path: Path):
    """Sections 2.2 and 2.8: the answer is the file itself, whatever is in it; no attempt left is an error."""
    content = b'{"statusCode":2,"chatEnded":false,"errors":[{"code":100,"advice":"so says the file"}]}'

    async def main() -> None:
        async with strict() as server:
            session = await start(server, carrier)
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            file_id = chat.agent_sends_file("answer.json", content)
            for number in range(2):
                copy = tmp_path / f"{number}.json"
                await session.download_file(file_id, to=copy)
                assert copy.read_bytes() == content
            with pytest.raises(RefusedError):
                await session.download_file(file_id, to=tmp_path / "2.json")
            await session.leave()

    asyncio.run(main())
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["0.json", "1.json"]
