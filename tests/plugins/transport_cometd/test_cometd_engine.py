"""The Bayeux client engine: messages in, happenings out."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_core import ProtocolError
from chat_transport_cometd._bayeux.advice import Advice
from chat_transport_cometd._bayeux.engine import Connected, Delivered, Engine, Failed, Handshaken, Replied
from chat_transport_cometd._bayeux.messages import MAX_MESSAGES, decode, encode, parse_error


def received(engine, messages, now=0.0):
    """Have the engine take messages; returns what came of them."""
    happenings = [engine.take(message, now=now) for message in messages]
    return [happening for happening in happenings if happening is not None]


def read(data):
    """Read all messages of a frame."""
    return list(decode(data))


def connected(**options: bool) -> Engine:
    engine = Engine(**options)
    request = engine.handshake(["websocket", "long-polling"], now=1000)
    ext = {"ack": True} if options.get("ack") else {}
    received(
        engine,
        [{"id": request["id"], "channel": "/meta/handshake", "successful": True, "clientId": "c1", "ext": ext}],
    )
    return engine


def ok(message, **more: object):
    return {"id": message["id"], "channel": message["channel"], "successful": True, **more}


def test_the_handshake_names_version_and_carriers_and_nothing_else():
    """Extensions are offered only when they are asked for."""
    message = Engine().handshake(["long-polling"], now=5)
    assert message == {
        "id": "1",
        "channel": "/meta/handshake",
        "version": "1.0",
        "minimumVersion": "1.0",
        "supportedConnectionTypes": ["long-polling"],
    }


def test_the_handshake_offers_the_extensions_asked_for():
    """Ack is true, timesync carries the client's time in milliseconds."""
    message = Engine(ack=True, timesync=True).handshake(["websocket"], now=1234.9)
    assert message["ext"] == {"ack": True, "timesync": {"tc": 1234, "l": 0, "o": 0}}


def test_a_handshake_answer_brings_the_client_id():
    """Every later request carries it."""
    engine = Engine()
    request = engine.handshake(["websocket"], now=0)
    (happening,) = received(engine, [ok(request, clientId="abc", supportedConnectionTypes=["websocket", 7])])
    assert happening == Handshaken(request="1", connection_types=("websocket",))
    assert engine.subscribe("/x")["clientId"] == "abc"


@pytest.mark.parametrize("client_id", [None, 5, "", ["x"]])
def test_a_handshake_without_a_usable_client_id_failed(client_id):
    """Success without a clientId is none."""
    engine = Engine()
    request = engine.handshake(["websocket"], now=0)
    (happening,) = received(engine, [ok(request, clientId=client_id)])
    assert isinstance(happening, Failed)
    assert engine.client_id is None


def test_a_refused_handshake_is_no_unknown_session_even_if_advised_to_shake_hands_again():
    """Faye advises handshake with a refusal; who obeys loops."""
    engine = Engine()
    request = engine.handshake(["websocket"], now=0)
    (happening,) = received(
        engine, [ok(request) | {"successful": False, "error": "401::no", "advice": {"reconnect": "handshake"}}]
    )
    assert isinstance(happening, Failed)
    assert not happening.session_unknown
    assert (happening.error.code, happening.error.text) == (401, "no")


def test_the_first_connect_asks_to_be_answered_at_once():
    """Servers hold a first connect for the whole timeout unless told otherwise."""
    engine = connected()
    assert engine.connect(at_once=True)["advice"] == {"timeout": 0}


def test_there_is_never_a_second_connect_while_one_is_out():
    """CometD ends the older one with HTTP 500, Faye never answers one of the two."""
    engine = connected()
    request = engine.connect()
    assert engine.connect_is_out
    with pytest.raises(AssertionError):
        engine.connect()
    assert received(engine, [ok(request)]) == [Connected(request=request["id"])]
    assert not engine.connect_is_out
    assert "advice" not in engine.connect()


def test_an_event_with_the_id_of_our_connect_does_not_end_it():
    """An event may carry any id; only ``successful`` makes a reply."""
    engine = connected()
    request = engine.connect()
    (happening,) = received(engine, [{"channel": "/x", "id": request["id"], "data": {}}])
    assert isinstance(happening, Delivered)
    assert engine.connect_is_out


