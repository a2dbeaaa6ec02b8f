"""Keeps the HTTP library's own log lines about our requests to ourselves, whatever levels a program sets (RP-10).

At DEBUG it writes addresses and headers of the answers out, and with them the cookies that open a session on a load
balancer. What else a program does with the library is logged as it wants.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["hushed"]

_ours: ContextVar[bool] = ContextVar("chat_gms_request", default=False)

#: A filter concerns what is written to a logger itself, not what its children write, so each is named.
_LOGGERS: Final = (
    *("httpx", "httpx2", "httpcore", "httpcore2"),
    *(
        f"httpcore{number}.{part}"
        for number in ("", "2")
        for part in ("connection", "http11", "http2", "proxy", "socks")
    ),
)


@contextmanager
def hushed() -> Iterator[None]:
    """What the library logs below WARNING in here, and in tasks that are begun in here, is dropped."""
    _install()
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


def _passes(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not _ours.get()


@functools.cache
def _install() -> None:
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_passes)
