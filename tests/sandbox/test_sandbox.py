"""The sandbox as a server, seen by a client that shares nothing with the product's."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from chat_sandbox import Agent, Join, Leave, Pause, Sandbox, Say, Type, WaitFor, echo, scripted
from chat_sandbox.__main__ import main as command
from chat_sandbox.agents import read_script
from support.bayeux import RawClient

CHANNEL = "/service/chatV2/customer-support"


@pytest.fixture(params=["websocket", "long-polling"])
def carrier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def open_chat(client: RawClient, **data: Any) -> dict[str, Any]:
    assert (await client.handshake())["successful"]
    assert (await client.subscribe(CHANNEL))["successful"]
    await client.connect()
    assert (await client.publish(CHANNEL, operation="requestChat", nickname="Ada", **data))["successful"]
    envelope, *_ = await client.envelopes()
    return envelope


def test_a_chat_by_hand(carrier: str):
    """requestChat, messages, typing, data, nickname, notices, disconnect: each as the specification has it."""

    async def main() -> None:
        async with Sandbox() as sandbox, RawClient(sandbox.cometd_url, carrier) as client:
            opened = await open_chat(client, subject="Invoice", userData={"Level": "gold"})
            assert (opened["statusCode"], opened["chatEnded"], opened["nextPosition"]) == (0, False, 2)
            assert opened["messages"][0]["type"] == "ParticipantJoined"
            assert opened["alias"].isdecimal()
            assert len(opened["secureKey"]) == 100
            agent = await sandbox.next_chat()
            assert (agent.chat.subject, agent.chat.user_data) == ("Invoice", {"Level": "gold"})
            key = {"secureKey": opened["secureKey"]}
            await agent.join("Grace")
            await agent.typing(True, "He")
            await agent.say("Hello")
            await agent.push_url("https://x/")
            await agent.notice("soon")
            await agent.custom_notice("custom")
            for data in (
                {"operation": "sendMessage", "message": "Hi", "messageType": "text"},
                {"operation": "startTyping", "message": "W"},
                {"operation": "stopTyping"},
                {"operation": "updateNickname", "nickname": "Countess"},
                {"operation": "pushUrl", "pushUrl": "https://y/"},
                {"operation": "customNotice", "message": "n"},
                {"operation": "updateData", "userData": {"More": "1"}},
            ):
                assert (await client.publish(CHANNEL, **data, **key))["successful"]
            assert await agent.hears() == "Hi"
            await agent.leave()
            assert (await client.publish(CHANNEL, operation="disconnect", **key))["successful"]
            envelopes = await client.envelopes()
            kinds = [event["type"] for envelope in envelopes for event in envelope["messages"]]
            assert kinds == [event.type for event in agent.chat.events]
            assert kinds[-1] == "ParticipantLeft"
            assert envelopes[-1]["chatEnded"] is True
            assert agent.chat.user_data["More"] == "1"
            assert agent.chat.nickname == "Countess"

    asyncio.run(main())


def test_errors_come_as_envelopes(carrier: str):
    """No name, an unknown key, an ended chat, an unknown operation, a message too long."""

    async def main() -> None:
        async with Sandbox(max_message_length=3) as sandbox, RawClient(sandbox.cometd_url, carrier) as client:
            opened = await open_chat(client)
            key = {"secureKey": opened["secureKey"]}
            await client.publish(CHANNEL, operation="requestChat")
            await client.publish(CHANNEL, operation="sendMessage", secureKey="wrong", message="x")
            await client.publish(CHANNEL, operation="sendMessage", message="long", **key)
            await client.publish(CHANNEL, operation="dance", **key)
            agent = await sandbox.next_chat()
            await agent.end()
            await client.publish(CHANNEL, operation="sendMessage", message="x", **key)
            codes = [one["errors"][0]["code"] for one in await client.envelopes() if "errors" in one]
            assert codes == [161, 249, 204, 100, 249]

    asyncio.run(main())


def test_a_new_session_hears_nothing_before_it_asks(carrier: str):
    """After a new handshake requestNotifications is needed, and answers with the transcript from the position."""

    async def main() -> None:
        async with Sandbox() as sandbox, RawClient(sandbox.cometd_url, carrier) as first:
            opened = await open_chat(first)
            agent = await sandbox.next_chat()
            await agent.join("Grace")
            async with RawClient(sandbox.cometd_url, carrier) as second:
                await second.handshake()
                await second.subscribe(CHANNEL)
                await agent.say("Hello")
                assert await second.envelopes() == []
                await second.publish(
                    CHANNEL, operation="requestNotifications", secureKey=opened["secureKey"], transcriptPosition="2"
                )
                (envelope,) = await second.envelopes()
                assert [event["index"] for event in envelope["messages"]] == [2, 3]
                assert envelope["nextPosition"] == 4

    asyncio.run(main())


def test_unknown_sessions_in_the_words_of_cometd_31(carrier: str):
    """402 everywhere, advice on connect only; a handshake must be alone; bad channels and subscriptions are refused."""

    async def main() -> None:
        async with Sandbox() as sandbox, RawClient(sandbox.cometd_url, carrier) as client:
            await client.handshake()
            sandbox.faults.forget_sessions()
            answer = await client.connect()
            assert (answer["successful"], answer["error"]) == (False, "402::Unknown client")
            assert answer["advice"] == {"reconnect": "handshake", "interval": 0}
            answer = await client.publish(CHANNEL, operation="x")
            assert answer["error"] == "402::Unknown client"
            assert "advice" not in answer
            await client.handshake()
            assert (await client.subscribe("no-slash"))["error"] == "403::subscription_invalid"
            assert (await client.publish("/other", a=1))["error"].startswith("403:")
            answer = await client.reply({"channel": CHANNEL, "data": "text"})
            assert answer["error"] == "400::data_missing"
            assert (await client.reply({"channel": "/meta/disconnect"}))["successful"]
            assert (await client.connect())["error"] == "402::Unknown client"

    asyncio.run(main())


def test_over_http_a_session_is_found_by_its_cookie():
    """A clientId alone opens nothing; malformed requests are HTTP errors."""

    async def main() -> None:
        async with Sandbox() as sandbox, RawClient(sandbox.cometd_url, "long-polling") as client:
            await client.handshake()
            assert (await client.connect())["successful"]
            client.forget_cookies()
            assert (await client.connect())["error"] == "402::Unknown client"
            assert (await client.post(b"{garbage")).status_code == 400
            assert (await client.post(b"5")).status_code == 400
            assert (await client.post([])).status_code == 500
            assert (
                await client.post([{"channel": "/meta/handshake"}, {"channel": "/meta/connect"}])
            ).status_code == 500
            assert (await client.post(b"x" * 2_000_000)).status_code == 413
            assert (await client.post({"channel": "/meta/handshake", "id": "1"})).json()[0]["successful"]

    asyncio.run(main())


def test_a_connect_is_held_until_an_event_or_its_time(carrier: str):
    """And an event lets it answer at once on long polling."""

    async def main() -> None:
        async with Sandbox(timeout=0.2) as sandbox, RawClient(sandbox.cometd_url, carrier) as client:
            await open_chat(client)
            agent = await sandbox.next_chat()
            loop = asyncio.get_running_loop()
            began = loop.time()
            assert (await client.connect(timeout=None))["successful"]
            assert loop.time() - began >= 0.19
            if carrier == "long-polling":
                held = asyncio.create_task(client.connect(timeout=5000))
                await asyncio.sleep(0.05)
                await agent.join("Grace")
                await asyncio.wait_for(held, 2)
                assert client.seen[-2]["data"]["messages"][0]["index"] == 2

    asyncio.run(main())


def test_a_second_connect_ends_the_first_with_http_500():
    """As CometD does."""

    async def main() -> None:
        async with Sandbox() as sandbox, RawClient(sandbox.cometd_url, "long-polling") as client:
            await client.handshake()
            await client.connect()
            message = {"channel": "/meta/connect", "clientId": client.client_id, "connectionType": "long-polling"}
            first = asyncio.create_task(client.post([{**message, "id": "a"}]))
            await asyncio.sleep(0.1)
            assert (await client.connect())["successful"]
            assert (await asyncio.wait_for(first, 2)).status_code == 500

    asyncio.run(main())


def test_acknowledged_delivery(carrier: str):
    """What was not acknowledged is sent again, only through connect answers; timesync is answered."""

    async def main() -> None:
        async with Sandbox() as sandbox, RawClient(sandbox.cometd_url, carrier) as client:
            answer = await client.handshake(ext={"ack": True, "timesync": {"tc": 1, "l": 0, "o": 0}})
            assert answer["ext"]["ack"] is True
            assert answer["ext"]["timesync"]["tc"] == 1
            await client.subscribe(CHANNEL)
            await client.publish(CHANNEL, operation="requestChat", nickname="Ada")
            first = await client.connect(ext={"ack": -1})
            again = await client.connect(ext={"ack": -1})
            assert first["ext"]["ack"] == again["ext"]["ack"] == 1
            assert sum("data" in one and "successful" not in one for one in client.seen) == 2
            await client.connect(ext={"ack": 1})
            assert sum("data" in one and "successful" not in one for one in client.seen) == 2

    asyncio.run(main())


def test_a_silent_session_expires():
    """After max_interval without a connect it is unknown."""

    async def main() -> None:
        async with Sandbox(max_interval=0.1) as sandbox, RawClient(sandbox.cometd_url, "long-polling") as client:
            await client.handshake()
            await client.connect()
            await asyncio.sleep(0.3)  # the server's own clock has to pass
            assert (await client.connect())["error"] == "402::Unknown client"

    asyncio.run(main())


def test_faults_refuse_and_stall():
    """WebSocket, handshakes and chats are refused on demand; a stalled server takes requests and answers later."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            sandbox.faults.refuse_websocket = True
            async with RawClient(sandbox.cometd_url, "long-polling") as client:
                assert (await client.handshake())["supportedConnectionTypes"] == ["long-polling"]
                sandbox.faults.refuse_handshake = "no"
                answer = await client.handshake()
                assert (answer["error"], answer["advice"]) == ("403::no", {"reconnect": "none"})
                sandbox.faults.refuse_handshake = None
                sandbox.faults.refuse_chat = (240, "closed")
                await client.handshake()
                await client.publish(CHANNEL, operation="requestChat", nickname="Ada")
                (envelope,) = await client.envelopes()
                assert envelope["errors"] == [{"code": 240, "advice": "closed"}]
                sandbox.faults.stall()
                assert sandbox.faults.stalled
                waiting = asyncio.create_task(client.connect())
                await asyncio.sleep(0.1)
                assert not waiting.done()
                sandbox.faults.resume()
                assert (await waiting)["successful"]
            with pytest.raises(Exception, match="403"):
                async with RawClient(sandbox.cometd_url, "websocket"):
                    pass

    asyncio.run(main())


