"""The three ways to a GMS chat, for tests that hold for all of them."""

from __future__ import annotations

from typing import Any

import pytest

import chat_core
from chat_sandbox import Sandbox

CARRIERS = ["cometd-websocket", "cometd-long-polling", "rest"]
every_carrier = pytest.mark.parametrize("carrier", CARRIERS)

QUICK = {"poll_quick": 0.05, "poll_slow": 0.2}


def options(carrier: str, sandbox: Sandbox) -> dict[str, Any]:
    """Return the launcher's options for a carrier."""
    if carrier == "rest":
        return {"server_url": sandbox.rest_url, "transport": "rest", "transport_options": QUICK}
    return {
        "server_url": sandbox.cometd_url,
        "transport": "cometd",
        "disable_websockets": carrier == "cometd-long-polling",
    }


def start(carrier: str, sandbox: Sandbox, **more: Any) -> Any:
    """Start a chat over a carrier."""
    return chat_core.start_session(**{"state_storage": "memory", **options(carrier, sandbox), **more})
