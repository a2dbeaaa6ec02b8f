"""A CometD server with a GMS chat behind it, small enough to have every fault at hand.

Written from the protocol alone: it shares no code with the client but the WebSocket framing of ``websockets``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Self

from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

CHANNEL = "/service/chatV2/customer-support"
Json = dict[str, Any]


class Chat:
    """One chat's transcript."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.key = "secret-key"
        self.ended = False
        self.next_index = 1

    def add(self, kind: str, text: str | None = None, *, who: str = "Client") -> Json:
        number, name = {"Client": (1, "Ada"), "Agent": (2, "Grace")}[who]
        event: Json = {
            "from": {"nickname": name, "participantId": number, "type": who},
            "index": self.next_index,
            "type": kind,
            "utcTime": 1700000000000 + self.next_index,
        }
        if text is not None:
            event["text"] = text
        self.next_index += 1
        self.events.append(event)
        return event

    def envelope(self, *events: Json, **more: Any) -> Json:
        return {
            "messages": list(events),
            "chatEnded": self.ended,
            "statusCode": 0,
            "alias": "117",
            "secureKey": self.key,
            "userId": "0075FA",
            "chatId": "0001Chat",
            "nextPosition": (events[-1]["index"] + 1) if events else self.next_index,
            **more,
        }


class Client:
    """A Bayeux session."""

    def __init__(self, socket: Socket | None) -> None:
        self.queue: list[Json] = []
        self.channels: set[str] = set()
        self.something = asyncio.Event()
        self.socket = socket
        self.speaks_for_chat = False
        self.ack = False
        self.batch = 0
        self.connects = 0

    def deliver(self, message: Json) -> None:
        if message["channel"] not in self.channels:
            return
        if self.socket is not None and not self.ack:
            self.socket.send([message])
        else:
            self.queue.append(message)
            self.something.set()


class Socket:
    """A WebSocket on a plain stream."""

    def __init__(self, protocol: ServerProtocol, writer: asyncio.StreamWriter) -> None:
        self.protocol = protocol
        self.writer = writer

    def send(self, messages: object) -> None:
        self.send_text(json.dumps(messages))

    def send_text(self, text: str) -> None:
        if self.protocol.state is State.OPEN:
            self.protocol.send_text(text.encode())
            self.flush()

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.writer.write(data)


