"""What a logger is: something that takes any number of arguments of any type, as ``console.log`` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from attrs import field, frozen

if TYPE_CHECKING:
    import logging

#: What may be given as ``logger``.
LoggerLike: TypeAlias = "Callable[..., object] | logging.Logger"

__all__ = ["Log", "LoggerContext", "LoggerLike"]


@runtime_checkable
class Log(Protocol):
    """What the core and its plugins log to. Arguments are redacted by structure before they get anywhere.

    A first argument that is a string is the sentence; the others are values beside it. Mappings are redacted key by
    key, bytes and message text become lengths. Never raises.
    """

    def debug(self, *args: Any) -> None:
        """Log what helps to follow one chat."""
        ...

    def info(self, *args: Any) -> None:
        """Log a decision or a turn of events that an operator wants to know."""
        ...

    def warning(self, *args: Any) -> None:
        """Log what the user should look at."""
        ...

    def error(self, *args: Any) -> None:
        """Log what went wrong in a callback or plugin of the user."""
        ...


@frozen(kw_only=True)
class LoggerContext:
    """What a logger's factory is given: the profile's name and an instance of the provider's options class.

    What it makes is called on the session's event loop, so it returns at once, and now and then from other threads. It
    takes any number of arguments of any type; they have been redacted.
    """

    profile: str = "default"
    options: Any = field(default=None, repr=False)
