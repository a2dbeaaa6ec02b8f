"""From the events of GMS to those of chat-core."""

from datetime import UTC, datetime

import pytest

from chat_core import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    CustomNotice,
    FileDeleted,
    FileUploaded,
    IdleAlert,
    IdleClose,
    MessageReceived,
    NicknameUpdated,
    Notice,
    Origin,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantTyping,
    PartyType,
    PushUrl,
    UnknownEvent,
)
from chat_gms import decode_envelope
from chat_gms.client import EventTranslator, refusal
from chat_gms.envelope import decode_head


def event(kind, *, who="Client", number=1, **fields: object):
    return {"type": kind, "from": {"nickname": "N", "participantId": number, "type": who}, "index": 3, **fields}


def translate(*events: object, translator=None):
    return (translator or EventTranslator()).batch(decode_head({"messages": list(events), "nextPosition": 9}))


@pytest.mark.parametrize(
    ("kind", "client", "agent"),
    [
        ("ParticipantJoined", ParticipantJoined, AgentConnected),
        ("ParticipantLeft", ParticipantLeft, AgentDisconnected),
        ("TypingStarted", ParticipantTyping, AgentTyping),
        ("TypingStopped", ParticipantTyping, AgentTyping),
        ("Message", MessageReceived, MessageReceived),
        ("PushUrl", PushUrl, PushUrl),
        ("NicknameUpdated", NicknameUpdated, NicknameUpdated),
        ("FileUploaded", FileUploaded, FileUploaded),
        ("FileDeleted", FileDeleted, FileDeleted),
        ("CustomNotice", CustomNotice, CustomNotice),
        ("Notice", Notice, Notice),
        ("IdleAlert", IdleAlert, IdleAlert),
        ("IdleClose", IdleClose, IdleClose),
        ("Novelty", UnknownEvent, UnknownEvent),
    ],
)
def test_each_type_has_its_class(kind, client, agent):
    """Agents and supervisors have some of their own."""
    for who, expected in (("Client", client), ("Agent", agent), ("Supervisor", agent), ("External", client)):
        (made,) = translate(event(kind, who=who)).events
        assert type(made) is expected
        assert made.index == 3
        assert made.party.type == PartyType(who.lower())


def test_the_details_arrive():
    """Text, kind, time, file, reason, typing."""
    batch = translate(
        event("Message", text="hi", messageType="url", utcTime=1700000000500),
        event("FileUploaded", userData={"file-id": "f1", "file-name": "a.png", "file-size": "12"}),
        event("FileUploaded", text="b.png", userData={"file-size": "much"}),
        event("ParticipantLeft", eventAttributes={"GCTI_SYSTEM": {"quit-reason-code": "4"}}),
        event("ParticipantLeft", eventAttributes={"GCTI_SYSTEM": 5}),
        event("TypingStopped", text="pre"),
        event("PushUrl", text="https://x.example/"),
        event("Novelty", text="t", userData={"a": "b"}),
    )
    message, file, other, left, gone, typing, url, unknown = batch.events
    assert (message.text, message.content_type) == ("hi", "url")
    assert message.timestamp == datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)
    assert (file.file_id, file.name, file.size) == ("f1", "a.png", 12)
    assert (other.name, other.size) == ("b.png", None)
    assert (left.reason_code, gone.reason_code) == ("4", None)
    assert (typing.is_typing, typing.text) == (False, "pre")
    assert url.url == "https://x.example/"
    assert (unknown.kind, unknown.text, dict(unknown.data)) == ("Novelty", "t", {"a": "b"})
    assert batch.next_position == 9


def test_own_is_who_joined_first_as_a_client():
    """A second client of a conference is somebody else."""
    translator = EventTranslator()
    assert translate(event("Message"), translator=translator).events[0].own
    translate(event("ParticipantJoined", number=1), translator=translator)
    events = translate(
        event("Message", number=1), event("Message", number=4), event("Message", who="Agent"), translator=translator
    ).events
    assert [made.own for made in events] == [True, False, False]


@pytest.mark.parametrize("when", [None, "soon", 10**17, -(10**17), True, 1e400])
def test_a_time_outside_every_calendar_is_none(when):
    """The event is not lost for it."""
    (made,) = translate(event("Message", utcTime=when)).events
    assert made.timestamp is None


def test_an_event_without_a_sender_has_no_party():
    """And is not ours."""
    (made,) = translate({"type": "Notice", "text": "file-client-cfg-get"}).events
    assert (made.party, made.own, made.index) == (None, False, None)


def test_a_refusal_carries_the_first_error():
    """Its number is the server's; without an error the statusCode is named."""
    error = refusal(decode_envelope({"statusCode": 2, "errors": [{"code": 249, "advice": "dead"}]}))
    assert (error.code, error.origin, error.description, error.session_unknown) == (249, Origin.GMS, "dead", True)
    error = refusal(decode_envelope({"statusCode": 2}))
    assert (error.code, error.session_unknown) == (0, False)
    assert "statusCode 2" in error.description
