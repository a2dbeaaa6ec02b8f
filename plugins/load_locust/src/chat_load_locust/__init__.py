"""Load on a contact centre's chat with Locust: its users hold chats with chat-core, and what visitors feel is measured.

Names are resolved on first use (PEP 562): importing Locust patches the whole process, and importing this package alone
does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chat_load_locust._errors import ChatLoadError
    from chat_load_locust._scenario import scenario
    from chat_load_locust._shape import ShiftChange
    from chat_load_locust._user import ChatUser

__all__ = ["ChatLoadError", "ChatUser", "ShiftChange", "scenario"]

_HOMES = {
    "ChatLoadError": "chat_load_locust._errors",
    "ChatUser": "chat_load_locust._user",
    "ShiftChange": "chat_load_locust._shape",
    "scenario": "chat_load_locust._scenario",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    value.__module__ = __name__
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
