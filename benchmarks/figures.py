"""What is measured, on which server, and the bars that chat-core sets itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

__all__ = ["FIGURES", "Bar", "Figure"]


@frozen(kw_only=True)
class Bar:
    """What a figure is to reach.

    Attributes:
        of: whose figure it is.
        against: whose figure it is divided by; None for the figure itself.
        at_least, at_most: the limits of the ratio, or of the figure.
    """

    of: str = "chat-core"
    against: str | None = None
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        """Say whether a value is within the limits."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        limit = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        limit = f"{limit} times {self.against}" if self.against is not None else limit
        return limit if self.of == "chat-core" else f"{self.of}: {limit}"


@frozen(kw_only=True)
class Figure:
    """One thing measured.

    Attributes:
        name: of the figure, for the command line.
        what: it is, with its unit.
        test: of the clients.
        carrier: ``ws``, ``lp`` or ``rest``.
        count: how many messages, starts or sessions.
        value: where in the client's result the figure stands, dotted.
        clients: who is measured; the first one is chat-core. Behind a colon stands its test, where that differs, and
            behind a plus its event loop.
        server: ``java``, ``java, TLS`` or ``sandbox``.
        bars: what is to be reached.
        quick: whether it belongs to a run that is not ``--all``.
    """

    name: str
    what: str
    test: str
    carrier: str
    count: int
    value: str
    clients: tuple[str, ...] = ("chat-core", "noloop", "floor", "cometd.js")
    server: str = "java"
    bars: tuple[Bar, ...] = ()
    quick: bool = True

    def read(self, result: Mapping[str, Any]) -> float:
        """Return the figure of a client's result."""
        value: Any = result
        for key in self.value.split("."):
            value = value[key]
        return float(value)


def _idle(carrier: str, sessions: int, *, tls: bool = False, quick: bool = True) -> Figure:
    """The memory of idle sessions. Over TLS beside uvloop, whose own TLS keeps no buffers for each connection."""
    secure = " with TLS" if tls else ""
    clients: tuple[str, ...] = ("chat-core", "noloop") if carrier != "rest" else ("chat-core",)
    # Among a hundred, what each process has once weighs more than the sessions.
    compared = carrier != "rest" and sessions >= _MANY
    bars: tuple[Bar, ...] = (Bar(against="noloop", at_most=1.0),) if compared else ()
    if tls:
        clients += ("chat-core+uvloop",)
        bars += (Bar(of="chat-core+uvloop", at_most=80.0),)
    return Figure(
        name=f"memory-{carrier}{'-tls' if tls else ''}-{sessions}",
        what=f"memory of an idle session, {_CARRIERS[carrier]}{secure}, {sessions:,} sessions, KiB",
        test="idle",
        carrier=carrier,
        count=sessions,
        value="kib",
        clients=clients,
        server="sandbox" if carrier == "rest" else "java, TLS" if tls else "java",
        bars=bars,
        quick=quick,
    )


def _opening(carrier: str, sessions: int) -> Figure:
    """The processor time of opening many sessions, which is to grow as they do; of the same run as their memory."""
    return Figure(
        name=f"open-{carrier}-{sessions}",
        what=f"processor time of opening a session, {_CARRIERS[carrier]}, {sessions:,} sessions, ms",
        test="idle",
        carrier=carrier,
        count=sessions,
        value="open_cpu_ms",
        clients=("chat-core", "noloop"),
        quick=False,
    )


_MANY = 1000
_CARRIERS = {"ws": "WebSocket", "lp": "long polling", "rest": "REST"}

FIGURES: tuple[Figure, ...] = (
    Figure(
        name="burst-ws",
        what="events of one session, WebSocket, from GMS envelopes to typed events at the subscriber, per second",
        test="burst",
        carrier="ws",
        count=9000,
        value="per_s",
        clients=("chat-core", "chat-core:burst_speed", "noloop", "floor", "cometd.js"),
        bars=(Bar(against="noloop", at_least=3.0), Bar(against="floor", at_least=0.7)),
    ),
    Figure(
        name="burst-lp",
        what="the same over long polling, per second",
        test="burst",
        carrier="lp",
        count=9000,
        value="per_s",
        clients=("chat-core", "chat-core:burst_speed", "noloop", "floor"),
        bars=(Bar(against="noloop", at_least=3.0),),
    ),
    Figure(
        name="echo-ws",
        what="from sending a message to its own echo, WebSocket, median, ms",
        test="echo",
        carrier="ws",
        count=500,
        value="median",
        clients=("chat-core", "noloop", "floor", "cometd.js", "chat-core:echo_file"),
        bars=(Bar(against="floor", at_most=1.25), Bar(against="cometd.js", at_most=1.0)),
    ),
    Figure(
        name="echo-lp",
        what="from sending a message to its own echo, long polling, median, ms",
        test="echo",
        carrier="lp",
        count=500,
        value="median",
        clients=("chat-core", "chat-core:echo_without_ack", "noloop", "floor", "cometd.js", "chat-core:echo_file"),
        bars=(Bar(against="noloop", at_most=1.0),),
    ),
    Figure(
        name="start-ws",
        what="from start_session to the session, WebSocket, median, ms",
        test="setup",
        carrier="ws",
        count=30,
        value="start.median",
        bars=(Bar(against="cometd.js", at_most=1.0),),
    ),
    Figure(
        name="close-ws",
        what="from the server's last answer to the end of leaving, WebSocket, median, ms",
        test="setup",
        carrier="ws",
        count=30,
        value="close.median",
        clients=("chat-core",),
        bars=(Bar(at_most=10.0),),
    ),
    _idle("ws", 1000),
    _idle("lp", 1000),
    _idle("rest", 1000),
    _idle("ws", 1000, tls=True),
    _idle("lp", 1000, tls=True),
    Figure(
        name="idle-ws",
        what="processor of 1,000 idle sessions, WebSocket, share of a core",
        test="idle",
        carrier="ws",
        count=1000,
        value="share",
        clients=("chat-core", "noloop"),
        bars=(Bar(at_most=0.02),),
    ),
    Figure(
        name="idle-rest",
        what="processor of 1,000 idle sessions, REST polling every 3 s, share of a core",
        test="idle",
        carrier="rest",
        count=1000,
        value="share",
        clients=("chat-core",),
        server="sandbox",
        bars=(Bar(at_most=0.15),),
    ),
    *(_idle(carrier, sessions, quick=False) for sessions in (100, 5000) for carrier in ("ws", "lp")),
    *(_idle(carrier, 5000, tls=True, quick=False) for carrier in ("ws", "lp")),
    *(_opening(carrier, sessions) for sessions in (100, 5000) for carrier in ("ws", "lp")),
)


@frozen(kw_only=True)
class Command:
    """A command whose time is compared with another one's."""

    name: str
    what: str
    arguments: tuple[str, ...] = field()
    bar: Bar = field()


#: ``python -c`` of this is what the command line is compared with.
IMPORTS = "import argparse, importlib.metadata, pluggy, attrs"
COMMANDS = (
    Command(name="help", what="`chat-core --help`", arguments=("--help",), bar=Bar(against="the imports", at_most=1.5)),
    Command(
        name="plugins",
        what="`chat-core plugins --no-load`",
        arguments=("plugins", "--no-load"),
        bar=Bar(against="the imports", at_most=1.5),
    ),
)
