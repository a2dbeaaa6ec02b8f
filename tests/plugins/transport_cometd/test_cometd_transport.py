"""The CometD transport against a server of the tests, on both carriers."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from chat_core import (
    AgentConnected,
    AmbiguousError,
    Batch,
    ConnectError,
    ConnectTimeoutError,
    CustomNoticeCommand,
    DeleteUserDataCommand,
    Ended,
    EndReason,
    ErrorReported,
    LeaveCommand,
    LinkDown,
    LinkUp,
    LoginRefusedError,
    MessageReceived,
    NicknameCommand,
    NotSentError,
    OptionError,
    Origin,
    ParticipantJoined,
    ProtocolError,
    RefusedError,
    SendMessageCommand,
    StateCorruptError,
    TypingCommand,
    UnsupportedCommandError,
    UserDataCommand,
)
from chat_gms.asked import CookieBox
from chat_transport_cometd import CometdOptions, _link, _transport
from chat_transport_cometd._carriers.long_polling import LongPolling
from chat_transport_cometd._carriers.websocket import WebSocket
from chat_transport_cometd._transport import make_transport
from plugins.transport_cometd.cometd_server import CometdServer
from plugins.transport_cometd.rig import ADA, CARRIERS, Inbox, Recorder, chatting, make, run, until

both = pytest.mark.parametrize("carrier", CARRIERS)


def gone(code=249, **more: object):
    return {"messages": [], "statusCode": 2, "errors": [{"code": code, "advice": "no such chat"}], **more}


@both
def test_a_start_opens_a_chat(carrier):
    """The request carries name, subject and user data less what has no value; the answer is the chat's first event."""

    async def main():
        async with CometdServer() as server:
            transport = make(server.url, carrier=carrier)
            opened = await transport.start(ADA)
            assert opened.session_id == "0001Chat"
            (joined,) = opened.batch.events
            assert isinstance(joined, ParticipantJoined)
            assert joined.own
            assert joined.timestamp == datetime.fromtimestamp(1700000000.001, UTC)
            assert opened.batch.next_position == 2
            assert opened.ended is None
            assert server.operations("requestChat") == [
                {"operation": "requestChat", "nickname": "Ada", "subject": "Invoice", "userData": {"FirstName": "Ada"}}
            ]
            await transport.aclose()
            await transport.aclose()
            assert [r["channel"] for r in server.requests].count("/meta/disconnect") == 1

    run(main())


@both
def test_messages_go_both_ways(carrier):
    """What the agent says arrives, what the visitor says is taken and shown as its own."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            server.push(server.chat.envelope(server.chat.add("ParticipantJoined", who="Agent")))
            server.agent_says("Hi")
            await transport.send(SendMessageCommand(text="Hello"))
            await until(lambda: inbox.texts == ["Hi", "Hello"])
            events = [event for item in inbox.of(Batch) for event in item.events]
            assert isinstance(events[0], AgentConnected)
            assert [event.own for event in events] == [False, False, True]
            (sent,) = server.operations("sendMessage")
            assert sent["message"] == "Hello"
            assert sent["secureKey"] == "secret-key"
            assert sent["alias"] == "117"

    run(main())


@both
def test_the_other_commands_are_published(carrier):
    """Typing with its preview, name, data and notice, each in its own operation."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, _):
            await transport.send(TypingCommand(text="Hel"))
            await transport.send(TypingCommand(is_typing=False))
            await transport.send(NicknameCommand(nickname="Countess"))
            await transport.send(UserDataCommand(user_data={"a": 1}))
            await transport.send(CustomNoticeCommand(text="n"))
            assert server.operations("startTyping")[0]["message"] == "Hel"
            assert "message" not in server.operations("stopTyping")[0]
            assert server.operations("updateNickname")[0]["nickname"] == "Countess"
            assert server.operations("updateData")[0]["userData"] == {"a": "1"}
            assert server.operations("customNotice")[0]["message"] == "n"
            with pytest.raises(UnsupportedCommandError):
                await transport.send(DeleteUserDataCommand(key="k"))

    run(main())


@both
def test_leaving_ends_the_chat(carrier):
    """The server says that the chat is over, with its last events, and nothing comes after."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            await transport.send(LeaveCommand())
            await inbox.task
            (ended,) = inbox.of(Ended)
            assert inbox.items[-1] is ended
            assert len(ended.batch.events) == 1

    run(main())


@both
def test_fetch_asks_from_the_anchor_and_trims(carrier):
    """The anchor is the newest lasting event below the position; events below the position are left out."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            server.agent_says("2")
            await until(lambda: inbox.texts == ["2"])
            for text in "345":
                server.agent_says(text, push=False)
            batch = await transport.fetch(4)
            assert [event.index for event in batch.events] == [4, 5]
            assert batch.next_position == 6
            assert server.operations("requestNotifications")[-1]["transcriptPosition"] == 2

    run(main())


