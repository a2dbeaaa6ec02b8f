"""What became of each plugin."""

from __future__ import annotations

import enum

from attrs import field, frozen

from chat_core._contracts.providers import AnyProvider
from chat_core._model.errors import (
    InvalidPluginError,
    PluginBlockedError,
    PluginConflictError,
    PluginError,
    PluginIncompatibleError,
    PluginLoadError,
)

__all__ = ["PluginRecord", "PluginSource", "Status"]


class Status(enum.StrEnum):
    """How loading a plugin ended."""

    OK = "ok"
    FAILED = "failed"  #: importing it, or asking it, raised
    BLOCKED = "blocked"  #: switched off by an allow or deny list
    INCOMPATIBLE = "incompatible"  #: built for a newer plugin interface
    INVALID = "invalid"  #: its answer breaks the contract
    CONFLICT = "conflict"  #: another plugin claims the same name
    UNLOADED = "unloaded"  #: only listed, not loaded


_ERRORS: dict[Status, type[PluginError]] = {
    Status.FAILED: PluginLoadError,
    Status.BLOCKED: PluginBlockedError,
    Status.INCOMPATIBLE: PluginIncompatibleError,
    Status.INVALID: InvalidPluginError,
    Status.CONFLICT: PluginConflictError,
}


@frozen(kw_only=True)
class PluginSource:
    """Where a plugin comes from.

    Attributes:
        distribution: the package's name, ``chat-core`` for what is built in.
        version: the package's version.
        entry_point: the entry point's name.
        value: what it points at.
    """

    distribution: str
    version: str = ""
    entry_point: str
    value: str = ""

    def __str__(self) -> str:
        target = f" = {self.value}" if self.value else ""
        return f"{self.distribution} {self.version} (entry point {self.entry_point}{target})".replace("  ", " ")


@frozen(kw_only=True)
class PluginRecord:
    """One plugin and what became of it.

    Attributes:
        source: where it comes from.
        status: how loading ended.
        reason: why, in one sentence; empty when all is well.
        remedy: what to do about it.
        error: the exception behind it, None when there was none.
        providers: what it provides; empty unless its status is ``ok``.
        claimed: the providers it would have provided, when it is in conflict.
    """

    source: PluginSource
    status: Status = Status.OK
    reason: str = ""
    remedy: str = ""
    error: BaseException | None = field(default=None, repr=False)
    providers: tuple[AnyProvider, ...] = ()
    claimed: tuple[AnyProvider, ...] = ()

    def __str__(self) -> str:
        text = f"{self.source}: {self.status}"
        if self.reason:
            text += f": {self.reason}"
        return f"{text}; {self.remedy}" if self.remedy else text

    def problem(self) -> PluginError:
        """Return the error of a plugin that cannot be used."""
        error = _ERRORS[self.status](f"the plugin {self.source} cannot be used: {self.reason}", advice=self.remedy)
        error.__cause__ = self.error
        return error
