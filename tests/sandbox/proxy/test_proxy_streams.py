"""Every stream passes as it is, however it is cut into pieces, and what it holds is seen."""

from __future__ import annotations

import gzip
from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from chat_sandbox._proxy.http import AnswerReader, RequestReader, edited_head, edited_message
from chat_sandbox._proxy.pieces import Exchange, Piece, Whole
from chat_sandbox._proxy.websocket import FrameReader, edited_frames

LIMIT = 4096
BODY = b'[{"channel":"/meta/connect"},{"channel":"/service/chatV2/x","data":{"operation":"sendMessage"}}]'


def everything(*_: Any) -> bool:
    return True


def nothing(*_: Any) -> bool:
    return False


wanted = st.sampled_from([everything, nothing])
limits = st.sampled_from([8, LIMIT])
#: Where a stream is cut: relative, so that any stream can be cut with it.
cuts = st.lists(st.floats(0, 1), max_size=8)


def pieces_of(reader: Any, stream: bytes, places: list[float], *, end: bool = True) -> list[Piece]:
    at = sorted({0, len(stream), *(int(place * len(stream)) for place in places)})
    found: list[Piece] = []
    for start, stop in pairwise(at):
        reader.feed(stream[start:stop])
        found += reader.pieces()
    if end:
        reader.feed(b"")
        found += reader.pieces()
    return found


