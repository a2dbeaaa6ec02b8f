"""Providers: what a plugin hands over in place of the thing itself, so that everything can be listed before it is made.

One frozen class per kind. The factory imports what is heavy; the provider does not.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from attrs import Attribute, field, frozen, validators

from chat_core._model.errors import InvalidPluginError

if TYPE_CHECKING:
    from chat_core._contracts.logger import LoggerContext, LoggerLike
    from chat_core._contracts.storage import StateStorage, StorageContext
    from chat_core._contracts.transport import Transport, TransportContext

__all__ = [
    "API",
    "Capability",
    "Kind",
    "LoggerProvider",
    "ProbeStep",
    "Provider",
    "StorageProvider",
    "TransportProvider",
]

#: The plugin interface that this chat-core has. A provider that asks for a higher one is ``incompatible``.
API = 1

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


class Kind(enum.StrEnum):
    """What a plugin provides."""

    TRANSPORT = "transport"
    STORAGE = "storage"
    LOGGER = "logger"


class Capability(enum.StrEnum):
    """What a plugin can do beyond its contract's core. Third parties may add names that begin with ``x-``."""

    # transports
    POSITION = "position"  #: events have indexes and ``fetch`` works: gaps can be closed
    PUSH = "push"  #: events arrive without being asked for
    TYPING = "typing"  #: takes ``TypingCommand``
    TYPING_PREVIEW = "typing-preview"  #: shows the agent the ``text`` of a ``TypingCommand``
    SET_USER_DATA = "set-user-data"  #: takes ``UserDataCommand``
    GET_USER_DATA = "get-user-data"  #: takes ``GetUserDataCommand``; else the session answers from what it knows
    DELETE_USER_DATA = "delete-user-data"  #: takes ``DeleteUserDataCommand``
    NICKNAME = "nickname"  #: takes ``NicknameCommand``
    CUSTOM_NOTICE = "custom-notice"  #: takes ``CustomNoticeCommand``
    FILES = "files"  #: takes ``FileLimitsCommand``, ``SendFileCommand`` and the other two about files
    # storages
    PERSISTENT = "persistent"  #: the state outlives the process
    OUTBOX = "outbox"  #: unsent messages may be kept in it
    OWNERSHIP = "ownership"  #: knows its owner; see ``OwnedStorage``
    LEASE = "lease"  #: the ownership ends by itself unless renewed; see ``LeasedStorage``
    SHARED = "shared"  #: several machines can reach it
    ATOMIC = "atomic"  #: an interrupted write leaves the old state
    INLINE = "inline"  #: never blocks (``blocking = False``): called without a thread


def _check_name(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidPluginError(
            f"a provider's {attribute.name} must be lower-case letters, digits and hyphens, beginning with a letter, "
            f"at most 64 of them, not {value!r}",
            advice="rename it",
        )


def _check_factory(_: Any, __: Any, value: Any) -> None:
    if not callable(value):
        raise InvalidPluginError(f"a provider's factory must be callable, not {value!r}")


def _check_options(_: Any, __: Any, value: Any) -> None:
    if value is not None and not (isinstance(value, type) and hasattr(value, "__attrs_attrs__")):
        raise InvalidPluginError(
            f"a provider's options must be an attrs class or None, not {value!r}",
            advice="decorate it with @attrs.frozen(kw_only=True)",
        )


def _freeze(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


def _check_capabilities(_: Any, __: Any, value: frozenset[str]) -> None:
    known = {str(member) for member in Capability}
    for name in value:
        if not isinstance(name, str) or (name not in known and not name.startswith("x-")):
            raise InvalidPluginError(
                f"{name!r} is no capability",
                advice="use a member of chat_core.Capability, or a name of your own that begins with 'x-'",
            )


@frozen(kw_only=True)
class Provider:
    """What all providers have. The entry point that leads to it is named ``<kind>_<name>``, with ``_`` for ``-``.

    Attributes:
        name: how a user selects it, e.g. ``rest``: lower-case letters, digits, hyphens.
        summary: one line for lists, up to 100 characters.
        factory: makes the thing from its context, without I/O and without awaiting.
        options: attrs class of the plugin's own options, None when it has none.
        capabilities: what it can do beyond the contract's core.
        api: the plugin interface it was built for.
    """

    kind: ClassVar[Kind]

    name: str = field(validator=_check_name)
    summary: str = field(validator=validators.instance_of(str))
    factory: Callable[..., Any] = field(validator=_check_factory)
    options: type[Any] | None = field(default=None, validator=_check_options)
    capabilities: frozenset[str] = field(default=frozenset(), converter=_freeze, validator=_check_capabilities)
    api: int = field(default=API, validator=validators.instance_of(int))


@frozen(kw_only=True)
class ProbeStep:
    """One thing that ``chat-core doctor`` tried or looked at.

    Attributes:
        name: what was tried.
        ok: whether it worked; None when it does not matter for a chat.
        detail: what came of it, in one line.
        seconds: how long it took.
    """

    name: str
    ok: bool | None
    detail: str = ""
    seconds: float | None = None


@frozen(kw_only=True)
class TransportProvider(Provider):
    """Provides a transport.

    Attributes:
        probe: tries a server out for ``chat-core doctor URL`` without opening a chat; never raises for what the server
            does.
    """

    kind: ClassVar[Kind] = Kind.TRANSPORT

    factory: Callable[[TransportContext], Transport] = field(validator=_check_factory)
    probe: Callable[[TransportContext], Awaitable[Iterable[ProbeStep]]] | None = None


@frozen(kw_only=True)
class StorageProvider(Provider):
    """Provides a state storage.

    Attributes:
        probe: looks at the place of the states for ``chat-core doctor``, and shows and changes none of them. A plain
            function that may block: it is called on a thread of its own with a deadline; where it hangs, what a
            generator had found is shown. What does not work is a step, not an exception.
    """

    kind: ClassVar[Kind] = Kind.STORAGE

    factory: Callable[[StorageContext], StateStorage] = field(validator=_check_factory)
    probe: Callable[[StorageContext], Iterable[ProbeStep]] | None = None


@frozen(kw_only=True)
class LoggerProvider(Provider):
    """Provides a logger."""

    kind: ClassVar[Kind] = Kind.LOGGER

    factory: Callable[[LoggerContext], LoggerLike] = field(validator=_check_factory)


AnyProvider: TypeAlias = TransportProvider | StorageProvider | LoggerProvider
