"""How a state stands in its files: JSON with a checksum, so that damage is seen and never taken for an older state."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from chat_core._model.errors import StateCorruptError, StateVersionError

__all__ = ["Stored", "decode_position", "decode_state", "encode_position", "encode_state"]

FORMAT: Final = 1
#: The key whose change alone goes to the position file.
POSITION_KEY: Final = "delivered"
_POSITION: Final = re.compile("[0-9]{1,18}")


@frozen(kw_only=True)
class Stored:
    """What a state file holds.

    Attributes:
        state: the session's state.
        lasts: seconds for which it can be restored after its owner went away.
        sign: the file name of its owner's sign of life.
        left: boot id, boot time and wall time at the write, for an owner that has no sign (any more).
        serial: changes with each full write, so that a position file of an earlier state is not applied.
    """

    state: Mapping[str, Any] = field(repr=False)
    lasts: float
    sign: str
    left: tuple[str, float, float]
    serial: str


def _sum(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"


def encode_state(stored: Stored) -> bytes:
    """Write a state file.

    Raises:
        TypeError, ValueError: the state has no JSON form.
    """
    body = json.dumps(
        {
            "format": FORMAT,
            "lasts": None if stored.lasts == math.inf else stored.lasts,
            "sign": stored.sign,
            "left": list(stored.left),
            "serial": stored.serial,
            "state": dict(stored.state),
        },
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    ).encode("utf-8", "surrogatepass")
    return _sum(body).encode("ascii") + b"\n" + body


def decode_state(data: bytes, name: str) -> Stored:
    """Read a state file.

    Raises:
        StateCorruptError: it is damaged.
        StateVersionError: a newer chat-core wrote it.
    """
    total, _, body = data.partition(b"\n")
    if total.decode("ascii", "replace") != _sum(body):
        raise StateCorruptError(
            f"the state file {name} is damaged: its checksum does not fit",
            advice="start a new session, or remove the file",
        )
    try:
        value = json.loads(body.decode("utf-8", "surrogatepass"))
        if value["format"] > FORMAT:
            raise StateVersionError(
                f"the state file {name} has format {value['format']} and this chat-core reads up to {FORMAT}",
                advice="update chat-core",
            )
        boot, at, wall = value["left"]
        return Stored(
            state={**value["state"]},
            lasts=math.inf if value["lasts"] is None else float(value["lasts"]),
            sign=str(value["sign"]),
            left=(str(boot), float(at), float(wall)),
            serial=str(value["serial"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, StateVersionError):
            raise
        raise StateCorruptError(f"the state file {name} is damaged: {type(error).__name__}") from error


def encode_position(serial: str, position: int) -> bytes:
    """Write a position file."""
    body = f"{serial} {position}"
    return f"{_sum(body.encode('ascii'))} {body}\n".encode("ascii")


def decode_position(data: bytes, serial: str) -> int | None:
    """Read a position file; None when it is damaged or belongs to another state. It is only ever a newer position."""
    total, _, body = data.decode("ascii", "replace").strip().partition(" ")
    if total != _sum(body.encode("ascii", "replace")):
        return None
    owner, _, position = body.partition(" ")
    return int(position) if owner == serial and _POSITION.fullmatch(position) else None