def test_faults_lose_answers_pushes_and_connections(carrier: str):
    """The operation is done and its answer lost; a push is left out; every connection is aborted."""

    async def main() -> None:
        async with Sandbox() as sandbox, RawClient(sandbox.cometd_url, carrier) as client:
            opened = await open_chat(client)
            agent = await sandbox.next_chat()
            await agent.join("Grace")
            sandbox.faults.drop_push()
            await agent.say("lost")
            await agent.say("seen")
            texts = [event.get("text") for one in await client.envelopes() for event in one["messages"]]
            assert "lost" not in texts
            assert "seen" in texts
            sandbox.faults.refuse_next("sendMessage", 204, "too long")
            await client.publish(CHANNEL, operation="sendMessage", message="no", secureKey=opened["secureKey"])
            assert (await client.envelopes())[-1]["errors"][0]["code"] == 204
            sandbox.faults.lose_answer()
            with pytest.raises((httpx.TransportError, ConnectionClosed)):
                await client.publish(CHANNEL, operation="sendMessage", message="done", secureKey=opened["secureKey"])
            assert agent.chat.texts[-1] == "done"

    asyncio.run(main())


def test_cutting_and_mending_the_network():
    """New connections are refused in between, on the same port afterwards they are not; chats live on."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            port = sandbox.port
            async with RawClient(sandbox.cometd_url, "long-polling") as client:
                await open_chat(client)
                await sandbox.faults.cut()
                with pytest.raises(httpx.TransportError):
                    await client.handshake()
                await sandbox.faults.mend()
                await sandbox.faults.mend()
                assert sandbox.port == port
                await client.handshake()
                assert len(sandbox.chats) == 1
                sandbox.forget_chat(sandbox.chats[0])
                assert sandbox.chats == []

    asyncio.run(main())


def test_a_cut_network_takes_no_connection_from_its_first_moment_on():
    """A client that comes back at once, before the server has wound up, is refused as well."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            cutting = asyncio.create_task(sandbox.faults.cut())
            await asyncio.sleep(0)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", sandbox.port)
            await cutting

    asyncio.run(main())


