"""A Genesys-like chat server on loopback, for demos and tests."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from starlette.applications import Starlette

from chat_gms import EventType, GmsEvent
from chat_sandbox._backend.chats import Backend, Chat, ChatTimes
from chat_sandbox._backend.files import FilePolicy
from chat_sandbox._bayeux.server import Timings
from chat_sandbox._http.app import COMETD_PATH, REST_PATH, make_app
from chat_sandbox._http.cometd import CometdView
from chat_sandbox._http.files import FileView
from chat_sandbox._http.rest import RestView
from chat_sandbox._http.server import AppServer
from chat_sandbox.agents import Agent, AgentFunction
from chat_sandbox.faults import Faults

__all__ = ["Sandbox"]


class Sandbox:
    """Serves while it is entered with ``async with``.

    Args:
        host: where to listen; loopback unless there is a reason.
        port: 0 takes a free one.
        agent: plays the agent of each chat; None: ``next_chat`` hands the agents out.
        service: the chat service, for the addresses.
        timeout: seconds for which a connect is held.
        interval: seconds that clients are asked to pause between two connects.
        max_interval: seconds that a CometD session lives without a connect.
        ack: offer the acknowledgement extension.
        max_message_length: characters of one message, None for any.
        times: when the server loses patience with silent visitors and idle chats.
        files: what files it takes.
        listen: take a port; without it there is only ``app``, for ``httpx.ASGITransport`` and other ASGI servers.
        clock: monotonic seconds, in place of the running loop's.

    Attributes:
        faults: what may be made to go wrong.
        chats: every chat so far, with its transcript.
        app: the ASGI application, while the sandbox is entered.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        agent: AgentFunction | None = None,
        service: str = "customer-support",
        timeout: float = 30.0,
        interval: float = 0.0,
        max_interval: float = 10.0,
        ack: bool = True,
        max_message_length: int | None = None,
        times: ChatTimes | None = None,
        files: FilePolicy | None = None,
        listen: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.faults = Faults()
        self.app: Starlette | None = None
        self._listen = listen
        self.service = service
        self._agent = agent
        self._timings = Timings(timeout=timeout, interval=interval, max_interval=max_interval)
        self._ack = ack
        self._backend = Backend(clock=clock, max_message_length=max_message_length, times=times, file_policy=files)
        self._server = AppServer(host, port)
        self._view: CometdView | None = None
        self._new: asyncio.Queue[Agent] = asyncio.Queue()
        self._agents: set[asyncio.Task[None]] = set()

    @property
    def chats(self) -> list[Chat]:
        """Every chat so far."""
        return self._backend.chats

    @property
    def port(self) -> int:
        """The port in use."""
        return self._server.port

    @property
    def url(self) -> str:
        """The server's address."""
        host = f"[{self._server.host}]" if ":" in self._server.host else self._server.host
        return f"http://{host}:{self.port}"

    @property
    def cometd_url(self) -> str:
        """What a CometD transport takes as ``server_url``."""
        return self.url + COMETD_PATH

    @property
    def rest_url(self) -> str:
        """What a REST transport takes as ``server_url``."""
        return f"{self.url}{REST_PATH}/{self.service}"

    async def next_chat(self, *, timeout: float = 5.0) -> Agent:
        """Wait for the next chat and return its agent, who has not joined yet.

        Raises:
            TimeoutError: no chat began in time.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._new.get()
        except TimeoutError:
            raise TimeoutError(f"no chat began within {timeout:g} s") from None

    def forget_chat(self, chat: Chat) -> None:
        """Remove a chat as if it had never been: its key opens nothing any more."""
        self._backend.forget(chat)

    async def restart(self) -> None:
        """Restart the server on the same port: CometD sessions are gone, chats live on."""
        await self._stop_serving()
        await self._start_serving()

    async def __aenter__(self) -> Self:
        self._backend.listen(self._on_event)
        self.faults.drop = self._server.abort_connections
        self.faults.close_port = self._stop_serving
        self.faults.open_port = self._mend
        await self._start_serving()
        self._agents.add(asyncio.get_running_loop().create_task(self._look_around(), name="chat-sandbox: housekeeping"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._agents:
            task.cancel()
        await asyncio.gather(*self._agents, return_exceptions=True)
        self.faults.resume()
        await self._stop_serving()
        await self._server.wound_up()
        with contextlib.suppress(ValueError):
            self._backend.unlisten(self._on_event)

    async def _start_serving(self) -> None:
        if self._view is None:
            self._view = CometdView(self._backend, self.faults, timings=self._timings, ack=self._ack)
            self.faults.forget = self._view.forget_sessions
        abort = self._server.abort
        rest = RestView(self._backend, self.faults, abort)
        files = FileView(self._backend, self.faults, abort, has_cookie=self._view.has_cookie)
        self.app = make_app(self._view, rest, files, self.faults, abort=abort)
        if self._listen:
            await self._server.start(self.app)

    async def _stop_serving(self) -> None:
        await self._server.stop()
        if self._view is not None:
            self._view.close()
            self._view = None

    async def _look_around(self) -> None:
        times = self._backend.times
        pause = min(times.removal, times.idle_alert, times.idle_close) / 4
        while True:
            await asyncio.sleep(pause)
            self._backend.look_around()

    async def _mend(self) -> None:
        if self._view is None:
            await self._start_serving()

    def _on_event(self, chat: Chat, event: GmsEvent) -> None:
        if event.index != 1 or event.type != EventType.PARTICIPANT_JOINED:
            return
        agent = Agent(chat)
        if self._agent is None:
            self._new.put_nowait(agent)
            return
        task = asyncio.get_running_loop().create_task(_play(self._agent, agent), name="chat-sandbox: agent")
        self._agents.add(task)
        task.add_done_callback(self._agents.discard)


async def _play(function: AgentFunction, agent: Agent) -> None:
    with contextlib.suppress(TimeoutError):
        await function(agent)