def test_a_reply_on_another_channel_with_our_id_answers_nothing():
    """Id and channel must both agree."""
    engine = connected()
    request = engine.publish("/x", {})
    assert received(engine, [{"channel": "/y", "id": request["id"], "successful": True}]) == []
    assert received(engine, [ok(request)]) == [Replied(request=request["id"], message=ok(request))]


def test_a_reply_counts_once():
    """The second copy of an answer is nobody's."""
    engine = connected()
    request = engine.publish("/x", {})
    assert len(received(engine, [ok(request), ok(request)])) == 1


def test_a_reply_without_id_answers_the_request_of_its_channel():
    """Some servers leave the id out."""
    engine = connected()
    request = engine.subscribe("/x")
    (happening,) = received(engine, [{"channel": "/meta/subscribe", "successful": True}])
    assert isinstance(happening, Replied)
    assert happening.request == request["id"]
    assert received(engine, [{"channel": "/meta/subscribe", "successful": True}]) == []


def test_events_may_come_before_or_after_the_connect_reply():
    """Their order is kept either way."""
    engine = connected()
    for place in (0, 1):
        request = engine.connect()
        messages = [ok(request)]
        messages.insert(place, {"channel": "/x", "data": 1})
        kinds = [type(happening) for happening in received(engine, messages)]
        assert kinds == ([Delivered, Connected] if place == 0 else [Connected, Delivered])


def test_a_meta_message_that_does_not_say_how_it_went_is_passed_over():
    """Neither a reply nor an event."""
    assert received(connected(), [{"channel": "/meta/connect", "id": "2"}]) == []


@pytest.mark.parametrize("error", ["402::Unknown client", "402::session_unknown", "401:abc:Unknown client"])
@pytest.mark.parametrize("kind", ["publish", "subscribe", "connect"])
def test_402_and_401_mean_an_unknown_session_with_or_without_advice(error, kind):
    """CometD says 402, Faye 401; the advice comes with a connect only."""
    engine = connected()
    request = {"publish": lambda: engine.publish("/x", {}), "subscribe": lambda: engine.subscribe("/x")}.get(
        kind, engine.connect
    )()
    (happening,) = received(engine, [ok(request) | {"successful": False, "error": error}])
    assert isinstance(happening, Failed)
    assert happening.session_unknown


def test_a_refused_publication_leaves_the_session_alone():
    """403 is about the message, not about the session."""
    engine = connected()
    request = engine.publish("/x", {})
    (happening,) = received(engine, [ok(request) | {"successful": False, "error": "403:denied:create denied"}])
    assert isinstance(happening, Failed)
    assert not happening.session_unknown


def test_the_advice_handshake_with_a_failed_connect_means_an_unknown_session():
    """Whatever the number."""
    engine = connected()
    request = engine.connect()
    answer = ok(request) | {"successful": False, "error": "500::x", "advice": {"reconnect": "handshake"}}
    assert received(engine, [answer])[0].session_unknown


def test_advice_is_merged_in_milliseconds():
    """What a message leaves out stays; a normal connect answer has none."""
    advice = Advice().merged({"timeout": 45000, "interval": 200, "maxInterval": 10000}, "websocket")
    advice = advice.merged({"reconnect": "handshake"}, "websocket").merged({"multiple-clients": True}, "websocket")
    assert advice == Advice(reconnect="handshake", interval=0.2, timeout=45.0, max_interval=10.0, multiple_clients=True)


def test_advice_for_one_carrier_goes_before_the_general_one():
    """It is nested under the carrier's name."""
    told = {"interval": 1000, "long-polling": {"interval": 3000}}
    assert Advice().merged(told, "long-polling").interval == 3.0
    assert Advice().merged(told, "websocket").interval == 1.0


@pytest.mark.parametrize(
    "advice",
    [
        None,
        "retry",
        {"interval": "5"},
        {"interval": -1},
        {"interval": float("nan")},
        {"timeout": float("inf")},
        {"timeout": True},
        {"reconnect": "perhaps"},
        {"multiple-clients": "yes"},
        {"hosts": ["evil.example"]},
    ],
)
def test_advice_that_makes_no_sense_changes_nothing(advice):
    """Hosts are ignored: a chat must not be sent elsewhere."""
    assert Advice().merged(advice, "websocket") == Advice()