def test_the_rest_view_by_hand():
    """Form posts as the specification has them: create, send, refresh with each kind of position, leave, errors."""

    async def main() -> None:
        async with Sandbox(max_message_length=5) as sandbox, httpx.AsyncClient(trust_env=False) as client:

            async def post(path: str, **fields: Any) -> dict[str, Any]:
                answer = await client.post(f"{sandbox.rest_url}{path}", data=fields)
                assert answer.status_code == 200, answer.text
                return dict(answer.json())

            opened = await post("/", **{"nickname": "Ada", "subject": "Invoice", "userData[FirstName]": "Ada"})
            assert [event["type"] for event in opened["messages"]] == ["ParticipantJoined"]
            agent = await sandbox.next_chat()
            assert (agent.chat.subject, agent.chat.user_data) == ("Invoice", {"FirstName": "Ada"})
            chat, key = f"/{opened['chatId']}", {"secureKey": opened["secureKey"]}
            sent = await post(f"{chat}/send", message="Hi", **key)
            assert (sent["messages"], sent["nextPosition"]) == ([], 3)
            sent = await post(f"{chat}/send", message="again", transcriptPosition="3", **key)
            assert [event["text"] for event in sent["messages"]] == ["again"]
            for position, indexes in (("0", []), ("1", [1, 2, 3]), ("3", [3]), ("9", [])):
                answer = await post(f"{chat}/refresh", transcriptPosition=position, **key)
                assert [event["index"] for event in answer["messages"]] == indexes
            assert len((await post(f"{chat}/refresh", **key))["messages"]) == 3
            assert (await post(f"{chat}/send", message="too long", **key))["errors"][0]["code"] == 204
            assert (await post(f"{chat}/refresh", secureKey="wrong"))["errors"][0]["code"] == 249
            assert (await post("/other/refresh", **key))["errors"][0]["code"] == 249
            assert (await post("", subject="nobody"))["errors"][0]["code"] == 161
            sandbox.faults.hiccup()
            assert (await post(f"{chat}/refresh", **key))["statusCode"] == 1
            sandbox.faults.answer_http(503, retry_after=7, body="busy")
            answer = await client.post(f"{sandbox.rest_url}{chat}/refresh", data=key)
            assert (answer.status_code, answer.headers["retry-after"], answer.text) == (503, "7", "busy")
            assert (await post(f"{chat}/disconnect", **key))["chatEnded"] is True
            assert (await client.post(f"{sandbox.rest_url}{chat}/dance", data=key)).status_code == 404
            assert (await client.get(sandbox.url)).status_code == 404

    asyncio.run(main())


