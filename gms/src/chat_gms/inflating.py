"""Undoes compression that nobody asked for, piece by piece, so that a few bytes never become many at once (RP-11)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from chat_core._model.errors import AmbiguousError

__all__ = ["PIECE", "Inflater"]

#: Bytes that are made at a time, at most.
PIECE: Final = 64 * 1024
#: gzip or zlib, as the data says (``zlib.decompressobj``).
_EITHER: Final = 47
_KNOWN: Final = frozenset({"gzip", "x-gzip", "deflate"})


class Inflater:
    """Reads one body.

    Requests ask for ``identity``; some proxies compress all the same. One layer of gzip or deflate is undone. Layers
    upon layers and what takes a library are refused.

    Args:
        encoding: the answer's ``Content-Encoding``.

    Raises:
        AmbiguousError: it is compressed in another way; the server may have done what was asked.
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        if name not in {"", "identity", *_KNOWN}:
            raise AmbiguousError("the answer is compressed in a way that was not asked for")
        self._zlib = zlib.decompressobj(_EITHER) if name in _KNOWN else None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what some bytes of the body stand for.

        Raises:
            AmbiguousError: they are damaged.
        """
        if self._zlib is None:
            yield data
            return
        while True:
            try:
                piece = self._zlib.decompress(data, PIECE)
            except zlib.error as error:
                raise AmbiguousError("the answer's compression is damaged") from error
            data = self._zlib.unconsumed_tail
            if piece:
                yield piece
            if not data and len(piece) < PIECE:
                return