@both
def test_fetch_takes_no_pushed_envelope_for_the_answer(carrier):
    """An envelope that does not begin with the anchor goes to the reader."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            server.agent_says("2", push=False)
            server.answers_fetch = False
            fetching = asyncio.create_task(transport.fetch(2))
            await until(lambda: server.operations("requestNotifications"))
            server.agent_says("3")
            await until(lambda: inbox.texts == ["3"])
            assert not fetching.done()
            server.push(server.chat.envelope(*server.chat.events))
            batch = await fetching
            assert [event.index for event in batch.events] == [2, 3]

    run(main())


def test_fetch_asks_twice_before_it_believes_a_position_reset():
    """An answer that ends at or below what was received already may be old; a second one is the truth."""

    async def main():
        async with CometdServer() as server, chatting(server) as (transport, inbox):
            server.agent_says("2")
            server.agent_says("3")
            await until(lambda: inbox.texts == ["2", "3"])
            server.transcript = lambda position: [e for e in server.chat.events if position <= e["index"] < 3]
            batch = await transport.fetch(3)
            assert batch.next_position == 3
            assert len(server.operations("requestNotifications")) == 2

    run(main())


@both
def test_fetch_without_an_answer_is_ambiguous(carrier, monkeypatch):
    """The session asks again within its own limit."""
    monkeypatch.setattr(_transport, "FETCH_TIMEOUT", 0.1)

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, _):
            server.answers_fetch = False
            with pytest.raises(AmbiguousError):
                await transport.fetch(1)

    run(main())


def test_a_refused_fetch_tells_the_server_s_words():
    """A passing error (statusCode 1) is ambiguous, a lasting one a refusal."""

    async def main():
        async with CometdServer() as server, chatting(server) as (transport, _):
            server.refusals["requestNotifications"] = gone(100)
            with pytest.raises(RefusedError, match="no such chat"):
                await transport.fetch(1)
            server.refusals["requestNotifications"] = gone(100, statusCode=1)
            with pytest.raises(AmbiguousError):
                await transport.fetch(1)

    run(main())


@both
def test_a_chat_is_resumed_in_another_transport(carrier):
    """With the keys and cookies saved; the whole transcript comes along."""

    async def main():
        async with CometdServer() as server:
            async with chatting(server, carrier=carrier) as (transport, _):
                await transport.send(SendMessageCommand(text="one"))
                saved = transport.saved()
            assert saved["secure_key"] == "secret-key"
            assert saved["cookies"] == {"BAYEUX_BROWSER": "0a1b2c"}
            server.agent_says("two")
            server.cookies_seen.clear()
            again = make(server.url, carrier=carrier)
            opened = await again.resume(saved)
            assert opened.session_id == "0001Chat"
            assert [event.index for event in opened.batch.events] == [1, 2, 3]
            assert [event.own for event in opened.batch.events] == [True, True, False]
            assert server.cookies_seen[0] == "BAYEUX_BROWSER=0a1b2c"
            inbox = Inbox(again)
            server.agent_says("three")
            await until(lambda: inbox.texts == ["three"])
            await again.aclose()
            await inbox.task

    run(main())


@pytest.mark.parametrize("code", [50, 249])
def test_a_chat_the_server_does_not_know_is_refused_as_unknown(code):
    """StatusCode 2 with one of these codes."""

    async def main():
        async with CometdServer() as server:
            server.refusals["requestNotifications"] = gone(code, chatEnded=True)
            transport = make(server.url)
            with pytest.raises(RefusedError) as caught:
                await transport.resume({"secure_key": "k"})
            assert caught.value.session_unknown
            await transport.aclose()

    run(main())


def test_a_chat_that_is_over_is_resumed_as_ended():
    """The transcript is there all the same."""

    async def main():
        async with CometdServer() as server:
            server.chat.add("ParticipantJoined")
            server.chat.ended = True
            transport = make(server.url)
            opened = await transport.resume({"secure_key": "k", "chat_id": "c", "cookies": 5})
            assert opened.ended is not None
            assert opened.ended.reason is EndReason.CLOSED
            assert len(opened.batch.events) == 1
            await transport.aclose()

    run(main())


def test_an_error_that_may_pass_does_not_lose_the_chat_at_resume():
    """StatusCode 1 says nothing about the chat: the state is kept."""

    async def main():
        async with CometdServer() as server:
            server.refusals["requestNotifications"] = gone(statusCode=1)
            transport = make(server.url)
            with pytest.raises(ConnectError, match="transcript"):
                await transport.resume({"secure_key": "k"})
            await transport.aclose()

    run(main())


def test_resume_without_an_answer_is_a_connect_error():
    """The chat may still be there."""

    async def main():
        async with CometdServer() as server:
            server.answers_fetch = False
            transport = make(server.url, start_timeout=0.3)
            with pytest.raises(ConnectTimeoutError, match="transcript"):
                await transport.resume({"secure_key": "k"})
            await transport.aclose()

    run(main())


@pytest.mark.parametrize("saved", [{}, {"secure_key": None}, {"secure_key": 5}])
def test_a_state_without_a_key_is_damaged(saved):
    """It is never taken for no state."""

    async def main():
        transport = make("http://127.0.0.1:9/cometd")
        with pytest.raises(StateCorruptError, match="secure_key"):
            await transport.resume(saved)
        await transport.aclose()

    run(main())


@both
def test_rp01_the_link_comes_back_after_a_restart_of_the_server(carrier):
    """Down once, up once; the new Bayeux session is subscribed, and fetch wakes the chat's delivery."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            await until(lambda: server.held)
            await server.stop()
            server.clients.clear()
            await until(lambda: inbox.of(LinkDown))
            with pytest.raises(NotSentError):
                await transport.send(SendMessageCommand(text="x"))
            with pytest.raises(NotSentError):
                await transport.fetch(1)
            server.agent_says("while away", push=False)
            await server.start()
            await until(lambda: inbox.of(LinkUp), seconds=15)
            batch = await transport.fetch(2)
            assert [event.index for event in batch.events] == [2]
            server.agent_says("again")
            await until(lambda: inbox.texts == ["again"])
            assert [type(item) for item in inbox.items[:2]] == [LinkDown, LinkUp]
            assert len(inbox.of(LinkDown)) == len(inbox.of(LinkUp)) == 1

    run(main(), seconds=30)


