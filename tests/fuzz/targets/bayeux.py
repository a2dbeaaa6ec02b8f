"""The Bayeux client: what a server sends, read and taken by the engine."""

from __future__ import annotations

from chat_core import ProtocolError
from chat_transport_cometd._bayeux.engine import Delivered, Engine
from chat_transport_cometd._bayeux.messages import decode, encode, parse_error

JSON = True


def check(data: bytes) -> None:
    messages = []
    try:
        for message in decode(data):
            messages.append(message)  # noqa: PERF402 - what stands before a place that breaks off has come all the same
    except ProtocolError as error:
        assert len(str(error)) < 400, "an error's text is bounded"
        if not messages:
            return
    # What is no number is unlike itself, so the written forms are compared.
    written = encode(messages)
    assert encode(list(decode(written))) == written
    engine = Engine(ack=True, timesync=True)
    engine.begin(ack=True)
    open_requests = {engine.handshake(["long-polling", "websocket"], now=0.0)["id"]}
    for _ in range(2):
        for message in messages:
            happening = engine.take(message, now=1.7e12)
            if happening is None:
                continue
            if isinstance(happening, Delivered):
                assert not happening.channel.startswith("/meta/")
                continue
            assert happening.request in open_requests, "only what was asked is answered, and once"
            open_requests.remove(happening.request)
            repr(happening)
        advice = engine.advice
        assert 0 <= advice.interval <= 3600
        assert 0 <= advice.timeout <= 3600
        if engine.client_id is None:
            break
        engine.forget()
        open_requests = {
            message["id"]
            for message in (
                engine.connect(at_once=True),
                engine.subscribe("/service/chatV2/customer-support"),
                engine.publish("/service/chatV2/customer-support", {}),
            )
        }
    for message in messages:
        parse_error(message)
