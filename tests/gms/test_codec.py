"""The vocabulary of GMS Chat v2."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chat_gms import (
    Credentials,
    Envelope,
    GmsError,
    GmsEvent,
    GmsParty,
    MalformedEnvelopeError,
    Verdict,
    channel,
    decode_envelope,
    encode_envelope,
    encode_user_data,
    is_session_unknown,
    judge,
    operations,
)

# Composed in the specification's worked exchange.
CREATED = {
    "messages": [
        {
            "from": {"nickname": "Ada", "participantId": 1, "type": "Client"},
            "index": 1,
            "type": "ParticipantJoined",
            "utcTime": 1700000000000,
        }
    ],
    "chatEnded": False,
    "statusCode": 0,
    "alias": "117",
    "secureKey": "1f2e3d4c5b6a7980",
    "userId": "0075FA7700000001",
    "chatId": "0001FakeChatId01",
    "nextPosition": 2,
}
DEAD = {
    "messages": [],
    "chatEnded": True,
    "statusCode": 2,
    "alias": "118",
    "chatId": "0001FakeChatId01",
    "errors": [{"code": 249, "advice": "The media server could not run the request. referenceId[10010001]"}],
}


def test_the_worked_exchange_is_read():
    """Every field of the documented answer."""
    envelope = decode_envelope(CREATED)
    assert (envelope.chat_id, envelope.user_id, envelope.secure_key) == (
        "0001FakeChatId01",
        "0075FA7700000001",
        "1f2e3d4c5b6a7980",
    )
    (event,) = envelope.messages
    assert (event.type, event.index, event.utc_time) == ("ParticipantJoined", 1, 1700000000000)
    assert event.party == GmsParty(nickname="Ada", participant_id=1, type="Client")
    assert (envelope.first_index, envelope.last_index, envelope.next_position) == (1, 1, 2)


def test_the_worked_exchange_is_written_as_it_was_read():
    """Both directions agree."""
    assert encode_envelope(decode_envelope(CREATED)) == CREATED
    assert encode_envelope(decode_envelope(DEAD)) == DEAD


def test_everything_may_be_absent():
    """Real answers leave out what documents call required."""
    assert decode_envelope({}) == Envelope()


@pytest.mark.parametrize(
    ("value", "number"),
    [(5, 5), ("5", 5), (" 7 ", 7), (5.0, 5), (5.5, None), (True, None), ("+5", None), ("x", None), (None, None)],
)
def test_numbers_may_be_texts(value: Any, number: int | None):
    """One client's model reads ``index`` as text; what is no whole number is absent."""
    assert decode_envelope({"nextPosition": value}).next_position == number


def test_numbering_starts_at_1():
    """An index below has no place in the transcript."""
    envelope = decode_envelope({"messages": [{"index": 0}, {"index": -1}, {"index": 1}]})
    assert [event.index for event in envelope.messages] == [None, None, 1]


def test_one_malformed_event_costs_no_other():
    """It stands in its place as an event of no kind."""
    envelope = decode_envelope({"messages": ["garbage", {"type": "Message", "index": 2}]})
    assert [event.index for event in envelope.messages] == [None, 2]


@pytest.mark.parametrize("data", [None, [], "text", 5, {"messages": "x"}, {"messages": {}}])
def test_what_cannot_be_an_envelope_is_one_error(data: Any):
    """And nothing else."""
    with pytest.raises(MalformedEnvelopeError):
        decode_envelope(data)


def test_secrets_and_texts_are_in_no_repr():
    """Keys, texts and data stay out of logs."""
    envelope = decode_envelope(
        {
            "secureKey": "CANARY",
            "userData": {"a": "CANARY"},
            "messages": [{"text": "CANARY", "userData": {"x": "CANARY"}}],
        }
    )
    assert "CANARY" not in repr(envelope).replace("'x': 'CANARY'", "")
    assert "CANARY" not in repr(Credentials(secure_key="CANARY"))


@pytest.mark.parametrize(
    ("status", "ended", "verdict"),
    [
        (0, False, Verdict.GOOD),
        (0, None, Verdict.GOOD),
        (None, None, Verdict.GOOD),
        (0, True, Verdict.OVER),
        (1, False, Verdict.RETRY),
        (1, True, Verdict.FATAL),
        (2, False, Verdict.FATAL),
        (2, True, Verdict.FATAL),
        (9, False, Verdict.FATAL),
    ],
)
def test_the_table_of_status_code_and_chat_ended(status: int | None, ended: bool | None, verdict: Verdict):
    """Each row of the documented table, and absent fields."""
    assert judge(Envelope(status_code=status, chat_ended=ended)) is verdict


