"""The options of a session: checked, completed, each with its origin."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import Any

from attrs import Factory, asdict, field, frozen, has

from chat_core._contracts.providers import Provider
from chat_core._launch.page import PageContext
from chat_core._launch.user_data import merge_user_data
from chat_core._model.errors import OptionError, OptionTypeError
from chat_core._model.redaction import redact

__all__ = ["Explained", "Given", "OptionOrigin", "ResolvedOptions", "resolve_options"]

DEFAULT_USERNAME = "User"
DEFAULT_OFFLINE = 5.0
_LONGEST_NAME = 200


class OptionOrigin(enum.StrEnum):
    """Where a value comes from; an earlier one overrules a later one."""

    ARGUMENT = "argument"
    ENVIRONMENT = "environment"
    PROVIDER = "provider default"
    CORE = "core default"
    STATE = "saved state"


@frozen(kw_only=True)
class Given:
    """What the caller gave; None stands for "not given", as undefined does on the API page."""

    server_url: Any = None
    username: Any = None
    subject: Any = None
    user_data: Any = None
    page: Any = None
    transport: Any = None
    transport_options: Any = None
    state_storage: Any = None
    storage_options: Any = None
    max_offline_duration: Any = None
    disable_websockets: Any = None
    logger: Any = None
    profile: Any = None
    on_exit: Any = None


@frozen(kw_only=True)
class Explained:
    """One option as ``explain`` shows it.

    Attributes:
        name: the option.
        value: what is in force, fit to be shown.
        origin: where it comes from.
        note: what else is to be known, such as that it has no effect here.
    """

    name: str
    value: str
    origin: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} = {self.value} ({self.origin})" + (f": {self.note}" if self.note else "")


@frozen(kw_only=True)
class ResolvedOptions:
    """The options in force. ``explain()`` tells where each one comes from."""

    server_url: str | None = None
    username: str = DEFAULT_USERNAME
    subject: str | None = field(default=None, repr=False)
    user_data: Mapping[str, Any] = field(repr=False)
    page: PageContext | None = field(default=None, repr=False)
    transport: Any = None
    transport_options: Any = field(default=None, repr=False)
    state_storage: Any = None
    storage_options: Any = field(default=None, repr=False)
    max_offline_duration: float = DEFAULT_OFFLINE
    disable_websockets: bool = False
    logger: Any = field(default=None, repr=False)
    profile: str = "default"
    on_exit: str | None = None
    origins: Mapping[str, str] = field(factory=dict, repr=False)
    notes: Mapping[str, str] = Factory(dict)

    def explain(self) -> tuple[Explained, ...]:
        """Return each option with its value, its origin and what else is to be known; secrets and texts hidden."""
        return tuple(
            Explained(
                name=name,
                value=_shown(name, getattr(self, name)),
                origin=self.origins.get(name, OptionOrigin.CORE),
                note=self.notes.get(name, ""),
            )
            for name in _NAMES
        )


_NAMES = tuple(name for name in Given.__annotations__)


def resolve_options(given: Given) -> ResolvedOptions:
    """Check what was given and complete it with the defaults of the core.

    Both launchers resolve with this function. What plugins are to judge (``transport``, ``transport_options`` and the
    like) passes through.

    Raises:
        OptionTypeError: a value has the wrong type.
        OptionError: a value cannot be used.
    """
    origins = {
        name: OptionOrigin.ARGUMENT if getattr(given, name) is not None else OptionOrigin.CORE for name in _NAMES
    }
    for name in ("username", "server_url"):
        if getattr(given, name) == "":
            origins[name] = OptionOrigin.CORE
    if given.page is not None and not isinstance(given.page, PageContext):
        raise OptionTypeError(
            f"page must be a PageContext, not {type(given.page).__name__}",
            advice="make one with PageContext(title=..., url=..., referrer=...)",
        )
    if given.server_url is not None and not isinstance(given.server_url, str):
        raise OptionTypeError(f"server_url must be text, not {type(given.server_url).__name__}")
    return ResolvedOptions(
        server_url=given.server_url or None,
        username=_text("username", given.username) or DEFAULT_USERNAME,
        subject=_text("subject", given.subject),
        user_data=merge_user_data(given.user_data, given.page),
        page=given.page,
        transport=given.transport,
        transport_options=given.transport_options,
        state_storage=given.state_storage,
        storage_options=given.storage_options,
        max_offline_duration=_duration(given.max_offline_duration),
        disable_websockets=_flag("disable_websockets", given.disable_websockets),
        logger=given.logger,
        profile=_profile(given.profile),
        on_exit=_on_exit(given.on_exit),
        origins=origins,
    )


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise OptionTypeError(f"{name} must be text, not {type(value).__name__}", advice="convert it with str()")
    if value is None:
        return None
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{name} holds half of a surrogate pair at character {error.start}, which is no text",
            advice="decode it with the right encoding",
        ) from None
    return str.__str__(value)


def _duration(value: Any) -> float:
    if value is None:
        return DEFAULT_OFFLINE
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionTypeError(f"max_offline_duration must be seconds, not {type(value).__name__}")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf if value > 0 else -math.inf
    if math.isnan(seconds) or seconds < 0:
        raise OptionError(
            f"max_offline_duration must be 0 seconds or more, not {seconds:g}", advice="math.inf is allowed"
        )
    return seconds


def _flag(name: str, value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise OptionTypeError(f"{name} must be True or False, not {value!r}")
    return value


def _profile(value: Any) -> str:
    if value is None:
        return "default"
    name = _text("profile", value) or ""
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise OptionError(f"profile must have 1 to {_LONGEST_NAME} characters, not {len(name)}")
    return name


def _on_exit(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise OptionTypeError(f"on_exit must be 'leave' or 'detach', not {type(value).__name__}")
    if value not in {"leave", "detach"}:
        raise OptionError(f"on_exit must be 'leave' or 'detach', not {value!r}", advice="leave it out for the rule")
    return value


def _shown(name: str, value: Any) -> str:
    if name == "subject" and value is not None:
        return f"<{len(value)} characters>"
    if name == "user_data":
        return "keys " + ", ".join(value)
    if name == "page" and value is not None:
        return "given"
    if name in {"transport_options", "storage_options"} and value is not None:
        if has(type(value)):
            value = asdict(value, recurse=False)
        if not isinstance(value, Mapping):
            return f"<{type(value).__name__}>"
        return str(redact({key: _shown_option(one) for key, one in value.items()}))
    if value is None or isinstance(value, str | int | float | Provider):
        return str(redact(value.name if isinstance(value, Provider) else value))
    return _type_of(value)


def _shown_option(value: Any) -> Any:
    plain = value is None or isinstance(value, str | int | float | bytes | Mapping | list | tuple)
    return value if plain else _type_of(value)


def _type_of(value: Any) -> str:
    """Name a stranger's object by its type: its repr may raise, or show what it holds."""
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
