"""What the protocol page quotes, replayed byte for byte to the client."""

from __future__ import annotations

import asyncio

import pytest

from chat_core import (
    AgentConnected,
    AgentDisconnected,
    AgentTyping,
    EndReason,
    MessageReceived,
    SendRejectedError,
    SessionEnded,
)
from interop.strict_gms import StrictGms, captures
from support.strict import everything, shown, start


def test_the_worked_exchange_over_rest():
    """Section 2.11: create, send, refresh and the end by the agent."""

    async def main() -> None:
        async with StrictGms() as server:
            server.canned.add("create", captures.REST_CREATE)
            session = await start(server, "rest", subject="Invoice", user_data={"FirstName": "Ada", "TimeZone": "-60"})
            chat = await server.next_chat()
            assert session.id == "0001FakeChatId01"
            server.canned.add("send", captures.REST_SEND)
            await session.send_message("Hello")
            server.canned.add("refresh", captures.REST_REFRESH)
            assert (await session.wait_for(AgentConnected, timeout=5)).party.name == "Grace"
            assert (await session.wait_for(AgentTyping, timeout=5)).index == 4
            assert chat.alias == "118"
            server.canned.add("refresh", captures.REST_ENDED)
            left = await session.wait_for(AgentDisconnected, timeout=5)
            assert (left.index, left.reason_code) == (9, "0")
            assert (await session.wait_for(SessionEnded, timeout=5)).reason is EndReason.CLOSED
            messages = [event for event in await everything(session) if isinstance(event, MessageReceived)]
            assert [(event.text, event.own, event.index) for event in messages] == [("Hello", True, 2)]
            assert server.canned.left == {}
            assert server.violations == []

    asyncio.run(main())


def test_the_captured_249_over_rest():
    """Sections 2.5 and 2.11: the late send is rejected with the code and the advice, and the chat is over."""

    async def main() -> None:
        async with StrictGms() as server:
            server.canned.add("create", captures.REST_CREATE)
            server.canned.add("send", captures.REST_LATE_SEND)
            session = await start(server, "rest")
            with pytest.raises(SendRejectedError, match=r"referenceId\[10010001\]") as caught:
                await session.send_message("anybody?")
            assert caught.value.code == 249
            await session.wait_for(SessionEnded, timeout=5)
            chat = await server.next_chat()
            assert chat.operations.count("send") == 1
            assert server.violations == []
            await session.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("carrier", ["websocket", "long-polling"])
def test_the_worked_exchange_over_cometd(carrier: str):
    """Section 3.7: the replies, the delivery and the opaque key; then a new handshake and requestNotifications."""

    async def main() -> None:
        async with StrictGms() as server:
            server.canned.add("/meta/handshake", captures.COMETD_HANDSHAKE)
            server.canned.add("/meta/subscribe", captures.COMETD_SUBSCRIBE)
            server.canned.add("publish", captures.COMETD_PUBLISH)
            server.canned.add("/service/chatV2/customer-support", captures.COMETD_DELIVERY)
            server.canned.add("/meta/connect", captures.COMETD_CONNECT)
            session = await start(server, carrier, subject="Invoice", user_data={"FirstName": "Ada"})
            chat = await server.next_chat()
            assert session.id == "0001FakeChatId01"
            assert server.canned.left == {}
            assert any(captures.COMETD_DELIVERY in text for text in server.sent)
            chat.agent_joins("Grace")
            await session.wait_for(AgentConnected, timeout=5)
            await session.send_message("Hello", until="echoed")
            server.cometd.forget_sessions()
            chat.agent_says("Hi")
            await session.wait_for(MessageReceived, timeout=10)
            assert "requestNotifications" in chat.operations
            await session.leave()
            lines = [line for line in shown(await everything(session)) if "connection" not in line]
            assert lines == ["Ada joined", "Grace joined", "Hello", "Hi", "ended left"]
            assert server.violations == []

    asyncio.run(main())


@pytest.mark.parametrize("carrier", ["websocket", "long-polling"])
def test_the_captured_402_on_a_publication(carrier: str):
    """Section 3.4: the bare 402, without advice, means a new handshake; the message is said once."""

    async def main() -> None:
        async with StrictGms(service="request-chat-v2") as server:
            session = await start(server, carrier, transport_options={"service": "request-chat-v2"})
            chat = await server.next_chat()
            chat.agent_joins("Grace")
            await session.wait_for(AgentConnected, timeout=5)
            server.cometd.forget_sessions(wake=False)
            await session.send_message("Hello", until="echoed")
            quoted = {f"[{captures.with_id(captures.BAYEUX_402, str(number))}]" for number in range(100)}
            assert quoted & set(server.sent)
            assert chat.texts == ["Hello"]
            await session.leave()
            lines = [line for line in shown(await everything(session)) if "connection" not in line]
            assert lines == ["Ada joined", "Grace joined", "Hello", "ended left"]
            assert server.violations == []

    asyncio.run(main())
