"""The REST transport, in sessions against the sandbox and alone against answers made up for it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

import chat_core
from chat_core import (
    AgentConnected,
    AmbiguousError,
    ConnectError,
    Continued,
    DeleteUserDataCommand,
    EndReason,
    Interrupted,
    LoginRefusedError,
    MessageReceived,
    NotSentError,
    OptionError,
    ProtocolError,
    RefusedError,
    SendMessageCommand,
    SendRejectedError,
    SessionEnded,
    StartRequest,
    StateCorruptError,
    TransportContext,
    UnsupportedCommandError,
)
from chat_sandbox import Sandbox
from chat_transport_rest import RestOptions, provider
from chat_transport_rest._pace import LIVELY, Pace
from support.sessions import MemoryLog

QUICK = {"poll_quick": 0.05, "poll_slow": 0.2}
ENVELOPE: dict[str, Any] = {
    "messages": [],
    "chatEnded": False,
    "statusCode": 0,
    "alias": "117",
    "secureKey": "k",
    "userId": "u",
    "chatId": "c",
    "nextPosition": 1,
}


def start(sandbox: Sandbox, **options: Any) -> Any:
    return chat_core.start_session(
        server_url=sandbox.rest_url, transport="rest", state_storage="memory", transport_options=QUICK, **options
    )


def make(*answers: Any, **options: Any) -> tuple[Any, list[httpx.Request]]:
    """Return a transport whose server gives these answers, and the requests it gets."""
    requests: list[httpx.Request] = []
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    context = TransportContext(
        server_url="https://gms.example/genesys/2/chat/support/",
        options=RestOptions(http_transport=httpx.MockTransport(handle), **{**QUICK, **options}),
        log=MemoryLog(),
    )
    return provider.factory(context), requests


def fields(request: httpx.Request) -> dict[str, str]:
    return dict(httpx.QueryParams(request.content.decode()))


ADA = StartRequest(username="Ada", subject="Invoice", user_data={"source": "web", "url": None})


def test_a_start_is_one_form_post_to_the_services_address():
    """A trailing slash is tolerated, None is left out, and the keys of the answer are kept."""

    async def main() -> None:
        transport, requests = make(ENVELOPE)
        opened = await transport.start(ADA)
        assert opened.session_id == "c"
        assert str(requests[0].url) == "https://gms.example/genesys/2/chat/support"
        assert fields(requests[0]) == {"nickname": "Ada", "subject": "Invoice", "userData[source]": "web"}
        assert transport.saved() == {"chat_id": "c", "secure_key": "k", "user_id": "u", "alias": "117", "cookies": {}}
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(NotSentError, match="closed"):
            await transport.fetch(1)

    asyncio.run(main())


def test_the_newest_alias_is_sent():
    """It may change with any answer."""

    async def main() -> None:
        transport, requests = make(ENVELOPE, {**ENVELOPE, "alias": "118"}, ENVELOPE)
        await transport.start(ADA)
        await transport.fetch(1)
        await transport.fetch(1)
        assert [fields(request).get("alias") for request in requests] == [None, "117", "118"]
        await transport.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (httpx.ConnectError("refused"), ConnectError, "cannot be reached"),
        (httpx.ReadTimeout("slow"), AmbiguousError, "ReadTimeout"),
        (httpx.Response(200, text="<html>Forbidden"), ProtocolError, "a page that is no JSON"),
        (httpx.Response(404, text="nothing"), ProtocolError, "HTTP 404"),
        (httpx.Response(401, text="who"), LoginRefusedError, "HTTP 401"),
        (httpx.Response(503, text=""), AmbiguousError, "HTTP 503"),
        (httpx.Response(429, headers={"retry-after": "5"}), ConnectError, "429"),
        (httpx.Response(302, headers={"location": "https://evil/"}), ProtocolError, "HTTP 302"),
        ({"statusCode": 2, "errors": [{"code": 240, "advice": "closed"}]}, RefusedError, "closed"),
        ({"statusCode": 1}, AmbiguousError, "statusCode 1"),
        ({"statusCode": 0}, ProtocolError, "without chatId"),
        ([], ProtocolError, "not a GMS chat service"),
    ],
)
def test_a_start_fails_in_one_of_our_ways(answer: Any, error: type[Exception], text: str):
    """Unreachable, ambiguous, refused, or not this kind of server; never repeated."""

    async def main() -> None:
        transport, requests = make(answer)
        with pytest.raises(error, match=text):
            await transport.start(ADA)
        assert len(requests) == 1
        await transport.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ConnectError("refused"), NotSentError),
        (httpx.Response(429, headers={"retry-after": "5"}), NotSentError),
        (httpx.ReadTimeout("slow"), AmbiguousError),
        (httpx.Response(502, text="bad gateway"), AmbiguousError),
        (httpx.Response(200, text="Forbidden"), AmbiguousError),
        ({"statusCode": 1}, AmbiguousError),
        ({"statusCode": 2, "chatEnded": False, "errors": [{"code": 204, "advice": "too long"}]}, RefusedError),
    ],
)
def test_a_send_fails_in_exactly_three_ways(answer: Any, error: type[Exception]):
    """Never left, refused, or nobody can tell."""

    async def main() -> None:
        transport, _ = make(ENVELOPE, answer)
        await transport.start(ADA)
        with pytest.raises(error):
            await transport.send(SendMessageCommand(text="x"))
        with pytest.raises(UnsupportedCommandError):
            await transport.send(DeleteUserDataCommand(key="k"))
        await transport.aclose()

    asyncio.run(main())


def test_resuming_asks_for_everything_and_tells_damage_from_silence():
    """The keys come from the state; no usable answer keeps the chat restorable."""

    async def main() -> None:
        transport, requests = make(ENVELOPE)
        opened = await transport.resume({"chat_id": "c", "secure_key": "k", "alias": "9", "cookies": {"a": "b"}})
        assert opened.session_id == "c"
        assert fields(requests[0])["transcriptPosition"] == "1"
        assert requests[0].headers["cookie"] == "a=b"
        await transport.aclose()
        for saved in ({}, {"chat_id": "c"}, {"chat_id": 5, "secure_key": "k"}):
            with pytest.raises(StateCorruptError):
                await make(ENVELOPE)[0].resume(saved)
        silent, _ = make(httpx.Response(503))
        with pytest.raises(ConnectError, match="no usable answer"):
            await silent.resume({"chat_id": "c", "secure_key": "k"})
        await silent.aclose()
        gone, _ = make({"statusCode": 2, "chatEnded": True, "errors": [{"code": 249, "advice": "gone"}]})
        with pytest.raises(RefusedError) as caught:
            await gone.resume({"chat_id": "c", "secure_key": "k"})
        assert caught.value.session_unknown
        await gone.aclose()

    asyncio.run(main())


def test_status_code_1_for_some_polls_is_invisible():
    """The user sees neither an interruption nor a gap."""

    async def main() -> None:
        async with Sandbox() as sandbox, start(sandbox) as session:
            agent = await sandbox.next_chat()
            sandbox.faults.hiccup(3)
            await agent.join("Grace")
            await session.wait_for(AgentConnected, timeout=20)
            events = [event async for event in upto(session, AgentConnected)]
            assert not any(isinstance(event, Interrupted) for event in events)

    asyncio.run(main())


async def upto(session: Any, kind: type) -> Any:
    async for event in session.events():
        yield event
        if isinstance(event, kind):
            return


def test_a_dead_server_is_an_interruption_and_nothing_is_lost():
    """5xx and broken connections: Interrupted, Continued, and what was said meanwhile in order."""

    async def main() -> None:
        async with Sandbox() as sandbox, start(sandbox) as session:
            agent = await sandbox.next_chat()
            await agent.join("Grace")
            await session.wait_for(AgentConnected, timeout=5)
            sandbox.faults.answer_http(503, count=2)
            for number in range(3):
                await agent.say(f"{number}")
            for number in range(3):
                assert (await session.wait_for(MessageReceived, timeout=10)).text == f"{number}"
            names = [type(event) async for event in upto(session, Continued)]
            assert names.count(Interrupted) == names.count(Continued) == 1

    asyncio.run(main())


def test_rp04_a_lost_answer_is_settled_by_the_transcript():
    """The message is there once, and the receipt knows where."""

    async def main() -> None:
        async with Sandbox() as sandbox, start(sandbox) as session:
            agent = await sandbox.next_chat()
            sandbox.faults.lose_answer()
            receipt = await session.send_message("once", until="echoed")
            assert agent.chat.texts == ["once"]
            assert (receipt.attempts, receipt.index) == (1, 2)
            sandbox.faults.refuse_next("sendMessage", 204, "too long")
            with pytest.raises(SendRejectedError, match="too long"):
                await session.send_message("long")
            await session.send_message("fine")
            assert agent.chat.texts == ["once", "fine"]

    asyncio.run(main())


def test_rp15_a_chat_that_is_gone_ends_the_session_once():
    """StatusCode 2 with code 249 is the end, with the server's words."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            session = await start(sandbox)
            await sandbox.next_chat()
            sandbox.forget_chat(sandbox.chats[0])
            end = await session.wait_for(SessionEnded, timeout=5)
            assert end.reason is EndReason.LOST
            assert end.error is not None
            assert end.error.code == 249
            await session.aclose()

    asyncio.run(main())


