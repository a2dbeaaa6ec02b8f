"""The sandbox as the other side of chat-core's transport checks: ``chat_core.testing.TransportConformance``.

Give ``CometdHarness``, ``LongPollingHarness`` or ``RestHarness`` as the class's ``harness``; any transport for GMS Chat
v2 can be checked with them. They have the methods of ``chat_core.testing.TransportHarness`` without importing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from chat_gms import EventType, PartyType
from chat_sandbox._backend.chats import Chat
from chat_sandbox.agents import Agent
from chat_sandbox.sandbox import Sandbox

__all__ = ["CometdHarness", "LongPollingHarness", "RestHarness"]

#: Any code will do, as long as it comes through.
_REFUSAL = 247


class _SandboxHarness:
    """A sandbox whose newest chat the suite has its hand on."""

    options: ClassVar[Mapping[str, Any]] = {}
    disable_websockets: ClassVar[bool] = False
    patience: ClassVar[float] = 10.0

    def __init__(self) -> None:
        self._sandbox = Sandbox(timeout=2.0, max_interval=2.0)
        self._agents: dict[str, Agent] = {}
        self.url: str | None = None

    async def __aenter__(self) -> Self:
        await self._sandbox.__aenter__()
        self.url = self._address()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sandbox.__aexit__(kind, error, trace)

    def _address(self) -> str:
        raise NotImplementedError

    @property
    def _chat(self) -> Chat:
        return self._sandbox.chats[-1]

    async def _agent(self) -> Agent:
        if self._chat.id not in self._agents:
            agent = self._agents[self._chat.id] = Agent(self._chat)
            await agent.join("Grace")
        return self._agents[self._chat.id]

    def chats(self) -> int:
        """Return how many chats were opened so far."""
        return len(self._sandbox.chats)

    def heard(self) -> list[str]:
        """Return the texts of the visitor's messages."""
        return [
            event.text or ""
            for event in self._chat.events
            if event.type == EventType.MESSAGE and event.party is not None and event.party.type == PartyType.CLIENT
        ]

    def over(self) -> bool:
        """Say whether the chat is over."""
        return self._chat.ended

    def secrets(self) -> Iterable[str]:
        """Return the chat's key."""
        return (self._chat.secure_key,)

    async def say(self, text: str) -> None:
        """Let an agent say something."""
        await (await self._agent()).say(text)

    async def end(self) -> None:
        """Let an agent end the chat."""
        await (await self._agent()).end()

    def forget(self) -> None:
        """Forget the chat."""
        self._sandbox.forget_chat(self._chat)

    async def cut(self) -> None:
        """Cut the network."""
        await self._sandbox.faults.cut()

    async def mend(self) -> None:
        """Mend the network."""
        await self._sandbox.faults.mend()

    def refuse_start(self) -> int:
        """Refuse new chats."""
        self._sandbox.faults.refuse_chat = (_REFUSAL, "not now")
        return _REFUSAL

    def refuse_next(self) -> int:
        """Refuse the next message."""
        self._sandbox.faults.refuse_next("sendMessage", _REFUSAL, "not now")
        return _REFUSAL

    def lose_answer(self) -> None:
        """Break the connection in place of the answer to the next message."""
        self._sandbox.faults.lose_answer()


class CometdHarness(_SandboxHarness):
    """For a CometD transport that uses WebSocket."""

    def _address(self) -> str:
        return self._sandbox.cometd_url


class LongPollingHarness(CometdHarness):
    """For a CometD transport that is not allowed to use WebSocket."""

    disable_websockets: ClassVar[bool] = True


class RestHarness(_SandboxHarness):
    """For a REST transport. Its polls come quickly, so that no check waits for one."""

    options: ClassVar[Mapping[str, Any]] = {"poll_quick": 0.05, "poll_slow": 0.1}

    def _address(self) -> str:
        return self._sandbox.rest_url
