"""A storage with leases in this process: what a fleet needs, without a server."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

from attrs import Factory, define

from chat_core import Capability, LeaseLostError, SessionInUseError, StorageContext, StorageProvider

__all__ = ["Table"]

_LEASED = frozenset(
    {Capability.PERSISTENT, Capability.OUTBOX, Capability.OWNERSHIP, Capability.LEASE, Capability.INLINE}
)


@define
class Row:
    """One profile."""

    state: Mapping[str, Any] | None = None
    owner: object | None = None
    ends: float = 0.0


@define
class Table:
    """All profiles of one place. ``trouble`` is raised by whatever is asked."""

    lease: float = 10.0
    rows: dict[str, Row] = Factory(dict)
    trouble: Exception | None = None
    looks: int = 0
    #: Seconds that it takes to tell the orphans.
    slow: float = 0.0

    @property
    def provider(self) -> StorageProvider:
        return StorageProvider(
            name="table",
            summary="a table of this process",
            factory=lambda context: TableStorage(self, context),
            capabilities=_LEASED,
        )

    def owned(self, profile: str) -> bool:
        row = self.rows.get(profile)
        return row is not None and row.owner is not None and asyncio.get_running_loop().time() < row.ends


class TableStorage:
    """One profile's view of the table."""

    blocking = False

    def __init__(self, table: Table, context: StorageContext) -> None:
        self.table = table
        self.profile = context.profile
        self.lease = table.lease

    @property
    def row(self) -> Row:
        if self.table.trouble is not None:
            raise self.table.trouble
        return self.table.rows.setdefault(self.profile, Row())

    def acquire(self) -> None:
        row = self.row
        if row.owner is not self and self.table.owned(self.profile):
            raise SessionInUseError("somebody has it", code=201)
        row.owner = self
        self.renew()

    def renew(self) -> None:
        self._mine().ends = asyncio.get_running_loop().time() + self.lease

    def release(self) -> None:
        if self.row.owner is self:
            self.row.owner = None

    def read(self) -> Mapping[str, Any] | None:
        return self.row.state

    def write(self, state: Mapping[str, Any] | None) -> None:
        self._mine().state = state

    async def orphans(self, limit: int) -> list[str]:
        self.table.looks += 1
        _ = self.row
        await asyncio.sleep(self.table.slow)
        free = (
            name
            for name, row in sorted(self.table.rows.items())
            if row.state is not None and not self.table.owned(name)
        )
        return list(itertools.islice(free, limit))

    def _mine(self) -> Row:
        if self.row.owner is not self:
            raise LeaseLostError("somebody else has it")
        return self.row
