"""JSON from a stranger."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_gms import reading
from chat_gms.envelope import MalformedEnvelopeError, decode_envelope
from chat_gms.operations import Credentials
from chat_gms.reading import MAX_DEPTH, MAX_OPENED, NotJsonError, read_envelope, read_items, read_json
from chat_gms.rest import delete_file, download_file


def test_rp11_nesting_is_bounded():
    """As deep as the limit is read, one deeper is not, whatever the stack would take."""
    assert read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for deeper in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(NotJsonError):
            read_json("[" * deeper + "]" * deeper)
        with pytest.raises(NotJsonError):
            read_json('{"a":' * deeper + "1" + "}" * deeper)


def test_rp11_the_number_of_lists_and_objects_is_bounded():
    """It is counted before any is made."""
    assert len(read_json("[" + "{}," * (MAX_OPENED - 2) + "{}]")) == MAX_OPENED - 1
    with pytest.raises(NotJsonError, match="too many"):
        read_json("[" + "{}," * MAX_OPENED + "{}]")


@pytest.mark.parametrize("data", [b"canary\xff", b'"canary', '{"canary', "9" * 5000, b"\xff\xfecanary", "[" * 5000])
def test_rp10_an_error_holds_nothing_of_the_text(data):
    """Neither itself nor in its chain: a decoding error's repr would be the whole of it."""
    for read in (read_json, read_envelope):
        with pytest.raises((NotJsonError, MalformedEnvelopeError)) as caught:
            read(data)
        error: BaseException | None = caught.value
        while error is not None:
            assert "canary" not in f"{error!r} {error} {vars(error)}"
            error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "number", [10**18, -(10**18), 10**4000, 1e300, float("inf"), float("nan"), "9" * 19, "\x1d0x"], ids=range(8)
)
def test_rp11_a_number_beyond_all_bounds_counts_as_absent(number):
    """What no position is and Python may refuse to write out. The fuzzer's find: it ended the polls."""
    envelope = decode_envelope({"nextPosition": number, "messages": [{"index": number, "utcTime": number}]})
    assert (envelope.next_position, envelope.last_index, envelope.messages[0].utc_time) == (None, None, None)


def test_a_number_as_text_may_have_any_blanks_around_it():
    """The fuzzer's find: Unicode knows blanks that int() takes and int() none that a pattern does."""
    for text in (" 7 ", "\x1d7", "7\u3000"):
        assert decode_envelope({"nextPosition": text}).next_position == 7


def test_rp11_half_a_character_in_a_files_id_is_replaced():
    """The fuzzer's find: it has no place in an address."""
    keys = Credentials(secure_key="k", chat_id="c")
    assert download_file(keys, "a/\ud800").path == "c/file/a%2F%3F/download"
    assert delete_file(keys, "\ud800").path == "c/file/%3F/delete"


@pytest.fixture(params=["msgspec", "python"])
def reader(request, monkeypatch):
    """Each of the two readers in turn: with the extra ``chat-gms[speed]``, and without it."""
    if request.param == "python":
        monkeypatch.setattr(reading, "_load", reading._by_python)
        monkeypatch.setattr(reading, "_items", reading._items_by_python)
    else:
        pytest.importorskip("msgspec")


@pytest.mark.usefixtures("reader")
def test_both_readers_read_as_json_loads_does():
    """With msgspec or without, the result is one and the same, also of what msgspec refuses."""
    for text in (
        *('{"a": 1, "a": [1.5, -0.0, "\\u00e9\u2028"]}', " [1] ", "18446744073709551616", "1" * 4000, "\n1", "1\n"),
        *("NaN", "[-Infinity]", "1e400", '"\\ud800"', "5e-324", "123456789.123456789012345678"),
    ):
        assert repr(read_json(text)) == repr(json.loads(text)), text
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
            data = text.encode(encoding)
            assert repr(read_json(data)) == repr(json.loads(data)), (text, encoding)
    for text in ("", "[1,]", "01", "1.", "1 2", "[1]]", '"\x01"', "\ufeff[]", "[" * 100_000, "1" * 5000, "1\x00"):
        with pytest.raises(NotJsonError):
            read_json(text)
        if text not in {"\ufeff[]", "1\x00"}:  # as bytes they are marked as UTF-8, and "1" in UTF-16
            with pytest.raises(NotJsonError):
                read_json(text.encode())


@pytest.mark.usefixtures("reader")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists) | st.text())
def test_any_json_is_read_as_python_reads_it(value: Any):
    """As above, of whatever can be written."""
    text = json.dumps(value)
    assert repr(read_json(text)) == repr(read_json(text.encode())) == repr(json.loads(text))


