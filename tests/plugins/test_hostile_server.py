"""RP-11: what a hostile server can do to a start and to a chat, over each carrier: not much, and not for long."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from chat_core import AgentConnected, ChatError, ContinuityLost, Event, Interrupted, MessageReceived
from chat_gms import http as gms_http
from chat_sandbox import Sandbox
from plugins.carriers import CARRIERS, QUICK, every_carrier, options, start
from support.hostile import HostileGate, chunked, endless, frame, http

MIB = 1024 * 1024
#: A small limit for what arrives in small pieces, which take their time.
SMALL = 64 * 1024
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
UPGRADED = "101 Switching Protocols"
UPGRADE = {"upgrade": "websocket", "sec_websocket_accept": "<accept>"}

BODIES = {
    "nested 100,000 deep": b"[" * 100_000,
    "nested 900 deep": b'[{"channel":"/x","data":' + b"[" * 900 + b"]" * 900 + b"}]",
    "a million messages": b"[" + b"{}," * 999_999 + b"{}]",
    "a million events": b'{"statusCode":0,"messages":[' + b"{}," * 999_999 + b"{}]}",
    "a number of 100,000 digits": b'[{"channel":"/x","statusCode":' + b"9" * 100_000 + b"}]",
    "no end of a string": b'["' + b"x" * 100_000,
    "a lone surrogate": b'["\\ud800"]',
    "NUL": b"\x00" * 1000,
    "UTF-16": "[{}]".encode("utf-16"),
    "a text of 16 MB": b'[{"channel":"/x","data":"' + b"x" * 16 * MIB + b'"}]',
}
ANSWERS = {
    "a bomb": http(gzip.compress(b" " * 64 * MIB), content_encoding="gzip"),
    "a bomb in a bomb": http(gzip.compress(gzip.compress(b" " * 64 * MIB)), content_encoding="gzip, gzip"),
    "compressed in a way not asked for": http(b"x" * 100, content_encoding="br"),
    "damaged compression": http(b"x" * 100, content_encoding="gzip"),
    "endless headers": endless([OK], b"x-header: y\r\n" * 100),
    "a header of 1 MB": [OK + b"x-header: " + b"y" * MIB + b"\r\n\r\n{}"],
    "an endless status line": endless([b"HTTP/1.1 200 "], b"OK" * 1000),
    "an endless body": endless([OK + b"connection: close\r\n\r\n"], b" " * SMALL),
    "an endless chunked body": endless([OK + b"transfer-encoding: chunked\r\n\r\n"], chunked(b" " * SMALL)),
    "tiny chunks without an end": endless([OK + b"transfer-encoding: chunked\r\n\r\n"], chunked(b" ") * 100),
    "a chunk size without an end": endless([OK + b"transfer-encoding: chunked\r\n\r\n"], b"0" * 1000),
    "a length of 10,000 digits": [OK + b"content-length: " + b"9" * 10_000 + b"\r\n\r\n{}"],
    "no HTTP at all": [b"\x00\x01\x02" * 1000],
    "nothing": [b""],
    **{f"a body: {name}": http(body) for name, body in BODIES.items()},
}
FRAMES = {
    "a frame above the limit": [frame(b" " * 5 * MIB)],
    "a frame that says it is above the limit": [b"\x81\x7f" + (2**62).to_bytes(8, "big")],
    "fragments above the limit": [frame(b"[", fin=False), *[frame(b" " * SMALL, opcode=0, fin=False)] * 80],
    "tiny fragments without an end": endless([frame(b"[", fin=False)], frame(b" ", opcode=0, fin=False) * 1000),
    "empty fragments without an end": endless([frame(b"[", fin=False)], frame(b"", opcode=0, fin=False) * 1000),
    "compressed though not agreed": [frame(gzip.compress(b" " * MIB), rsv1=True)],
    "no UTF-8": [frame(b'["\xff\xfe"]')],
    "binary": [frame(b"\x00\x01", opcode=2)],
    "a reserved opcode": [frame(b"x", opcode=7)],
    "a masked frame": [frame(b"[]", masked=True)],
    "a long ping": [frame(b"x" * 1000, opcode=9)],
    "a continuation of nothing": [frame(b"x", opcode=0)],
    "a close with a wrong code": [frame(b"\x00\x01", opcode=8)],
    **{f"a frame: {name}": [frame(body)] for name, body in BODIES.items()},
}
UPGRADES = {
    "permessage-deflate unasked": http(
        status=UPGRADED, **UPGRADE, sec_websocket_extensions="permessage-deflate", length=False
    ),
    "a subprotocol unasked": http(status=UPGRADED, **UPGRADE, sec_websocket_protocol="chat", length=False),
    "a wrong accept": http(status=UPGRADED, upgrade="websocket", sec_websocket_accept="x", length=False),
    "endless headers": ANSWERS["endless headers"],
    "a header of 1 MB": ANSWERS["a header of 1 MB"],
    "an endless body": ANSWERS["an endless body"],
    "a refusal without an end": endless([b"HTTP/1.1 403 No\r\nconnection: close\r\n\r\n"], b"x" * SMALL),
}


def patience(carrier: str, **more: Any) -> dict[str, Any]:
    """Short waits, so that a bound in time is a short one."""
    if carrier == "rest":
        return {**QUICK, "connect_timeout": 2.0, "start_timeout": 4.0, "request_timeout": 1.0, **more}
    return {"connect_timeout": 2.0, "start_timeout": 4.0, "max_network_delay": 2.0, **more}


def limit(carrier: str, size: int) -> dict[str, Any]:
    return {"max_answer_size" if carrier == "rest" else "max_message_size": size}


def through(carrier: str, sandbox: Sandbox, gate: HostileGate, **more: Any) -> Any:
    """Start a chat through the gate."""
    url = gate.through(options(carrier, sandbox)["server_url"])
    return start(carrier, sandbox, server_url=url, transport_options=patience(carrier, **more))


async def fails(starting: Any) -> ChatError:
    """Start, and return the documented error that comes of it, in bounded time and memory."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        with pytest.raises(ChatError) as caught:
            async with starting:
                pass
        assert time.monotonic() - began < 30  # what is promised is an end, not a speed
        assert tracemalloc.get_traced_memory()[1] < 160 * MIB
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 600
    return caught.value


