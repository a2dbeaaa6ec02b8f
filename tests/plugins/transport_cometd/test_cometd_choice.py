"""Which carrier is tried, and when a better one is tried again."""

from __future__ import annotations

from chat_transport_cometd._carriers.choice import CarrierChoice

BOTH = ["websocket", "long-polling"]


def choice() -> CarrierChoice:
    return CarrierChoice(BOTH, uniform=lambda _, high: high)


def test_the_best_carrier_comes_first():
    """A new connection tries WebSocket before long polling."""
    assert choice().candidates(0.0) == BOTH


def test_while_nothing_works_everything_is_tried():
    """A server that is away refuses every carrier; that says nothing about them."""
    fresh = choice()
    for name in BOTH:
        fresh.failed(name, 0.0)
    assert fresh.candidates(0.0) == BOTH


def test_rp08_what_failed_where_another_carrier_works_is_tried_later():
    """The first time after a minute."""
    fallen = choice()
    fallen.failed("websocket", 0.0)
    fallen.worked("long-polling")
    assert fallen.candidates(59.0) == ["long-polling"]
    assert fallen.candidates(60.0) == BOTH
    assert fallen.better("long-polling") == ("websocket", 60.0)


def test_what_worked_before_is_tried_each_time():
    """A WebSocket that broke with its server comes back with it."""
    known = choice()
    known.worked("websocket")
    known.failed("websocket", 0.0)
    known.worked("long-polling")
    assert known.candidates(1.0) == BOTH


def test_rp08_each_failure_doubles_the_pause_up_to_an_hour():
    """A proxy that never lets WebSocket through costs one attempt an hour."""
    blocked = choice()
    blocked.worked("long-polling")
    pauses = []
    for _ in range(9):
        blocked.failed("websocket", 0.0)
        better = blocked.better("long-polling")
        assert better is not None
        pauses.append(better[1])
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_rp08_the_pause_is_spread():
    """Clients that lost a carrier together do not try it again together."""
    asked: list[tuple[float, float]] = []
    spread = CarrierChoice(BOTH, uniform=lambda low, high: asked.append((low, high)) or low)
    spread.failed("websocket", 100.0)
    assert asked == [(30.0, 60.0)]
    assert spread.better("long-polling") == ("websocket", 130.0)


def test_there_is_nothing_better_than_the_best():
    """Nobody looks for a better carrier than WebSocket, or where there is only one."""
    assert choice().better("websocket") is None
    assert CarrierChoice(["long-polling"]).better("long-polling") is None
