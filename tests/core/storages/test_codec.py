"""What stands in a state's files, damaged in ways that a checksum does not show."""

from __future__ import annotations

import zlib

import pytest

from chat_core import StateCorruptError
from chat_core._storages.codec import decode_position, decode_state


def test_rp11_a_position_of_any_length_is_none():
    """The fuzzer's find: Python refuses to read thousands of digits."""
    body = b"s " + b"9" * 5000
    assert decode_position(b"%08x %s\n" % (zlib.crc32(body), body), "s") is None


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"format":1,"left":["b",1,1],"lasts":1' + b"0" * 400 + b',"sign":"","serial":"","state":{}}',
        b'{"format":1,"left":["b",1,1],"lasts":1,"sign":"","serial":"","state":5}',
    ],
)
def test_rp11_what_nobody_wrote_is_damage(body: bytes):
    """The fuzzer's finds: nesting, a number beyond floats, a state that is no object."""
    with pytest.raises(StateCorruptError):
        decode_state(b"%08x\n%s" % (zlib.crc32(body), body), "x.json")
