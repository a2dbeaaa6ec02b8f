"""Which rule befalls what, without a socket."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from chat_sandbox import Answer, Close, Delay, Duplicate, FaultProxy, HalfOpen, Reorder, Rule, Suppress, Truncate
from chat_sandbox._proxy.bayeux import BayeuxMessage, edit_messages, read_messages
from chat_sandbox._proxy.rules import Book, Passing

CONNECT = BayeuxMessage("/meta/connect")
PUSH = BayeuxMessage("/service/chatV2/x")
SEND = BayeuxMessage("/service/chatV2/x", "sendMessage")

FRAME = Passing(towards="client", carrier="websocket", path="/cometd", messages=(CONNECT, PUSH, PUSH))
REQUEST = Passing(towards="server", carrier="http", path="/2/chat/x/1/send", operation="sendMessage")


def picked(rule: Rule, *passing: Passing) -> list[tuple[int, ...] | None]:
    book = Book(1)
    book.add(rule)
    verdicts = [book.decide(one) for one in passing]
    return [None if verdict is None else verdict.picked for verdict in verdicts]


@pytest.mark.parametrize(
    ("filters", "about"),
    [
        ({}, (0, 1, 2)),
        ({"towards": "client"}, (0, 1, 2)),
        ({"towards": "server"}, None),
        ({"carrier": "websocket"}, (0, 1, 2)),
        ({"carrier": "http"}, None),
        ({"path": "/com"}, (0, 1, 2)),
        ({"path": "/other"}, None),
        ({"channel": "/meta/connect"}, (0,)),
        ({"channel": "/meta/*"}, (0,)),
        ({"channel": "/service/*"}, None),
        ({"channel": "/service/**"}, (1, 2)),
        ({"channel": "/meta/handshake"}, None),
        ({"operation": "sendMessage"}, None),
    ],
)
def test_what_a_rule_is_about(filters: dict[str, Any], about: tuple[int, ...] | None):
    """Each filter alone, on a frame with three messages."""
    assert Rule(HalfOpen(), **filters).picks(FRAME) == about


def test_an_operation_is_named_by_a_bayeux_message_or_by_the_path():
    """Over CometD it stands in the data; over REST the path's last part names it."""
    assert Rule(Suppress(), operation="sendMessage").picks(evolve(FRAME, messages=(CONNECT, SEND))) == (1,)
    assert Rule(Suppress(), operation="sendMessage").picks(REQUEST) == ()
    assert Rule(Suppress(), operation="disconnect").picks(REQUEST) is None
    assert Rule(Suppress(), operation="sendMessage", channel="/service/**").picks(REQUEST) is None


def test_after_and_count_count_what_the_rule_is_about():
    """Two are left alone, two are befallen, and the rest passes."""
    rule = Rule(Close(), after=2, count=2)
    assert [one is not None for one in picked(rule, *[REQUEST] * 6)] == [False, False, True, True, False, False]
    assert (rule.seen, rule.hits) == (6, 2)


def test_single_messages_of_an_array_are_counted_one_by_one():
    """The second push is the second message on that channel, wherever it stands."""
    assert picked(Rule(Suppress(), channel="/service/**", after=1), FRAME, FRAME) == [(2,), None]
    assert picked(Rule(Duplicate(), channel="/service/**", after=1, count=2), FRAME, FRAME) == [(2,), (1,)]


def test_the_whole_is_counted_once_where_the_whole_is_befallen():
    """A frame with two pushes is one frame for an action that befalls frames."""
    assert picked(Rule(Delay(1), channel="/service/**", after=1), FRAME, FRAME) == [None, (1, 2)]


def test_what_an_action_cannot_do_it_is_not_asked_for():
    """A WebSocket's message has no HTTP answer, and HTTP knows no second answer; neither is counted."""
    granted = Passing(towards="client", carrier="http", path="/cometd", switching=True)
    answer = evolve(REQUEST, towards="client")
    for rule, passing in (
        (Rule(Answer()), FRAME),
        (Rule(Duplicate()), granted),
        (Rule(Duplicate()), answer),
        (Rule(Duplicate()), evolve(granted, towards="server")),
    ):
        assert picked(rule, passing) == [None]
        assert rule.seen == 0
    assert picked(Rule(Duplicate()), evolve(answer, messages=(PUSH,))) == [(0,)]


def test_the_first_rule_that_strikes_decides():
    """The next one is not asked then."""
    book = Book(1)
    first, second = Rule(Suppress()), Rule(Close())
    book.add(first)
    book.add(second)
    assert [book.decide(REQUEST).rule for _ in range(2)] == [first, second]  # type: ignore[union-attr]
    assert (first.seen, second.seen) == (2, 1)