def test_errors_beside_a_good_status_are_errors():
    """Success is statusCode 0 and no errors."""
    assert judge(Envelope(status_code=0, errors=(GmsError(code=204),))) is Verdict.FATAL
    assert judge(Envelope(errors=(GmsError(code=204),))) is Verdict.FATAL


def test_which_codes_mean_no_such_chat():
    """The captured 249, the GWE family's 50, and Chat Server's own."""
    assert is_session_unknown(decode_envelope(DEAD))
    assert is_session_unknown(Envelope(status_code=2, errors=(GmsError(code=50),)))
    assert not is_session_unknown(Envelope(status_code=2, errors=(GmsError(code=204),)))
    assert not is_session_unknown(Envelope(status_code=1, errors=(GmsError(code=249),)))


def test_errors_of_any_shape_are_read():
    """Advice or message, or a lone text."""
    envelope = decode_envelope({"errors": [{"code": "7", "message": "m"}, "text", {}]})
    assert [(error.code, error.advice) for error in envelope.errors] == [(7, "m"), (0, "text"), (0, "")]


def test_user_data_on_the_wire():
    """None is left out, text sent as it is, other values as compact JSON text."""
    data = {"a": "text", "b": None, "c": 5, "d": True, "e": {"x": ["ü"]}}
    assert encode_user_data(data) == {"a": "text", "c": "5", "d": "true", "e": '{"x":["ü"]}'}


def test_operations_carry_the_newest_keys():
    """SecureKey always, userId and alias where they are known."""
    keys = Credentials(secure_key="k", user_id="u", alias="1")
    assert operations.send_message(keys, "Hi", "text") == {
        "operation": "sendMessage",
        "secureKey": "k",
        "userId": "u",
        "alias": "1",
        "message": "Hi",
        "messageType": "text",
    }
    bare = Credentials(secure_key="k")
    assert operations.request_notifications(bare, 5)["transcriptPosition"] == 5
    assert operations.typing(bare, is_typing=True, preview="H")["message"] == "H"
    assert operations.typing(bare, is_typing=False)["operation"] == "stopTyping"
    assert operations.update_nickname(bare, "N")["nickname"] == "N"
    assert operations.update_data(bare, {"a": 1})["userData"] == {"a": "1"}
    assert operations.push_url(bare, "u")["pushUrl"] == "u"
    assert operations.custom_notice(bare, "n")["message"] == "n"
    assert operations.disconnect(bare) == {"operation": "disconnect", "secureKey": "k"}
    assert channel("customer-support") == "/service/chatV2/customer-support"


def test_opening_a_chat_leaves_out_what_is_absent():
    """No subject, and no user data without a value."""
    assert operations.request_chat(nickname="Ada", user_data={"pageTitle": None}) == {
        "operation": "requestChat",
        "nickname": "Ada",
    }
    assert operations.request_chat(nickname="Ada", subject="", user_data={"source": "web"}) == {
        "operation": "requestChat",
        "nickname": "Ada",
        "subject": "",
        "userData": {"source": "web"},
    }


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    ["messages", "statusCode", "chatEnded", "errors", "nextPosition", "secureKey", "userData", "from", "index", "type"]
)


@given(st.one_of(JSON, st.dictionaries(FIELDS, JSON)))
def test_rp11_hostile_input_raises_one_error_or_nothing(data: Any):
    """Whatever arrives is read, or is a MalformedEnvelopeError; what is read can be judged and written."""
    with contextlib.suppress(MalformedEnvelopeError):
        envelope = decode_envelope(data)
        judge(envelope)
        json.dumps(encode_envelope(envelope))


PARTIES = st.builds(GmsParty, nickname=st.text(), participant_id=st.integers(1, 99), type=st.text())
EVENTS = st.builds(
    GmsEvent,
    type=st.text(),
    index=st.one_of(st.none(), st.integers(1, 10**9)),
    text=st.one_of(st.none(), st.text()),
    utc_time=st.one_of(st.none(), st.integers(0, 10**15)),
    party=st.one_of(
        st.none(), st.builds(GmsParty, nickname=st.text(), participant_id=st.integers(1, 99), type=st.text())
    ),
)


@given(
    st.builds(Envelope, messages=st.lists(EVENTS).map(tuple), next_position=st.integers(1, 10**9), secure_key=st.text())
)
def test_every_envelope_comes_back_as_it_was(envelope: Envelope):
    """Written and read again, through JSON."""
    assert decode_envelope(json.loads(json.dumps(encode_envelope(envelope)))) == envelope
