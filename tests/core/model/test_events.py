"""Events as a user sees them."""

from __future__ import annotations

from typing import Any

import pytest

from chat_core import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    ChatError,
    ConnectError,
    Continued,
    ContinuityLost,
    CustomNotice,
    EndReason,
    ErrorInfo,
    ErrorReported,
    Event,
    FileDeleted,
    FileUploaded,
    IdleAlert,
    Interrupted,
    LossReason,
    MessageReceived,
    NicknameUpdated,
    Notice,
    Origin,
    Party,
    PushUrl,
    SessionEnded,
    UnknownEvent,
)

GRACE = Party(id=2, name="Grace")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (AgentConnected(party=GRACE), "Grace joined"),
        (AgentDisconnected(party=GRACE), "Grace left"),
        (AgentTyping(party=GRACE), "Grace is typing"),
        (AgentTyping(party=GRACE, is_typing=False), "Grace stopped typing"),
        (MessageReceived(party=GRACE, text="Hi"), "Grace: Hi"),
        (MessageReceived(text="Hi"), "-: Hi"),
        (PushUrl(party=GRACE, url="https://x/"), "Grace sent the address https://x/"),
        (FileUploaded(party=GRACE, name="a.pdf"), "Grace sent the file a.pdf"),
        (FileDeleted(party=GRACE), "Grace deleted a file"),
        (NicknameUpdated(party=GRACE, nickname="G"), "Grace is now called G"),
        (Notice(text="soon"), "notice: soon"),
        (CustomNotice(party=GRACE, text="x"), "Grace notice: x"),
        (IdleAlert(party=GRACE), "Grace: IdleAlert"),
        (UnknownEvent(party=GRACE, kind="Dance"), "Grace: Dance"),
        (SessionEnded(reason=EndReason.LEFT), "the session has ended (left)"),
        (ErrorReported(error=ErrorInfo(code=5, description="bad")), "error 5: bad"),
        (Interrupted(), "the connection is interrupted"),
        (Interrupted(overdue=True), "the connection is interrupted for longer than the server surely waits"),
        (Continued(blind_time=1.25), "the connection is back after 1.2 s"),
        (
            ContinuityLost(after=3, until=5, reason=LossReason.NO_ANSWER),
            "events after 3 up to 5 are lost (no answer)",
        ),
        (
            ContinuityLost(after=3),
            "events after 3 up to an unknown one are lost (no transcript)",
        ),
    ],
)
def test_str_is_what_a_transcript_would_say(event: Event, text: str):
    """One line, with the text."""
    assert str(event) == text


@pytest.mark.parametrize(
    "event",
    [
        MessageReceived(text="CANARY"),
        AgentTyping(text="CANARY"),
        PushUrl(url="CANARY"),
        Notice(text="CANARY", data={"a": "CANARY"}),
        FileUploaded(file_id="CANARY", name="CANARY"),
        UnknownEvent(text="CANARY", data={"a": "CANARY"}),
        NicknameUpdated(nickname="CANARY"),
    ],
)
def test_rp10_repr_shows_lengths_only(event: Event):
    """Message text reaches logs by no accident."""
    assert "CANARY" not in repr(event)
    assert "6 characters" in repr(event)


def test_events_are_frozen_values():
    """Equal by their fields, and not to be changed."""
    assert MessageReceived(index=1, text="x") == MessageReceived(index=1, text="x")
    event: Any = MessageReceived(index=1)
    with pytest.raises(AttributeError):
        event.index = 2


def test_an_error_says_whose_its_code_is_and_what_to_do():
    """Codes of others carry their origin; the advice stands in brackets."""
    error = ChatError("no luck", code=240, origin=Origin.GMS, advice="try later")
    assert str(error) == "no luck [gms 240] (try later)"
    assert str(ChatError("no luck", code=4011, origin="x-mine")) == "no luck [x-mine 4011]"
    assert str(ConnectError("no server")) == "no server"
    assert isinstance(ConnectError("x"), ConnectionError)
    assert ConnectError("x").code == 100
