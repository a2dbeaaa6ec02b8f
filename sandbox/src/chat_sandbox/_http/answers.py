"""JSON as the sandbox writes it, whatever text an agent or a client came up with."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

__all__ = ["JsonAnswer", "written"]


def written(value: Any) -> str:
    """Return compact JSON that has a UTF-8 form: half a character is escaped, as Java's servers do."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


class JsonAnswer(JSONResponse):
    """An answer over HTTP."""

    def render(self, content: Any) -> bytes:
        """Write the body."""
        return written(content).encode("utf-8")
