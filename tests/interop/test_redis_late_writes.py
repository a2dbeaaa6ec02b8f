"""RP-6: a write to Redis that was given up, and comes after a later one over another connection, changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Self

import pytest

from chat_core import StorageTimeoutError
from chat_storage_redis._storage import RedisStorage
from chat_storage_redis.options import RedisOptions
from support.redis_server import SERVERS, RedisServer


class SlowRoad:
    """Between a storage and its server: what a connection sends while ``stalled`` arrives when it is let go."""

    def __init__(self, port: int) -> None:
        self.stalled = False
        self._port = port
        self._answered = asyncio.Event()
        self._late: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def let_go(self) -> None:
        """Deliver what was held back, and wait until the server has answered it."""
        self._answered.clear()
        for writer, data in self._late:
            writer.write(data)
            await writer.drain()
        self._late.clear()
        await self._answered.wait()

    @property
    def holds_back(self) -> bool:
        return bool(self._late)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        answers = asyncio.create_task(self._answer(there, writer))
        self._tasks.add(answers)
        stuck = False
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    stuck = stuck or self.stalled
                    if stuck:
                        self._late.append((back, data))
                    else:
                        back.write(data)
                        await back.drain()
            if stuck:
                await answers  # the server's end stays open
        finally:
            for end in (writer, back):
                end.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self._answered.set()
            with contextlib.suppress(OSError):  # of a connection that was given up
                writer.write(data)
                await writer.drain()


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("first", [{"n": 1}, None])
@pytest.mark.parametrize("second", [{"n": 2}, None])
def test_rp06_a_write_that_comes_late_changes_nothing(
    name: str, first: Mapping[str, Any] | None, second: Mapping[str, Any] | None
):
    async def main(port: int) -> None:
        async with SlowRoad(port) as road:
            storage = RedisStorage(RedisOptions(url=f"redis://127.0.0.1:{road.port}/0", timeout=0.5), "p")
            await storage.acquire()
            await storage.write({"n": 0})
            road.stalled = True
            with pytest.raises((TimeoutError, StorageTimeoutError)):
                await storage.write(first)
            assert road.holds_back
            road.stalled = False
            await storage.write(second)
            assert await storage.read() == second
            async with asyncio.timeout(5):
                await road.let_go()
            assert await storage.read() == second
            # And the owner goes on writing.
            await storage.write({"n": 3})
            assert await storage.read() == {"n": 3}
            await storage.release()

    with RedisServer(name) as server:
        asyncio.run(main(int(server.url.rsplit(":", 1)[1].split("/")[0])))


@pytest.mark.parametrize("name", SERVERS)
def test_rp04_a_write_that_was_done_and_then_refused_is_not_told_as_not_done(name: str):
    """The connection breaks before the answer, and the second attempt is refused, as after a failover."""

    async def main(server: RedisServer) -> None:
        port = int(server.url.rsplit(":", 1)[1].split("/")[0])

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", port)

            async def answer() -> None:
                while data := await there.read(65536):
                    if breaks:
                        breaks.clear()
                        with server.client() as client:
                            client.config_set("min-replicas-to-write", 1)
                        writer.close()
                        return
                    writer.write(data)
                    await writer.drain()

            answering = asyncio.create_task(answer())
            try:
                while data := await reader.read(65536):
                    back.write(data)
                    await back.drain()
                await answering
            except OSError:
                pass
            finally:
                answering.cancel()
                for end in (writer, back):
                    end.close()

        breaks: list[bool] = []
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as between:
            url = f"redis://127.0.0.1:{between.sockets[0].getsockname()[1]}/0"
            storage = RedisStorage(RedisOptions(url=url), "p")
            await storage.acquire()
            await storage.write({"n": 0})
            breaks.append(True)
            with pytest.raises(StorageTimeoutError, match="second attempt ended with NOREPLICAS"):
                await storage.write({"n": 1})
            with server.client() as client:
                client.config_set("min-replicas-to-write", 0)
            assert await storage.read() == {"n": 1}
            await storage.write({"n": 2})
            await storage.release()

    with RedisServer(name) as server:
        asyncio.run(main(server))
