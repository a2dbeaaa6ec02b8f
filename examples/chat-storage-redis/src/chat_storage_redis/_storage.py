"""The storage: one key per profile, which expires by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError

from chat_core import (
    ProbeStep,
    StateCorruptError,
    StorageCapacityError,
    StorageError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_storage_redis import RedisOptions

__all__ = ["RedisStorage", "probe"]


class RedisStorage:
    """One profile's state. Its methods are async: the session awaits them in its own loop."""

    def __init__(self, options: RedisOptions, profile: str) -> None:
        self._options = options
        self._profile = profile
        self._key = options.prefix.encode() + profile.encode("utf-8", "surrogatepass")
        self._client: redis.asyncio.Redis | None = None
        #: Seconds for one call, for the session; a little more than the storage takes by itself.
        self.deadline = options.timeout + 1.0

    async def read(self) -> Mapping[str, Any] | None:
        """Return the state, None when there is none or it has expired."""
        async with self._call() as client:
            text = await client.get(self._key)
        if text is None:
            return None
        try:
            state = json.loads(text)
        except (ValueError, RecursionError):
            state = None
        if not isinstance(state, dict):
            # The exception of the parser holds the text, and the text opens the chat: it is not chained.
            raise StateCorruptError(f"the state of the profile {self._profile!r} on Redis is damaged")
        return state

    async def write(self, state: Mapping[str, Any] | None) -> None:
        """Replace the state; None clears it."""
        async with self._call() as client:
            if state is None:
                await client.delete(self._key)
            else:
                await client.set(self._key, json.dumps(state), px=int(self._options.keep * 1000))

    async def release(self) -> None:
        """Close the connections. Called after the last read or write; the next one opens them again."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(RedisError, OSError):
                await client.aclose()

    @contextlib.asynccontextmanager
    async def _call(self) -> AsyncIterator[redis.asyncio.Redis]:
        """Do something within the time allowed. The library's own limits count for each attempt anew."""
        if self._client is None:
            # Once more, where the server was started anew under a connection of the pool.
            self._client = redis.asyncio.from_url(self._options.url, retry=Retry(NoBackoff(), 1))
        with _our_errors():
            async with asyncio.timeout(self._options.timeout):
                yield self._client


def probe(options: RedisOptions) -> Iterator[ProbeStep]:
    """Ask the server for its version."""
    try:
        with (
            _our_errors(),
            redis.from_url(
                options.url, socket_timeout=options.timeout, socket_connect_timeout=options.timeout
            ) as client,
        ):
            version = client.info("server").get("redis_version", "of an unknown version")
    except StorageError as error:
        yield ProbeStep(name="server", ok=False, detail=str(error))
    else:
        yield ProbeStep(name="server", ok=True, detail=f"Redis {version} answers")


@contextlib.contextmanager
def _our_errors() -> Iterator[None]:
    """Let no exception of redis-py out."""
    try:
        yield
    except (redis.exceptions.TimeoutError, TimeoutError) as error:
        raise StorageTimeoutError("the Redis server did not answer in time") from error
    except OutOfMemoryError as error:
        raise StorageCapacityError("the Redis server has no memory left; what it held before is unharmed") from error
    except (RedisError, OSError) as error:
        raise StorageUnavailableError(f"the Redis server cannot be used: {type(error).__name__}: {error}") from error
