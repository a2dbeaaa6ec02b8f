"""Chats over Web Messaging, held with the public API on a service of the tests' own."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from server import HEALTH_ID, ORIGIN, Service

import chat_core
from chat_core import (
    AgentConnected,
    AgentTyping,
    ConnectError,
    Continued,
    ContinuityLost,
    EndReason,
    ErrorReported,
    Interrupted,
    LossReason,
    MessageReceived,
    NoSessionToRestore,
    OptionError,
    PartyType,
    SendRejectedError,
    SendUnknownError,
    SessionEnded,
    UnknownEvent,
    UnsupportedCommandError,
)

OPTIONS = {"deployment_id": "d-1", "origin": ORIGIN}


class Shelf:
    """A state storage of the test's own."""

    blocking = False

    def __init__(self) -> None:
        self.state: Any = None

    def read(self) -> Any:
        return self.state

    def write(self, state: Any) -> None:
        self.state = state


def start(service: Service, **options: Any) -> Any:
    given = {**OPTIONS, **options.pop("transport_options", {})}
    options = {"state_storage": "memory", **options}
    return chat_core.start_session(server_url=service.url, transport="webmessaging", transport_options=given, **options)


def restore(storage: Any) -> Any:
    return chat_core.restore_session(transport="webmessaging", transport_options=OPTIONS, state_storage=storage)


