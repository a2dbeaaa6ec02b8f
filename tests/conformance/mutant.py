"""What a mutant is: a plugin with one thing wrong, and the checks that have to see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen


@frozen(kw_only=True)
class Mutant:
    """A broken plugin.

    Attributes:
        name: what is wrong with it, in words.
        subject: the provider; for packaging the distribution's name.
        fails: the ids of exactly the checks that have to fail, each with a phrase of its message.
        options: as in a test class.
        builtin: whether it passes for one that comes with the core.
        hangs: whether something of it never ends, so that there is nothing to be learned from waiting for it.
    """

    name: str
    subject: Any = field(repr=False)
    builtin: bool = False
    fails: Mapping[str, str]
    options: Any = field(default=None, repr=False)
    hangs: bool = False


@frozen(kw_only=True)
class Odd:
    """A plugin that is unlike others, and right: every check that binds it has to pass."""

    name: str
    subject: Any = field(repr=False)
    options: Any = field(default=None, repr=False)
    harness: Any = field(default=None, repr=False)
