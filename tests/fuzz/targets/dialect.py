"""Delivered Bayeux messages, as GMS Chat v2 means them."""

from __future__ import annotations

import json

from chat_core import SendMessageCommand, StartRequest
from chat_gms.reading import NotJsonError, read_json
from chat_transport_cometd._dialect import GmsDialect

JSON = True


def check(data: bytes) -> None:
    try:
        value = read_json(data)
    except NotJsonError:
        return
    dialect = GmsDialect()
    forgetful = GmsDialect()
    dialect.start(StartRequest(username="Ada"))
    for message in value if isinstance(value, list) else [value]:
        if not isinstance(message, dict):
            continue
        delivery = dialect.read(message)
        shown = repr(delivery)
        forgetful._said = None
        assert repr(forgetful.read(message)) == shown, "to have read one like it changes nothing"
        for event in delivery.batch.events:
            str(event)
            assert event.index is None or 1 <= event.index < 10**18
        assert isinstance(dialect.session_id, str)
        if delivery.error is not None:
            assert not delivery.batch.events, "an error's other fields count for nothing"
            str(delivery.error)
    saved = json.loads(json.dumps(dialect.saved()))
    assert forgetful.saved() == dialect.saved()
    other = GmsDialect()
    other.restore(saved)
    assert other.saved() == dialect.saved()
    if saved["secure_key"] is not None:
        json.dumps(other.command(SendMessageCommand(text="x")))
        json.dumps(other.away(1))