@both
def test_402_in_mid_chat_means_a_new_handshake(carrier):
    """The link re-handshakes and subscribes by itself."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            server.forget()
            await until(lambda: inbox.of(LinkUp))
            await transport.fetch(2)
            server.agent_says("still here")
            await until(lambda: "still here" in inbox.texts)
            assert len([r for r in server.requests if r["channel"] == "/meta/handshake"]) == 2

    run(main())


@both
def test_402_on_a_publication_without_advice_means_a_new_handshake(carrier):
    """A publication's reply has no advice; the link acts by itself."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            server.fault = lambda data: "402::Unknown client" if data["operation"] == "sendMessage" else None
            with pytest.raises(AmbiguousError, match="did not know the connection"):
                await transport.send(SendMessageCommand(text="x"))
            with pytest.raises(NotSentError):
                await transport.send(SendMessageCommand(text="x"))
            await until(lambda: inbox.of(LinkUp))

    run(main())


def test_rp08_a_server_that_forgets_at_once_is_not_hammered():
    """Handshakes that succeed only to be forgotten are spaced by the back-off."""

    async def main():
        async with CometdServer() as server, chatting(server) as (_, inbox):
            for _ in range(4):
                seen = len(inbox.of(LinkUp))
                server.forget()
                await until(lambda seen=seen: len(inbox.of(LinkUp)) > seen, seconds=10)
            async with asyncio.timeout(5):
                server.forget()
                began = asyncio.get_running_loop().time()
                await until(lambda: inbox.items[-1].__class__ is LinkUp and len(inbox.of(LinkUp)) == 5, seconds=15)
            assert asyncio.get_running_loop().time() >= began

    # The pauses themselves are the concern of Backoff; here each round must have asked for one.
    asked: list[float] = []
    original = _link.Backoff.failed

    def failed(self, now, **more: float | None):
        asked.append(now)
        return min(original(self, now, **more), 0.01)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_link.Backoff, "failed", failed)
        run(main())
    assert len(asked) >= 5


@both
def test_rp04_a_lost_answer_is_ambiguous(carrier):
    """The server took the message and the connection broke."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, _):
            server.fault = lambda data: "drop" if data["operation"] == "sendMessage" else None
            with pytest.raises(AmbiguousError):
                await transport.send(SendMessageCommand(text="x"))
            assert len(server.operations("sendMessage")) == 1

    run(main())


@both
def test_rp04_no_answer_in_time_is_ambiguous(carrier):
    """After max_network_delay seconds."""

    async def main():
        async with (
            CometdServer() as server,
            chatting(server, carrier=carrier, max_network_delay=0.3) as (
                transport,
                _,
            ),
        ):
            server.fault = lambda data: "silence" if data["operation"] == "sendMessage" else None
            with pytest.raises(AmbiguousError):
                await transport.send(SendMessageCommand(text="x"))

    run(main())


def test_rp04_a_publication_answered_with_http_500_is_ambiguous():
    """An empty body tells nothing about the messages of that request; the link goes on."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier="long-polling") as (transport, inbox):
            server.fault = lambda data: "500" if data["operation"] == "sendMessage" else None
            with pytest.raises(AmbiguousError, match="500"):
                await transport.send(SendMessageCommand(text="x"))
            server.fault = lambda _: None
            await transport.send(SendMessageCommand(text="y"))
            assert not inbox.of(LinkDown)

    run(main())


