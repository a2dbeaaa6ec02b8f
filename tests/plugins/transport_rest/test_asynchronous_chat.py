"""Asynchronous (persistent) chats: asked for by user data, and taken up days later. On virtual time, without a port."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

import chat_core
from chat_core import IdleAlert, IdleClose, MessageReceived, NoSessionToRestore
from chat_sandbox import ChatTimes, Sandbox
from support.clock import run_virtually

DAY = 86400.0
ASYNC = {"GCTI_Chat_AsyncMode": "true"}


class Kept:
    """A storage of one's own: it forgets nothing, and no offline time binds it."""

    blocking = False  # called on the loop: a thread knows nothing of virtual time
    state: Any = None

    def read(self) -> Any:
        return self.state

    def write(self, state: Any) -> None:
        self.state = state


def make_sandbox(**times: float) -> Sandbox:
    return Sandbox(listen=False, clock=asyncio.get_running_loop().time, times=ChatTimes(**times))


def options(sandbox: Sandbox, storage: Kept) -> dict[str, Any]:
    assert sandbox.app is not None
    return {
        "transport": "rest",
        "transport_options": {"http_transport": httpx.ASGITransport(sandbox.app)},
        "state_storage": storage,
    }


def test_a_session_is_taken_up_days_later():
    """Nobody polls for three days; the keys still open the chat, and what was said meanwhile is there, once."""

    async def main() -> None:
        storage = Kept()
        async with make_sandbox(async_idle_alert=7 * DAY) as sandbox:
            given = options(sandbox, storage)
            url = "http://127.0.0.1/genesys/2/chat/customer-support"
            session = await chat_core.start_session(server_url=url, user_data=ASYNC, **given)
            agent = await sandbox.next_chat()
            await agent.join("Grace")
            await session.send_message("I will be back", until="echoed")
            await session.detach()
            await asyncio.sleep(1.5 * DAY)
            await agent.say("We found it")
            await asyncio.sleep(1.5 * DAY)
            assert not agent.chat.ended
            async with chat_core.restore_session(**given) as session:
                assert (await session.wait_for(MessageReceived)).text == "We found it"
                await session.send_message("Thank you", until="echoed")
                texts = [one.text for one in await session.get_transcript() if isinstance(one, MessageReceived)]
                assert texts == ["I will be back", "We found it", "Thank you"] == agent.chat.texts

    run_virtually(main(), limit=10 * DAY)


def test_other_chats_do_not_last():
    """The same without the flag: the visitor is removed after 45 s, and restoring says that there is nothing."""

    async def main() -> None:
        storage = Kept()
        async with make_sandbox() as sandbox:
            given = options(sandbox, storage)
            url = "http://127.0.0.1/genesys/2/chat/customer-support"
            session = await chat_core.start_session(server_url=url, **given)
            agent = await sandbox.next_chat()
            await session.detach()
            await asyncio.sleep(40)
            assert not agent.chat.ended
            await asyncio.sleep(20)
            assert agent.chat.removed
            with pytest.raises(NoSessionToRestore):
                await chat_core.restore_session(**given)
            assert storage.state is None

    run_virtually(main())


@pytest.mark.parametrize(("data", "alert", "close"), [({}, 255.0, 45.0), (ASYNC, DAY, 3600.0)])
def test_idle_limits_are_the_documented_ones(data: dict[str, str], alert: float, close: float):
    """255 s and 45 s; for asynchronous chats a day and an hour. Polls, and a restore, are no activity."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with make_sandbox() as sandbox:
            given = options(sandbox, Kept())
            url = "http://127.0.0.1/genesys/2/chat/customer-support"
            session = await chat_core.start_session(server_url=url, user_data=data, **given)
            began = loop.time()
            if data:  # nobody polls for most of the day
                await session.detach()
                await asyncio.sleep(alert - 600)
                session = await chat_core.restore_session(**given)
            await session.wait_for(IdleAlert)
            assert alert <= loop.time() - began < alert + 20
            await session.wait_for(IdleClose)
            assert alert + close <= loop.time() - began < alert + close + 20
            assert [event async for event in session.events()][-1].reason == "closed"

    run_virtually(main(), limit=2 * DAY)
