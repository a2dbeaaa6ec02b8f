"""All suites. A module of its own, so that what only lists the checks imports no pytest."""

from __future__ import annotations

from typing import Final

from chat_core.testing import (
    _logger,
    _packaging,
    _storage,
    _storage_lease,
    _storage_trouble,
    _transport,
    _transport_trouble,
)
from chat_core.testing._checks import Suite

__all__ = ["LEVEL", "catalogue"]

#: The suite level: raised when checks are added. A check never changes its meaning.
LEVEL: Final = "1.0"


def catalogue() -> dict[str, Suite]:
    """Return the suites by kind: ``storage``, ``transport``, ``logger``, ``packaging``."""
    modules = (_storage, _storage_trouble, _storage_lease, _transport, _transport_trouble, _logger, _packaging)
    return {one.SUITE.kind: one.SUITE for one in modules}
