"""The storage: one hash per profile, whose owner holds a lease."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import redis.asyncio
import redis.exceptions

from chat_core import (
    ErrorCode,
    LeaseLostError,
    OptionError,
    SessionInUseError,
    StateCorruptError,
    StorageContext,
)
from chat_storage_redis import _clients, _scripts
from chat_storage_redis._errors import our_errors
from chat_storage_redis.options import RedisOptions

__all__ = ["RedisStorage", "make_storage"]

#: Names this process among all that share a server; a forked child gets another one.
_PROCESS: Final = uuid.uuid4().hex


def _process() -> str:
    return f"{_PROCESS}-{os.getpid()}"


class RedisStorage:
    """One profile's state. Its methods are async: the session awaits them in its own loop.

    Args:
        options: where and for how long.
        profile: whose state it is.
    """

    def __init__(self, options: RedisOptions, profile: str) -> None:
        self._options = options
        self._profile = profile
        self._member = profile.encode("utf-8", "surrogatepass")
        prefix = options.prefix.encode()
        self._keys = [prefix + b"session:" + self._member, prefix + b"leases"]
        self._sessions = prefix + b"session:"
        #: Seconds for which the ownership is granted, for the session.
        self.lease = float(options.lease)
        #: Seconds for one call, for the session; a little more than the storage takes by itself.
        self.deadline = options.timeout + 1.0
        #: Whom the server knows the owner by, and since when.
        self._owner = f"{_process()}-{uuid.uuid4().hex}"
        self._epoch = "0"
        self._until = "0"
        #: How often it has written.
        self._serial = 0
        self._client: redis.asyncio.Redis | None = None

    async def acquire(self) -> None:
        """Become the owner, for ``lease`` seconds.

        Raises:
            SessionInUseError: somebody else is.
            StorageError: the server cannot be used.
        """
        try:
            granted, *rest = await self._run(
                _scripts.ACQUIRE, self._keys, self._owner, self._milliseconds, self._member
            )
        except BaseException:
            await self._let_go()
            raise
        if not granted:
            await self._let_go()
            raise self._in_use(*rest)
        self._epoch, self._until = rest[0].decode(), rest[1].decode()

    async def renew(self) -> None:
        """Own the state for another ``lease`` seconds.

        Raises:
            LeaseLostError: somebody else owns it, or has owned it.
            StorageError: the server cannot be used.
        """
        # Several attempts must fit into what is left of the lease.
        await self._as_owner(_scripts.RENEW, timeout=min(self._options.timeout, self.lease / 4))

    async def read(self) -> Mapping[str, Any] | None:
        """Return the state, None when there is none or it has expired.

        Raises:
            StateCorruptError: what is there is none.
            StorageError: the server cannot be used.
        """
        with our_errors():
            async with asyncio.timeout(self._options.timeout):
                text = await _twice(lambda: self._connection().hget(self._keys[0], "state"))
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
        """Replace the state; None clears it.

        Raises:
            LeaseLostError: this is not the owner any more; nothing was changed.
            StorageError: the server cannot be used, or has no memory left.
        """
        if state is None:
            await self._write(_scripts.CLEAR)
        else:
            await self._write(_scripts.WRITE, json.dumps(state))

    async def release(self) -> None:
        """Stop being the owner, and close the connections if nobody else uses them. Idempotent.

        Raises:
            StorageError: the server cannot be used; the lease runs out by itself.
        """
        if self._client is None:
            return
        try:
            keep = int(self._options.keep * 1000)
            await self._run(_scripts.RELEASE, self._keys, self._owner, self._member, keep, self._milliseconds)
        finally:
            await self._let_go()

    async def orphans(self, limit: int) -> Sequence[str]:
        """Return up to so many profiles with this prefix whose state is there and whose owner is not.

        Raises:
            StorageError: the server cannot be used.
        """
        found = await self._run(_scripts.ORPHANS, self._keys[1:], limit, self._sessions, self._milliseconds)
        return [profile.decode("utf-8", "surrogatepass") for profile in found]

    @property
    def _milliseconds(self) -> int:
        return int(self.lease * 1000)

    async def _write(self, script: str, *state: str) -> None:
        self._serial += 1
        await self._as_owner(script, self._serial, *state, writing=True)

    async def _as_owner(self, script: str, *more: Any, timeout: float | None = None, writing: bool = False) -> None:
        keep = int(self._options.keep * 1000)
        owner = (self._owner, self._epoch, self._until, self._milliseconds, self._member, keep)
        held, value = await self._run(script, self._keys, *owner, *more, timeout=timeout, writing=writing)
        if not held:
            raise LeaseLostError(
                f"the profile {self._profile!r} is owned by somebody else now, or was in the meantime",
                advice="restore the session to own it again",
            )
        self._until = value.decode()

    async def _run(
        self, script: str, keys: list[bytes], *arguments: Any, timeout: float | None = None, writing: bool = False
    ) -> Any:
        """Run a script within the time allowed. The library's own limits count for each attempt anew."""
        with our_errors(writing=writing):
            async with asyncio.timeout(self._options.timeout if timeout is None else timeout):
                call = self._connection().register_script(script)
                return await _twice(lambda: call(keys=keys, args=arguments), writing=writing)

    def _connection(self) -> redis.asyncio.Redis:
        if self._client is None:
            self._client = _clients.take(self._options)
        return self._client

    async def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _clients.give_back(self._options)

    def _in_use(self, owner: bytes, left: int) -> SessionInUseError:
        here = owner.decode("ascii", "replace").startswith(_process())
        if not owner:
            whose = "may be held by another process: the Redis server was restarted, and its owner may come back"
        else:
            whose = f"is held by {'a session of this' if here else 'another'} process"
        return SessionInUseError(
            f"the profile {self._profile!r} {whose}",
            code=ErrorCode.IN_USE_HERE if here else ErrorCode.IN_USE_ELSEWHERE,
            advice="give each session a name of its own with profile="
            if here
            else f"if its process is gone it is free in {left / 1000:.1f} s",
            retryable=not here,
        )


async def _twice(ask: Callable[[], Awaitable[Any]], *, writing: bool = False) -> Any:
    """Ask once more where the connection breaks: the server may have been started anew under it.

    Where that was a write, the first attempt may have been done; a second one that is refused says nothing of it.
    """
    try:
        return await ask()
    except (redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError):
        raise  # which are ConnectionErrors, and sure
    except redis.exceptions.ConnectionError:
        pass
    try:
        return await ask()
    except redis.exceptions.ResponseError as error:
        if not writing:
            raise
        kind = str(error).split(" ", 1)[0]  # of what it says, the rest may quote what was sent
    except redis.exceptions.RedisError as error:
        if not writing:
            raise
        kind = type(error).__name__
    raise redis.exceptions.ConnectionError(f"it broke, and the second attempt ended with {kind}")


def make_storage(context: StorageContext) -> RedisStorage:
    """Make the storage ``redis``; the provider's factory.

    Raises:
        OptionError: the options are not its own.
    """
    if not isinstance(context.options, RedisOptions):
        raise OptionError("the storage 'redis' was given options that are not its own")
    return RedisStorage(context.options, context.profile)
