"""The Redis storage on real servers, Redis and Valkey: the contract, its leases, and what servers go through."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from chat_core import (
    LeaseLostError,
    OptionError,
    SessionInUseError,
    StateCorruptError,
    StorageCapacityError,
    StorageContext,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_core.testing import StorageConformance
from chat_storage_redis import RedisOptions, provider
from support.redis_server import SERVERS, RedisServer

STATE = {"version": 1, "link": {"secure_key": "canary", "empty": {}, "none": None}, "outbox": [{"text": "é \ud800 𐍈"}]}
KEY = "chat-core:session:default"


@pytest.fixture(scope="module", params=SERVERS)
def shared(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(request.param) as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    """A running server, without data."""
    with shared.client() as client:
        client.flushall()
    return shared


def make(url: str, profile: str = "default", **options: Any) -> Any:
    return provider.factory(StorageContext(profile=profile, options=RedisOptions(url=url, **options), log=None))


class TestConformance(StorageConformance):
    """The suite, on both servers."""

    provider = "redis"

    @pytest.fixture(autouse=True)
    def _on_a_real_server(self, server: RedisServer) -> None:
        self.options = {"url": server.url, "lease": 1.0}

    def damage(self, folder: Any) -> None:
        with redis.from_url(self.options["url"]) as client:
            for key in client.scan_iter("chat-core:session:conformance-*"):
                if state := client.hget(key, "state"):
                    client.hset(key, "state", state[:-1])


def test_what_was_written_is_read_back_and_cleared(server: RedisServer):
    """Whole, by another object too; after ``release`` an object can be used again."""

    async def main() -> None:
        one, other = make(server.url), make(server.url, "other \ud800")
        await one.acquire()
        await other.acquire()
        assert await one.read() is None
        await one.write(STATE)
        await one.write({"version": 2})
        await other.write(STATE)
        await one.release()
        await one.release()
        again = make(server.url)
        await again.acquire()
        assert await again.read() == {"version": 2}
        assert await other.read() == STATE
        await again.write(None)
        await again.write(None)
        assert await again.read() is None
        await again.release()
        await one.acquire()
        for storage in (one, other):
            await storage.release()

    asyncio.run(main())
    with server.client() as client:
        # No state is kept of a profile without one, and the rest not for long; nobody is connected any more.
        assert set(client.hkeys(KEY)) == {b"epoch", b"lease", b"run"}
        assert 0 < client.pttl(KEY) <= 24_000
        assert client.zrange("chat-core:leases", 0, -1) == ["other \ud800".encode(errors="surrogatepass")]
        assert len(client.client_list()) == 1


def test_a_state_expires_after_its_owners_last_sign_of_life(server: RedisServer):
    """A renewal is one; to the millisecond."""

    async def main() -> None:
        storage = make(server.url, keep=1234.5)
        await storage.acquire()
        await storage.write(STATE)
        with server.client() as client:
            client.pexpire(KEY, 1000)
            await storage.renew()
            assert 1_200_000 < client.pttl(KEY) <= 1_234_500
            client.pexpire(KEY, 1000)
        await storage.release()

    asyncio.run(main())
    with server.client() as client:
        assert 1_200_000 < client.pttl(KEY) <= 1_234_500


def test_rp14_a_state_that_is_kept_for_less_than_a_lease_does_not_take_the_lease_with_it(server: RedisServer):
    """While somebody owns it nothing expires, whether it was written lately or found when it was about to expire."""

    async def main() -> None:
        owner, rival = (make(server.url, keep=1.0, lease=4.0) for _ in range(2))
        await owner.acquire()
        await owner.write(STATE)
        with server.client() as client:
            assert client.pttl(KEY) > 4000
        await owner.release()
        with server.client() as client:
            assert client.pttl(KEY) <= 1000  # nobody owns it
            await owner.acquire()
            assert client.pttl(KEY) > 4000
        await asyncio.sleep(1.1)
        with pytest.raises(SessionInUseError):
            await rival.acquire()
        assert await owner.read() == STATE
        await owner.release()

    asyncio.run(main())


def test_rp6_what_comes_late_brings_an_ended_session_not_back(server: RedisServer):
    """A renewal or write that was given up may still be on its way when the owner has cleared the state and gone."""

    async def main() -> None:
        storage, other = make(server.url), make(server.url)
        await storage.acquire()
        await storage.write(STATE)
        await storage.write(None)
        await storage.release()
        for late in (storage.renew(), storage.write(STATE), storage.write(None)):
            with pytest.raises(LeaseLostError):
                await late
        await other.acquire()
        assert await other.read() is None
        for one in (storage, other):
            await one.release()
        with server.client() as client:
            # Only who it was is remembered, and not for long.
            assert 0 < client.pttl(KEY) <= 24_000
            assert client.zcard("chat-core:leases") == 0

    asyncio.run(main())


def test_what_has_expired_is_no_orphan(server: RedisServer):
    """And is not asked about again."""

    async def main() -> None:
        storage = make(server.url)
        await storage.acquire()
        await storage.write(STATE)
        await storage.release()
        assert list(await storage.orphans(10)) == ["default"]
        with server.client() as client:
            client.delete(KEY)
            assert list(await storage.orphans(10)) == []
            assert client.zcard("chat-core:leases") == 0
        await storage.release()

    asyncio.run(main())


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, b"\xff"])
def test_a_damaged_state_is_an_error_without_its_text_and_a_write_heals_it(server: RedisServer, text: Any):
    """It is never taken for "no state"."""
    with server.client() as client:
        client.hset(KEY, "state", text)

    async def main() -> None:
        storage = make(server.url)
        await storage.acquire()
        with pytest.raises(StateCorruptError, match="is damaged") as caught:
            await storage.read()
        assert caught.value.__context__ is None
        await storage.write(STATE)
        assert await storage.read() == STATE
        await storage.release()

    asyncio.run(main())


def test_an_owner_elsewhere_is_named_as_such_with_the_time_that_is_left(server: RedisServer):
    """Code 201; the same process is told 200 by the conformance suite."""
    code = """
