"""The sandbox's Bayeux server: whatever clients send."""

from __future__ import annotations

import json
from typing import Any

from chat_gms.reading import NotJsonError, read_json
from chat_sandbox._bayeux.server import BayeuxServer, ServerSession

JSON = True


def check(data: bytes) -> None:
    try:
        value = read_json(data)
    except NotJsonError:
        return
    messages: list[Any] = value if isinstance(value, list) else [value]
    now = [0.0]
    server = BayeuxServer(clock=lambda: now[0], on_publish=lambda _session, _message: None)
    session = ServerSession(id="s", cookie="c", carrier="long-polling", seen_at=0.0, ack=True)
    server.sessions["s"] = session
    server.deliver(session, "/service/chatV2/customer-support", {"messages": []})
    for carrier in ("long-polling", "websocket"):
        now[0] += 1.0
        exchange = server.process(messages, cookie="c", carrier=carrier)
        json.dumps(exchange.replies)
        assert 0 <= exchange.hold <= 300
        assert exchange.broken is None or not exchange.replies
        if exchange.session is not None:
            json.dumps(server.drain(exchange.session))
            if exchange.held is not None:
                json.dumps(server.finish(exchange.session, exchange.held))
    now[0] += 1000.0
    server.sweep()
    assert len(server.sessions) <= 1
