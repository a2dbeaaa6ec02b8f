"""redis-py's exceptions in chat-core's words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from chat_core import StorageCapacityError, StorageTimeoutError, StorageUnavailableError

__all__ = ["our_errors"]


@contextlib.contextmanager
def our_errors(*, writing: bool = False) -> Iterator[None]:
    """Let no exception of redis-py out.

    Args:
        writing: where the connection breaks, what was asked for may have been done, though no answer came.
    """
    try:
        yield
    except (RedisTimeoutError, TimeoutError) as error:
        raise StorageTimeoutError("the Redis server did not answer in time") from error
    except OutOfMemoryError as error:
        raise StorageCapacityError(
            "the Redis server has no memory left; what it held before is unharmed",
            advice="raise its maxmemory, or take something else out of it",
        ) from error
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise StorageUnavailableError(
            f"the Redis server refuses this user: {type(error).__name__}: {error}",
            advice="check user and password in storage_options; a user needs +@scripting, +@hash, +@sortedset and the "
            "commands TIME, INFO and PEXPIRE on the keys of the prefix",
        ) from error
    except ResponseError as error:
        # It quotes what was sent, where the state may be: the first words say which kind of trouble it is.
        kind = str(error).split(" ", 1)[0]
        raise StorageUnavailableError(f"the Redis server refused a command: {kind}") from None
    except (RedisError, OSError) as error:
        if writing:
            raise StorageTimeoutError(
                f"the connection to the Redis server broke before it answered: {type(error).__name__}: {error}"
            ) from error
        raise StorageUnavailableError(f"the Redis server cannot be used: {type(error).__name__}: {error}") from error
