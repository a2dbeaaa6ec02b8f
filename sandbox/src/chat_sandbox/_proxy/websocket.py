"""Reads the frames of a WebSocket, byte by byte what they were, and knows no socket.

A message with its fragments is one thing. Control frames pass at once, those between fragments with their message. What
cannot be read passes as it is, from there to the end of the stream.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Final

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.streams import StreamReader

from chat_sandbox._proxy.bayeux import edit_messages, read_messages
from chat_sandbox._proxy.http import Wanted
from chat_sandbox._proxy.pieces import Bytes, Piece, Whole
from chat_sandbox._proxy.rules import Passing, Towards

__all__ = ["FrameReader", "edited_frames"]

_MASKING_KEY: Final = 4


class FrameReader:
    """Reads one direction of a WebSocket.

    Args:
        towards: which side it goes to; frames to the server are masked.
        path: of the upgrade.
        wanted: asks whether a message is wanted as a whole.
        limit: bytes of a message that is; a larger one passes untouched.
    """

    def __init__(self, towards: Towards, path: str, wanted: Wanted, *, limit: int) -> None:
        self._towards: Towards = towards
        self._path = path
        self._wanted = wanted
        self._limit = limit
        self._bytes = StreamReader()
        self._parser: Generator[None, None, Frame] | None = None
        #: Came, and is not attributed to a piece yet.
        self._waiting = bytearray()
        #: Bytes of a frame too large to be kept that are still to come.
        self._passing_on = 0
        #: The message so far, while it is wanted as a whole.
        self._raw = bytearray()
        self._controls = bytearray()
        self._data = bytearray()
        self._text = False
        self._collecting = False
        #: Between the first fragment of a message and its last.
        self._inside = False
        #: From here on everything passes as it is.
        self.opaque = False

    def feed(self, data: bytes) -> None:
        """Take what came; ``b""`` is the end of the stream."""
        self._waiting += data
        if not data:
            self.opaque = True  # nothing can be completed any more
        elif not self._passing_on:
            self._bytes.feed_data(data)

    def pieces(self) -> Iterator[Piece]:
        """Yield what is there by now."""
        while True:
            if self._passing_on and not self.opaque:
                if not self._waiting:
                    return
                raw = bytes(self._waiting[: self._passing_on])
                del self._waiting[: len(raw)]
                self._passing_on -= len(raw)
                if not self._passing_on:
                    self._bytes.feed_data(self._waiting)
                yield Bytes(raw=raw)
                continue
            if self.opaque:
                rest = bytes(self._raw + self._waiting)
                self._raw.clear()
                self._waiting.clear()
                if rest:
                    yield Bytes(raw=rest)
                return
            frame, raw = self._frame()
            if frame is not None:
                yield from self._take(frame, raw)
            elif not (self.opaque or self._passing_on):
                return

    def _frame(self) -> tuple[Frame | None, bytes]:
        """Return the next frame with its bytes."""
        if self._parser is None:
            self._parser = Frame.parse(self._bytes.read_exact, mask=self._towards == "server", max_size=self._limit)
        try:
            next(self._parser)
        except StopIteration as stop:
            frame: Frame = stop.value
        except PayloadTooBig as error:
            masked = _MASKING_KEY if self._towards == "server" else 0
            taken = len(self._waiting) - len(self._bytes.buffer)
            self._too_large(taken + masked + (error.size or 0))
            return None, b""
        except (ProtocolError, ValueError):
            self.opaque = True
            return None, b""
        else:
            return None, b""
        self._parser = None
        taken = len(self._waiting) - len(self._bytes.buffer)
        raw = bytes(self._waiting[:taken])
        del self._waiting[:taken]
        return frame, raw

    def _too_large(self, size: int) -> None:
        """Let a frame pass as it comes, and with it what was kept of its message."""
        self._parser = None
        self._bytes.discard()
        self._passing_on = len(self._raw) + size
        self._waiting[:0] = self._raw
        self._raw.clear()
        self._collecting = False
        # Whether it was the last of its message stands in its first byte.
        self._inside = not self._waiting[self._passing_on - size] & 0x80

    def _take(self, frame: Frame, raw: bytes) -> Iterator[Piece]:
        control = frame.opcode in CTRL_OPCODES
        if not self._inside and not control:
            self._collecting = self._wanted(self._towards, "websocket", self._path)
            self._text = frame.opcode is Opcode.TEXT
            self._raw.clear()
            self._controls.clear()
            self._data.clear()
        if not control:
            self._inside = not frame.fin
        if not self._collecting or (control and not self._raw):
            yield Bytes(raw=raw)
            return
        self._raw += raw
        if control:
            self._controls += raw
        else:
            self._data += frame.data
        if len(self._raw) > self._limit:
            self._collecting = False
            yield Bytes(raw=bytes(self._raw))
            self._raw.clear()
        elif not self._inside:
            yield self._whole()
            self._raw.clear()

    def _whole(self) -> Whole:
        body = bytes(self._data)
        passing = Passing(
            towards=self._towards,
            carrier="websocket",
            path=self._path,
            messages=read_messages(body) if self._text else (),
        )
        return Whole(passing=passing, raw=bytes(self._raw), body=body, controls=bytes(self._controls))


def edited_frames(whole: Whole, *, without: Iterable[int] = (), twice: Iterable[int] = ()) -> bytes:
    """Return a message without some of its Bayeux messages, and with some of them twice."""
    body = edit_messages(whole.body, without=frozenset(without), twice=frozenset(twice))
    return whole.controls + Frame(Opcode.TEXT, body).serialize(mask=whole.passing.towards == "server")
