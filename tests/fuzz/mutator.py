"""Mutations that keep JSON what it is, so that most inputs get past the parser."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final, TypeAlias

__all__ = ["BytesMutator", "json_mutator"]

BytesMutator: TypeAlias = Callable[[bytes, int], bytes]

#: One in so many inputs is mutated as bytes, so that what is no JSON is tried too.
_RAW: Final = 8
#: Values that parsers stumble over.
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, 2, -1, 50, 249, 402, 10**18, -(10**18), 10**400, 0.5, 1e308, float("nan"), float("inf")),
    *("", "0", "1", "2", "-5", "true", " FALSE ", "9" * 19, "9" * 400, "\x00", "\ud800", "a[b]", "\r\n", "<html>"),
    *("402::Unknown client", "403:denied:no", "retry", "handshake", "none", "long-polling", "websocket"),
    *([], {}, [[]], {"": ""}, [None], ["1", "2"], [{"code": 249}], {"reconnect": "handshake", "interval": 10**9}),
)
#: Names of fields, of every codec.
_KEYS: Final = """
channel id successful clientId data ext ack timesync tc ts p advice reconnect interval timeout maxInterval error errors
code message version supportedConnectionTypes subscription connectionType long-polling multiple-clients operation
messages type index text messageType utcTime from nickname participantId userData eventAttributes GCTI_SYSTEM
quit-reason-code file-id file-name file-size upload-max-files upload-file-types statusCode chatEnded chatId userId
secureKey alias nextPosition monitored idleTimerExpire transport server_url session_id link delivered outbox resend
websockets_disabled stage before queued_at format lasts sign left serial state
""".split()  # noqa: SIM905 - seventy lines otherwise


def json_mutator(mutate: BytesMutator, prefix: int = 0) -> Callable[[bytes, int, int], bytes]:
    """Return a custom mutator.

    Args:
        mutate: the fuzzer's own, for bytes and strings.
        prefix: bytes before the JSON.
    """

    def custom(data: bytes, max_size: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.randrange(_RAW) == 0:
            return mutate(data, max_size)
        before, data = data[:prefix], data[prefix:]
        if before and dice.randrange(_RAW) == 0:
            before = bytes([dice.randrange(256)]) + before[1:]
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return mutate(before + data, max_size)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            value = _changed(value, dice, mutate)
        try:
            text = json.dumps(value, ensure_ascii=dice.randrange(2) == 0, separators=(",", ":"))
        except (ValueError, RecursionError):
            return mutate(before + data, max_size)
        return (before + text.encode("utf-8", "surrogatepass"))[:max_size]

    return custom


def _place(value: Any, dice: random.Random) -> tuple[Any, Any]:
    """Return (container, key) of some value inside, (None, None) when there is none."""
    container, key = None, None
    while isinstance(value, dict | list) and value:
        container = value
        key = dice.choice(list(value)) if isinstance(value, dict) else dice.randrange(len(value))
        value = value[key]
        if dice.randrange(4) == 0:
            break
    return container, key


def _changed(value: Any, dice: random.Random, mutate: BytesMutator) -> Any:
    container, key = _place(value, dice)
    if container is None or dice.randrange(50) == 0:
        return dice.choice(([value], {"data": value}, _copy(dice.choice(_VALUES))))
    match dice.randrange(7):
        case 0 | 1:
            container[key] = _copy(dice.choice(_VALUES))
        case 2:
            del container[key]
        case 3 if isinstance(container, list):
            container.insert(key, _copy(container[key]))
        case 3 | 4 if isinstance(container, dict):
            container[dice.choice(_KEYS)] = _copy(container[key])
        case 5:
            other, index = _place(value, dice)
            container[key] = _copy(other[index])
        case _:
            old = container[key]
            if isinstance(old, str):
                container[key] = mutate(old.encode("utf-8", "surrogatepass"), 64).decode("utf-8", "replace")
            elif isinstance(old, int) and not isinstance(old, bool):
                container[key] = old + dice.choice((-1, 1, 2, 1000))
            else:
                container[key] = [old]
    return value


def _copy(value: Any) -> Any:
    if not isinstance(value, dict | list):
        return value
    try:
        return json.loads(json.dumps(value))
    except (ValueError, RecursionError):
        return None