def run(test: Callable[[Service], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with Service() as service, asyncio.timeout(30):
            return await test(service)

    return asyncio.run(main())


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_chat_from_start_to_end():
    """Messages go both ways in the order of arrival; the first one carries what the visitor brought along."""

    async def main(service: Service) -> None:
        async with start(service, username="Ada", subject="Invoice", user_data={"Level": 3}) as session:
            receipt = await session.send_message("Hello")
            assert receipt.state == "accepted"
            await session.send_message("again")
            await service.say("Hi", channel={"time": "2024-01-01T10:00:09.5Z", "from": {"nickname": "Grace"}})
            answer = await session.wait_for(MessageReceived, timeout=5)
            assert (str(answer), answer.party.type) == ("Grace: Hi", PartyType.AGENT)
            assert answer.timestamp.isoformat() == "2024-01-01T10:00:09.500000+00:00"
        events = [event async for event in session.events()]
        assert names(events) == [
            "MessageReceived",
            "MessageReceived",
            "AgentConnected",
            "MessageReceived",
            "SessionEnded",
        ]
        assert [event.own for event in events] == [True, True, False, False, False]
        assert (events[-1].reason, events[-1].error) == (EndReason.LEFT, None)
        messages = [request["message"] for request in service.requests if request["action"] == "onMessage"]
        attributes = messages[0]["channel"]["metadata"]["customAttributes"]
        assert attributes == {"username": "Ada", "subject": "Invoice", "Level": "3", "source": "web"}
        assert "channel" not in messages[1]
        assert service.said == {}

    run(main)


def test_what_cannot_be_promised_is_said_beforehand():
    """No position: no gap is closed, no send is settled, no message is ever echoed."""

    async def main(service: Service) -> None:
        async with start(service) as session:
            assert not session.guarantees.gaps_are_closed
            assert not session.guarantees.sends_are_settled
            with pytest.raises(UnsupportedCommandError, match="has no transcript"):
                await session.send_message("Hello", until="echoed")
            for command in (session.update_nickname("x"), session.set_user_data({"a": "b"}), session.send_file(b"x")):
                with pytest.raises(UnsupportedCommandError):
                    await command
        assert [request["action"] for request in service.requests] == ["configureSession", "closeSession"]

    run(main)


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


@pytest.mark.parametrize(
    ("code", "error"),
    [(4011, SendRejectedError), (400, SendRejectedError), (403, SendRejectedError), (5000, SendUnknownError)],
)
def test_a_refusal_is_told_with_the_services_code(code: int, error: type[Exception]):
    """And the session goes on."""

    async def main(service: Service) -> None:
        async with start(service) as session:
            service.instead = [{"class": "string", "code": code, "body": "message too long"}]
            with pytest.raises(error, match=r"message too long.*\[x-webmessaging") as caught:
                await session.send_message("once")
            assert caught.value.code == code
            await session.send_message("next")

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


def test_a_session_is_taken_up_by_its_token_which_is_nowhere_to_be_seen(caplog: pytest.LogCaptureFixture):
    """Its name is made from the token by a one-way function; the reader is told what cannot be known."""
    caplog.set_level(logging.DEBUG)
    shelf = Shelf()

    async def main(service: Service) -> None:
        session = await start(service, state_storage=shelf)
        await session.send_message("Hello")
        await session.detach()
        (token,) = service.said
        assert shelf.state["link"] == {"token": token}
        async with restore(shelf) as again:
            assert again.id == session.id
            assert token not in again.id + repr(again) + caplog.text
            first = await anext(aiter(again.events()))
            assert isinstance(first, ContinuityLost)
            await again.send_message("back")
            assert service.texts == ["Hello", "back"]
        assert shelf.state is None

    run(main)


def test_a_session_that_the_service_forgot_cannot_be_restored():
    """The new one that it opened under the old token is closed again."""
    shelf = Shelf()

    async def main(service: Service) -> None:
        await (await start(service, state_storage=shelf)).detach()
        service.forget()
        with pytest.raises(NoSessionToRestore):
            await restore(shelf)
        await service.until(lambda: service.requests[-1]["action"] == "closeSession")
        assert shelf.state is None

    run(main)


def test_a_restore_without_an_answer_keeps_the_state():
    """The session may still be there."""
    shelf = Shelf()

    async def main(service: Service) -> None:
        await (await start(service, state_storage=shelf)).detach()
        service.status = 503
        with pytest.raises(ConnectError, match="HTTP 503"):
            await restore(shelf)
        assert shelf.state is not None

    run(main)


@pytest.mark.parametrize(
    ("class_", "code", "reason"),
    [
        ("SessionExpiredEvent", 200, EndReason.CLOSED),
        ("ConnectionClosedEvent", 200, EndReason.CLOSED),
        ("LogoutEvent", 200, EndReason.CLOSED),
        ("SessionClearedEvent", 200, EndReason.CLOSED),
        ("string", 4007, EndReason.LOST),
    ],
)
def test_the_end_is_announced_once(class_: str, code: int, reason: EndReason):
    """Whatever the service calls it."""

    async def main(service: Service) -> None:
        session = await start(service)
        await service.push({"reason": "because"}, class_, code)
        end = await session.wait_for(SessionEnded, timeout=5)
        assert (end.reason, end.error.description) == (reason, "because")
        assert len([event async for event in session.events() if isinstance(event, SessionEnded)]) == 1

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


def test_a_session_that_is_read_only_is_over():
    """Nothing can be said in it any more."""
    shelf = Shelf()

    async def main(service: Service) -> None:
        await (await start(service, state_storage=shelf)).detach()
        service.extra = {"readOnly": True}
        async with restore(shelf) as session:
            assert session.ended is not None

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


def test_kinds_of_events():
    """Typing, presence, cards, errors that nobody waits for; a message that comes twice is shown once."""

    async def main(service: Service) -> None:
        session = await start(service)
        typing = {"eventType": "Typing", "typing": {"type": "On", "duration": 5000}}
        await service.push({"type": "Event", "direction": "Outbound", "events": [typing]})
        await service.push({"type": "Event", "direction": "Outbound", "events": [{"eventType": "New"}]})
        await service.say("Hi", id="same", originatingEntity="Bot")
        await service.say("Hi", id="same", originatingEntity="Bot")
        await service.push({"type": "Structured", "direction": "Outbound", "content": []})
        await service.push({"errorMessage": "odd"}, "string", 500)
        await service.push({"type": "Text", "text": "Bye", "direction": "Outbound"})
        await session.wait_for(MessageReceived, lambda event: event.text == "Bye", timeout=5)
        await session.leave()
        kinds = [type(event) for event in [event async for event in session.events()]]
        assert kinds == [
            AgentTyping,
            UnknownEvent,
            chat_core.ParticipantJoined,
            MessageReceived,
            UnknownEvent,
            ErrorReported,
            AgentConnected,
            MessageReceived,
            SessionEnded,
        ]

    run(main)


def test_typing_is_said_at_most_every_five_seconds():
    """The service takes no more, and knows no end of typing."""

    async def main(service: Service) -> None:
        async with start(service) as session:
            for _ in range(3):
                await session.send_typing()
            await session.send_typing(False)
            await session.send_message("Hello")
        events = [one["message"]["events"] for one in service.requests if "events" in one.get("message", {})]
        assert events == [[{"eventType": "Typing", "typing": {"type": "On"}}]]

    run(main)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"transport_options": {"origin": "https://elsewhere.example"}}, "HTTP 403.*origins"),
        ({"transport_options": {"deployment_id": "d-2"}}, "HTTP 403"),
        ({"disable_websockets": True}, "nothing but WebSocket"),
        ({"transport_options": {"deployment_id": ""}}, "deployment_id must be text"),
        ({"transport_options": {"deploymentid": "d"}}, "did you mean 'deployment_id'"),
        ({"transport_options": {"health_interval": 0}}, "health_interval must be seconds"),
        ({"transport_options": {"max_message_size": 5}}, "1024 at least"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(options: dict[str, Any], text: str):
    """Wrong options before anything is sent."""

    async def main(service: Service) -> None:
        with pytest.raises(chat_core.ChatError, match=text):
            await start(service, **options)

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


def test_too_much_user_data_is_refused_with_both_sizes():
    """The service says how much it takes."""

    async def main(service: Service) -> None:
        service.extra = {"maxCustomDataBytes": 100}
        with pytest.raises(OptionError, match=r"takes \d+ bytes.*takes 100"):
            await start(service, user_data={"story": "x" * 200})

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


def test_the_command_line_takes_its_options():
    """``chat-core talk`` on an installed third-party transport; ``chat-core plugins`` lists it."""

    async def main(service: Service) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "chat_core", "talk", service.url, "--transport", "webmessaging"),
            *(
                "--transport-option",
                "deployment_id=d-1",
                "--transport-option",
                f"origin={ORIGIN}",
                "--storage",
                "memory",
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        shown, _ = await process.communicate(b"Hello\n")
        return process.returncode, shown.decode()

    status, shown = run(main)
    assert status == 0, shown
    assert re.search(r"^.*: Hello\nthe session has ended \(left\)$", shown, re.MULTILINE), shown
    command = [sys.executable, "-W", "error", "-m", "chat_core", "plugins"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "webmessaging" in listed.stdout
    assert listed.returncode == 0, listed.stdout
