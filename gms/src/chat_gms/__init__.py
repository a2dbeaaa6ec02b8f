"""GMS Chat v2 vocabulary, both directions: a pure codec, without I/O and without a clock."""

from chat_gms.envelope import (
    Envelope,
    EventType,
    GmsError,
    GmsEvent,
    GmsParty,
    MalformedEnvelopeError,
    PartyType,
    decode_envelope,
    encode_envelope,
)
from chat_gms.operations import Credentials, Operation, channel
from chat_gms.userdata import encode_user_data
from chat_gms.verdict import SESSION_UNKNOWN, Verdict, is_session_unknown, judge

__all__ = [
    "SESSION_UNKNOWN",
    "Credentials",
    "Envelope",
    "EventType",
    "GmsError",
    "GmsEvent",
    "GmsParty",
    "MalformedEnvelopeError",
    "Operation",
    "PartyType",
    "Verdict",
    "channel",
    "decode_envelope",
    "encode_envelope",
    "encode_user_data",
    "is_session_unknown",
    "judge",
]
