"""A Genesys-like chat server on loopback, for demos and tests. Names are resolved on first use (PEP 562)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chat_sandbox._backend.chats import ChatTimes as ChatTimes
    from chat_sandbox._backend.files import FilePolicy as FilePolicy
    from chat_sandbox.agents import Agent as Agent
    from chat_sandbox.agents import Join as Join
    from chat_sandbox.agents import Leave as Leave
    from chat_sandbox.agents import Pause as Pause
    from chat_sandbox.agents import Say as Say
    from chat_sandbox.agents import Type as Type
    from chat_sandbox.agents import WaitFor as WaitFor
    from chat_sandbox.agents import echo as echo
    from chat_sandbox.agents import scripted as scripted
    from chat_sandbox.faults import Faults as Faults
    from chat_sandbox.sandbox import Sandbox as Sandbox

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(
        ("Agent", "Join", "Leave", "Pause", "Say", "Type", "WaitFor", "echo", "scripted"), "chat_sandbox.agents"
    ),
    "ChatTimes": "chat_sandbox._backend.chats",
    "Faults": "chat_sandbox.faults",
    "FilePolicy": "chat_sandbox._backend.files",
    "Sandbox": "chat_sandbox.sandbox",
}

__all__ = [
    "Agent",
    "ChatTimes",
    "Faults",
    "FilePolicy",
    "Join",
    "Leave",
    "Pause",
    "Sandbox",
    "Say",
    "Type",
    "WaitFor",
    "echo",
    "scripted",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'chat_sandbox' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
