"""What becomes a figure, without Locust, loop and clock."""

from __future__ import annotations

import pytest

from chat_core import (
    AgentConnected,
    AgentDisconnected,
    ConnectError,
    Continued,
    ContinuityLost,
    EndReason,
    ErrorInfo,
    Event,
    Interrupted,
    LossReason,
    MessageReceived,
    Origin,
    ParticipantJoined,
    Party,
    PartyType,
    Receipt,
    RefusedError,
    SendRejectedError,
    SendUnknownError,
    SessionEnded,
)
from chat_load_locust import _figures
from chat_load_locust._errors import reason_of
from chat_load_locust._figures import Figure, Figures
from support import locusts

ADA = Party(id=1, name="Ada", type=PartyType.CLIENT)
GRACE = Party(id=2, name="Grace", type=PartyType.AGENT)
SYSTEM = Party(id=3, name="System", type=PartyType.EXTERNAL)


class Course:
    """A chat that began at 100 s."""

    def __init__(self) -> None:
        self.told: list[Figure] = []
        self.figures = Figures(self.told.append, began=100.0)

    def saw(self, *events: Event, at: float) -> None:
        for event in events:
            self.figures.saw(event, at)

    @property
    def lines(self) -> list[tuple[str, float | None, str | None]]:
        return [(one.name, one.seconds, one.reason) for one in self.told]


def test_a_whole_chat_has_each_figure_once():
    """From the call to the end, with an interruption in between."""
    chat = Course()
    chat.figures.started(100.5)
    chat.saw(ParticipantJoined(party=ADA, own=True), at=100.5)
    chat.saw(AgentConnected(party=GRACE), at=103.0)
    chat.figures.sending(104.0)
    chat.figures.sent(104.0, 104.25)
    chat.saw(MessageReceived(text="Hello", party=ADA, own=True), at=104.25)
    chat.saw(MessageReceived(text="Yes?", party=GRACE), at=106.0)
    chat.saw(Interrupted(), Continued(blind_time=0.75), at=108.0)
    chat.saw(
        MessageReceived(text="Bye", party=GRACE), AgentDisconnected(party=GRACE), AgentConnected(party=GRACE), at=109.0
    )
    chat.saw(SessionEnded(reason=EndReason.LEFT), at=110.0)
    chat.figures.ended(110.0)
    assert chat.lines == [
        ("start_session", 0.5, None),
        ("time to agent", 3.0, None),
        ("send to echo", 0.25, None),
        ("time to first reply", 2.0, None),
        ("blind time", 0.75, None),
        ("session", 10.0, None),
    ]


def test_the_names_are_those_that_the_runs_look_for():
    """In the reports, and on the page that explains them."""
    names = {_figures.START, _figures.AGENT, _figures.REPLY, _figures.ECHO, _figures.BLIND, _figures.SESSION}
    assert names == set(locusts.FIGURES)


def test_a_greeting_and_a_system_message_are_no_reply():
    """A reply comes after the visitor's own words, and from an agent or a supervisor."""
    chat = Course()
    chat.saw(MessageReceived(text="Welcome", party=GRACE), at=101.0)
    chat.figures.sending(102.0)
    chat.figures.sending(107.0)
    chat.saw(MessageReceived(text="You are number 3", party=SYSTEM), MessageReceived(text="?"), at=103.0)
    assert chat.told == []
    chat.saw(MessageReceived(text="Yes?", party=Party(type=PartyType.SUPERVISOR)), at=112.0)
    assert chat.lines == [("time to first reply", 10.0, None)]


def test_each_loss_counts_at_once_and_a_lost_session_once():
    """Whatever its scenario raises afterwards."""
    chat = Course()
    chat.saw(ContinuityLost(after=3, reason=LossReason.POSITION_RESET), ContinuityLost(after=9), at=101.0)
    chat.saw(SessionEnded(reason=EndReason.LOST, error=ErrorInfo(code=50, description="a long story")), at=102.0)
    chat.figures.ended(103.0, "SessionEndedError")
    assert chat.lines == [
        ("continuity", None, "ContinuityLost (position reset)"),
        ("continuity", None, "ContinuityLost (no transcript)"),
        ("session", 2.0, "SessionEnded (lost, code 50)"),
        ("time to agent", 3.0, "no agent: SessionEndedError"),
    ]


@pytest.mark.parametrize("reason", [EndReason.CLOSED, EndReason.IDLE, EndReason.LEFT])
def test_an_end_that_belongs_to_chats_is_no_failure(reason: EndReason):
    """Agents close chats, and idle ones are closed."""
    chat = Course()
    chat.saw(SessionEnded(reason=reason), at=102.0)
    chat.figures.ended(102.5)
    assert chat.lines == [("session", 2.5, None)]


def test_who_waited_in_vain_is_counted_where_they_waited():
    """The longer nobody comes, the worse that figure must look, not the better."""
    chat = Course()
    chat.figures.ended(160.0, "TimeoutError")
    assert chat.lines == [("time to agent", 60.0, "no agent: TimeoutError"), ("session", 60.0, "TimeoutError")]
    chat = Course()
    chat.saw(AgentConnected(party=GRACE), at=101.0)
    chat.figures.sending(110.0)
    chat.figures.ended(130.0, "TimeoutError")
    assert chat.lines[1:] == [
        ("time to first reply", 20.0, "no reply: TimeoutError"),
        ("session", 30.0, "TimeoutError"),
    ]


def test_without_a_transcript_the_figure_has_another_name():
    """It ends earlier, and must not be mistaken for the other."""
    chat = Course()
    chat.figures.sent(104.0, 104.25, settled=False)
    assert chat.lines == [("send to accepted", 0.25, None)]


def test_reasons_are_short_and_the_same_for_the_same_cause():
    """The type, whose number it is and the number; words only where every chat has the same ones."""
    receipt = Receipt(1, "a secret text")
    rejected = SendRejectedError("message 17 is too long", receipt=receipt, code=249, origin=Origin.GMS)
    assert reason_of(rejected) == "SendRejectedError (gms 249)"
    assert reason_of(SendUnknownError("nobody knows", receipt=receipt)) == "SendUnknownError (local 150)"
    assert reason_of(RefusedError("no such chat 0001aAPG", code=50, origin=Origin.GMS)) == "RefusedError (gms 50)"
    assert reason_of(ConnectError("it cannot be reached")) == "ConnectError (local 100): it cannot be reached"
    assert len(reason_of(ConnectError("x" * 1000))) == 300
    assert reason_of(TimeoutError()) == "TimeoutError"


def test_of_a_scenarios_own_error_only_type_and_line_are_told():
    """Its words may quote what was said (RP-10)."""
    with pytest.raises(AssertionError) as caught:
        raise AssertionError("the agent said: a secret text")
    assert (
        reason_of(caught.value, file=__file__) == f"AssertionError in line {caught.tb.tb_lineno} of the scenario's file"
    )
    assert reason_of(caught.value, file="elsewhere.py") == "AssertionError"
