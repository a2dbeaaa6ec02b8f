"""The saved state: what a storage hands back, and its files."""

from __future__ import annotations

import contextlib
import json
import zlib

from chat_core import StateCorruptError, StateVersionError
from chat_core._session.state import SavedState
from chat_core._storages.codec import decode_position, decode_state, encode_position, encode_state

JSON = True


def check(data: bytes) -> None:
    _file(data)
    try:
        saved = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        state = SavedState.from_mapping(saved)
    except (StateCorruptError, StateVersionError) as error:
        assert len(str(error)) < 400
        return
    repr(state)
    assert json.dumps(SavedState.from_mapping(state.to_mapping()).to_mapping()) == json.dumps(state.to_mapping())


def _file(data: bytes) -> None:
    position = decode_position(data, "s")
    assert position is None or position >= 0
    line = data.decode("ascii", "replace").encode("ascii", "replace")
    decode_position(b"%08x %s\n" % (zlib.crc32(line), line), "s")
    try:
        stored = decode_state(b"%08x\n%s" % (zlib.crc32(data), data), "x.json")
    except (StateCorruptError, StateVersionError):
        return
    with contextlib.suppress(ValueError):  # a number that JSON cannot write is told as such
        written = encode_state(stored)
        assert encode_state(decode_state(written, "x.json")) == written
    assert decode_position(encode_position("s", 7), "s") == 7