@both
def test_a_message_the_service_refuses_is_refused(carrier):
    """By an envelope: the publication itself was acknowledged."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            server.refusals["sendMessage"] = gone(204, chatEnded=False)
            with pytest.raises(RefusedError, match="no such chat") as caught:
                await transport.send(SendMessageCommand(text="x"))
            assert (caught.value.code, caught.value.origin) == (204, Origin.GMS)
            server.refusals["sendMessage"] = gone(204, statusCode=1)
            with pytest.raises(AmbiguousError):
                await transport.send(SendMessageCommand(text="x"))
            assert not inbox.of(Batch)

    run(main())


def test_a_publication_refused_by_bayeux_is_refused():
    """With the number and words of the reply."""

    async def main():
        async with CometdServer() as server, chatting(server) as (transport, _):
            server.fault = lambda _: "403:denied:publish denied"
            with pytest.raises(RefusedError, match="publish denied") as caught:
                await transport.send(TypingCommand())
            assert (caught.value.code, caught.value.origin) == (403, Origin.BAYEUX)

    run(main())


def test_a_message_that_is_neither_shown_nor_refused_was_taken(monkeypatch):
    """Servers may keep a message out of the transcript."""
    monkeypatch.setattr(_transport, "CONFIRM_TIMEOUT", 0.05)

    async def main():
        async with CometdServer() as server, chatting(server) as (transport, _):
            server.fault = lambda _: "unsaid"
            await transport.send(SendMessageCommand(text="x"))

    run(main())


def test_an_error_nobody_waits_for_is_reported():
    """It does not end the chat; one that ends it does."""

    async def main():
        async with CometdServer() as server, chatting(server) as (_, inbox):
            server.push(gone(7, chatEnded=False))
            await until(lambda: inbox.of(Batch))
            (event,) = inbox.of(Batch)[0].events
            assert isinstance(event, ErrorReported)
            assert (event.error.code, event.error.description) == (7, "no such chat")
            server.push(gone(249, chatEnded=True))
            await inbox.task
            assert inbox.items[-1].reason is EndReason.LOST

    run(main())


def test_errors_beside_the_data_are_understood():
    """Real servers put them at the top level too."""

    async def main():
        async with CometdServer() as server, chatting(server) as (_, inbox):
            server.push({}, errors=[{"code": 9, "advice": "list"}])
            server.push({}, error="text")
            await until(lambda: len(inbox.of(Batch)) == 2)
            shown = [(i.events[0].error.code, i.events[0].error.description) for i in inbox.of(Batch)]
            assert shown == [(9, "list"), (0, "text")]

    run(main())


def test_echoes_and_rubbish_on_the_channel_are_passed_over():
    """Neither ends the chat nor hides what follows."""

    async def main():
        async with CometdServer() as server, chatting(server) as (_, inbox):
            for rubbish in ({"operation": "sendMessage"}, 5, {"messages": 5}, None, [], {}):
                server.push(rubbish)
            server.agent_says("fine")
            await until(lambda: "fine" in inbox.texts)
            assert inbox.texts == ["fine"]

    run(main())


def test_the_newest_keys_are_kept():
    """Alias and secure key may change; an answer without them changes nothing."""

    async def main():
        async with CometdServer() as server, chatting(server) as (transport, inbox):
            server.push(server.chat.envelope(alias="118", secureKey="newer"))
            server.push({"messages": [], "chatEnded": False})
            server.agent_says("x")
            await until(lambda: inbox.texts)
            server.chat.key = "newest"
            server.agent_says("y")
            await until(lambda: len(inbox.texts) == 2)
            assert transport.saved()["secure_key"] == "newest"
            assert transport.saved()["alias"] == "117"

    run(main())


# Starts that fail


@both
def test_no_server_there_is_a_connect_error(carrier):
    """Code 100, with the address."""

    async def main():
        async with CometdServer() as server:
            url = server.url
        transport = make(url, carrier=carrier)
        with pytest.raises(ConnectError, match="cannot be reached") as caught:
            await transport.start(ADA)
        assert caught.value.code == 100
        assert url in caught.value.description
        await transport.aclose()

    run(main())


@both
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"<html>Welcome</html>", {}), "<html>Welcome"),
        ((404, b"<html>", {}), "404"),
        ((500, b"", {}), "500"),
        ((200, b"garbage", {}), "no JSON"),
        ((200, b'{"a":1}', {}), "no Bayeux message"),
        ((302, b"", {"location": "https://elsewhere.example/"}), "https://elsewhere.example/"),
    ],
)
def test_what_is_no_bayeux_server_is_named(carrier, answer, said):
    """The text names the address, the status and what came."""

    async def main():
        async with CometdServer() as server:
            server.refuse_upgrade = answer[0] if answer[0] != 200 else 404
            server.http_answer = answer
            transport = make(server.url, carrier=carrier)
            with pytest.raises(ProtocolError) as caught:
                await transport.start(ADA)
            assert said in str(caught.value)
            assert server.url in str(caught.value)
            assert server.posts == 1
            await transport.aclose()

    run(main())


def test_an_answer_too_large_is_a_protocol_error():
    """After decompression; the rest is not read."""

    async def main():
        async with CometdServer() as server:
            server.http_answer = (200, b"[" + b" " * 5000 + b"]", {})
            transport = make(server.url, carrier="long-polling", max_message_size=2048)
            with pytest.raises(ProtocolError, match="2048"):
                await transport.start(ADA)
            await transport.aclose()

    run(main())


@pytest.mark.parametrize("status", [502, 503, 504, 429])
def test_a_server_that_is_busy_is_a_connect_error(status):
    """Trying later may succeed."""

    async def main():
        async with CometdServer() as server:
            server.http_answer = (status, b"", {})
            transport = make(server.url, carrier="long-polling")
            with pytest.raises(ConnectError, match=str(status)) as caught:
                await transport.start(ADA)
            assert caught.value.retryable
            await transport.aclose()

    run(main())


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_a_login_error(status):
    """HTTP says so before Bayeux can."""

    async def main():
        async with CometdServer() as server:
            server.http_answer = (status, b"Forbidden", {})
            transport = make(server.url, carrier="long-polling")
            with pytest.raises(LoginRefusedError, match=str(status)):
                await transport.start(ADA)
            await transport.aclose()

    run(main())


@both
def test_a_refused_handshake_is_a_login_error_and_not_tried_again(carrier):
    """Code 101, with the server's words."""

    async def main():
        async with CometdServer() as server:
            server.handshake_error = "403::Handshake denied"
            transport = make(server.url, carrier=carrier)
            with pytest.raises(LoginRefusedError, match="Handshake denied") as caught:
                await transport.start(ADA)
            assert caught.value.code == 101
            assert len(server.requests) == 1
            await transport.aclose()

    run(main())


