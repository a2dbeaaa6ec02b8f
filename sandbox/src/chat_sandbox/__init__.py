"""A Genesys-like chat server on loopback, for demos and tests. Names are resolved on first use (PEP 562)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chat_sandbox._backend.chats import ChatTimes as ChatTimes
    from chat_sandbox._backend.files import FilePolicy as FilePolicy
    from chat_sandbox._proxy.actions import Answer as Answer
    from chat_sandbox._proxy.actions import Close as Close
    from chat_sandbox._proxy.actions import Delay as Delay
    from chat_sandbox._proxy.actions import Duplicate as Duplicate
    from chat_sandbox._proxy.actions import HalfOpen as HalfOpen
    from chat_sandbox._proxy.actions import Reorder as Reorder
    from chat_sandbox._proxy.actions import Suppress as Suppress
    from chat_sandbox._proxy.actions import Truncate as Truncate
    from chat_sandbox._proxy.rules import Rule as Rule
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
    from chat_sandbox.proxy import FaultProxy as FaultProxy
    from chat_sandbox.sandbox import Sandbox as Sandbox

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(
        ("Agent", "Join", "Leave", "Pause", "Say", "Type", "WaitFor", "echo", "scripted"), "chat_sandbox.agents"
    ),
    **dict.fromkeys(
        ("Answer", "Close", "Delay", "Duplicate", "HalfOpen", "Reorder", "Suppress", "Truncate"),
        "chat_sandbox._proxy.actions",
    ),
    "ChatTimes": "chat_sandbox._backend.chats",
    "FaultProxy": "chat_sandbox.proxy",
    "Faults": "chat_sandbox.faults",
    "FilePolicy": "chat_sandbox._backend.files",
    "Rule": "chat_sandbox._proxy.rules",
    "Sandbox": "chat_sandbox.sandbox",
}

__all__ = [
    "Agent",
    "Answer",
    "ChatTimes",
    "Close",
    "Delay",
    "Duplicate",
    "FaultProxy",
    "Faults",
    "FilePolicy",
    "HalfOpen",
    "Join",
    "Leave",
    "Pause",
    "Reorder",
    "Rule",
    "Sandbox",
    "Say",
    "Suppress",
    "Truncate",
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
