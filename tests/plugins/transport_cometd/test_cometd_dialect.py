"""Envelopes as the dialect of GMS reads them, one after the other: most differ from the one before in little."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_core import EndReason
from chat_transport_cometd._dialect import GmsDialect

HEAD = {"statusCode": 0, "chatEnded": False, "secureKey": "k1", "userId": "u", "chatId": "c", "alias": "1"}


def pushed(index: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a delivered message with one event."""
    event = {"type": "Message", "index": index, "text": f"text {index}", "from": {"nickname": "Bea", "type": "Agent"}}
    return {"channel": "/service/chatV2/x", "data": {"messages": [event], "nextPosition": index + 1, **HEAD, **fields}}


def test_a_push_that_says_nothing_new_brings_its_events_and_its_position():
    """It is neither judged nor learnt from again; what it brings is the same."""
    dialect = GmsDialect()
    first, second = dialect.read(pushed(1)), dialect.read({**pushed(2), "id": "7"})
    assert [delivery.batch.events[0].index for delivery in (first, second)] == [1, 2]
    assert (second.batch.next_position, second.first_index) == (3, 2)
    assert (second.error, second.ended) == (None, None)


def test_the_newest_key_is_learnt_though_it_was_known_before():
    """What came between, and was remembered less, must not make an older key the newest for ever."""
    dialect = GmsDialect()
    dialect.read(pushed(1))
    dialect.read(pushed(2, secureKey="k2", userData={"a": "b"}))
    assert dialect.saved()["secure_key"] == "k2"
    dialect.read(pushed(3))
    assert dialect.saved()["secure_key"] == "k1"


def test_what_was_restored_is_overruled_by_the_next_envelope():
    """Even if it says what another one said before the restore."""
    dialect = GmsDialect()
    dialect.read(pushed(1))
    dialect.restore({**dialect.saved(), "secure_key": "older"})
    dialect.read(pushed(2))
    assert dialect.saved()["secure_key"] == "k1"


@pytest.mark.parametrize(
    ("beside", "data", "error"),
    [
        ({"errors": [{"code": 5, "advice": "no"}]}, {}, True),
        ({"error": "500::no"}, {}, True),
        ({}, {"errors": [{"code": 5}]}, True),
        ({}, {"statusCode": 2}, True),
        ({}, {"chatEnded": True}, False),
    ],
)
def test_what_a_push_says_besides_its_events_is_heard(beside: dict[str, Any], data: dict[str, Any], error: bool):
    """An error, or the end, in whatever place servers put it, though all else is as before."""
    dialect = GmsDialect()
    dialect.read(pushed(1))
    delivery = dialect.read({**pushed(2, **data), **beside})
    assert (delivery.error is not None) is error
    assert error or delivery.ended is EndReason.CLOSED


def test_the_end_is_heard_though_a_number_equal_to_it_was_said_before():
    """1 is no answer to whether the chat is over, and true is; the two are equal."""
    dialect = GmsDialect()
    assert dialect.read(pushed(1, chatEnded=1)).ended is None
    assert dialect.read(pushed(2, chatEnded=True)).ended is EndReason.CLOSED


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, 1, 2, True, False, "0", "k1", "k2", -1, 1.0, [], {}, {"a": "b"}]
)
FIELDS = st.sampled_from([*HEAD, "messages", "nextPosition", "userData", "errors", "operation", "monitored", "other"])
MESSAGES = st.builds(
    lambda index, data, beside: {**pushed(index, **data), **beside},
    st.integers(-1, 5),
    st.dictionaries(FIELDS, VALUES, max_size=2),
    st.dictionaries(st.sampled_from(["errors", "error", "id", "data"]), VALUES, max_size=1),
)


@given(st.lists(MESSAGES, max_size=6))
def test_every_envelope_is_read_as_if_it_were_the_first(messages: list[dict[str, Any]]):
    """To have read one like it changes nothing but the time that it takes."""
    remembering, forgetful = GmsDialect(), GmsDialect()
    for message in messages:
        forgetful._said = None
        before = copy.deepcopy(message)
        one, other = remembering.read(message), forgetful.read(message)
        assert message == before
        assert (repr(one.error), one.passing, one.ended) == (repr(other.error), other.passing, other.ended)
        assert (one.batch, one.first_index) == (other.batch, other.first_index)
        assert one.says_nothing == other.says_nothing
        assert remembering.saved() == forgetful.saved()


def test_a_status_that_says_no_is_heard_though_a_value_equal_to_it_was_said_before():
    """True is no status code, and 1 is an error; the two are equal."""
    dialect = GmsDialect()
    assert dialect.read(pushed(1, statusCode=True)).error is None
    assert dialect.read(pushed(2, statusCode=1)).error is not None
