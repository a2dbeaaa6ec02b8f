"""Every carrier on uvloop, whose transports are of no class of asyncio's."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

import chat_core
from chat_core import Continued, MessageReceived
from chat_sandbox import Sandbox, echo
from plugins.carriers import every_carrier, options
from support.gates import Gate

uvloop = pytest.importorskip("uvloop")

pytestmark = every_carrier


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_chat_survives_a_cut_on_uvloop(carrier: str, tls: bool, tmp_path: Path):
    """Messages and a file go out, the connections are dropped, and what is said meanwhile arrives once."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def main() -> None:
        async with Sandbox(agent=echo) as sandbox, Gate(sandbox.port, tls=context if tls else None) as front:
            given = options(carrier, sandbox)
            given["server_url"] = front.through(given["server_url"])
            given.setdefault("transport_options", {})
            if tls:
                given["transport_options"] = {**given["transport_options"], "ca_file": str(tmp_path / "ca.pem")}
            async with chat_core.start_session(state_storage="memory", **given) as session:
                await session.send_message("One", until="echoed")
                await session.send_file(b"data", name="a.txt")
                front.drop()
                if carrier != "rest":
                    await session.wait_for(Continued, timeout=20)
                receipt = await session.send_message("Two", until="echoed")
                assert receipt.copies == (receipt.index,)
                await session.wait_for(MessageReceived, lambda event: event.text == "Two", timeout=20)
            texts = [event.text async for event in session.events() if isinstance(event, MessageReceived)]
            assert texts == ["One", "One", "Two", "Two"]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