def test_a_handshake_refused_in_mid_chat_ends_it():
    """The server refuses for good: no loop."""

    async def main():
        async with CometdServer() as server, chatting(server) as (_, inbox):
            server.handshake_error = "403::Handshake denied"
            server.forget()
            await inbox.task
            (ended,) = inbox.of(Ended)
            assert ended.reason is EndReason.REFUSED
            assert ended.error.code == 101
            assert len([r for r in server.requests if r["channel"] == "/meta/handshake"]) == 2

    run(main())


def test_a_refused_subscription_is_refused():
    """As Faye does with /service channels."""

    async def main():
        async with CometdServer() as server:
            server.subscribe_error = "403:/service/x:Forbidden channel"
            transport = make(server.url)
            with pytest.raises(RefusedError, match="Forbidden channel") as caught:
                await transport.start(ADA)
            assert caught.value.origin is Origin.BAYEUX
            await transport.aclose()

    run(main())


@both
def test_a_refused_chat_tells_code_and_description(carrier):
    """The service's own."""

    async def main():
        async with CometdServer() as server:
            server.refusals["requestChat"] = gone(240, chatEnded=True)
            transport = make(server.url, carrier=carrier)
            with pytest.raises(RefusedError, match="no such chat") as caught:
                await transport.start(ADA)
            assert (caught.value.code, caught.value.origin) == (240, Origin.GMS)
            await transport.aclose()

    run(main())


def test_a_publication_refused_by_bayeux_opens_no_chat_and_closing_does_not_wait_for_one():
    """Nothing was started, so there is nothing to leave."""

    async def main():
        async with CometdServer() as server:
            server.fault = lambda _: "403:denied:publish denied"
            transport = make(server.url)
            with pytest.raises(RefusedError, match="publish denied"):
                await transport.start(ADA)
            async with asyncio.timeout(_transport.ORPHAN_TIMEOUT / 2):
                await transport.aclose()

    run(main())


def test_a_session_forgotten_when_the_chat_was_asked_for_is_ambiguous():
    """402 in flight: nobody knows which server saw the request, and it is never started twice."""

    async def main():
        async with CometdServer() as server:
            server.fault = lambda _: "402::Unknown client"
            transport = make(server.url)
            with pytest.raises(AmbiguousError, match="did not know the connection"):
                await transport.start(ADA)
            await transport.aclose()

    run(main())


