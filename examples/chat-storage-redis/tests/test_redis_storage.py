"""The Redis storage on a real server."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

import pytest
import redis

from chat_core import (
    OptionError,
    StateCorruptError,
    StorageCapacityError,
    StorageContext,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_storage_redis import RedisOptions, provider

STATE = {"version": 1, "link": {"secure_key": "canary", "empty": {}, "none": None}, "outbox": [{"text": "é \ud800 𐍈"}]}


def make(url: str, profile: str = "default", **options: Any) -> Any:
    return provider.factory(StorageContext(profile=profile, options=RedisOptions(url=url, **options), log=None))


def test_what_was_written_is_read_back_and_cleared(server: Any):
    """Whole, by another object too; profiles do not see each other; after ``release`` it can be used again."""

    async def main() -> None:
        one, other = make(server.url), make(server.url, "other \ud800")
        assert await one.read() is None
        await one.write(STATE)
        await one.write({"version": 2})
        await other.write(STATE)
        await one.release()
        await one.release()
        again = make(server.url)
        assert await again.read() == {"version": 2}
        assert await other.read() == STATE
        await one.write(None)
        await one.write(None)
        assert await again.read() is None
        for storage in (one, other, again):
            await storage.release()

    asyncio.run(main())


def test_a_state_expires_after_its_time(server: Any):
    """Counted from its last change, to the millisecond."""

    async def main() -> None:
        storage = make(server.url, keep=1234.5)
        await storage.write(STATE)
        await storage.release()

    asyncio.run(main())
    with redis.from_url(server.url) as client:
        assert 1_200_000 < client.pttl("chat-core:default") <= 1_234_500


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, b"\xff"])
def test_a_damaged_state_is_an_error_without_its_text_and_a_write_heals_it(server: Any, text: Any):
    """It is never taken for "no state"."""
    with redis.from_url(server.url) as client:
        client.set("chat-core:default", text)

    async def main() -> None:
        storage = make(server.url)
        with pytest.raises(StateCorruptError, match="is damaged") as caught:
            await storage.read()
        assert caught.value.__context__ is None
        await storage.write(STATE)
        assert await storage.read() == STATE
        await storage.release()

    asyncio.run(main())


def test_a_server_that_goes_and_comes_back_is_used_again(server: Any):
    """Meanwhile the storage is unavailable, never empty; no exception of redis-py gets out."""

    async def main() -> None:
        storage = make(server.url)
        await storage.write(STATE)
        server.stop()
        for call in (storage.read(), storage.write(STATE)):
            with pytest.raises(StorageUnavailableError, match="cannot be used") as caught:
                await call
            assert isinstance(caught.value.__cause__, redis.exceptions.RedisError)
        server.start()
        assert await storage.read() is None  # this server keeps nothing on disk
        await storage.write(STATE)
        assert await storage.read() == STATE
        await storage.release()

    asyncio.run(main())


def test_a_server_that_is_silent_is_given_up_in_time():
    """It accepts the connection and says nothing more."""
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{place}/s")
        silent.listen()

        async def main() -> None:
            storage = make(f"unix://{place}/s", timeout=0.2)
            began = time.monotonic()
            with pytest.raises(StorageTimeoutError, match="did not answer in time"):
                await storage.read()
            assert time.monotonic() - began < storage.deadline
            await storage.release()

        asyncio.run(main())


def test_a_full_server_says_so_and_keeps_the_old_state(server: Any):
    """``maxmemory`` is reached."""

    async def main() -> None:
        storage = make(server.url)
        await storage.write(STATE)
        with redis.from_url(server.url) as client:
            client.config_set("maxmemory", "1")
        with pytest.raises(StorageCapacityError, match="no memory left"):
            await storage.write({"version": 2})
        assert await storage.read() == STATE
        await storage.release()

    asyncio.run(main())


def test_a_chat_leaves_no_connection_behind(server: Any):
    """The core closes what the storage holds open, warnings being errors."""
    code = """
import asyncio, sys
import chat_core
from chat_sandbox import Sandbox, echo

async def main():
    async with Sandbox(agent=echo) as sandbox:
        options = {"state_storage": "redis", "storage_options": {"url": sys.argv[1]}}
        session = await chat_core.start_session(server_url=sandbox.cometd_url, **options)
        await session.send_message("Hello", until="echoed")
        assert session.guarantees.outbox_is_saved and not session.guarantees.single_owner
        await session.detach()
        async with chat_core.restore_session(**options) as session:
            print((await session.send_message("again", until="echoed")).index)

asyncio.run(main())
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, server.url], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert int(result.stdout) > 3
    with redis.from_url(server.url) as client:
        assert client.keys() == []
        assert len(client.client_list()) == 1


def test_it_is_found_and_looked_at(server: Any):
    """``chat-core doctor`` says what answers; the address, which may hold a password, is not shown."""

    def doctor(url: str) -> subprocess.CompletedProcess[str]:
        option = ("--storage", "redis", "--storage-option", f"url={url}")
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "chat_core", "doctor", *option],
            capture_output=True,
            text=True,
            timeout=60,
        )

    there = doctor(server.url)
    assert "server: ok Redis " in there.stdout
    nobody = doctor("redis://:canary@127.0.0.1:9/0")
    assert nobody.returncode == 1
    assert "server: FAILED the Redis server cannot be used" in nobody.stdout
    assert "canary" not in nobody.stdout + nobody.stderr


@pytest.mark.parametrize("options", [{"url": "http://x:canary@y/"}, {"url": 5}, {"keep": 0}, {"timeout": True}])
def test_wrong_options_are_refused_and_no_password_is_shown(options: dict[str, Any]):
    """Before anything is done."""
    with pytest.raises(OptionError) as caught:
        RedisOptions(**options)
    assert "canary" not in str(caught.value) + repr(RedisOptions(url="redis://:canary@y/"))
