"""The userData of a session: what the caller gives, merged over the defaults (API page, "userData")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from attrs import define

from chat_core._launch.page import PageContext
from chat_core._model.errors import OptionError, OptionTypeError

__all__ = ["MAX_DEPTH", "MAX_SIZE", "FrozenDict", "merge_user_data"]

#: Characters of all keys and values together, at most; each value counts as one more.
MAX_SIZE: Final = 1024 * 1024
#: Levels of lists and mappings inside one another, at most.
MAX_DEPTH: Final = 32
#: Bits of a whole number, at most: Python refuses to write longer ones as decimal text.
_MAX_BITS: Final = 4096
#: Characters of a key that an error shows.
_SHOWN_KEY: Final = 60

_REMEDIES: Final[tuple[tuple[str, str], ...]] = (
    ("date", "give its isoformat()"),
    ("time", "give its isoformat()"),
    ("bytes", "decode it to text"),
    ("set", "make it a list"),
    ("Decimal", "give it as text, with str()"),
    ("UUID", "give it as text, with str()"),
    ("Path", "give it as text, with str()"),
)


class FrozenDict(dict[str, Any]):
    """A mapping that nobody can change. ``json.dumps`` takes it as it takes any dict; a copy of it is a plain dict."""

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("the options of a session cannot be changed; session.set_user_data() changes its user data")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


def merge_user_data(user_data: Any, page: PageContext | None) -> Mapping[str, Any]:
    """Return the defaults ``source``, ``pageTitle``, ``url`` and ``referrer``, merged with the caller's keys.

    A caller's key wins, None included. Without a page its values are None. What is returned is a copy that cannot be
    changed, lists inside it have become tuples.

    Args:
        user_data: a mapping with text as keys; values are text, numbers, True, False, None, and lists, tuples and
            mappings of these. ``MAX_DEPTH`` levels and ``MAX_SIZE`` characters at most. None counts as empty.
        page: where the defaults come from.

    Raises:
        OptionTypeError: it is no mapping, a key is no text, or a value has no JSON form because of its type.
        OptionError: a value has none for another reason, or there is too much of it.
    """
    if user_data is None:
        user_data = {}
    if not isinstance(user_data, Mapping):
        raise OptionTypeError(
            f"user_data must be a mapping, not {type(user_data).__name__}",
            advice="give it as {'FirstName': 'John'}",
        )
    page = page or PageContext()
    defaults = {"source": "web", "pageTitle": page.title, "url": page.url, "referrer": page.referrer}
    return FrozenDict(defaults, **_Copy().mapping(user_data, "user_data", 0))


@define
class _Copy:
    """One run over the caller's data, with what it has cost so far."""

    size: int = 0

    def mapping(self, given: Mapping[Any, Any], where: str, depth: int) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key, value in given.items():
            if not isinstance(key, str):
                raise OptionTypeError(f"a key of {where} must be text, not {key!r}", advice="convert it with str()")
            plain = str.__str__(key)
            there = f"{where}[{plain[:_SHOWN_KEY]!r}]"
            _check_text(plain, f"the key {there}")
            self._spend(len(plain))
            copy[plain] = self.value(value, there, depth)
        return copy

    def value(self, value: Any, where: str, depth: int) -> Any:
        self._spend(1)
        match value:
            case None | bool():
                return value
            case str():
                self._spend(len(value))
                _check_text(value, where)
                return str.__str__(value)
            case int():
                if value.bit_length() > _MAX_BITS:
                    raise OptionError(f"{where} is a number of more than {_MAX_BITS} bits", advice="give it as text")
                return int(value)
            case float():
                if not math.isfinite(value):
                    raise OptionError(
                        f"{where} of type float has no JSON form: it is {value!r}", advice="leave it out, or give None"
                    )
                return float(value)
            case Mapping() | list() | tuple():
                # A structure that holds itself ends here as well.
                if depth == MAX_DEPTH:
                    raise OptionError(
                        f"{where[:_SHOWN_KEY]}... is nested deeper than {MAX_DEPTH} levels, or holds itself",
                        advice="send less, or a reference to it",
                    )
                if isinstance(value, Mapping):
                    return FrozenDict(self.mapping(value, where, depth + 1))
                return tuple(self.value(one, f"{where}[{at}]", depth + 1) for at, one in enumerate(value))
        kind = type(value).__name__
        remedy = next((remedy for part, remedy in _REMEDIES if part in kind), None)
        raise OptionTypeError(
            f"{where} of type {kind} has no JSON form",
            advice=remedy or "give text, a number, True, False, None, or lists and mappings of these",
        )

    def _spend(self, size: int) -> None:
        self.size += size
        if self.size > MAX_SIZE:
            raise OptionError(
                f"user_data is larger than {MAX_SIZE} characters", advice="send less, or a reference to it"
            )


def _check_text(text: str, where: str) -> None:
    """Refuse what no wire can carry."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise OptionError(
            f"{where} holds half of a surrogate pair at character {error.start}, which is no text",
            advice="decode it with the right encoding",
        ) from None