class CometdServer:
    """Use as an async context manager. The attributes are the switches."""

    def __init__(self) -> None:
        self.chat = Chat()
        self.clients: dict[str, Client] = {}
        self.requests: list[Json] = []
        self.cookies_seen: list[str] = []
        self.headers_seen: list[dict[str, str]] = []
        self.port = 0
        self.timeout = 2000
        self.interval = 0
        self.refuse_upgrade: int | None = None
        self.http_answer: tuple[int, bytes, dict[str, str]] | None = None
        self.handshake_error: str | None = None
        self.subscribe_error: str | None = None
        self.ack = False
        self.types = ["websocket", "long-polling"]
        #: Called with each publication; returns "drop", "silence", "500", "unsaid", an error text, or None.
        self.fault: Callable[[Json], str | None] = lambda _: None
        self.refusals: dict[str, Json] = {}
        self.answers_fetch = True
        self.transcript: Callable[[int], list[Json]] | None = None
        self.posts = 0
        self.upgrades = 0
        self.connections = 0
        #: Seconds before a publication is answered over HTTP.
        self.delay = 0.0
        #: Connects held now.
        self.held = 0
        self.silent = False
        self._ids = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/genesys/cometd"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def forget(self) -> None:
        """Forget every Bayeux session, as a restarted server does."""
        for client in self.clients.values():
            client.something.set()
        self.clients.clear()

    def operations(self, name: str) -> list[Json]:
        return [
            r["data"] for r in self.requests if isinstance(r.get("data"), dict) and r["data"].get("operation") == name
        ]

    def push(self, envelope: Json, **more: Any) -> None:
        for client in self.clients.values():
            if client.speaks_for_chat:
                client.deliver({"channel": CHANNEL, "data": envelope, **more})

    def agent_says(self, text: str, *, push: bool = True) -> Json:
        event = self.chat.add("Message", text, who="Agent")
        if push:
            self.push(self.chat.envelope(event))
        return event

    # HTTP

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                headers = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines[1:] if line)
                }
                self.headers_seen.append(headers)
                self.cookies_seen.append(headers.get("cookie", ""))
                if headers.get("upgrade", "").lower() == "websocket":
                    await self._websocket(head, reader, writer)
                    return
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if self.silent:
                    await asyncio.Event().wait()
                answer = await self._post(body)
                if answer is None:
                    return
                status, content, more = answer
                more = {"content-type": "application/json;charset=UTF-8", "content-length": str(len(content)), **more}
                text = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
                text += "".join(f"{name}: {value}\r\n" for name, value in more.items())
                writer.write(text.encode() + b"\r\n" + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # asyncio reports a cancelled connection handler as an error
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _post(self, body: bytes) -> tuple[int, bytes, dict[str, str]] | None:
        self.posts += 1
        if self.http_answer is not None:
            return self.http_answer
        messages = json.loads(body)
        replies: list[Json] = []
        extra: dict[str, str] = {}
        for message in messages:
            reply = await self._handle(message, None, alone=len(messages) == 1)
            if reply == "drop":
                return None
            if reply == "500":
                return 500, b"", {}
            if reply == "silence":
                await asyncio.Event().wait()
            if message["channel"] == CHANNEL:
                await asyncio.sleep(self.delay)
            if isinstance(reply, dict):
                replies.append(reply)
            if message["channel"] == "/meta/handshake":
                extra["set-cookie"] = "BAYEUX_BROWSER=0a1b2c; Path=/; HttpOnly; Partitioned"
        events: list[Json] = []
        for message in messages:
            client = self.clients.get(message.get("clientId", ""))
            if client is not None and (not client.ack or message["channel"] == "/meta/connect"):
                events += client.queue
                client.queue.clear()
                client.something.clear()
        return 200, json.dumps(events + replies).encode(), extra

    # WebSocket

    async def _websocket(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.upgrades += 1
        if self.refuse_upgrade is not None:
            status = HTTPStatus(self.refuse_upgrade)
            writer.write(f"HTTP/1.1 {status} {status.phrase}\r\ncontent-length: 0\r\nlocation: /x\r\n\r\n".encode())
            await writer.drain()
            return
        protocol = ServerProtocol()
        protocol.receive_data(head)
        (request,) = protocol.events_received()
        assert isinstance(request, Request)
        response = protocol.accept(request)
        response.headers["Set-Cookie"] = "BAYEUX_BROWSER=0a1b2c; Path=/; HttpOnly"
        protocol.send_response(response)
        socket = Socket(protocol, writer)
        socket.flush()
        tasks: set[asyncio.Task[None]] = set()
        try:
            while data := await reader.read(65536):
                protocol.receive_data(data)
                for event in protocol.events_received():
                    if getattr(event, "opcode", None) is Opcode.TEXT:
                        task = asyncio.create_task(self._frame(event.data, socket))
                        tasks.add(task)
                        task.add_done_callback(tasks.discard)
                socket.flush()
                if protocol.close_expected():
                    return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _frame(self, data: bytes, socket: Socket) -> None:
        if self.silent:
            return
        messages = json.loads(data)
        replies: list[Json] = []
        for message in messages:
            reply = await self._handle(message, socket, alone=len(messages) == 1)
            if reply == "drop":
                socket.writer.transport.abort()
                return
            if isinstance(reply, str):
                return
            if reply is not None:
                replies.append(reply)
            client = self.clients.get(message.get("clientId", ""))
            if client is not None and message["channel"] == "/meta/connect" and client.queue:
                socket.send(client.queue)
                client.queue.clear()
        if replies:
            socket.send(replies)

    # Bayeux

    async def _handle(self, message: Json, socket: Socket | None, *, alone: bool) -> Json | str | None:
        self.requests.append(message)
        channel = message["channel"]
        reply: Json = {"id": message.get("id"), "channel": channel, "successful": True}
        if channel == "/meta/handshake":
            return self._handshake(message, reply, socket)
        client = self.clients.get(message.get("clientId", ""))
        if client is None:
            reply |= {"successful": False, "error": "402::Unknown client"}
            if channel == "/meta/connect":
                reply["advice"] = {"reconnect": "handshake", "interval": 0}
            return reply
        client.socket = socket
        if channel == "/meta/connect":
            return await self._connect(message, reply, client, alone=alone)
        if channel == "/meta/subscribe":
            if self.subscribe_error is not None:
                return reply | {"successful": False, "error": self.subscribe_error}
            client.channels.add(message["subscription"])
            return reply | {"subscription": message["subscription"]}
        if channel == "/meta/unsubscribe":
            client.channels.discard(message["subscription"])
            return reply | {"subscription": message["subscription"]}
        if channel == "/meta/disconnect":
            self.clients.pop(message["clientId"], None)
            client.something.set()
            return reply
        return self._published(message, reply, client)

    def _handshake(self, message: Json, reply: Json, socket: Socket | None) -> Json:
        if self.handshake_error is not None:
            return reply | {"successful": False, "error": self.handshake_error, "advice": {"reconnect": "none"}}
        client_id = f"client{next(self._ids)}"
        client = self.clients[client_id] = Client(socket)
        offered = message.get("ext", {})
        client.ack = self.ack and bool(offered.get("ack"))
        reply |= {
            "clientId": client_id,
            "version": "1.0",
            "supportedConnectionTypes": self.types,
            "advice": {"reconnect": "retry", "interval": self.interval, "timeout": self.timeout},
        }
        if client.ack:
            reply["ext"] = {"ack": True}
        return reply

    async def _connect(self, message: Json, reply: Json, client: Client, *, alone: bool) -> Json:
        client.connects += 1
        at_once = message.get("advice", {}).get("timeout") == 0
        if alone and not at_once and not client.queue:
            self.held += 1
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.timeout / 1000):
                        await client.something.wait()
            finally:
                self.held -= 1
        client.something.clear()
        if message["clientId"] not in self.clients:
            reply |= {"successful": False, "error": "402::Unknown client", "advice": {"reconnect": "handshake"}}
        elif client.ack:
            client.batch += 1
            reply["ext"] = {"ack": client.batch}
        return reply

    # The chat

    def _published(self, message: Json, reply: Json, client: Client) -> Json | str | None:
        data = message["data"]
        fault = self.fault(data)
        if fault is not None and fault not in {"drop", "silence", "500", "unsaid"}:
            return reply | {"successful": False, "error": fault}
        operation = data["operation"]
        if operation in self.refusals:
            client.speaks_for_chat = True
            client.deliver({"channel": CHANNEL, "data": self.refusals[operation]})
            return reply
        if fault != "unsaid":
            self._act(operation, data, client)
        return reply if fault in {None, "unsaid"} else fault

    def _act(self, operation: str, data: Json, client: Client) -> None:
        chat = self.chat
        if operation == "requestChat":
            client.speaks_for_chat = True
            self.push(chat.envelope(chat.add("ParticipantJoined")))
        elif operation == "requestNotifications":
            client.speaks_for_chat = True
            if self.answers_fetch:
                position = int(data["transcriptPosition"])
                events = [e for e in chat.events if e["index"] >= position]
                if self.transcript is not None:
                    events = self.transcript(position)
                client.deliver({"channel": CHANNEL, "data": chat.envelope(*events)})
        elif operation == "sendMessage":
            self.push(chat.envelope(chat.add("Message", data["message"])))
        elif operation in {"startTyping", "stopTyping"}:
            chat.add("TypingStarted" if operation == "startTyping" else "TypingStopped", data.get("message"))
        elif operation == "updateNickname":
            self.push(chat.envelope(chat.add("NicknameUpdated")))
        elif operation == "updateData":
            self.push(chat.envelope(userData=data["userData"]))
        elif operation == "customNotice":
            self.push(chat.envelope(chat.add("CustomNotice", data["message"])))
        elif operation == "disconnect":
            chat.ended = True
            self.push(chat.envelope(chat.add("ParticipantLeft")))
