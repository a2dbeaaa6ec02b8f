"""What ``chat-core doctor`` asks a Redis server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import redis

from chat_core import ProbeStep, StorageContext, StorageError
from chat_storage_redis._errors import our_errors
from chat_storage_redis.options import RedisOptions

__all__ = ["probe"]

#: What the scripts are written for.
_OLDEST = 7


def probe(context: StorageContext) -> Iterator[ProbeStep]:
    """Ask the server for its version, what it does when it is full, and whether it keeps anything on disk."""
    options = context.options
    assert isinstance(options, RedisOptions)
    limits: dict[str, Any] = {"socket_timeout": options.timeout, "socket_connect_timeout": options.timeout}
    try:
        with our_errors(), redis.from_url(options.url, **limits, **options.connection) as client:
            info: dict[str, Any] = client.info("server")
            settings = _settings(client)
    except StorageError as error:
        yield ProbeStep(name="server", ok=False, detail=str(error))
        return
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version", info.get("redis_version", "0")))
    new_enough = int(version.partition(".")[0] or 0) >= _OLDEST
    yield ProbeStep(
        name="server",
        ok=new_enough,
        detail=f"{name} {version} answers" + ("" if new_enough else f"; it has to be {_OLDEST} or newer"),
    )
    policy = settings.get("maxmemory-policy", "")
    if policy:
        detail = policy if policy == "noeviction" else f"{policy}: when it is full it may drop states and leases"
        yield ProbeStep(name="when it is full", ok=True if policy == "noeviction" else None, detail=detail)
    if "appendonly" in settings:
        kept = settings["appendonly"] == "yes"
        yield ProbeStep(
            name="on disk",
            ok=True if kept else None,
            detail="appendonly" if kept else "no appendonly: a restart of the server may lose states",
        )


def _settings(client: redis.Redis) -> dict[str, str]:
    """Return the server's settings, none where it does not tell them."""
    settings: dict[str, str] = {}
    with contextlib.suppress(redis.RedisError):
        settings = client.config_get("maxmemory-policy", "appendonly")  # type: ignore[assignment] # not the async one
    return settings