def test_the_echo_agent_answers(carrier: str):
    """It joins, types and repeats."""

    async def main() -> None:
        async with Sandbox(agent=echo) as sandbox, RawClient(sandbox.cometd_url, carrier) as client:
            opened = await open_chat(client)
            await client.publish(CHANNEL, operation="sendMessage", message="Hi", secureKey=opened["secureKey"])
            async with asyncio.timeout(5):
                while sandbox.chats[0].texts != ["Hi", "Hi"]:
                    await client.connect(timeout=50)
            kinds = [event.type for event in sandbox.chats[0].events]
            assert kinds[1:4] != []
            assert "TypingStarted" in kinds

    asyncio.run(main())


def test_a_scripted_agent_follows_its_steps(tmp_path: Path):
    """From code and from a file; a file that is no script says where."""
    steps = [Join("Grace"), Type(), Say("Hello"), WaitFor("ok"), Pause(0.01), Say("Bye"), Leave(end=True)]
    file = tmp_path / "script.json"
    names = ["join", "type", "say", "wait", "pause", "say", "leave"]
    values = ["Grace", True, "Hello", "ok", 0.01, "Bye", True]
    file.write_text(json.dumps([{name: value} for name, value in zip(names, values, strict=True)]))

    async def main(agent: Any) -> list[str]:
        async with Sandbox(agent=agent) as sandbox, RawClient(sandbox.cometd_url, "long-polling") as client:
            opened = await open_chat(client)
            for text in ("what", "ok"):
                await client.publish(CHANNEL, operation="sendMessage", message=text, secureKey=opened["secureKey"])
            async with asyncio.timeout(5):
                while not sandbox.chats[0].ended:
                    await client.connect(timeout=50)
            return sandbox.chats[0].texts

    assert asyncio.run(main(scripted(steps)))[-1] == "Bye"
    assert asyncio.run(main(read_script(file)))[-1] == "Bye"
    for text, message in (("{", "is no JSON"), ("{}", "must hold a list"), ('[{"fly": 1}]', "step 1")):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_script(file)


def test_waiting_has_a_deadline():
    """No chat, no message, and an agent who has not joined: each says so."""

    async def main() -> None:
        async with Sandbox() as sandbox:
            with pytest.raises(TimeoutError, match=r"no chat began within 0\.05 s"):
                await sandbox.next_chat(timeout=0.05)
            async with RawClient(sandbox.cometd_url, "long-polling") as client:
                await open_chat(client)
                agent: Agent = await sandbox.next_chat()
                with pytest.raises(TimeoutError):
                    await agent.hears(timeout=0.05)
                with pytest.raises(RuntimeError, match="has not joined"):
                    await agent.say("x")
                assert "1 events" in repr(agent.chat)

    asyncio.run(main())


def test_serve_serves_until_it_is_told_to_stop():
    """The command prints its addresses and ends cleanly on SIGTERM."""

    async def main() -> int | None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "chat_sandbox", "serve", "--port", "0"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        async with RawClient(line.split()[1], "websocket") as client:
            assert (await client.handshake())["successful"]
        process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(process.wait(), 10)

    assert asyncio.run(main()) == 0


def test_serve_says_what_it_cannot_do(capsys: pytest.CaptureFixture[str]):
    """A port in use, a script that is none; beyond loopback it warns."""
    assert command(["serve", "--agent", "/nothing/there"]) == 1
    assert "chat-sandbox: " in capsys.readouterr().err
    assert command(["serve", "--host", "203.0.113.1", "--port", "0"]) == 1
    assert "is not loopback" in capsys.readouterr().err