def test_what_something_held_waits_for_is_not_held_itself():
    """Two that wait for each other would both wait."""
    book = Book(1)
    book.add(Rule(Reorder(), count=None))
    assert book.decide(FRAME, holding=True) is None
    assert book.decide(FRAME) is not None


@given(st.integers(), st.integers(1, 3))
def test_the_same_seed_throws_the_same_dice(seed: int, others: int):
    """Also with other rules behind it, which have dice of their own."""
    schedules = []
    for more in (0, others):
        book = Book(seed)
        rule = Rule(HalfOpen(), count=None, probability=0.3)
        book.add(rule)
        for _ in range(more):
            book.add(Rule(Close(), count=None, probability=0.5))
        schedules.append([getattr(book.decide(FRAME), "rule", None) is rule for _ in range(50)])
    assert schedules[0] == schedules[1]


def test_a_rule_serves_one_proxy():
    """Its counts would be somebody else's."""
    rule = Rule(Suppress())
    Book(1).add(rule)
    with pytest.raises(ValueError, match="make a new one"):
        Book(2).add(rule)
    with pytest.raises(AttributeError):
        rule.channel = "/meta/connect"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Rule("suppress"), "action must be one of Suppress, Delay, .* not 'suppress'"),
        (lambda: Rule(Suppress), "not <class"),
        (lambda: Rule(Suppress(), towards="up"), "towards must be 'server' or 'client', or None for both, not 'up'"),
        (lambda: Rule(Suppress(), carrier="ws"), "carrier must be 'http' or 'websocket'"),
        (lambda: Rule(Suppress(), path="cometd"), "path must begin with '/', not 'cometd'"),
        (lambda: Rule(Suppress(), channel="meta"), "channel must begin with '/'"),
        (lambda: Rule(Suppress(), operation=""), "operation must be the name of one, such as 'sendMessage'"),
        (lambda: Rule(Suppress(), after=-1), "after must be a whole number, 0 or more, not -1"),
        (lambda: Rule(Suppress(), count=0), "count must be a whole number, 1 or more, or None for always, not 0"),
        (lambda: Rule(Suppress(), count=True), "count must be"),
        (lambda: Rule(Suppress(), probability=0), "probability must be above 0 and at most 1, not 0"),
        (lambda: Delay(0), "Delay: seconds must be seconds above 0 and at most 3600, not 0; .*suppressed"),
        (lambda: Delay(float("nan")), "not nan"),
        (lambda: Reorder("1"), "Reorder: within must be seconds"),
        (lambda: Truncate(-1), "size must be the bytes that still pass"),
        (lambda: Close("during"), "when must be 'before' or 'after'"),
        (lambda: Answer(100), "status must be that of a final HTTP answer, 200 to 599, not 100"),
        (lambda: Answer(503, retry_after=-1), "retry_after must be whole seconds"),
        (lambda: Answer(503, body="x"), "body must be bytes, not 'x'; encode it"),
        (lambda: FaultProxy("ftp://x"), "upstream_url must be an http or https address, not 'ftp://x'; give"),
        (lambda: FaultProxy("http://[x"), "upstream_url cannot be read"),
        (lambda: FaultProxy(None), "upstream_url must be text, not None"),
        (lambda: FaultProxy("http://x", max_message_size=0), "max_message_size must be bytes, 1 or more, not 0"),
        (lambda: FaultProxy("http://x").add(Suppress()), r"takes a Rule, not Suppress\(\); write Rule"),
    ],
)
def test_a_bad_argument_is_named_with_its_remedy(make: Any, words: str):
    """Value, reason and remedy, at once."""
    with pytest.raises(ValueError, match=words):
        make()


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_is_read_as_messages_or_as_none(value: Any):
    """What is no array of messages holds none."""
    import json

    body = json.dumps(value).encode()
    messages = read_messages(body)
    assert len(messages) in {0, len(value) if isinstance(value, list) else 1}


@given(st.binary())
def test_rp11_any_bytes_are_read_as_messages_or_as_none(body: bytes):
    """Nothing is raised."""
    read_messages(body)
    read_messages(b"[" * 5000 + body)


def test_single_messages_are_taken_out_and_doubled():
    """The others stay as they were."""
    body = '[{"channel":"/a","text":"ü"},{"channel":"/b"}]'.encode()
    assert edit_messages(body, without={1}) == '[{"channel":"/a","text":"ü"}]'.encode()
    assert edit_messages(body, twice={1}) == body[:-1] + b',{"channel":"/b"}]'