def test_commands_reach_the_service():
    """Typing with preview, nickname, user data, custom notice, an address."""

    async def main() -> list[str]:
        async with Sandbox() as sandbox, start(sandbox) as session:
            agent = await sandbox.next_chat()
            await session.send_typing(True, "He")
            await session.send_typing(False)
            await session.update_nickname("Countess")
            await session.set_user_data({"Level": {"a": 1}})
            await session.send_custom_notice("ping")
            await session.send_message("https://x/", "url")
            assert agent.chat.user_data["Level"] == '{"a":1}'
            return [event.type for event in agent.chat.events]

    assert asyncio.run(main()) == [
        "ParticipantJoined",
        "TypingStarted",
        "TypingStopped",
        "NicknameUpdated",
        "CustomNotice",
        "Message",
    ]


def test_polls_are_quick_while_lively_and_slower_when_idle():
    """Never slower than asked for, and quick again when something happens."""
    pace = Pace(quick=1.0, slow=4.0, now=0.0)
    assert [pace.pause(float(now)) for now in (0, 10, LIVELY)] == [1.0, 1.0, 1.0]
    pauses = [pace.pause(LIVELY + 1 + number) for number in range(10)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 4.0
    pace.happened(100.0)
    assert pace.pause(100.0) == 1.0


@pytest.mark.parametrize("options", [{"poll_quick": 0}, {"poll_slow": 41}, {"request_timeout": "x"}])
def test_figures_stay_within_the_servers_patience(options: dict[str, Any]):
    """A poll a minute would be a removed client."""
    with pytest.raises(OptionError, match="45 s"):
        RestOptions(**options)


def test_an_address_that_is_no_http_address_is_refused():
    """And none at all."""
    for url in ("wss://x/", None):
        with pytest.raises(OptionError, match="address"):
            provider.factory(TransportContext(server_url=url, options=RestOptions(), log=MemoryLog()))


def test_the_probe_opens_no_chat():
    """``doctor`` learns that a GMS service answers; anything else is said."""

    async def main() -> None:
        assert provider.probe is not None
        async with Sandbox() as sandbox:
            context = TransportContext(server_url=sandbox.rest_url, options=RestOptions(), log=MemoryLog())
            steps = list(await provider.probe(context))
            assert [step.ok for step in steps] == [True, True]
            assert sandbox.chats == []
            wrong = TransportContext(server_url=sandbox.url + "/nothing", options=RestOptions(), log=MemoryLog())
            assert [step.ok for step in await provider.probe(wrong)] == [True, False]
        nobody = TransportContext(server_url="http://127.0.0.1:9/x", options=RestOptions(), log=MemoryLog())
        assert [step.ok for step in await provider.probe(nobody)] == [False]

    asyncio.run(main())