import asyncio, sys
from chat_core import StorageContext
from chat_storage_redis import RedisOptions, provider
storage = provider.factory(StorageContext(profile="default", options=RedisOptions(url=sys.argv[1], lease=60), log=None))
asyncio.run(storage.acquire())
"""
    subprocess.run([sys.executable, "-c", code, server.url], check=True, timeout=60)

    async def main() -> None:
        with pytest.raises(SessionInUseError, match=r"another process.*free in (5\d|60)\.\d s") as caught:
            await make(server.url).acquire()
        assert caught.value.code == 201

    asyncio.run(main())


def test_an_acquire_whose_answer_was_lost_can_be_repeated(server: RedisServer):
    """By the same object; epochs only grow."""

    async def main() -> None:
        storage = make(server.url)
        await storage.acquire()
        first = int(storage._epoch)
        await storage.acquire()
        assert int(storage._epoch) > first
        await storage.write(STATE)
        await storage.release()

    asyncio.run(main())


def test_a_server_that_forgot_everything_gets_the_lease_back_from_its_owner():
    """A write and a renewal bring it back, as long as it lasts; meanwhile the storage is unavailable, never empty."""

    async def main(server: RedisServer) -> None:
        storage = make(server.url, lease=20.0)
        await storage.acquire()
        await storage.write(STATE)
        server.kill()
        for call, error, words in (
            (storage.read(), StorageUnavailableError, "cannot be used"),
            (storage.write(STATE), StorageTimeoutError, "broke before it answered"),  # it may have been done
            (storage.renew(), StorageUnavailableError, "cannot be used"),
        ):
            with pytest.raises(error, match=words) as caught:
                await call
            assert isinstance(caught.value.__cause__, redis.exceptions.RedisError)
        server.start()
        await storage.renew()
        assert await storage.read() is None  # this server keeps nothing on disk
        await storage.write(STATE)
        with pytest.raises(SessionInUseError):
            await make(server.url).acquire()
        assert await storage.read() == STATE
        await storage.release()

    with RedisServer() as server:
        asyncio.run(main(server))


def test_a_server_that_forgot_everything_takes_no_lease_that_has_run_out():
    """Somebody else may have had the session in between, and ended it."""

    async def main(server: RedisServer) -> None:
        storage = make(server.url, lease=0.5)
        await storage.acquire()
        await storage.write(STATE)
        with server.client() as client:
            client.flushall()
        await asyncio.sleep(0.6)
        for call in (storage.write(STATE), storage.write(None), storage.renew()):
            with pytest.raises(LeaseLostError):
                await call
        with server.client() as client:
            assert client.keys() == []
        await storage.release()

    with RedisServer() as server:
        asyncio.run(main(server))


@pytest.mark.parametrize("name", SERVERS)
def test_rp14_a_server_that_forgot_the_newest_lease_lets_nobody_in_until_it_would_have_run_out(name: str):
    """It was restarted with an older copy of its data, in which the profile had been given up."""

    async def main(server: RedisServer) -> None:
        owner, rival = make(server.url, lease=2.0), make(server.url, lease=2.0)
        await owner.acquire()
        await owner.write(STATE)
        await owner.release()
        with server.client() as client:
            older = {key: client.dump(key) for key in client.scan_iter()}
        await owner.acquire()
        with server.client() as client:
            for key, value in older.items():
                client.restore(key, 0, value, replace=True)
        server.kill()
        server.start()
        began = time.monotonic()
        with pytest.raises(SessionInUseError, match="was restarted"):
            await rival.acquire()
        assert list(await rival.orphans(10)) == []
        await owner.renew()  # it comes back
        with pytest.raises(SessionInUseError, match="held by a session of this"):
            await rival.acquire()
        while True:
            try:
                await rival.acquire()
            except SessionInUseError:
                await asyncio.sleep(0.05)
            else:
                break
        assert time.monotonic() - began > 1.9
        with pytest.raises(LeaseLostError):
            await owner.write({"version": 2})
        for storage in (owner, rival):
            await storage.release()

    with RedisServer(name, keeps=True) as server:
        asyncio.run(main(server))


def test_a_server_that_is_silent_is_given_up_in_time():
    """It accepts the connection and says nothing more."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()

        async def main() -> None:
            storage = make(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout=0.2)
            began = time.monotonic()
            with pytest.raises(StorageTimeoutError, match="did not answer in time"):
                await storage.acquire()
            assert time.monotonic() - began < storage.deadline
            await storage.release()

        asyncio.run(main())


