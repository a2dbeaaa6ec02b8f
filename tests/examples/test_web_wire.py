"""What passes between page and application."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_core import (
    AgentConnected,
    AgentDisconnected,
    ContinuityLost,
    CustomNotice,
    ErrorReported,
    Event,
    FileDeleted,
    FileUploaded,
    IdleAlert,
    IdleClose,
    LossReason,
    MessageReceived,
    NicknameUpdated,
    Notice,
    ParticipantJoined,
    Party,
    PartyType,
    PushUrl,
    UnknownEvent,
)
from chat_page._wire import MAX_FRAME, Hello, Say, Start, WireError, event_frame, read_message

ORIGIN = "https://shop.example"
START = {"do": "start", "name": " Ada ", "subject": "", "title": "Help", "url": ORIGIN + "/help", "referrer": ""}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
orders = st.fixed_dictionaries(
    {"do": st.sampled_from(["hello", "start", "say", "typing", "leave"])},
    optional=dict.fromkeys(
        ("session", "index", "epoch", "name", "subject", "title", "url", "referrer", "text"), values
    ),
)


@given(st.text() | values.map(json.dumps) | orders.map(json.dumps))
def test_whatever_comes_is_read_or_refused(text: str):
    """Nothing else is raised, and what is read can be sent on."""
    try:
        order = read_message(text, origin=ORIGIN)
    except WireError:
        return
    str(order).encode()


@pytest.mark.parametrize(
    "text", ["[" * 10_000, "9" * 10_000, '{"do": "hello", "session": "", "index": 1e9}', "x" * (MAX_FRAME + 1)]
)
def test_depth_figures_and_size_are_bounded(text: str):
    """Each is a refusal."""
    with pytest.raises(WireError):
        read_message(text, origin=ORIGIN)


def test_a_start_names_the_page():
    """As far as it can be believed."""
    order = read_message(json.dumps(START), origin=ORIGIN)
    assert isinstance(order, Start)
    assert (order.name, order.page.title, order.page.url, order.page.referrer) == (
        "Ada",
        "Help",
        ORIGIN + "/help",
        None,
    )


@pytest.mark.parametrize("url", ["https://shop.example.evil/", "javascript:alert(1)", "", "https://shop.exampl"])
def test_a_page_names_no_address_but_its_own(url: str):
    """Whatever it looks like."""
    order = read_message(json.dumps({**START, "url": url}), origin=ORIGIN)
    assert isinstance(order, Start)
    assert order.page.url is None


def test_half_a_character_does_no_harm():
    """It cannot be sent on as it is."""
    order = read_message('{"do": "say", "name": "message-1", "text": "a\\ud800b"}', origin=ORIGIN)
    assert order == Say(name="message-1", text="a?b")
    assert read_message('{"do": "hello", "session": "s", "index": 3, "epoch": 0}', origin=ORIGIN) == Hello(
        session="s", index=3, epoch=0
    )


GRACE = Party(id=2, name="Grace", type=PartyType.AGENT)
WHEN = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        (MessageReceived(index=3, party=GRACE, text="<b>"), "message", "<b>"),
        (
            MessageReceived(index=3, party=GRACE, text="https://x.example", content_type="url"),
            "link",
            "https://x.example",
        ),
        (PushUrl(index=3, party=GRACE, url="https://x.example"), "link", "https://x.example"),
        (AgentConnected(index=3, party=GRACE), "joined", None),
        (AgentDisconnected(index=3, party=GRACE), "left", None),
        (ParticipantJoined(index=3, own=True), "began", None),
        (ParticipantJoined(index=3), "joined", None),
        (NicknameUpdated(index=3, nickname="Ada"), "renamed", None),
        (FileUploaded(index=3, file_id="secret", name="a.pdf"), "file", "a.pdf"),
        (Notice(index=3, text="soon"), "notice", "soon"),
        (IdleAlert(index=3, text=""), "notice", "Are you still there? The chat will be closed otherwise."),
        (IdleClose(index=3, text="closed"), "notice", "closed"),
    ],
)
def test_what_a_page_shows_of_an_event(event: Event, kind: str, text: str | None):
    """By kind and text, whoever caused it."""
    frame = event_frame(event, session="chat", epoch=0)
    assert frame is not None
    assert (frame["kind"], frame.get("text")) == (kind, text)
    assert (frame["session"], frame["key"], frame["index"], frame["epoch"]) == ("chat", "0.3", 3, 0)
    assert "secret" not in json.dumps(frame)


@pytest.mark.parametrize(
    "event",
    [
        FileDeleted(index=3),
        CustomNotice(index=3, text="for machines"),
        UnknownEvent(index=3, kind="x"),
        IdleClose(index=3),
        ErrorReported(),
        MessageReceived(text="without a place"),
        ContinuityLost(after=3, reason=LossReason.POSITION_RESET),
    ],
)
def test_what_a_page_does_not_show(event: Event):
    """What is for machines, has no words, or has no place that a page could know it by."""
    assert event_frame(event, session="chat", epoch=0) is None


def test_a_gap_has_a_key_of_its_own():
    """So that it is shown once as well; and another numbering has other keys."""
    gap = event_frame(ContinuityLost(after=3, until=5, reason=LossReason.FETCH_REFUSED), session="chat", epoch=0)
    assert gap is not None
    assert (gap["kind"], gap["key"]) == ("gap", "0.3.gap")
    said = MessageReceived(index=3, party=GRACE, text="a", timestamp=WHEN)
    frame = event_frame(said, session="chat", epoch=1)
    assert frame is not None
    assert (frame["key"], frame["at"], frame["who"], frame["role"]) == (
        "1.3",
        "2026-01-02T00:00:00+00:00",
        "Grace",
        "agent",
    )