def test_no_advice_lasts_longer_than_an_hour():
    """A server cannot put a client to sleep for ever."""
    advice = Advice().merged({"interval": 10**400, "timeout": 1e300}, "websocket")
    assert (advice.interval, advice.timeout) == (3600.0, 3600.0)


def test_advice_beside_an_event_is_not_the_server_s():
    """CometD hands a publisher's extra fields on: another client must not steer us."""
    engine = connected()
    received(engine, [{"channel": "/x", "data": 1, "advice": {"reconnect": "none", "interval": 99000}}])
    assert engine.advice == Advice()


def test_acknowledgements_count_from_minus_one_to_the_last_batch():
    """The connect carries the number of the last one received."""
    engine = connected(ack=True)
    assert engine.acknowledges
    request = engine.connect()
    assert request["ext"] == {"ack": -1}
    received(engine, [ok(request, ext={"ack": 4})])
    request = engine.connect()
    assert request["ext"] == {"ack": 4}
    received(engine, [ok(request, ext={"ack": "x"})])
    assert engine.connect()["ext"] == {"ack": 4}


def test_acknowledgements_are_off_unless_both_want_them():
    """A server that answers without them, or offers them unasked, gets none."""
    assert "ext" not in connected().connect()
    engine = Engine(ack=True)
    request = engine.handshake(["websocket"], now=0)
    received(engine, [ok(request, clientId="c")])
    assert "ext" not in engine.connect()


def test_acknowledgements_enabled_with_a_batch_number_are_understood():
    """The answer may be an object."""
    engine = Engine(ack=True)
    request = engine.handshake(["websocket"], now=0)
    received(engine, [ok(request, clientId="c", ext={"ack": {"enabled": True, "batch": 1}})])
    assert engine.acknowledges


def test_a_new_session_counts_acknowledgements_anew():
    """And forgets advice and what was out."""
    engine = connected(ack=True)
    request = engine.connect()
    received(engine, [ok(request, ext={"ack": 4}, advice={"interval": 500})])
    engine.publish("/x", {})
    engine.begin(ack=True)
    assert engine.client_id is None
    assert engine.advice == Advice()
    request = engine.handshake(["long-polling"], now=0)
    received(engine, [ok(request, clientId="c2", ext={"ack": True})])
    assert engine.connect()["ext"] == {"ack": -1}


def test_timesync_tells_the_server_s_clock():
    """Offset = ts - tc - lag, lag = (now - tc - p) / 2."""
    engine = Engine(timesync=True)
    request = engine.handshake(["websocket"], now=1000)
    received(engine, [ok(request, clientId="c", ext={"timesync": {"tc": 1000, "ts": 5010, "p": 4}})], now=1024)
    assert engine.clock_offset == 4000.0


@pytest.mark.parametrize("told", [5, {}, {"tc": "1", "ts": 2}, {"tc": 1, "ts": 10**400}, {"tc": 1, "ts": 2, "p": None}])
def test_a_senseless_timesync_is_passed_over(told):
    """Huge numbers included."""
    engine = Engine(timesync=True)
    request = engine.handshake(["websocket"], now=1000)
    assert received(engine, [ok(request, clientId="c", ext={"timesync": told})], now=1.0)
    assert engine.clock_offset is None


def test_a_forgotten_request_is_answered_no_more():
    """Replies that come too late are nobody's."""
    engine = connected()
    first, second = engine.publish("/x", 1), engine.connect()
    engine.abandon(first["id"])
    assert engine.forget() == [second["id"]]
    assert received(engine, [ok(first), ok(second)]) == []
    assert engine.unsubscribe("/x").items() >= {"channel": "/meta/unsubscribe", "subscription": "/x"}.items()
    assert engine.disconnect()["channel"] == "/meta/disconnect"


def test_a_lone_object_is_a_message_too():
    """Servers may answer without the array."""
    assert read(b'{"channel":"/x"}') == [{"channel": "/x"}]
    assert read("[]") == []


