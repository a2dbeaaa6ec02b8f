"""What a repr shows while a test asks for it."""

from __future__ import annotations

from chat_core import Event, MessageReceived, UnknownEvent
from chat_core.testing import plain_reprs


def test_rp10_texts_and_data_are_shown_while_asked_for_and_not_afterwards():
    """Also when it is asked for twice, and left in another order."""
    events: list[Event] = [MessageReceived(text="secret"), UnknownEvent(data={"key": "secret"})]
    first, second = plain_reprs(), plain_reprs()
    assert "secret" not in repr(events)
    first.__enter__()
    second.__enter__()
    assert "text='secret'" in repr(events)
    assert "{'key': 'secret'}" in repr(events)
    first.__exit__(None, None, None)
    assert "secret" in repr(events)
    second.__exit__(None, None, None)
    assert "secret" not in repr(events)
