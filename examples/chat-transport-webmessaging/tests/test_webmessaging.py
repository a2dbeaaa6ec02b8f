"""Chats over Web Messaging, held with the public API on a service of the tests' own."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from typing import Any

import pytest
from chats import Shelf, names, restore, run, start
from server import ORIGIN, Service

import chat_core
from chat_core import (
    AgentConnected,
    AgentTyping,
    ConnectError,
    ContinuityLost,
    EndReason,
    ErrorReported,
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


def test_a_session_that_is_read_only_is_over():
    """Nothing can be said in it any more."""
    shelf = Shelf()

    async def main(service: Service) -> None:
        await (await start(service, state_storage=shelf)).detach()
        service.extra = {"readOnly": True}
        async with restore(shelf) as session:
            assert session.ended is not None

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


def test_too_much_user_data_is_refused_with_both_sizes():
    """The service says how much it takes."""

    async def main(service: Service) -> None:
        service.extra = {"maxCustomDataBytes": 100}
        with pytest.raises(OptionError, match=r"takes \d+ bytes.*takes 100"):
            await start(service, user_data={"story": "x" * 200})

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
