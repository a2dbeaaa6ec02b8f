"""What the page says a back end may do beside the plain case, as switches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Quirks"]


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """Switches; each names the section that tells of it. All off is the plain case of the page.

    Attributes:
        changing_alias: every answer has another ``alias`` (2.1: it may change during a session).
        sparse: only what nobody can do without is there (2.3: chatId and statusCode, everything else optional).
        bare: no ``secureKey`` but in the first answer, no ``messages`` where there are none (3.4).
        loose_notice: a notice without ``index`` comes with every agent (2.3: index may be absent).
        unknown_type: an event of a type nobody knows comes with every agent (2.3: must be tolerated).
        text_index: ``index`` is text (2.3, 3.4: one model reads it as such).
        repeats: each answer repeats the two events before it, and its own last one (3.4).
        extras: ``monitored`` and ``idleTimerExpire`` are there (2.3).
        echoes: a publication is echoed as ``data`` with ``operation`` and without ``messages`` (3.4).
        errors_at: where an error stands on CometD: in ``data``, or as top-level ``errors`` or ``error`` (3.4).
        early_delivery: the delivery comes before the acknowledgement of its publication (5.3 point 5, section 10).
        quiet_end: the answer to a disconnect does not show the own ParticipantLeft (2.3: messages may be empty).
        slow_start: seconds until the first delivery of a chat on CometD (3.2 step 5).
        late_end: seconds until the end of the chat is delivered on CometD after a disconnect (3.2).
    """

    changing_alias: bool = False
    sparse: bool = False
    bare: bool = False
    loose_notice: bool = False
    unknown_type: bool = False
    text_index: bool = False
    repeats: bool = False
    extras: bool = False
    echoes: bool = False
    errors_at: Literal["data", "errors", "error"] = "data"
    early_delivery: bool = False
    quiet_end: bool = False
    slow_start: float = 0.0
    late_end: float = 0.0
