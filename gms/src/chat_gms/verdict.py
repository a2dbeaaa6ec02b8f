"""What an envelope means for the chat: the table of statusCode and chatEnded."""

from __future__ import annotations

import enum
from typing import Final

from chat_gms.envelope import Envelope

__all__ = ["SESSION_UNKNOWN", "Verdict", "is_session_unknown", "judge"]


class Verdict(enum.Enum):
    """What to do with an envelope."""

    GOOD = "good"  #: use the fields, go on
    OVER = "over"  #: deliver the messages, then end
    RETRY = "retry"  #: an error that may pass: trust no other field, try again
    FATAL = "fatal"  #: an error, repeating is useless: read chatEnded, trust nothing else


#: Error codes of an answer that mean "no such chat": 50 in the GWE family, 249 in a captured GMS answer; 8201, 8209 and
#: 8210 are Chat Server's own for a user that is unknown, logged out, or has a bad key.
SESSION_UNKNOWN: Final = frozenset({50, 249, 8201, 8209, 8210})


def judge(envelope: Envelope) -> Verdict:
    """Judge an envelope. An absent statusCode counts as 0 unless errors are listed; absent chatEnded as false."""
    status = envelope.status_code
    if status is None:
        status = 2 if envelope.errors else 0
    if status == 0:
        if envelope.errors:
            return Verdict.FATAL
        return Verdict.OVER if envelope.chat_ended else Verdict.GOOD
    if status == 1 and not envelope.chat_ended:
        return Verdict.RETRY
    return Verdict.FATAL


def is_session_unknown(envelope: Envelope) -> bool:
    """Say whether the server does not know the chat (any more)."""
    return judge(envelope) is Verdict.FATAL and any(error.code in SESSION_UNKNOWN for error in envelope.errors)
