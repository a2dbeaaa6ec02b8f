"""The ``storage_options`` of the built-in storages."""

from __future__ import annotations

from attrs import frozen

__all__ = ["FileOptions", "MemoryOptions"]


@frozen(kw_only=True)
class FileOptions:
    """Options of ``file``.

    Attributes:
        directory: where the states are kept; None: the user's state directory.
    """

    directory: str | None = None


@frozen(kw_only=True)
class MemoryOptions:
    """``memory`` has no options."""
