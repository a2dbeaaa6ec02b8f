"""RP-8 seen from the server: what sessions do while it is busy."""

from __future__ import annotations

import asyncio

import pytest

from chat_core import MessageReceived
from chat_sandbox import Sandbox
from plugins.carriers import every_carrier, options, start
from support.recorder import Recorder

#: Seconds that a busy server asks for.
WAIT = 2
#: Seconds within which two requests may have crossed with the answer to the first.
CROSSED = 0.05
#: Seconds by which clocks and timers differ.
SLACK = 0.02


@every_carrier
@pytest.mark.parametrize("status", [503, 429])
def test_rp08_nobody_comes_before_the_time_that_retry_after_asks_for(carrier: str, status: int):
    """Neither polls and reconnects nor messages, on no carrier; afterwards what was said meanwhile is there."""

    async def main() -> None:
        recorder = Recorder()
        with recorder.in_front():
            async with Sandbox(timeout=2.0) as sandbox:
                given = options(carrier, sandbox).get("transport_options", {})
                headers = {"headers": {"x-visitor": "Ada"}}
                async with start(carrier, sandbox, transport_options={**given, **headers}) as session:
                    agent = await sandbox.next_chat()
                    await agent.join("Grace")
                    await session.send_message("before", until="echoed")
                    recorder.busy = (status, WAIT)
                    sandbox.faults.drop_connections()
                    sending = asyncio.create_task(session.send_message("meanwhile"))
                    await _turned_away(recorder, after=0.0)
                    await agent.say("are you there?")
                    first = recorder.arrivals[-1].at
                    await _turned_away(recorder, after=first + CROSSED)
                    recorder.busy = None
                    await sending
                    await session.wait_for(MessageReceived, lambda event: event.text == "are you there?", timeout=15.0)
                    assert agent.chat.texts == ["before", "are you there?", "meanwhile"]
        _nobody_was_early(recorder)

    asyncio.run(main())


async def _turned_away(recorder: Recorder, *, after: float) -> None:
    async with asyncio.timeout(10):
        while not any(one.turned_away and one.at > after for one in recorder.arrivals):
            await asyncio.sleep(0.01)


def _nobody_was_early(recorder: Recorder) -> None:
    assert {one.visitor for one in recorder.arrivals} == {"Ada"}
    for number, one in enumerate(recorder.arrivals):
        if one.turned_away:
            waits = [later.at - one.at for later in recorder.arrivals[number + 1 :]]
            early = [wait for wait in waits if CROSSED < wait < WAIT - SLACK]
            assert early == [], f"after {early} s, {WAIT} s were asked for"
