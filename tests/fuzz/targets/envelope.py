"""Envelopes of GMS Chat v2, both directions, and what they mean."""

from __future__ import annotations

from attrs import asdict, evolve

from chat_gms.client import EventTranslator, refusal
from chat_gms.envelope import MalformedEnvelopeError, decode_envelope, encode_envelope
from chat_gms.reading import read_envelope, read_head
from chat_gms.verdict import Verdict, is_session_unknown, judge

JSON = True
#: Longer texts stand in no repr.
_TELLING = 12


def check(data: bytes) -> None:
    try:
        envelope = read_envelope(data)
    except MalformedEnvelopeError as error:
        assert len(str(error)) < 200
        assert error.__context__ is None or "doc" not in vars(error.__context__)
        return
    written = encode_envelope(envelope)
    # What is no number is unlike itself, so the reprs are compared.
    assert repr(encode_envelope(decode_envelope(written))) == repr(written)
    if judge(envelope) is Verdict.FATAL:
        error = refusal(envelope)
        str(error)
        assert error.session_unknown == is_session_unknown(envelope)
    batch = EventTranslator().batch(read_head(data))
    assert len(batch.events) == len(envelope.messages)
    for event, came in zip(batch.events, envelope.messages, strict=True):
        str(event)
        shown = repr(event)
        if came.text and len(came.text) > _TELLING and event.party is None:
            said_besides = str(asdict(evolve(came, text=None)))
            assert came.text not in shown or came.text in said_besides, "message text is in no repr"
    str((envelope.next_position or 0) + 1)
    str((envelope.last_index or 0) + 1)
