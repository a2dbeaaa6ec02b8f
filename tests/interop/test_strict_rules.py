"""The strict server notices what the page does not allow, and serves who keeps to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from interop.strict_gms import CAPTURED_LIMITS, Chat, Quirks, StrictGms

FORM = "application/x-www-form-urlencoded"


class Rest:
    """Posts as section 2 asks for it, or not."""

    def __init__(self, server: StrictGms, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.http = http
        self.keys: dict[str, str] = {}

    async def post(self, path: str, fields: Any, *, method: str = "POST", **options: Any) -> dict[str, Any]:
        data = {**fields, **(self.keys if path else {})} if isinstance(fields, dict) else fields
        url = f"{self.server.rest_url}/{path}" if path else self.server.rest_url
        async with self.http.request(method, url, data=data, **options) as answer:
            return dict(json.loads(await answer.read()))

    async def create(self) -> Chat:
        answer = await self.post("", {"nickname": "Ada", "userData[FirstName]": "Ada"})
        self.keys = {"secureKey": answer["secureKey"], "userId": answer["userId"], "alias": answer["alias"]}
        return self.server.chats[-1]


@asynccontextmanager
async def resting(**options: Any) -> AsyncIterator[Rest]:
    async with StrictGms(**options) as server, aiohttp.ClientSession() as http:
        yield Rest(server, http)


CREATES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no name": ({"subject": "Invoice"}, {}, "2.1"),
    "half a name": ({"firstName": "Ada"}, {}, "2.1"),
    "unknown field": ({"nickname": "Ada", "tenantName": "x"}, {}, "2.2"),
    "credentials": ({"nickname": "Ada", "secureKey": "x"}, {}, "2.2"),
    "two levels": ({"nickname": "Ada", "userData[a][b]": "x"}, {}, "2.1"),
    "no brackets": ({"nickname": "Ada", "userData": "x"}, {}, "2.2"),
    "time zone": ({"nickname": "Ada", "userData[TimeZone]": "-8h"}, {}, "2.1"),
    "JSON": (b'{"nickname":"Ada"}', {"headers": {"Content-Type": "application/json"}}, "2.1"),
    "Latin-1": (b"nickname=Ad%E9", {"headers": {"Content-Type": FORM}}, "2.1"),
    "not escaped": ("nickname=Ad\u00e9".encode(), {"headers": {"Content-Type": FORM}}, "2.1"),
    "twice": (b"nickname=Ada&nickname=Ada", {"headers": {"Content-Type": FORM}}, "2.1"),
    "in the address": ({"nickname": "Ada"}, {"params": {"subject": "x"}}, "2.1"),
    "GET": ({"nickname": "Ada"}, {"method": "GET"}, "2.1"),
}


@pytest.mark.parametrize("name", CREATES)
def test_a_wrong_create_is_noticed(name: str):
    """No chat is made, and the sentence names the section."""
    fields, options, section = CREATES[name]

    async def main() -> None:
        async with resting() as rest:
            answer = await rest.post("", fields, **options)
            assert answer["statusCode"] == 2
            assert [line.split(":")[0] for line in rest.server.violations] == [f"section {section}"]
            assert rest.server.chats == []

    asyncio.run(main())


OPERATIONS: dict[str, tuple[str, dict[str, str], str]] = {
    "no message": ("send", {}, "2.2"),
    "empty message": ("send", {"message": ""}, "2.2"),
    "unknown field": ("send", {"message": "x", "text": "x"}, "2.2"),
    "user data of a message": ("send", {"message": "x", "userData[a]": "b"}, "2.2"),
    "position": ("refresh", {"transcriptPosition": "one"}, "2.2"),
    "signed position": ("refresh", {"transcriptPosition": "+1"}, "2.2"),
    "skipped events": ("refresh", {"transcriptPosition": "9"}, "9"),
    "message of a refresh": ("refresh", {"message": "x"}, "2.2"),
    "no address": ("pushUrl", {"message": "x"}, "2.2"),
    "no nickname": ("updateNickname", {}, "2.2"),
    "no user data": ("updateData", {}, "2.2"),
    "no position of a receipt": ("readReceipt", {}, "2.2"),
    "unknown operation": ("notice", {"message": "x"}, "2.2"),
    "an upload as a form": ("file", {"file": "x"}, "2.2"),
    "wrong key": ("send", {"message": "x", "secureKey": "0" * 16}, "2.5"),
    "no key": ("send", {"message": "x", "secureKey": ""}, "2.2"),
    "wrong user": ("send", {"message": "x", "userId": "0"}, "2.1"),
    "old alias": ("send", {"message": "x", "alias": "116"}, "2.1"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_wrong_operation_is_noticed(name: str):
    """Nothing is said in the chat."""
    path, fields, section = OPERATIONS[name]

    async def main() -> None:
        async with resting() as rest:
            chat = await rest.create()
            wrong = {key: fields[key] for key in fields if key in rest.keys}
            rest.keys |= wrong
            answer = await rest.post(f"{chat.chat_id}/{path}", {k: v for k, v in fields.items() if k not in wrong})
            assert answer["statusCode"] == 2
            assert [line.split(":")[0] for line in rest.server.violations] == [f"section {section}"]
            assert chat.texts == []

    asyncio.run(main())


def test_overlapping_polls_are_noticed():
    """Section 9: one poll at a time."""

    async def main() -> None:
        async with resting(answer_time=0.2) as rest:
            path = f"{(await rest.create()).chat_id}/refresh"
            await asyncio.gather(rest.post(path, {}), rest.post(path, {}))
            assert [line.split(":")[0] for line in rest.server.violations] == ["section 9"]

    asyncio.run(main())


def test_a_silent_client_is_removed():
    """Section 2.6: after the time without a request, with reason 3."""

    async def main() -> None:
        async with resting(removal_time=0.0) as rest:
            chat = await rest.create()
            answer = await rest.post(f"{chat.chat_id}/refresh", {})
            assert answer["errors"][0]["code"] == 249
            assert [line.split(":")[0] for line in rest.server.violations] == ["section 2.6"]
            assert chat.events[-1]["eventAttributes"] == {"GCTI_SYSTEM": {"quit-reason-code": "3"}}

    asyncio.run(main())


def test_an_alias_is_used_up():
    """Section 2.1: the latest alias; one that has been replaced for a while is noticed."""

    async def main() -> None:
        async with resting(quirks=Quirks(changing_alias=True), answer_time=0.1) as rest:
            path = f"{(await rest.create()).chat_id}/refresh"
            first = dict(rest.keys)
            rest.keys["alias"] = (await rest.post(path, {}))["alias"]
            rest.keys["alias"] = (await rest.post(path, {}))["alias"]
            assert rest.server.violations == []
            rest.keys = first
            await rest.post(path, {})
            assert [line.split(":")[0] for line in rest.server.violations] == ["section 2.1"]

    asyncio.run(main())


def test_the_positions_of_a_refresh():
    """Section 2.2: 0 is nothing, 1 and none are everything, n is from n on; the next position is the last index + 1."""

    async def main() -> None:
        async with resting() as rest:
            chat = await rest.create()
            path = f"{chat.chat_id}/refresh"
            chat.agent_joins("Grace")
            chat.agent_says("Hi")
            seen = {}
            for position in ("0", "1", None, "2"):
                fields = {} if position is None else {"transcriptPosition": position}
                answer = await rest.post(path, fields)
                seen[position] = [event["index"] for event in answer["messages"]]
                assert answer["nextPosition"] == 4
            assert seen == {"0": [], "1": [1, 2, 3], None: [1, 2, 3], "2": [2, 3]}
            assert rest.server.violations == []

    asyncio.run(main())


def test_every_operation_of_the_table_is_there():
    """Section 2.2, from the create to the delete of a file; section 2.8 for the limits, word for word."""

    async def main() -> None:
        async with resting() as rest:
            chat = await rest.create()
            base = chat.chat_id
            await rest.post(f"{base}/startTyping", {"message": "Hel"})
            await rest.post(f"{base}/stopTyping", {})
            sent = await rest.post(f"{base}/send", {"message": "Hello", "messageType": "text"})
            assert sent["messages"] == []
            shown = await rest.post(f"{base}/send", {"message": "?", "transcriptPosition": "2"})
            assert [event.get("text") for event in shown["messages"]] == ["Hel", None, "Hello", "?"]
            await rest.post(f"{base}/pushUrl", {"pushUrl": "https://example.org"})
            await rest.post(f"{base}/updateNickname", {"nickname": "Ada L."})
            await rest.post(f"{base}/customNotice", {"message": "ping"})
            data = await rest.post(f"{base}/updateData", {"userData[Level]": "gold"})
            assert data["userData"] == {"FirstName": "Ada", "Level": "gold"}
            await rest.post(f"{base}/readReceipt", {"transcriptPosition": "2"})
            limits = await rest.post(f"{base}/file/limits", {})
            assert "chatId" not in limits
            (notice,) = limits["messages"]
            assert (notice["type"], notice["text"]) == ("Notice", "file-client-cfg-get")
            assert notice["userData"] == CAPTURED_LIMITS
            assert "index" not in notice
            file_id = (await rest.post(f"{base}/file", upload("bill.pdf", b"%PDF", rest.keys)))["userData"]["file-id"]
            url = f"{rest.server.rest_url}/{base}/file/{file_id}/download"
            async with rest.http.post(url, data=rest.keys) as answer:
                assert await answer.read() == b"%PDF"
            refused = await rest.post(f"{base}/file", upload("bill.exe", b"MZ", rest.keys))
            assert refused["errors"][0]["code"] == 203
            await rest.post(f"{base}/file/{file_id}/delete", {})
            assert chat.events[-1]["type"] == "FileDeleted"
            gone = await rest.post(f"{base}/disconnect", {})
            assert (gone["statusCode"], gone["chatEnded"]) == (0, True)
            late = await rest.post(f"{base}/send", {"message": "late"})
            assert late["errors"][0]["code"] == 249
            assert rest.server.violations == []
            assert chat.late_operations == 1

    asyncio.run(main())


def upload(name: str, content: bytes, keys: dict[str, str]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for key, value in {**keys, "userData[file-description]": "a bill"}.items():
        form.add_field(key, value)
    form.add_field("file", content, filename=name, content_type="application/octet-stream")
    return form


class Cometd:
    """Speaks Bayeux over HTTP as section 3 asks for it, or not."""

    CHANNEL = "/service/chatV2/customer-support"

    def __init__(self, server: StrictGms, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.http = http
        self.client_id = ""
        self._number = 0

    async def send(self, *messages: dict[str, Any]) -> list[dict[str, Any]]:
        async with self.http.post(self.server.cometd_url, json=list(messages)) as answer:
            assert answer.status == 200, await answer.text()
            return list(json.loads(await answer.read()))

    def message(self, channel: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": str(self._number), "channel": channel, **fields}
        return message if channel == "/meta/handshake" else {"clientId": self.client_id, **message}

    def operation(self, operation: str, **fields: Any) -> dict[str, Any]:
        return self.message(self.CHANNEL, data={"operation": operation, **fields})

    async def handshake(self) -> None:
        types = ["websocket", "long-polling"]
        shake = self.message("/meta/handshake", version="1.0", supportedConnectionTypes=types)
        (reply,) = await self.send(shake)
        self.client_id = reply["clientId"]

    def connect(self, **fields: Any) -> dict[str, Any]:
        return self.message("/meta/connect", connectionType="long-polling", **fields)

    async def chat(self) -> tuple[Chat, str]:
        await self.handshake()
        subscribe = self.message("/meta/subscribe", subscription=self.CHANNEL)
        await self.send(subscribe, self.operation("requestChat", nickname="Ada", userData={"a": "b"}))
        delivery, _ = await self.send(self.connect(advice={"timeout": 0}))
        return self.server.chats[-1], delivery["data"]["secureKey"]


@asynccontextmanager
async def speaking(**options: Any) -> AsyncIterator[Cometd]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with StrictGms(**options) as server, aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Cometd(server, http)


PUBLICATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"operation": "sendMessage", "message": "x"}, "2.2"),
    "wrong key": ({"operation": "sendMessage", "message": "x", "secureKey": "x"}, "2.5"),
    "unknown operation": ({"operation": "readReceipt", "transcriptPosition": 1}, "3.3"),
    "unknown field": ({"operation": "sendMessage", "message": "x", "text": "x"}, "3.3"),
    "number as text": ({"operation": "sendMessage", "message": 1}, "3.3"),
    "flat user data": ({"operation": "updateData", "userData[a]": "b"}, "3.3"),
    "user data as text": ({"operation": "updateData", "userData": "b"}, "3.3"),
    "second chat": ({"operation": "requestChat", "nickname": "Ada"}, "3.2"),
    "auth": ({"operation": "requestNotifications", "auth": {}}, "3.3"),
}


@pytest.mark.parametrize("name", PUBLICATIONS)
def test_a_wrong_publication_is_noticed(name: str):
    """Section 3.3: names and types of the fields."""
    data, section = PUBLICATIONS[name]

    async def main() -> None:
        async with speaking() as cometd:
            chat, _ = await cometd.chat()
            replies = await cometd.send(cometd.message(cometd.CHANNEL, data=data))
            assert replies[-1]["successful"] is False
            assert [line.split(":")[0] for line in cometd.server.violations] == [f"section {section}"]
            assert chat.texts == []

    asyncio.run(main())


def test_a_good_cometd_chat():
    """Sections 3.2 to 3.6: acknowledgement without data, delivery apart, the end, files with the cookie."""

    async def main() -> None:
        async with speaking() as cometd:
            chat, key = await cometd.chat()
            assert len(key) == 100
            (reply,) = await cometd.send(cometd.operation("sendMessage", message="Hello", secureKey=key))
            assert "data" not in reply
            delivery, answer = await cometd.send(cometd.connect())
            assert delivery["data"]["messages"][0]["text"] == "Hello"
            assert "successful" not in delivery
            assert "advice" not in answer
            for number, name in enumerate(("fileGetLimits", "fileGetsLimits")):
                form = {"operation": name, "secureKey": key}
                async with cometd.http.post(cometd.server.ntf_url, data=form) as limits:
                    assert (await limits.json())["messages"][0]["userData"] == CAPTURED_LIMITS, number
            form = upload("bill.pdf", b"%PDF", {"operation": "fileUpload", "secureKey": key})
            async with cometd.http.post(cometd.server.ntf_url, data=form) as taken:
                file_id = (await taken.json())["userData"]["file-id"]
            form = {"operation": "fileDownload", "secureKey": key, "fileId": file_id}
            async with cometd.http.post(cometd.server.ntf_url, data=form) as file:
                assert await file.read() == b"%PDF"
            await cometd.send(cometd.operation("disconnect", secureKey=key))
            *_, end, _ = await cometd.send(cometd.connect())
            assert end["data"]["chatEnded"] is True
            leave = [
                cometd.message("/meta/unsubscribe", subscription=cometd.CHANNEL),
                cometd.message("/meta/disconnect"),
            ]
            assert [reply["successful"] for reply in await cometd.send(*leave)] == [True, True]
            assert cometd.server.violations == []
            assert chat.operations[:2] == ["requestChat", "send"]

    asyncio.run(main())


def test_files_need_the_cookie_of_the_session():
    """Section 3.6: without BAYEUX_BROWSER the request is refused."""

    async def main() -> None:
        async with speaking() as cometd:
            _, key = await cometd.chat()
            form = {"operation": "fileGetLimits", "secureKey": key}
            async with aiohttp.ClientSession() as bare, bare.post(cometd.server.ntf_url, data=form) as answer:
                assert answer.status == 403
            assert [line.split(":")[0] for line in cometd.server.violations] == ["section 3.6"]

    asyncio.run(main())


def test_a_session_needs_its_cookie():
    """Sections 3.1 and 5.3 point 7: another browser is an unknown client, in the wording of CometD 3.1."""

    async def main() -> None:
        async with speaking() as cometd:
            await cometd.chat()
            cometd.http.cookie_jar.clear()
            replies = await cometd.send(cometd.connect(), cometd.operation("sendMessage", message="x"))
            assert [reply["error"] for reply in replies] == ["402::Unknown client"] * 2
            assert [reply.get("advice") for reply in replies] == [{"reconnect": "handshake", "interval": 0}, None]
            assert [line.split(":")[0] for line in cometd.server.violations] == ["section 3.1"] * 2

    asyncio.run(main())


ORDERS: dict[str, tuple[str, ...]] = {
    "publication before the subscription": ("requestChat", "3.2"),
    "operation before the chat": ("subscribe", "sendMessage", "3.2"),
    "disconnect before the end": ("chat", "leave", "/meta/disconnect", "3.2"),
    "going away without the position": ("chat", "/meta/disconnect", "3.5"),
    "operation after the leaving": ("chat", "leave", "sendMessage", "3.2"),
    "silent after a new handshake": ("chat", "handshake", "subscribe", "sendMessage", "3.2"),
    "second subscription": ("subscribe", "subscribe", "3.2"),
    "other channel": ("subscribe elsewhere", "3.1"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_a_wrong_order_is_noticed(name: str):
    """Sections 3.2 and 3.5."""
    *steps, section = ORDERS[name]

    async def main() -> None:
        async with speaking(quirks=Quirks(late_end=0.5)) as cometd:
            await cometd.handshake()
            key = "?"
            for step in steps:
                match step:
                    case "chat":
                        _, key = await cometd.chat()
                    case "handshake":
                        await cometd.handshake()
                    case "subscribe":
                        await cometd.send(cometd.message("/meta/subscribe", subscription=cometd.CHANNEL))
                    case "subscribe elsewhere":
                        await cometd.send(cometd.message("/meta/subscribe", subscription="/service/chat/x"))
                    case "requestChat":
                        await cometd.send(cometd.operation("requestChat", nickname="Ada"))
                    case "sendMessage":
                        await cometd.send(cometd.operation("sendMessage", message="x", secureKey=key))
                    case "leave":
                        await cometd.send(cometd.operation("disconnect", secureKey=key))
                    case _:
                        await cometd.send(cometd.message(step))
            assert [line.split(":")[0] for line in cometd.server.violations] == [f"section {section}"]

    asyncio.run(main())


MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "a number as id": ({"id": 7}, "5.1"),
    "no id": ({"id": None}, "5.1"),
    "an id twice": ({"id": "1"}, "5.1"),
    "no clientId": ({"clientId": None}, "5.1"),
    "a foreign clientId": ({"clientId": "x"}, "5.1"),
    "the other carrier": ({"connectionType": "websocket"}, "5.1"),
    "unknown field": ({"successful": True}, "5.1"),
    "unknown extension": ({"ext": {"x": 1}}, "5.5"),
    "acknowledgement that nobody asked for": ({"ext": {"ack": 0}}, "5.5"),
    "advice": ({"advice": {"timeout": "0"}}, "5.2"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_wrong_connect_is_noticed(name: str):
    """Section 5.1: ids, clientId, connectionType and fields of a message."""
    fields, section = MESSAGES[name]

    async def main() -> None:
        async with speaking() as cometd:
            await cometd.handshake()
            message = {key: value for key, value in {**cometd.connect(), **fields}.items() if value is not None}
            (reply,) = await cometd.send(message)
            assert reply["successful"] is False
            assert [line.split(":")[0] for line in cometd.server.violations] == [f"section {section}"]

    asyncio.run(main())


def test_a_second_connect_is_noticed():
    """Sections 5.1 and 5.3 point 10: at most one is outstanding; the older one ends with 500."""

    async def main() -> None:
        async with speaking() as cometd:
            chat, _ = await cometd.chat()
            session = next(iter(cometd.server.cometd.bayeux.sessions.values()))
            url, first = cometd.server.cometd_url, cometd.connect()
            older = asyncio.create_task(cometd.http.post(url, json=[first]).__aenter__())
            async with asyncio.timeout(5):
                while session.hold is None:
                    await asyncio.sleep(0.01)
            newer = asyncio.create_task(cometd.send(cometd.connect()))
            assert (await older).status == 500
            chat.agent_joins("Grace")
            await newer
            assert [line.split(":")[0] for line in cometd.server.violations] == ["section 5.1"]

    asyncio.run(main())


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"[1]", b'[{"channel":"/meta/handshake"},{"channel":"/x"}]'])
def test_a_wrong_body_is_noticed(body: bytes):
    """Sections 5.1 and 5.3 point 14: an HTTP error."""

    async def main() -> None:
        async with speaking() as cometd:
            headers = {"Content-Type": "application/json"}
            async with cometd.http.post(cometd.server.cometd_url, data=body, headers=headers) as answer:
                assert answer.status == 400
            assert len(cometd.server.violations) == 1

    asyncio.run(main())
