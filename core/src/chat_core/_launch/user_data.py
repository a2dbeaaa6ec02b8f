"""The userData of a session: what the caller gives, merged over the defaults (API page, "userData")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from chat_core._launch.page import PageContext
from chat_core._model.errors import OptionError, OptionTypeError

__all__ = ["merge_user_data"]

#: Bytes of all user data as JSON, at most.
MAX_SIZE: Final = 1024 * 1024


def merge_user_data(user_data: Any, page: PageContext | None) -> Mapping[str, Any]:
    """Return the defaults ``source``, ``pageTitle``, ``url`` and ``referrer``, merged with the caller's keys.

    A caller's key wins, None included. Without a page its values are None.

    Raises:
        OptionTypeError: it is no mapping, or a key is no text.
        OptionError: a value has no JSON form.
    """
    if user_data is None:
        user_data = {}
    if not isinstance(user_data, Mapping):
        raise OptionTypeError(f"user_data must be a mapping, not {type(user_data).__name__}")
    given: dict[str, Any] = {}
    for key, value in user_data.items():
        if not isinstance(key, str):
            raise OptionTypeError(f"a key of user_data must be text, not {key!r}", advice="convert it with str()")
        given[key] = _plain(key, value)
    if sum(map(len, map(json.dumps, given.values()))) > MAX_SIZE:
        raise OptionError(f"user_data is larger than {MAX_SIZE} bytes", advice="send less, or a reference to it")
    page = page or PageContext()
    defaults = {"source": "web", "pageTitle": page.title, "url": page.url, "referrer": page.referrer}
    return MappingProxyType({**defaults, **given})


def _plain(key: str, value: Any) -> Any:
    """Return a copy made of JSON values, which nobody else can change."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(
            f"user_data[{key!r}] of type {type(value).__name__} has no JSON form: {error}",
            advice="give text, a number, True, False, None, or lists and mappings of these",
        ) from error