@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        b"",
        b"\xff\xfe\x00",
        b"5",
        b"[5]",
        b'[{"no":"channel"}]',
        b'[{"channel":5}]',
        b"[" * 100_000,
        b'{"channel":"/x","n":' + b"9" * 5000 + b"}",
    ],
)
def test_rp11_what_is_no_bayeux_is_a_protocol_error(data):
    """Nothing else is raised."""
    with pytest.raises(ProtocolError):
        read(data)


def test_rp11_one_array_is_bounded():
    """So many messages at once are no chat."""
    with pytest.raises(ProtocolError, match="more than"):
        read(json.dumps([{"channel": "/x"}] * (MAX_MESSAGES + 1)))


def test_rp10_a_damaged_message_is_not_quoted():
    """It may hold keys and message text; a page of HTML may be shown."""
    many = '{"channel":"/x"},' * 100
    for data in (
        *('[{"data":{"secureKey":"canary"', b'{"data":{"secureKey":"canary"}}', '["canary"]'),
        *(f'[{many}{{"data":{{"secureKey":"canary"', f'[{many}"canary"]', f"[{many}canary".encode()),
    ):
        with pytest.raises(ProtocolError) as caught:
            read(data)
        assert "canary" not in str(caught.value)
    with pytest.raises(ProtocolError, match="<title>Oops"):
        read("<title>Oops</title>")


def test_lone_surrogates_are_written_as_escapes():
    """A text that has no UTF-8 form does not break the frame."""
    text = encode([{"channel": "/x", "data": "\ud800é"}])
    assert json.loads(text.encode("utf-8")) == [{"channel": "/x", "data": "\ud800é"}]
    assert "é" in encode([{"data": "é"}])


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        ("402::Unknown client", 402, "Unknown client"),
        ("403:denied_by_security_policy:subscribe_denied", 403, "subscribe_denied"),
        ("403:why:", 403, "why"),
        ("no form", 0, "no form"),
        (None, 0, "the server gave no reason"),
        ({"code": 5}, 0, "the server gave no reason"),
    ],
)
def test_error_texts_are_read_whatever_their_form(error, code, text):
    """NNN:arguments:words; the words are free."""
    parsed = parse_error({"error": error})
    assert (parsed.code, parsed.text) == (code, text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda x: st.lists(x, max_size=3)
)
answers = st.fixed_dictionaries(
    {"channel": st.sampled_from(["/meta/handshake", "/meta/connect", "/meta/subscribe", "/meta/disconnect", "/x"])},
    optional={
        "id": st.sampled_from(["1", "2", "3", "4", "5"]) | values,
        "successful": st.booleans() | values,
        "clientId": st.text(max_size=3) | values,
        "error": st.sampled_from(["402::x", "401:a:b"]) | values,
        "advice": st.dictionaries(
            st.sampled_from(["reconnect", "interval", "timeout", "maxInterval", "websocket", "multiple-clients"]),
            values | st.sampled_from(["retry", "none", "handshake"]),
        )
        | values,
        "ext": st.fixed_dictionaries(
            {},
            optional={
                "ack": values,
                "timesync": st.dictionaries(st.sampled_from(["tc", "ts", "p"]), st.integers() | values),
            },
        )
        | values,
        "supportedConnectionTypes": values,
        "data": values,
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(answers, max_size=4), max_size=8), st.data())
def test_rp11_no_answer_breaks_the_engine_and_no_publication_is_lost_or_doubled(rounds, data):
    """Each request has one outcome at most, and is out until it has it; ids never repeat."""
    engine = Engine(ack=True, timesync=True)
    engine.handshake(["websocket"], now=1)
    out: set[str] = {"1"}
    seen: set[str] = {"1"}
    for messages in rounds:
        if engine.client_id is not None:
            made = [engine.publish("/x", {})]
            if not engine.connect_is_out and data.draw(st.booleans()):
                made.append(engine.connect())
            for message in made:
                assert message["id"] not in seen
                seen.add(message["id"])
                out.add(message["id"])
        for happening in received(engine, messages, now=2):
            if not isinstance(happening, Delivered):
                assert happening.request in out
                out.remove(happening.request)
    assert set(engine.forget()) == out


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_rp11_no_bytes_raise_anything_but_protocol_error(data):
    """A parser raises ProtocolError or nothing."""
    try:
        messages = read(data)
    except ProtocolError:
        return
    assert all(isinstance(message["channel"], str) for message in messages)