def raw(pieces: list[Piece]) -> bytes:
    return b"".join(piece.raw for piece in pieces)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Header lines about a body, and the body as it is on the wire."""
    data = draw(st.sampled_from([b"", b"x", BODY, b"y" * 300]))
    if not draw(st.booleans()):
        return f"Content-Length: {len(data)}\r\n".encode(), data
    chunks = [data[start : start + 100] for start in range(0, len(data), 100)]
    extension = draw(st.sampled_from([b"", b";name=value"]))
    trailer = draw(st.sampled_from([b"", b"X-Sum: 1\r\n"]))
    wire = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return b"transfer-encoding:  chunked\r\n", wire + b"0" + extension + b"\r\n" + trailer + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS"]))
    path = draw(st.sampled_from([b"/", b"/a/b?c=d", b"*", b"/2/chat/x/1/send"]))
    about, body = draw(bodies())
    odd = draw(st.sampled_from([b"", b"x-ODD:y \r\n", b"Expect: 100-continue\r\n"]))
    return method + b" " + path + b" HTTP/1.1\r\nhost: a\r\n" + odd + about + b"\r\n" + body


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    about, body = draw(bodies())
    early = draw(
        st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"])
    )
    empty = draw(
        st.sampled_from([b"HTTP/1.1 204 \r\n\r\n", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", b""])
    )
    return early + (empty or b"HTTP/1.1 200 Fine\r\nServer:x\r\n" + about + b"\r\n" + body)


@given(st.lists(requests(), max_size=4), cuts, wanted, limits)
def test_requests_pass_unchanged(stream: list[bytes], places: list[float], is_wanted: Any, limit: int):
    """One after the other on one connection, whatever their framing; the reader stays in step."""
    reader = RequestReader(is_wanted, limit=limit)
    pieces = pieces_of(reader, b"".join(stream), places)
    assert raw(pieces) == b"".join(stream)
    assert not reader.opaque
    whole = [piece for piece in pieces if isinstance(piece, Whole)]
    if is_wanted is everything and limit == LIMIT:
        assert [piece.raw for piece in whole] == [one for one in stream if b"Expect" not in one]
    begun = [piece for piece in pieces if not isinstance(piece, Whole) and piece.begins]
    assert len(whole) + len(begun) == len(stream)


@given(st.lists(answers(), max_size=4), cuts, wanted, limits)
def test_answers_pass_unchanged(stream: list[bytes], places: list[float], is_wanted: Any, limit: int):
    """With those in between that are none yet."""
    exchanges = deque(Exchange("POST", "/a") for _ in stream)
    reader = AnswerReader(is_wanted, limit=limit, exchanges=exchanges)
    pieces = pieces_of(reader, b"".join(stream), places)
    assert raw(pieces) == b"".join(stream)
    assert not reader.opaque
    assert not exchanges
    if is_wanted is everything and limit == LIMIT:
        assert sum(isinstance(piece, Whole) for piece in pieces) == len(stream)


@given(cuts, wanted)
def test_an_answer_that_ends_with_its_connection_passes_unchanged(places: list[float], is_wanted: Any):
    """As HTTP/1.0 has it."""
    stream = b"HTTP/1.0 200 OK\r\n\r\n" + BODY
    reader = AnswerReader(is_wanted, limit=LIMIT, exchanges=deque([Exchange("POST", "/a")]))
    pieces = pieces_of(reader, stream, places)
    assert raw(pieces) == stream
    assert any(isinstance(piece, Whole) for piece in pieces) is (is_wanted is everything)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"]),
    cuts,
    wanted,
)
def test_rp11_any_bytes_pass_unchanged_where_http_was_expected(
    noise: bytes, before: bytes, places: list[float], is_wanted: Any
):
    """In both directions; nothing is raised."""
    for reader in (
        RequestReader(is_wanted, limit=64),
        AnswerReader(is_wanted, limit=64, exchanges=deque([Exchange("POST", "/"), Exchange("GET", "/")])),
        AnswerReader(is_wanted, limit=64, exchanges=deque()),
    ):
        pieces = pieces_of(reader, before + noise, places)
        assert raw(pieces) + reader.rest() == before + noise


@st.composite
def messages(draw: st.DrawFn) -> list[tuple[Opcode, bytes, bool]]:
    """The frames of one WebSocket message, with control frames between its fragments."""
    data = draw(st.sampled_from([b"", BODY, b"y" * 200, b"z" * 70000]))
    parts = draw(st.integers(1, 3))
    size = len(data) // parts + 1
    frames = []
    for number in range(parts):
        kind = Opcode.TEXT if number == 0 else Opcode.CONT
        frames.append((kind, data[number * size : (number + 1) * size], number == parts - 1))
        if draw(st.booleans()):
            frames.append((draw(st.sampled_from([Opcode.PING, Opcode.PONG])), b"p", True))
    return frames


def wire(frames: list[tuple[Opcode, bytes, bool]], *, mask: bool) -> bytes:
    return b"".join(Frame(kind, data, fin=fin).serialize(mask=mask) for kind, data, fin in frames)


@given(st.lists(messages(), max_size=4), st.booleans(), cuts, wanted, st.sampled_from([8, 150, LIMIT, 10**6]))
def test_frames_pass_unchanged(
    stream: list[list[tuple[Opcode, bytes, bool]]], to_server: bool, places: list[float], is_wanted: Any, limit: int
):
    """Fragmented or whole, large or small, masked or not; the reader stays in step."""
    sent = b"".join(wire(frames, mask=to_server) for frames in stream)
    reader = FrameReader("server" if to_server else "client", "/a", is_wanted, limit=limit)
    pieces = pieces_of(reader, sent, places, end=False)
    assert raw(pieces) == sent
    assert not reader.opaque
    if is_wanted is everything and limit == 10**6:
        assert sum(isinstance(piece, Whole) for piece in pieces) == len(stream)


@given(st.binary(max_size=300), st.booleans(), cuts, wanted)
def test_rp11_any_bytes_pass_unchanged_where_frames_were_expected(
    noise: bytes, to_server: bool, places: list[float], is_wanted: Any
):
    """Nothing is raised, and nothing is kept back at the end."""
    before = wire([(Opcode.TEXT, b"part", False)], mask=to_server)
    reader = FrameReader("server" if to_server else "client", "/a", is_wanted, limit=64)
    assert raw(pieces_of(reader, before + noise, places)) == before + noise


def test_the_messages_of_a_fragmented_frame_are_seen():
    """Its fragments together are one thing."""
    frames = [(Opcode.TEXT, BODY[:20], False), (Opcode.PING, b"", True), (Opcode.CONT, BODY[20:], True)]
    (whole,) = pieces_of(FrameReader("server", "/a", everything, limit=LIMIT), wire(frames, mask=True), [], end=False)
    assert isinstance(whole, Whole)
    assert [message.operation for message in whole.passing.messages] == [None, "sendMessage"]
    edited = edited_frames(whole, without=[0])
    ping, text = pieces_of(FrameReader("server", "/a", everything, limit=LIMIT), edited, [], end=False)
    assert ping.raw == whole.controls
    assert isinstance(text, Whole)
    assert [message.operation for message in text.passing.messages] == ["sendMessage"]


@pytest.mark.parametrize("encoding", ["", "gzip", "br"])
def test_the_messages_of_a_body_are_seen_through_its_encoding(encoding: str):
    """Those that HTTP itself knows; others pass unseen."""
    body = gzip.compress(BODY) if encoding == "gzip" else BODY
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\nX: y\r\n\r\n".encode()
    reader = AnswerReader(everything, limit=LIMIT, exchanges=deque([Exchange("POST", "/a")]))
    (whole,) = pieces_of(reader, head + body, [])
    assert isinstance(whole, Whole)
    assert len(whole.passing.messages) == (0 if encoding == "br" else 2)
    if encoding == "gzip":
        left = b'[{"channel":"/meta/connect"}]'
        assert edited_message(whole, without=[1]) == b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 29\r\n\r\n" + left


def test_rp11_a_body_that_unpacks_to_more_than_the_limit_is_not_read():
    """It passes."""
    body = gzip.compress(b"[" + b" " * 10**6 + b"]")
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    reader = AnswerReader(everything, limit=LIMIT, exchanges=deque([Exchange("POST", "/a")]))
    (whole,) = pieces_of(reader, head + body, [])
    assert isinstance(whole, Whole)
    assert whole.body == b""


def test_a_folded_header_is_left_out_with_its_lines():
    """As it was written, in several."""
    head = b"GET / HTTP/1.1\r\nA: b\r\nDrop: c\r\n d\r\nE: f\r\n\r\n"
    assert edited_head(head, without=("drop",), more=("G: h",)) == b"GET / HTTP/1.1\r\nA: b\r\nE: f\r\nG: h\r\n\r\n"


def test_the_offer_of_websocket_extensions_is_left_out():
    """What they compress could not be read."""
    head = b"GET /a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n%s\r\n"
    offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    reader = RequestReader(nothing, limit=LIMIT)
    assert raw(pieces_of(reader, head % offer, [], end=False)) == head % b""
    assert reader.paused
