"""The other side of a chat: an agent that a test drives, one that echoes, one that follows a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from attrs import frozen

from chat_gms import EventType, GmsEvent, GmsParty, PartyType
from chat_sandbox._backend.chats import Chat
from chat_sandbox._backend.files import StoredFile

__all__ = ["Agent", "AgentFunction", "Join", "Leave", "Pause", "Say", "Step", "Type", "WaitFor", "echo", "scripted"]


class Agent:
    """An agent in one chat, driven by whoever holds it.

    Attributes:
        chat: the server's side of the chat: ``id``, ``texts``, ``user_data``, ``subject``, ``ended``, ``events``.
    """

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self._party: GmsParty | None = None
        self._seen = 0
        self._changed = asyncio.Event()
        chat.listeners.append(self._on_event)

    async def join(self, name: str = "Agent", *, supervisor: bool = False) -> None:
        """Join the conversation."""
        self._party = self.chat.new_party(name, PartyType.SUPERVISOR if supervisor else PartyType.AGENT)
        self._add(EventType.PARTICIPANT_JOINED)

    async def say(self, text: str, *, message_type: str = "text") -> None:
        """Say something."""
        self._add(EventType.MESSAGE, text=text, message_type=message_type)

    async def typing(self, is_typing: bool = True, text: str | None = None) -> None:  # noqa: FBT001, FBT002
        """Start or stop typing."""
        self._add(EventType.TYPING_STARTED if is_typing else EventType.TYPING_STOPPED, text=text)

    async def push_url(self, url: str) -> None:
        """Send an address for the visitor to open."""
        self._add(EventType.PUSH_URL, text=url)

    async def notice(self, text: str) -> None:
        """Give a notice."""
        self._add(EventType.NOTICE, text=text)

    async def custom_notice(self, text: str) -> None:
        """Give a custom notice."""
        self._add(EventType.CUSTOM_NOTICE, text=text)

    async def send_file(
        self, name: str, content: bytes, *, content_type: str = "application/octet-stream"
    ) -> StoredFile:
        """Put a file into the conversation."""
        return self.chat.files.put(self._joined(), name, content, content_type=content_type)

    async def emit(self, kind: str, text: str | None = None) -> None:
        """Cause an event of any type, also one that nobody knows."""
        self._add(kind, text=text)

    async def leave(self) -> None:
        """Leave the conversation. The chat is not over by that."""
        self._add(EventType.PARTICIPANT_LEFT)
        self._party = None

    async def end(self) -> None:
        """Close the chat."""
        self.chat.add(EventType.PARTICIPANT_LEFT, self._party or self.chat.visitor, end=True)

    async def hears(self, text: str | None = None, *, timeout: float = 5.0) -> str:
        """Wait for the visitor's next message (with that text) and return it.

        Raises:
            TimeoutError: none came in time.
        """
        event = await self.wait_for(
            lambda event: (
                event.type == EventType.MESSAGE and _is_visitor(event) and (text is None or event.text == text)
            ),
            timeout=timeout,
        )
        return event.text or ""

    async def wait_for(self, predicate: Callable[[GmsEvent], bool], *, timeout: float = 5.0) -> GmsEvent:
        """Wait for the next event of the chat, after the last one returned, for which the predicate holds.

        Raises:
            TimeoutError: none came in time.
        """
        async with asyncio.timeout(timeout):
            while True:
                while self._seen < len(self.chat.events):
                    event = self.chat.events[self._seen]
                    self._seen += 1
                    if predicate(event):
                        return event
                self._changed.clear()
                await self._changed.wait()

    def _add(self, kind: str, *, text: str | None = None, message_type: str | None = None) -> None:
        self.chat.add(kind, self._joined(), text=text, message_type=message_type)

    def _joined(self) -> GmsParty:
        if self._party is None:
            raise RuntimeError("the agent has not joined the chat")
        return self._party

    def _on_event(self, chat: Chat, event: GmsEvent) -> None:
        del chat, event
        self._changed.set()


def _is_visitor(event: GmsEvent) -> bool:
    return event.party is not None and event.party.type == PartyType.CLIENT


#: Plays one chat's agent, from the chat's beginning.
AgentFunction: TypeAlias = Callable[[Agent], Awaitable[None]]


async def echo(agent: Agent) -> None:
    """Join, and answer each message with its own text."""
    await agent.join("Echo")
    while not agent.chat.ended:
        event = await agent.wait_for(
            lambda event: agent.chat.ended or (event.type == EventType.MESSAGE and _is_visitor(event)), timeout=86400
        )
        if event.type == EventType.MESSAGE and not agent.chat.ended:
            await agent.typing()
            await agent.typing(is_typing=False)
            await agent.say(event.text or "")


@frozen
class Join:
    """The agent joins."""

    name: str = "Agent"


@frozen
class Say:
    """The agent says something."""

    text: str


@frozen
class Type:
    """The agent starts or stops typing."""

    is_typing: bool = True


@frozen
class WaitFor:
    """The agent waits for the visitor's next message; with a text, for that one."""

    text: str | None = None


@frozen
class Pause:
    """The agent does nothing for some seconds."""

    seconds: float


@frozen
class Leave:
    """The agent leaves; ``end``: and closes the chat."""

    end: bool = False


Step: TypeAlias = Join | Say | Type | WaitFor | Pause | Leave

_STEPS: dict[str, Any] = {"join": Join, "say": Say, "type": Type, "wait": WaitFor, "pause": Pause, "leave": Leave}


def scripted(steps: Iterable[Step]) -> AgentFunction:
    """Return an agent that does one step after the other in each chat."""
    steps = list(steps)

    async def play(agent: Agent) -> None:
        for step in steps:
            match step:
                case Join(name):
                    await agent.join(name)
                case Say(text):
                    await agent.say(text)
                case Type(is_typing):
                    await agent.typing(is_typing)
                case WaitFor(text):
                    await agent.hears(text, timeout=86400)
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Leave(end):
                    await (agent.end() if end else agent.leave())

    return play


def read_script(path: Path) -> AgentFunction:
    """Read steps from a JSON file: a list of objects with one key each, such as ``{"say": "Hello"}``.

    Raises:
        ValueError: it is no such list; the text says where.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(value, list):
        raise ValueError(f"{path} must hold a list of steps")  # noqa: TRY004 - the file's fault, not a type's
    steps: list[Step] = []
    for number, one in enumerate(value, 1):
        if not isinstance(one, dict) or len(one) != 1 or next(iter(one)) not in _STEPS:
            raise ValueError(f"{path}, step {number}: an object with one key of {', '.join(_STEPS)} is needed")
        ((name, argument),) = one.items()
        steps.append(_STEPS[name]() if argument is None else _STEPS[name](argument))
    return scripted(steps)