def run(main: Any, *, seconds: float = 30.0) -> None:
    """Run a test; nothing may reach the loop's handler of exceptions."""
    escaped: list[dict[str, Any]] = []

    async def bounded() -> None:
        def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            if "StreamReaderProtocol" not in context["message"]:  # the gate's own, when it is closed at work
                escaped.append(context)

        asyncio.get_running_loop().set_exception_handler(note)
        async with asyncio.timeout(seconds):
            await main()

    asyncio.run(bounded())
    assert not escaped


@pytest.mark.parametrize("carrier", CARRIERS[1:])
@pytest.mark.parametrize("answer", ANSWERS)
def test_rp11_a_start_over_http_fails_in_bounded_time_and_memory(carrier: str, answer: str):
    """The first request is answered with it."""

    async def main() -> None:
        async with Sandbox() as sandbox, HostileGate(sandbox.port) as gate:
            gate.strike(ANSWERS[answer])
            await fails(through(carrier, sandbox, gate, **(limit(carrier, SMALL) if "tiny" in answer else {})))
            assert sandbox.chats == []

    run(main)


@pytest.mark.parametrize("name", UPGRADES)
def test_rp11_an_upgrade_that_is_none_leads_to_long_polling(name: str):
    """Whatever the server answers to it; nothing is negotiated that was not asked for."""

    async def main() -> None:
        async with Sandbox() as sandbox, HostileGate(sandbox.port) as gate:
            gate.strike(UPGRADES[name], times=1)
            async with through("cometd-websocket", sandbox, gate) as session:
                agent = await sandbox.next_chat()
                await agent.join()
                await agent.say("hello")
                await session.wait_for(MessageReceived, timeout=10)

    run(main)


@pytest.mark.parametrize("name", FRAMES)
def test_rp11_a_start_over_websocket_fails_in_bounded_time_and_memory(name: str):
    """The upgrade is answered well, and the handshake with it; long polling then meets a refusal."""
    (answer,) = http(status=UPGRADED, **UPGRADE, connection="Upgrade", length=False)
    opened = answer.replace(b"connection: close\r\n", b"")

    class Opened:
        def __iter__(self) -> Iterator[bytes]:
            yield opened
            yield from FRAMES[name]

    async def main() -> None:
        async with Sandbox() as sandbox, HostileGate(sandbox.port) as gate:
            gate.strike(Opened(), times=1)
            sandbox.faults.refuse_handshake = "no"
            await fails(through("cometd-websocket", sandbox, gate))

    run(main)


async def goes_on(sandbox: Sandbox, session: Any, agent: Any) -> None:
    """Whatever happened, the chat continues: both sides are heard, each once."""
    await agent.say("after")
    await session.wait_for(MessageReceived, lambda event: event.text == "after", timeout=25)
    await session.send_message("mine", until="echoed")
    assert agent.chat.texts.count("mine") == 1


@pytest.mark.parametrize("carrier", CARRIERS[1:])
@pytest.mark.parametrize("answer", ANSWERS)
def test_rp11_a_chat_over_http_outlives(carrier: str, answer: str, monkeypatch):
    """One answer in mid chat; no exception escapes, and afterwards everything is as it was."""
    monkeypatch.setattr(gms_http, "LONGEST_DRIP", 1.0)

    async def main() -> None:
        more = limit(carrier, SMALL) if "tiny" in answer else {}
        async with Sandbox() as sandbox, HostileGate(sandbox.port) as gate:
            async with through(carrier, sandbox, gate, **more) as session:
                agent = await sandbox.next_chat()
                await agent.join()
                await session.wait_for(AgentConnected, timeout=5)
                gate.strike(ANSWERS[answer], times=1)
                await agent.say("before")
                await gate.attacked.wait()
                await goes_on(sandbox, session, agent)
            assert [e.text for e in await seen(session)] == ["before", "after", "mine"]

    run(main)


