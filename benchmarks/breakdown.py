"""Where an event's time goes, in microseconds of processor: ``python benchmarks/breakdown.py [--rounds 9] [--write]``.

A session on a WebSocket to the sandbox, in this process, is handed frames as the Java server sends them, as if they had
been read from its socket; no network and no other process disturb. Each stage is measured by itself, over the same
frames, in rounds in which every stage takes its turn; what is printed are medians. The rest of a whole is what the
stages before it do not account for.
"""

# ruff: noqa: E402 - an extra has to be hidden before it would be imported
from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from attrs import Factory, define, frozen
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

sys.modules["msgspec"] = None  # type: ignore[assignment] # an extra: what it saves is a figure of `run.py`

import chat_core
from chat_core import Event, MessageReceived
from chat_sandbox import Sandbox
from chat_transport_cometd._bayeux.engine import Engine
from chat_transport_cometd._bayeux.messages import decode
from chat_transport_cometd._dialect import GmsDialect

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "measured" / "performance.json"
CHANNEL = "/service/chatV2/customer-support"
EVENTS = 9000
#: The stages, as they are shown.
FRAMES, JSON, MESSAGES = "WebSocket frames (websockets)", "JSON", "JSON (bounded), as Bayeux messages"
EVENTS_OF, REST, WHOLE = "typed events", "order, log, saved position, reader", "all of it"
FLOOR = "for comparison: frames, and JSON by json.loads"
#: What arrives in one reading of the socket, in frames.
READ_AT_ONCE = 180


@frozen
class Burst:
    """The same events as every stage takes them: as JSON, as messages, and as the bytes of a WebSocket."""

    texts: list[str]
    reads: list[bytes]


def burst(first: int) -> Burst:
    """Make events that follow one another from an index on."""
    texts = [
        json.dumps(
            [
                {
                    "data": {
                        "statusCode": 0,
                        "alias": "117",
                        "chatId": "00027a52JCGY000M",
                        "userId": "007553823D68001E",
                        "secureKey": "0123456789abcdef0123456789abcdef",
                        "messages": [
                            {
                                "index": index,
                                "type": "Message",
                                "utcTime": 1_790_000_000_000 + index,
                                "from": {"nickname": "Grace", "participantId": 2, "type": "Agent"},
                                "text": f"{index} {'x' * 60}",
                                "messageType": "text",
                            }
                        ],
                        "nextPosition": index + 1,
                        "chatEnded": False,
                    },
                    "channel": CHANNEL,
                    "id": str(index),
                }
            ],
            separators=(",", ":"),
        )
        for index in range(first, first + EVENTS)
    ]
    frames = [Frame(Opcode.TEXT, text.encode()).serialize(mask=False) for text in texts]
    reads = [b"".join(frames[at : at + READ_AT_ONCE]) for at in range(0, EVENTS, READ_AT_ONCE)]
    return Burst(texts, reads)


def websocket(some: Burst) -> None:
    """The library's part: from bytes to frames."""
    protocol = ClientProtocol(parse_uri("ws://localhost"), state=State.OPEN, max_size=None)
    for data in some.reads:
        protocol.receive_data(data)
        protocol.events_received()


def plain_json(some: Burst) -> None:
    """As the floor of ``run.py`` reads."""
    for text in some.texts:
        json.loads(text)


def bayeux(some: Burst) -> None:
    """From text to messages that Bayeux has judged, JSON included."""
    engine = Engine()
    for text in some.texts:
        for message in decode(text):
            engine.take(message)


@define
class Translator:
    """From messages to typed events, the head of the envelope known, as it is for all but a burst's first."""

    dialect: GmsDialect = Factory(GmsDialect)

    def __call__(self, some: Burst) -> float:
        """Return the seconds that the translator took, without reading the messages."""
        messages = [json.loads(text)[0] for text in some.texts]
        began = time.process_time()
        for message in messages:
            self.dialect.read(message)
        return time.process_time() - began


def timed(stage: Callable[[Burst], None]) -> Callable[[Burst], float]:
    """Return the stage as one that tells how long it took."""

    def run(some: Burst) -> float:
        began = time.process_time()
        stage(some)
        return time.process_time() - began

    return run


async def whole(session: chat_core.Session, some: Burst, events: AsyncIterator[Event]) -> float:
    """From bytes to the subscriber, through everything between."""
    # The benchmark stands in for the socket, which nothing public offers.
    socket = session._engine.transport._transport._link._exchange.carrier._socket  # type: ignore[attr-defined] # noqa: SLF001
    began = time.process_time()
    seen = 0
    for data in some.reads:
        socket.data_received(data)
        awaited = seen + data.count(b'"Message"')
        while seen < awaited:
            if isinstance(await anext(events), MessageReceived):
                seen += 1
    return time.process_time() - began


async def measure(rounds: int) -> dict[str, float]:
    """Return each stage's microseconds per event."""
    stages = {FRAMES: timed(websocket), JSON: timed(plain_json), MESSAGES: timed(bayeux), EVENTS_OF: Translator()}
    seconds: dict[str, list[float]] = {name: [] for name in (*stages, WHOLE)}
    async with (
        Sandbox(agent=None) as sandbox,
        chat_core.start_session(
            server_url=sandbox.cometd_url, username="Ada", transport="cometd", state_storage="memory"
        ) as session,
    ):
        events = session.events()
        first = 1 + (await anext(events)).index  # its own joining
        for _ in range(rounds):
            some = burst(first)
            first += EVENTS
            for name, stage in stages.items():
                seconds[name].append(stage(some))
            seconds[WHOLE].append(await whole(session, some, events))
    found = {name: statistics.median(some) / EVENTS * 1e6 for name, some in seconds.items()}
    floor = found[FRAMES] + found[JSON]
    rest = found[WHOLE] - found[FRAMES] - found[MESSAGES] - found[EVENTS_OF]
    return {
        **{name: found[name] for name in (FRAMES, MESSAGES, EVENTS_OF)},
        REST: rest,
        WHOLE: found[WHOLE],
        FLOOR: floor,
    }


def main() -> int:
    """Measure, print, and write the report where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true", help=f"write {REPORT.relative_to(ROOT)}")
    given = parser.parse_args()
    found = asyncio.run(measure(given.rounds))
    for name, value in found.items():
        sys.stdout.write(f"{name:{max(map(len, found))}}{value:8.2f}\n")
    if given.write:
        report = json.loads(REPORT.read_text("utf-8"))
        report["breakdown"] = {
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "commit": subprocess.run(
                ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout.strip(),
            "rounds": given.rounds,
            "microseconds": {name: round(value, 2) for name, value in found.items()},
        }
        REPORT.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