def test_a_full_server_keeps_leases_and_old_states_and_takes_no_new_one(server: RedisServer):
    """``maxmemory`` is reached: acquire, renew, clear and release work, and a write says what is wrong."""

    async def main() -> None:
        storage, other = make(server.url), make(server.url, "other")
        await storage.acquire()
        await storage.write(STATE)
        server.fill()
        try:
            await storage.renew()
            with pytest.raises(StorageCapacityError, match="no memory left"):
                await storage.write({"version": 2})
            assert await storage.read() == STATE
            await storage.release()
            assert list(await other.orphans(10)) == ["default"]
            await other.acquire()
            await storage.acquire()
            await storage.write(None)
        finally:
            server.make_room()
        for one in (storage, other):
            await one.release()

    asyncio.run(main())


def test_a_hundred_sessions_share_a_few_connections(server: RedisServer):
    """And the last one closes them."""

    async def main() -> None:
        storages = [make(server.url, f"number {number}") for number in range(100)]
        await asyncio.gather(*(one.acquire() for one in storages))
        await asyncio.gather(*(one.write(STATE) for one in storages), *(one.renew() for one in storages))
        with server.client() as client:
            assert len(client.client_list()) <= 33
        await asyncio.gather(*(one.release() for one in storages))
        with server.client() as client:
            assert len(client.client_list()) == 1

    asyncio.run(main())


def test_user_and_password_are_needed_where_the_server_wants_them_and_shown_nowhere(server: RedisServer):
    """In the address or as redis-py's own options."""

    async def main() -> None:
        address = server.url.removeprefix("redis://")
        for options in (
            {"url": f"redis://bot:canary@{address}"},
            {"url": server.url, "connection": {"username": "bot", "password": "canary"}},
        ):
            storage = make(**options)
            await storage.acquire()
            await storage.write(STATE)
            await storage.write(None)
            await storage.release()
            assert "canary" not in repr(storage) + repr(RedisOptions(**options))
        for options in ({"url": f"redis://bot:canary-2@{address}"}, {"url": f"redis://small:canary@{address}"}):
            with pytest.raises(StorageUnavailableError, match="refuses this user") as caught:
                await make(**options).acquire()
            assert "canary" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"

    with server.client() as client:
        rules = ["+@scripting", "+@hash", "+@sortedset", "+time", "+info", "+pexpire"]
        client.execute_command("ACL", "SETUSER", "bot", "on", ">canary", "~chat-core:*", *rules)
        client.execute_command("ACL", "SETUSER", "small", "on", ">canary", "~chat-core:*", "+ping")
        try:
            asyncio.run(main())
        finally:
            client.execute_command("ACL", "DELUSER", "bot", "small")


def test_a_chat_leaves_no_connection_behind(server: RedisServer):
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
        assert session.guarantees.outbox_is_saved and session.guarantees.single_owner
        try:
            await chat_core.restore_session(**options)
        except chat_core.SessionInUseError as error:
            assert error.code == 200
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
    with server.client() as client:
        assert client.keys() == [KEY.encode()]
        assert client.hget(KEY, "state") is None
        assert len(client.client_list()) == 1


def test_doctor_finds_it_and_looks_at_it(server: RedisServer):
    """It says what answers and how it is set; the address, which may hold a password, is not shown."""

    def doctor(url: str) -> subprocess.CompletedProcess[str]:
        option = ("--storage", "redis", "--storage-option", f"url={url}")
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "chat_core", "doctor", *option],
            capture_output=True,
            text=True,
            timeout=60,
        )

    there = doctor(server.url).stdout
    assert "server: ok Redis 7" in there or "server: ok Valkey " in there
    assert "when it is full: ok noeviction" in there
    assert "no appendonly" in there
    nobody = doctor("redis://:canary@127.0.0.1:9/0")
    assert nobody.returncode == 1
    assert "server: FAILED the Redis server cannot be used" in nobody.stdout
    assert "canary" not in nobody.stdout + nobody.stderr


def test_what_redis_py_does_not_take_is_our_error_without_its_value():
    """Said before anything connects."""

    async def main() -> None:
        with pytest.raises(OptionError, match="does not take") as caught:
            await make("redis://127.0.0.1:9/0", connection={"no_such_option": "canary"}).acquire()
        assert "canary" not in f"{caught.value!r} {caught.value}"

    asyncio.run(main())