@pytest.mark.parametrize("name", FRAMES)
def test_rp11_a_chat_over_websocket_outlives(name: str):
    """One message in mid chat; the link breaks, is made anew, and nothing is lost."""

    async def main() -> None:
        async with Sandbox() as sandbox, HostileGate(sandbox.port) as gate:
            async with through("cometd-websocket", sandbox, gate) as session:
                agent = await sandbox.next_chat()
                await agent.join()
                await session.wait_for(AgentConnected, timeout=5)
                attack = asyncio.create_task(gate.inject(FRAMES[name]))
                await session.wait_for(Interrupted, timeout=15)
                attack.cancel()
                await asyncio.gather(attack, return_exceptions=True)
                await goes_on(sandbox, session, agent)
            assert [e.text for e in await seen(session)] == ["after", "mine"]

    run(main)


async def seen(session: Any) -> list[MessageReceived]:
    return [event async for event in session.events() if isinstance(event, MessageReceived)]


@every_carrier
@pytest.mark.parametrize("when", ["start", "mid chat"])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_rp11_a_redirect_is_not_followed(carrier: str, when: str, status: str):
    """Nothing ever connects to where it leads."""

    async def main() -> None:
        connected: list[Any] = []

        def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.append(writer)
            writer.close()

        elsewhere = await asyncio.start_server(note, "127.0.0.1", 0)
        port = elsewhere.sockets[0].getsockname()[1]
        attack = http(status=status, location=f"http://ada:canary@127.0.0.1:{port}/?key=canary")
        async with elsewhere, Sandbox() as sandbox, HostileGate(sandbox.port) as gate:
            if when == "start":
                gate.strike(attack)
                assert "canary" not in str(await fails(through(carrier, sandbox, gate)))
            else:
                async with through(carrier, sandbox, gate) as session:
                    agent = await sandbox.next_chat()
                    await agent.join()
                    await session.wait_for(AgentConnected, timeout=5)
                    gate.strike(attack, times=2)
                    for server in list(gate._sockets):
                        server.close()
                    await gate.attacked.wait()
                    await goes_on(sandbox, session, agent)
        assert not connected

    run(main)


@every_carrier
def test_rp11_any_character_may_stand_in_a_text(carrier: str):
    """A lone surrogate, NUL and control characters are handed over as they came."""
    text = "a\x00b\ud800c\x1b[2Jd\u202ee\r\nf"

    async def main() -> None:
        async with Sandbox() as sandbox, start(carrier, sandbox) as session:
            agent = await sandbox.next_chat()
            await agent.join(text)
            await agent.say(text)
            event = await session.wait_for(MessageReceived, timeout=5)
            assert event.text == text
            assert event.party.name == text
            await session.send_message("on", until="echoed")

    run(main)


@every_carrier
def test_rp11_a_text_of_16_mb_ends_in_an_interruption_and_not_in_memory(carrier: str):
    """It is above the limit; the session says that it is interrupted or what is lost, and closes in time."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            options = patience(carrier)
            async with start(carrier, sandbox, transport_options=options, on_exit="detach") as session:
                agent = await sandbox.next_chat()
                await agent.join()
                await session.wait_for(AgentConnected, timeout=5)
                text = "x" * 16 * MIB
                tracemalloc.start()
                try:
                    await agent.say(text)
                    del text
                    await session.wait_for(
                        Event, lambda event: isinstance(event, Interrupted | ContinuityLost), timeout=15
                    )
                finally:
                    peak = tracemalloc.get_traced_memory()[1]
                    tracemalloc.stop()
                began = time.monotonic()
            assert time.monotonic() - began < 6
            assert peak < 250 * MIB  # the sandbox in the same process writes it three times over

    run(main)


@pytest.mark.parametrize("carrier", CARRIERS[1:])
@pytest.mark.parametrize("place", ["headers", "body"])
def test_rp11_a_drip_is_no_answer(carrier: str, place: str, monkeypatch):
    """A byte now and then, for ever, each of them in time: the answer is given up, and the chat goes on without it."""
    monkeypatch.setattr(gms_http, "LONGEST_DRIP", 0.5)
    begin = OK if place == "headers" else OK + b"connection: close\r\n\r\n"

    class DrippingGate(HostileGate):
        async def _send(self, attack: Any, writer: asyncio.StreamWriter) -> None:
            self.attacked.set()
            with contextlib.suppress(ConnectionError):
                writer.write(begin)
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)  # the drip

    async def main() -> None:
        async with Sandbox(timeout=1.0) as sandbox, DrippingGate(sandbox.port) as gate:
            async with through(carrier, sandbox, gate) as session:
                agent = await sandbox.next_chat()
                await agent.join()
                await session.wait_for(AgentConnected, timeout=5)
                gate.strike([b""], times=1)
                await agent.say("before")
                await gate.attacked.wait()
                await goes_on(sandbox, session, agent)
            assert [e.text for e in await seen(session)] == ["before", "after", "mine"]

    run(main)
