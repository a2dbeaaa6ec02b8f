"""Connections: one client per event loop and server, shared by all sessions that use it, closed by the last one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Hashable
from typing import Any, Final
from weakref import WeakKeyDictionary

import redis.asyncio
from attrs import define
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from chat_core import OptionError
from chat_storage_redis.options import RedisOptions

__all__ = ["CONNECTIONS", "give_back", "take"]

#: Connections to one server at most. A call that finds none free waits for one.
CONNECTIONS: Final = 32


@define
class _Shared:
    client: redis.asyncio.Redis
    users: int = 0


_guard = threading.Lock()
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Shared]] = WeakKeyDictionary()


def take(options: RedisOptions) -> redis.asyncio.Redis:
    """Return the running loop's client for these options; each one taken is given back once.

    Raises:
        OptionError: redis-py does not take the options.
    """
    key = _key(options)
    with _guard:
        clients = _shared.setdefault(asyncio.get_running_loop(), {})
        if key not in clients:
            clients[key] = _Shared(_make(options))
        clients[key].users += 1
        return clients[key].client


async def give_back(options: RedisOptions) -> None:
    """Let go of the client; nobody needs it any more when the last one did."""
    key = _key(options)
    with _guard:
        clients = _shared.get(asyncio.get_running_loop(), {})
        shared = clients.get(key)
        if shared is None:
            return
        shared.users -= 1
        if shared.users:
            return
        del clients[key]
    with contextlib.suppress(RedisError, OSError):
        await shared.client.aclose()


def _key(options: RedisOptions) -> Hashable:
    key = (options.url, options.timeout, frozenset(options.connection.items()))
    try:
        hash(key)
    except TypeError:
        return id(options)
    return key


def _make(options: RedisOptions) -> redis.asyncio.Redis:
    given: dict[str, Any] = {
        # Who writes has to know whether it was tried before.
        "retry": Retry(NoBackoff(), 0),
        "max_connections": CONNECTIONS,
        "timeout": options.timeout,
        **options.connection,
    }
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(options.url, **given)
        pool.make_connection()  # type: ignore[no-untyped-call] # it takes the options or does not; nothing connects
    except (ValueError, TypeError, RedisError):
        # What redis-py says may quote the address, and that may hold a password.
        problem = OptionError(
            "storage_options: redis-py does not take the url and connection given",
            advice="check the part of the url behind the host, and the names in connection",
        )
    else:
        return redis.asyncio.Redis.from_pool(pool)
    raise problem
