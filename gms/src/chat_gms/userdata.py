"""How user data goes over the wire: entries without a value are left out, text is sent as it is, the rest as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["encode_user_data"]


def encode_user_data(user_data: Mapping[str, Any]) -> dict[str, str]:
    """Return texts by key: None is left out, other values become compact JSON text.

    Raises:
        TypeError, ValueError: a value has no JSON form.
    """
    return {
        str(key): value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        for key, value in user_data.items()
        if value is not None
    }