@both
def test_a_server_that_takes_connections_and_is_silent_times_out(carrier):
    """Nothing was started."""

    async def main():
        async with CometdServer() as server:
            server.silent = True
            transport = make(server.url, carrier=carrier, max_network_delay=0.2, connect_timeout=0.2)
            with pytest.raises(ConnectTimeoutError):
                await transport.start(ADA)
            await transport.aclose()

    run(main())


@both
def test_a_start_has_a_deadline(carrier):
    """start_timeout seconds for everything."""

    async def main():
        async with CometdServer() as server:
            server.silent = True
            transport = make(server.url, carrier=carrier, start_timeout=0.2, max_network_delay=5)
            with pytest.raises(ConnectTimeoutError, match=r"within 0\.2 s"):
                await transport.start(ADA)
            await transport.aclose()

    run(main())


@pytest.mark.parametrize("fault", ["silence", "drop", "unsaid"])
def test_a_start_nobody_can_tell_about_is_ambiguous(fault):
    """The chat may have been opened; it is never started twice."""

    async def main():
        async with CometdServer() as server:
            server.fault = lambda _: fault
            transport = make(server.url, start_timeout=0.5)
            with pytest.raises(AmbiguousError):
                await transport.start(ADA)
            assert len(server.operations("requestChat")) == 1
            server.fault = lambda _: None
            await transport.aclose()

    run(main())


def test_rp09_a_cancelled_start_leaves_the_chat_it_opened():
    """Closing waits for the keys, at most 2 s, and leaves."""

    async def main():
        async with CometdServer() as server:
            server.fault = lambda data: "unsaid" if data["operation"] == "requestChat" else None
            transport = make(server.url)
            starting = asyncio.create_task(transport.start(ADA))
            await until(lambda: server.operations("requestChat"))
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            closing = asyncio.create_task(transport.aclose())
            await asyncio.sleep(0)
            next(iter(server.clients.values())).speaks_for_chat = True
            server.push(server.chat.envelope(server.chat.add("ParticipantJoined")))
            await closing
            assert server.operations("disconnect") == [
                {"operation": "disconnect", "secureKey": "secret-key", "userId": "0075FA", "alias": "117"}
            ]

    run(main())