#: An array with more lists and objects than are read as a whole.
MANY = ", ".join(f'{{"a": [{number}]}}' for number in range(MAX_DEPTH))


@pytest.mark.usefixtures("reader")
def test_items_are_those_of_json_loads():
    """Of long arrays and short ones, with blanks wherever there may be some, and of what msgspec refuses."""
    for text in (
        *(
            f"[{MANY}]",
            f" \n[{MANY}]",
            f"[\t{MANY}\r\n,1 , NaN,2\n] \n",
            f'["\\ud800", {MANY}, "[{{", 1e400]',
            f"[[{MANY}]]",
        ),
        *("[]", " [ ] ", "[1,2]", "[[]]", "[NaN]"),
    ):
        for data in (text, *(text.encode(encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32-le"))):
            assert repr(list(read_items(data))) == repr(json.loads(data)), data[:20]
    for text in ("5", '{"a": [1]}', f'{{"a": [{MANY}]}}', "null"):
        assert list(read_items(text)) == [json.loads(text)]


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    "end", ["", ",", ",]", ", 1", "]]", "] 1", " 1]", ", x]", "}", ": 1]", ", 01]", '"', ", 1e]", ', "\x01"]', "]\x00"]
)
def test_what_stands_before_the_broken_place_may_be_had(end):
    """An array that breaks off gives its items up to there, and then it is no JSON."""
    items = []
    with pytest.raises(NotJsonError):
        items.extend(read_items(f"[{MANY}{end}"))
    with pytest.raises(NotJsonError):
        list(read_items(f"[{MANY}{end}".encode()))
    expected = json.loads(f"[{MANY}]")
    assert items[: len(expected)] == expected


@pytest.mark.usefixtures("reader")
def test_rp11_items_are_as_deep_as_the_whole_may_be():
    """The list around them counts."""
    just = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert list(read_items(f"[{just}, {just}]")) == json.loads(f"[{just}, {just}]")
    with pytest.raises(NotJsonError, match="deep"):
        list(read_items(f"[{just}, [{just}]]"))
    with pytest.raises(NotJsonError, match="too many"):
        list(read_items("[" + "{}," * MAX_OPENED + "{}]"))
    for brackets in ("[" * 100_000, f"[{MANY}, " + "[" * 100_000, f"[{MANY}, " + '{"a":' * 1000):
        with pytest.raises(NotJsonError):
            list(read_items(brackets))


@pytest.mark.usefixtures("reader")
def test_an_item_may_be_gone_before_the_next_is_read(monkeypatch):
    """Each is read when it is asked for."""
    read: list[Any] = []
    load, decoder = reading._load, reading._DECODER

    class Counting:
        def raw_decode(self, text: str, place: int) -> Any:
            read.append(place)
            return decoder.raw_decode(text, place)

    def counting(data: bytes) -> Any:
        read.append(data)
        return load(data)

    monkeypatch.setattr(reading, "_DECODER", Counting())
    monkeypatch.setattr(reading, "_load", counting)
    items = read_items(f"[{MANY}]")
    assert [next(items), next(items)] == [{"a": [0]}, {"a": [1]}]
    assert len(read) == 2


@pytest.mark.usefixtures("reader")
def test_rp11_an_array_of_a_million_numbers_takes_little_more_room_than_its_text():
    """The first of them is no message, so the others are not even looked at."""
    text = f"[{MANY}, 5{',1' * 1_000_000}]"
    tracemalloc.start()
    try:
        items = read_items(text)
        for _ in range(MAX_DEPTH + 1):
            next(items)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(text)
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("reader")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.recursive(st.none() | st.integers() | st.floats() | st.text(), st.lists)),
    st.integers(0),
    st.sampled_from(["", "[", "]", "{", "}", ",", '"', "\\", " ", "1", ":"]),
)
def test_any_array_is_read_as_python_reads_it_or_not_at_all(values: list[Any], place: int, damage: str):
    """Whatever is put into it anywhere: what json.loads reads is read, and what it refuses is refused."""
    text = json.dumps(values + json.loads(f"[{MANY}]"))
    place %= len(text)
    text = text[:place] + damage + text[place:]
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(NotJsonError):
            list(read_items(text))
    else:
        assert repr(list(read_items(text))) == repr(list(read_items(text.encode()))) == repr(expected)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("data", [b"[" + MANY.encode() + b', "canary', f"[{MANY}, canary]", f'[{MANY}, "canary"'])
def test_rp10_an_error_among_items_holds_nothing_of_the_text(data):
    """As of the whole."""
    with pytest.raises(NotJsonError) as caught:
        list(read_items(data))
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary" not in f"{error!r} {error} {vars(error)}"
        error = error.__cause__ or error.__context__
