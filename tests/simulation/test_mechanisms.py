"""Each mechanism is there for a reason: without it, a world in which a promise breaks is found at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import chat_core
from chat_core import Backoff, Continued
from chat_core._session.continuity import Continuity
from chat_core._session.flow import Flow
from chat_transport_cometd import _link
from chat_transport_cometd._bayeux.advice import Advice
from support.simulation.client import CARRIERS, Client
from support.simulation.loop import run_seeded
from support.simulation.world import ViolationError, run_world

#: Worlds looked at, at most, until one breaks.
WORLDS = 300


def first_violation(carrier: str | None = None) -> str:
    """Return what broke first."""
    for seed in range(WORLDS):
        try:
            run_world(seed, carrier=carrier)
        except ViolationError as error:
            return str(error)
    return f"nothing broke in {WORLDS} worlds"


def test_rp02_without_dedupe_events_are_doubled(monkeypatch: pytest.MonkeyPatch):
    """What is received again is handed over again when nobody looks at its index."""
    arrive = Continuity._arrive

    def forgetful(self: Continuity, event: Any, out: list[Any]) -> None:
        if event.index is not None and event.index < self.expected:
            out.append(event)
        else:
            arrive(self, event, out)

    monkeypatch.setattr(Continuity, "_arrive", forgetful)
    assert first_violation().startswith("RP-2")


def test_rp03_without_holding_events_come_out_of_order_or_are_lost(monkeypatch: pytest.MonkeyPatch):
    """An early arrival that is not held overtakes what should stand before it."""

    def hasty(self: Continuity, event: Any, out: list[Any]) -> None:
        if event.index is None or event.index >= self.expected:
            if event.index is not None:
                self.expected = event.index + 1
            out.append(event)

    monkeypatch.setattr(Continuity, "_arrive", hasty)
    assert first_violation().startswith(("RP-1", "RP-2", "stuck"))


def test_rp01_without_fetching_events_are_lost(monkeypatch: pytest.MonkeyPatch):
    """What was pushed while the link was down never arrives when nobody asks for it, the end of the chat neither."""
    monkeypatch.setattr(Continuity, "_may_fetch", lambda self: False)
    assert first_violation(CARRIERS[0]).startswith(("RP-1", "RP-9", "stuck"))


def test_rp04_without_reading_back_messages_are_doubled(monkeypatch: pytest.MonkeyPatch):
    """A message whose answer was lost is sent a second time when nobody looks whether it arrived."""

    async def credulous(self: Flow) -> bool:
        return True

    monkeypatch.setattr(Flow, "read_back", credulous)
    assert first_violation().startswith("RP-4 or RP-5: the visitor's messages stand in the transcript as")


def test_rp07_without_a_heartbeat_a_dead_link_is_never_found(monkeypatch: pytest.MonkeyPatch):
    """A connection over which nothing comes any more looks like a chat in which nobody says anything."""
    monkeypatch.setattr(Advice, "timeout", property(lambda self: 1e9, lambda self, value: None), raising=False)
    for name in ("UNANSWERED", "UNANSWERED_QUESTION"):
        monkeypatch.setattr(_link, name, 1e9)
    assert first_violation(CARRIERS[0]).startswith(("stuck", "RP-1", "RP-9", "RP-15"))


def test_rp07_without_the_position_check_a_push_lost_on_a_healthy_link_is_not_missed(monkeypatch: pytest.MonkeyPatch):
    """Nothing else tells that the last event before a silence never came."""
    init = Continuity.__init__

    def careless(self: Continuity, **arguments: Any) -> None:
        init(self, **arguments)
        self._check_refused = True

    monkeypatch.setattr(Continuity, "__init__", careless)
    assert first_violation(CARRIERS[0]).startswith("stuck")


def reconnects(count: int = 200) -> list[int]:
    """Hold chats through one restart; return how many were back in each 100 ms, from the first to the last."""

    async def main() -> list[int]:
        async with Client(CARRIERS[0]) as client:
            sessions = [
                await chat_core.start_session(**client.options(profile=f"visitor-{number}")) for number in range(count)
            ]
            await asyncio.sleep(40)
            client.network.abort()
            await client.sandbox.restart()
            back = [(await session.wait_for(Continued, timeout=60)).blind_time for session in sessions]
            for session in sessions:
                await session.detach()
        first = int(min(back) * 10)
        buckets = [0] * (int(max(back) * 10) - first + 1)
        for seconds in back:
            buckets[int(seconds * 10) - first] += 1
        return buckets

    return run_seeded(main(), seed=1)


def test_rp08_with_jitter_sessions_come_back_spread_out():
    """No 100 ms hold more than three times the mean of those reconnecting."""
    back = reconnects()
    assert sum(back) == 200
    assert max(back) <= 3 * sum(back) / len(back), back


def test_rp08_without_jitter_they_come_back_at_once(monkeypatch: pytest.MonkeyPatch):
    """A restarted server is met by most of them in the same 100 ms."""
    make: Callable[..., Backoff] = Backoff
    monkeypatch.setattr(_link, "Backoff", lambda: make(uniform=lambda low, high: high))
    back = reconnects()
    assert max(back) > sum(back) / 2, back
