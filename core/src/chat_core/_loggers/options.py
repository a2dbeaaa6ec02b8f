"""Options of the built-in logger."""

from __future__ import annotations

from attrs import frozen

__all__ = ["StdlibOptions"]


@frozen(kw_only=True)
class StdlibOptions:
    """``stdlib`` has no options: configure the logger ``chat_core`` with the standard library."""
