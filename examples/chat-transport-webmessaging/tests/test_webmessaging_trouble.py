"""What a chat over Web Messaging does about a network, a service and messages that are not as they should be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chats import OPTIONS, run, start
from server import HEALTH_ID, Service

import chat_core
from chat_core import (
    ConnectError,
    Continued,
    ContinuityLost,
    EndReason,
    Interrupted,
    LossReason,
    MessageReceived,
    SendUnknownError,
    SessionEnded,
)


def test_a_broken_connection_is_brought_back_and_the_loss_is_told():
    """With the same token; what was said meanwhile is lost and the readers know it."""

    async def main(service: Service) -> None:
        async with start(service) as session:
            service.cut()
            await session.wait_for(Interrupted, timeout=5)
            await session.wait_for(Continued, timeout=5)
            lost = await session.wait_for(ContinuityLost, timeout=5)
            assert lost.reason is LossReason.NO_TRANSCRIPT
            await session.send_message("still here")
        configured = [request for request in service.requests if request["action"] == "configureSession"]
        assert len({request["token"] for request in configured}) == 1
        assert len(configured) == 2

    run(main)


def test_a_message_whose_answer_was_lost_is_unknown_and_not_repeated():
    """The service took it; nobody can look."""

    async def main(service: Service) -> None:
        async with start(service) as session:
            service.cut_after_message = True
            with pytest.raises(SendUnknownError, match="connection broke before the service answered"):
                await session.send_message("once")
            await session.send_message("next")
            assert service.texts == ["once", "next"]

    run(main)


def test_a_message_without_an_answer_is_unknown():
    """After ``request_timeout``; a message that came back with its metadata alone is known by that."""

    async def main(service: Service) -> None:
        async with start(service, transport_options={"request_timeout": 0.2}) as session:
            service.instead = [None]
            with pytest.raises(SendUnknownError, match="did not answer in time"):
                await session.send_message("once")
            service.instead = [None]
            sending = asyncio.ensure_future(session.send_message("twice"))
            await service.until(lambda: len(service.requests) == 3)
            metadata = service.requests[-1]["message"]["metadata"]
            await service.push({"type": "Text", "text": "twice", "direction": "Inbound", "metadata": metadata})
            assert (await sending).state == "accepted"

    run(main)


def test_too_many_requests_wait_as_long_as_the_service_says():
    """Nothing was taken, so it is sent again."""

    async def main(service: Service) -> None:
        async with start(service) as session:
            body = {"retryAfter": 1, "errorCode": 4029, "errorMessage": "slowly"}
            service.instead = [{"class": "TooManyRequestsErrorMessage", "code": 429, "body": body}]
            began = asyncio.get_running_loop().time()
            await session.send_message("once")
            assert asyncio.get_running_loop().time() - began >= 1
            assert service.texts == ["once"]

    run(main)


def test_a_session_lost_while_the_connection_was_down_is_over():
    """The service opens a new one under the old token: that is not this chat."""

    async def main(service: Service) -> None:
        session = await start(service)
        service.forget()
        service.cut()
        end = await session.wait_for(SessionEnded, timeout=10)
        assert end.reason is EndReason.LOST

    run(main)


def test_a_service_that_falls_silent_is_found():
    """It is asked in its own way, whose answer is no event, and left when it does not answer."""

    async def main(service: Service) -> None:
        async with start(service, transport_options={"health_interval": 0.05, "request_timeout": 0.2}) as session:
            await service.until(lambda: any(one["tracingId"] == HEALTH_ID for one in service.requests))
            await session.send_message("here")
            service.silent = True
            await session.wait_for(Interrupted, timeout=5)
            service.silent = False
            await session.wait_for(Continued, timeout=5)
            assert [event.text async for event in _so_far(session)] == ["here"]

    run(main)


async def _so_far(session: Any) -> Any:
    await session.detach()
    async for event in session.events():
        if isinstance(event, MessageReceived):
            yield event


@pytest.mark.parametrize("data", ["{", "[]", "5", "[" * 100_000, '"' + "x" * 5000 + '"'])
def test_what_is_not_the_protocol_breaks_the_link_and_is_told(data: str):
    """A frame that cannot be read may have held a message: the readers hear of the loss."""

    async def main(service: Service) -> None:
        async with start(service, transport_options={"max_message_size": 200_000}) as session:
            await service.raw(data)
            await session.wait_for(ContinuityLost, timeout=5)
            await session.send_message("still here")

    run(main)


def test_too_large_a_frame_is_not_read():
    """The link breaks, memory does not."""

    async def main(service: Service) -> None:
        async with start(service, transport_options={"max_message_size": 2000}) as session:
            await service.say("x" * 3000)
            await session.wait_for(ContinuityLost, timeout=5)

    run(main)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": 5, "direction": [], "channel": "x", "events": {}, "text": None, "id": {}},
        {"type": "Event", "direction": "Outbound", "events": [None, 5, {"eventType": {}}, {"eventType": "Typing"}]},
        {"type": "Structured", "direction": "Outbound", "content": [{"contentType": "Card"}], "channel": {"time": "x"}},
        {"type": "Text", "text": "x", "direction": "Outbound", "channel": {"time": "9" * 5000, "from": 5}},
    ],
)
def test_odd_messages_are_events_and_nothing_breaks(body: dict[str, Any]):
    """Types are not trusted, unknown kinds are kept as they came."""

    async def main(service: Service) -> None:
        async with start(service) as session:
            await service.push(body)
            await service.say("fine")
            await session.wait_for(MessageReceived, lambda event: event.text == "fine", timeout=5)
        assert not any(isinstance(event, Interrupted) for event in [event async for event in session.events()])

    run(main)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"class": "string", "code": 404, "body": "deployment not found"}, chat_core.RefusedError),
        ({"class": "string", "code": 401, "body": "no"}, chat_core.LoginRefusedError),
        ({"class": "TooManyRequestsErrorMessage", "code": 429, "body": {"errorMessage": "slowly"}}, ConnectError),
        ({"class": "SessionExpiredEvent", "code": 200, "body": {}}, chat_core.RefusedError),
        (None, chat_core.AmbiguousError),
        ("[", chat_core.ProtocolError),
    ],
)
def test_a_start_that_fails_says_how(answer: Any, error: type[Exception]):
    """Refused, not reachable, no answer, not the protocol; nothing is left open."""

    async def main(service: Service) -> None:
        service.instead = [answer]
        with pytest.raises(error):
            await start(service, transport_options={"request_timeout": 0.2})

    run(main)


def test_nobody_there():
    """Which is an error that may pass."""

    async def main() -> None:
        with pytest.raises(ConnectError, match="cannot be reached") as caught:
            await chat_core.start_session(
                server_url="ws://127.0.0.1:9/v1", transport="webmessaging", transport_options=OPTIONS
            )
        assert caught.value.retryable

    asyncio.run(main())


@pytest.mark.parametrize("after", [0.0, 0.001, 0.003, 0.01, 0.03])
def test_a_cancelled_start_leaves_nothing_behind(after: float):
    """No task, no socket, no warning, whenever it comes."""

    async def main(service: Service) -> None:
        starting = asyncio.ensure_future(start(service))
        await asyncio.wait({starting}, timeout=after)
        if not starting.cancel():
            await (await starting).leave()
        await asyncio.gather(starting, return_exceptions=True)
        await service.until(lambda: not service.connected)
        rest = [task.get_name() for task in asyncio.all_tasks() if "chat-core" in task.get_name()]
        assert rest == []

    run(main)