@both
def test_rp09_a_start_cancelled_anywhere_leaves_nothing(carrier):
    """Cancelled after any number of steps of the loop, aclose ends all there is."""

    async def main():
        async with CometdServer() as server:
            for steps in range(0, 200, 7):
                transport = make(server.url, carrier=carrier)
                starting = asyncio.create_task(transport.start(ADA))
                for _ in range(steps):
                    await asyncio.sleep(0)
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                await transport.aclose()
                await until(lambda: not any("chat-core" in task.get_name() for task in asyncio.all_tasks()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_transport, "ORPHAN_TIMEOUT", 0.1)
        run(main(), seconds=60)


# Carriers


@pytest.mark.parametrize("status", [400, 403, 404, 426, 500, 503])
def test_a_refused_upgrade_means_long_polling(status):
    """Without WebSocket the chat goes on over HTTP, and the other is not tried again."""

    async def main():
        async with CometdServer() as server:
            server.refuse_upgrade = status
            async with chatting(server) as (transport, inbox):
                server.agent_says("hi")
                await until(lambda: inbox.texts == ["hi"])
                server.forget()
                await until(lambda: inbox.of(LinkUp))
                await transport.fetch(2)
            assert server.upgrades == 1

    run(main())


def test_websockets_that_the_server_does_not_offer_are_not_used():
    """The handshake's answer names the carriers."""

    async def main():
        async with CometdServer() as server:
            server.types = ["long-polling", "callback-polling"]
            async with chatting(server) as (transport, _):
                await transport.send(SendMessageCommand(text="x"))
            assert server.posts > 0

    run(main())


def test_a_websocket_that_worked_is_tried_again_first():
    """And long polling stands in while it is refused."""

    async def main():
        async with CometdServer() as server, chatting(server) as (_, inbox):
            await until(lambda: server.held)
            server.refuse_upgrade = 503
            server.cut()
            await until(lambda: inbox.of(LinkUp), seconds=10)
            assert server.posts > 0
            server.refuse_upgrade = None
            upgrades = server.upgrades
            await until(lambda: server.held)
            server.cut()
            await until(lambda: len(inbox.of(LinkUp)) == 2, seconds=10)
            assert server.upgrades > upgrades

    run(main())


@both
def test_the_affinity_cookie_is_sent_on_both_carriers(carrier):
    """And kept over a new handshake."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            server.cookies_seen.clear()
            await until(lambda: server.held)
            server.cut()
            await until(lambda: inbox.of(LinkUp), seconds=10)
            await transport.send(TypingCommand())
            assert server.cookies_seen
            assert set(server.cookies_seen) == {"BAYEUX_BROWSER=0a1b2c"}

    run(main())


@both
def test_headers_and_credentials_go_with_each_request(carrier):
    """And are not saved."""

    async def main():
        async with CometdServer() as server:
            options = {"headers": {"apikey": "canary-header"}, "auth": ("ada", "canary-password")}
            async with chatting(server, carrier=carrier, **options) as (transport, _):
                assert all(seen["apikey"] == "canary-header" for seen in server.headers_seen)
                assert all(seen["authorization"].startswith("Basic ") for seen in server.headers_seen)
                assert "canary" not in repr(transport.saved())

    run(main())


@both
@pytest.mark.parametrize("ack", [None, True, False])
def test_acknowledgements_are_on_for_long_polling_and_off_for_websocket_unless_asked_for(carrier, ack):
    """Over WebSocket they would hold deliveries back."""

    async def main():
        async with CometdServer() as server:
            server.ack = True
            async with chatting(server, carrier=carrier, ack=ack) as (_, inbox):
                server.agent_says("hi")
                await until(lambda: inbox.texts == ["hi"])
                connects = [r for r in server.requests if r["channel"] == "/meta/connect"]
            offered = server.requests[0].get("ext", {}).get("ack", False)
            assert offered is (carrier == "long-polling" if ack is None else ack)
            assert ("ext" in connects[-1]) is offered

    run(main())


@both
def test_rp07_a_silent_server_is_found_dead(carrier):
    """A connect unanswered for its timeout and the network's delay."""

    async def main():
        async with CometdServer() as server:
            server.timeout = 100
            async with chatting(server, carrier=carrier, max_network_delay=0.3) as (_, inbox):
                server.silent = True
                await until(lambda: inbox.of(LinkDown))
                server.silent = False
                await until(lambda: inbox.of(LinkUp), seconds=15)

    run(main(), seconds=30)


@both
def test_a_server_that_does_not_hold_connects_is_not_hammered(carrier):
    """After ten of them there is a pause between two."""

    async def main():
        async with CometdServer() as server:
            server.timeout = 0
            async with chatting(server, carrier=carrier):
                (client,) = server.clients.values()
                await until(lambda: client.connects >= 11)
                await asyncio.sleep(0.3)
                assert client.connects <= 13

    run(main())


def test_the_advised_interval_is_waited_in_milliseconds():
    """200 ms are not 200 s."""

    async def main():
        async with CometdServer() as server:
            server.interval, server.timeout = 200, 0
            async with chatting(server):
                (client,) = server.clients.values()
                began = asyncio.get_running_loop().time()
                await until(lambda: client.connects >= 4)
                assert 0.35 < asyncio.get_running_loop().time() - began < 3

    run(main())


@both
def test_rp11_garbage_in_mid_chat_breaks_the_link_and_no_more(carrier):
    """The link comes back by itself."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier=carrier) as (transport, inbox):
            if carrier == "websocket":
                next(iter(server.clients.values())).socket.send_text("<html>")
            else:
                server.http_answer = (200, b"<html>", {})
                with pytest.raises(AmbiguousError):
                    await transport.send(SendMessageCommand(text="x"))
                server.forget()
            await until(lambda: inbox.of(LinkDown))
            server.http_answer = None
            await until(lambda: inbox.of(LinkUp), seconds=15)
            await transport.send(SendMessageCommand(text="x"))

    run(main(), seconds=30)


def test_rp11_an_oversized_frame_breaks_the_link():
    """Its size is bounded before it is read."""

    async def main():
        async with CometdServer() as server, chatting(server, max_message_size=4096) as (_, inbox):
            server.agent_says("x" * 10_000)
            await until(lambda: inbox.of(LinkUp), seconds=15)
            assert inbox.texts == []

    run(main(), seconds=30)


def test_rp08_retry_after_is_honoured():
    """The pause is at least what a 503 asks for."""
    asked = []
    original = _link.Backoff.failed

    def failed(self, now, *, retry_after=None):
        asked.append(retry_after)
        original(self, now, retry_after=retry_after)
        return 0.01

    async def main():
        async with CometdServer() as server, chatting(server, carrier="long-polling") as (_, inbox):
            server.http_answer = (503, b"", {"retry-after": "7"})
            server.forget()
            await until(lambda: 7.0 in asked, seconds=10)
            server.http_answer = None
            await until(lambda: inbox.of(LinkUp), seconds=10)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_link.Backoff, "failed", failed)
        run(main())


def test_cancelled_sends_do_not_use_the_pool_up():
    """Each is left to finish: httpx never gets the place of a cancelled request back."""

    async def main():
        async with CometdServer() as server, chatting(server, carrier="long-polling") as (transport, inbox):
            server.delay = 0.05
            for number in range(12):
                sending = asyncio.create_task(transport.send(SendMessageCommand(text=str(number))))
                await until(lambda number=number: len(server.operations("sendMessage")) > number)
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            await transport.send(SendMessageCommand(text="last"))
            await until(lambda: len(inbox.texts) == 13)
            assert not inbox.of(LinkDown)
            assert server.connections <= 4

    run(main())


# The rest of the contract


def test_a_dialect_of_one_s_own_that_fails_hurts_nobody():
    """Its error is logged by name, and the next delivery is read."""

    class Odd(_transport.GmsDialect):
        def read(self, message):
            if message["data"].get("boom"):
                raise RuntimeError("canary")
            return super().read(message)

    async def main():
        log = Recorder()
        async with CometdServer() as server, chatting(server, dialect=Odd(), log=log) as (_, inbox):
            server.push({"boom": 1})
            server.agent_says("fine")
            await until(lambda: inbox.texts == ["fine"])
            assert any("RuntimeError" in line for line in log.lines)
            assert "canary" not in repr(log.lines)

    run(main())


def test_rp10_neither_keys_nor_text_reach_the_log():
    """Nor names."""

    async def main():
        log = Recorder()
        async with CometdServer() as server:
            server.chat.key = "canary-key"
            async with chatting(server, log=log) as (transport, inbox):
                await transport.send(SendMessageCommand(text="canary-text"))
                server.forget()
                await until(lambda: inbox.of(LinkUp))
            assert "canary" not in repr(log.lines)
            assert "canary" not in repr(inbox.items)

    run(main())


def test_nothing_is_sent_after_aclose_or_before_start():
    """No link: it never left."""

    async def main():
        transport = make("http://127.0.0.1:9/cometd")
        with pytest.raises(NotSentError):
            await transport.send(SendMessageCommand(text="x"))
        with pytest.raises(NotSentError):
            await transport.fetch(1)
        await transport.aclose()
        with pytest.raises(NotSentError):
            await transport.send(SendMessageCommand(text="x"))

    run(main())


def test_the_factory_names_what_is_missing():
    """No address, or options of something else."""
    context = _context(server_url=None)
    with pytest.raises(OptionError, match="server_url"):
        make_transport(context)
    with pytest.raises(OptionError, match="not its own"):
        make_transport(_context(options=object()))


def _context(**changes: object):
    from attrs import evolve

    from chat_core import TransportContext
    from chat_transport_cometd import CometdOptions

    return evolve(
        TransportContext(server_url="http://127.0.0.1:9/", options=CometdOptions(), log=Recorder()), **changes
    )


def test_an_event_of_the_session_reads_as_a_message():
    """The translation is chat_gms'; here only that it is used."""

    async def main():
        async with CometdServer() as server, chatting(server) as (_, inbox):
            server.agent_says("hi")
            await until(lambda: inbox.of(Batch))
            (event,) = inbox.of(Batch)[0].events
            assert isinstance(event, MessageReceived)
            assert str(event) == "Grace: hi"

    run(main())


def test_a_request_that_is_broken_off_with_its_carrier_is_ambiguous():
    """Whoever sends is told, and is not taken for cancelled."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        wire: Any = None
        carrier = LongPolling(
            f"http://127.0.0.1:{port}/", CometdOptions(), cookies=CookieBox(), wire=wire, max_message_size=1024
        )
        sending = asyncio.create_task(carrier.send([{"channel": "/x"}], timeout=30))
        while not carrier._requests:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await carrier.aclose()
        with pytest.raises((AmbiguousError, NotSentError)):
            await sending
        server.close()
        await server.wait_closed()

    run(main())


def test_rp09_a_closing_that_is_cancelled_closes_the_socket_all_the_same():
    """A server that does not answer the closing handshake, and a program that does not wait for it."""

    async def main() -> None:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            protocol = ServerProtocol()
            protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
            (request,) = protocol.events_received()
            assert isinstance(request, Request)
            protocol.send_response(protocol.accept(request))
            writer.writelines(protocol.data_to_send())
            await reader.read()
            gone.set()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        wire: Any = None
        carrier = WebSocket(
            f"http://127.0.0.1:{port}/", CometdOptions(), cookies=CookieBox(), wire=wire, max_message_size=1024
        )
        await carrier.open()
        assert carrier._socket is not None
        closing = asyncio.create_task(carrier.aclose())
        while carrier._socket.state is not State.CLOSING:
            await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        async with asyncio.timeout(5):
            await gone.wait()
        server.close()
        await server.wait_closed()

    run(main())
