"""JSON from a stranger."""

from __future__ import annotations

import pytest

from chat_gms.envelope import MalformedEnvelopeError, decode_envelope
from chat_gms.operations import Credentials
from chat_gms.reading import MAX_DEPTH, MAX_OPENED, NotJsonError, read_envelope, read_json
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
