"""Checks as data: a permanent id, a requirement, a level. Classes, command and docs are views of one list."""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, NoReturn, TypeAlias

from attrs import field, frozen

__all__ = ["Applies", "Check", "Level", "NotShownError", "RequirementError", "Suite", "fail", "require"]

_ID: Final = re.compile(r"[A-Z]{2}-[0-9]{3}")
#: Told from a subject: why a check is not for it, None where it is.
Applies: TypeAlias = Callable[[Any], str | None]


class Level(enum.StrEnum):
    """How binding a requirement is."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class RequirementError(AssertionError):
    """The plugin does not meet the requirement; the text says what it did."""


class NotShownError(Exception):
    """The check cannot be carried out on this subject; the text says what the author would have to give."""


def fail(what: str, cause: BaseException | None = None) -> NoReturn:
    """Say that the requirement is not met."""
    raise RequirementError(what) from cause


def require(met: object, what: str) -> None:
    """Say what the plugin did unless the requirement is met."""
    if not met:
        raise RequirementError(what)


@frozen(kw_only=True)
class Check:
    """One requirement and how it is tried out.

    Attributes:
        id: permanent; never given to another requirement.
        name: of the function, and so of the test.
        requirement: what holds for a plugin that conforms, in one sentence.
        level: MUST or SHOULD.
        capability: it binds plugins that declare this one, None for all.
        since: the suite level that brought it.
        security: a deviation from it cannot be declared.
        probe: where the capability is not declared it is tried all the same, so that the report can say what works.
        binds: says why it does not bind a subject, None where it does.
        shows: says what the author would have to give for it to be shown, None where nothing is missing.
        run: tries it out.
    """

    id: str
    name: str
    requirement: str
    level: Level = Level.MUST
    capability: str | None = None
    since: str = "1.0"
    security: bool = False
    probe: bool = False
    binds: Applies | None = field(default=None, repr=False)
    shows: Applies | None = field(default=None, repr=False)
    run: Callable[[Any], Awaitable[None]] = field(repr=False)

    @property
    def test(self) -> str:
        """The name of the test function."""
        return f"test_{self.id.replace('-', '').lower()}_{self.name}"


class Suite:
    """The checks of one kind, in order.

    Args:
        kind: of what: ``storage``, ``transport``, ``logger`` or ``packaging``.
        prefix: of the ids.
    """

    def __init__(self, kind: str, prefix: str) -> None:
        self.kind = kind
        self.prefix = prefix
        self._checks: dict[str, Check] = {}

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks.values())

    def __len__(self) -> int:
        return len(self._checks)

    def __getitem__(self, check_id: str) -> Check:
        return self._checks[check_id]

    def __contains__(self, check_id: object) -> bool:
        return check_id in self._checks

    def check(
        self,
        check_id: str,
        requirement: str,
        *,
        level: Level = Level.MUST,
        capability: str | None = None,
        since: str = "1.0",
        security: bool = False,
        probe: bool = False,
        binds: Applies | None = None,
        shows: Applies | None = None,
    ) -> Callable[[Callable[[Any], Awaitable[None]]], Callable[[Any], Awaitable[None]]]:
        """Add the decorated function."""

        def add(function: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
            assert _ID.fullmatch(check_id), check_id
            assert check_id.startswith(self.prefix), check_id
            assert check_id not in self._checks, check_id
            self._checks[check_id] = Check(
                id=check_id,
                name=function.__name__,
                requirement=requirement,
                level=level,
                capability=None if capability is None else str(capability),
                since=since,
                security=security,
                probe=probe,
                binds=binds,
                shows=shows,
                run=function,
            )
            return function

        return add
