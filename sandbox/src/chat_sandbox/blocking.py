"""The sandbox without ``await``, on a loop thread of its own: for tests without a loop, or with another one.

    from chat_sandbox import blocking

    with blocking.Sandbox() as sandbox:
        start_my_bot(sandbox.cometd_url)
        agent = sandbox.next_chat()
        agent.join("Grace")
        agent.say("Hello")
        agent.hears("Hi")

Where a loop is running in the calling thread, waiting would hold it up; there ``sandbox.aio`` and ``agent.aio`` have
the same methods, to be awaited.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast, overload

from chat_sandbox import agents
from chat_sandbox import sandbox as serving
from chat_sandbox._backend.chats import Chat
from chat_sandbox._loop import LoopThread
from chat_sandbox.faults import Faults

__all__ = ["Agent", "Sandbox"]

P = ParamSpec("P")
T = TypeVar("T")


def _plain(
    method: Callable[Concatenate[agents.Agent, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Agent, P], T]:
    """Make a method that waits for what the async one returns."""

    @functools.wraps(method)
    def call(self: Agent, /, *args: P.args, **kwargs: P.kwargs) -> T:
        _refuse_in_a_loop(f"chat_agent.aio.{method.__name__}")

        async def run() -> T:
            return await method(await self._found(), *args, **kwargs)

        return self._loop.run(run)

    return call


class Agent:
    """An agent in one chat, driven by whoever holds it. One that was not given a chat takes the next that begins.

    The methods are those of ``chat_sandbox.Agent``, without ``await``.
    """

    def __init__(self, loop: LoopThread, find: Callable[[], Awaitable[agents.Agent]]) -> None:
        self._loop = loop
        self._find = find
        self._agent: agents.Agent | None = None
        #: Made on the loop's thread, where two first calls may meet.
        self._finding: asyncio.Lock | None = None

    @property
    def chat(self) -> Chat:
        """The server's side of the chat: ``id``, ``texts``, ``user_data``, ``subject``, ``ended``, ``events``."""
        if self._agent is None:
            _refuse_in_a_loop("chat_agent.aio.join() before chat_agent.chat")
            return self._loop.run(self._found).chat
        return self._agent.chat

    @property
    def aio(self) -> agents.Agent:
        """The same agent for a test with a loop of its own: its methods are awaited there."""
        return cast("agents.Agent", _Elsewhere(self._loop, agents.Agent, self._found))

    join = _plain(agents.Agent.join)
    say = _plain(agents.Agent.say)
    typing = _plain(agents.Agent.typing)
    push_url = _plain(agents.Agent.push_url)
    notice = _plain(agents.Agent.notice)
    custom_notice = _plain(agents.Agent.custom_notice)
    send_file = _plain(agents.Agent.send_file)
    emit = _plain(agents.Agent.emit)
    leave = _plain(agents.Agent.leave)
    end = _plain(agents.Agent.end)
    hears = _plain(agents.Agent.hears)
    wait_for = _plain(agents.Agent.wait_for)

    async def _found(self) -> agents.Agent:
        self._finding = self._finding or asyncio.Lock()
        async with self._finding:
            if self._agent is None:
                self._agent = await self._find()
            return self._agent


class Sandbox:
    """Serves while it is entered with ``with``.

    Args:
        options: those of ``chat_sandbox.Sandbox``.
    """

    def __init__(self, **options: Any) -> None:
        self._sandbox = serving.Sandbox(**options)
        self._loop = LoopThread()

    @property
    def chats(self) -> list[Chat]:
        """Every chat so far."""
        return self._sandbox.chats

    @property
    def faults(self) -> Faults:
        """What may be made to go wrong. What is done at once is done with ``run``: ``run(sandbox.faults.cut)``."""
        return self._sandbox.faults

    @property
    def url(self) -> str:
        """The server's address."""
        return self._sandbox.url

    @property
    def cometd_url(self) -> str:
        """What a CometD transport takes as ``server_url``."""
        return self._sandbox.cometd_url

    @property
    def rest_url(self) -> str:
        """What a REST transport takes as ``server_url``."""
        return self._sandbox.rest_url

    @property
    def aio(self) -> serving.Sandbox:
        """The same sandbox for a test with a loop of its own: its methods are awaited there."""
        return cast("serving.Sandbox", _Elsewhere(self._loop, serving.Sandbox, self._itself))

    def next_chat(self, *, timeout: float = 5.0) -> Agent:
        """Wait for the next chat and return its agent, who has not joined yet.

        Raises:
            TimeoutError: no chat began in time.
        """
        _refuse_in_a_loop("sandbox.aio.next_chat")
        found = self._loop.run(self._sandbox.next_chat, timeout=timeout)
        return Agent(self._loop, lambda: _itself(found))

    def agent(self, *, timeout: float = 5.0) -> Agent:
        """Return the agent of the next chat, which need not have begun: the agent's first act waits for it."""
        return Agent(self._loop, lambda: self._sandbox.next_chat(timeout=timeout))

    def restart(self) -> None:
        """Restart the server on the same port: CometD sessions are gone, chats live on."""
        self.run(self._sandbox.restart)

    @overload
    def run(self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function, plain or async, on the sandbox's thread: all that is no method here."""

        async def call() -> Any:
            result = function(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return self._loop.run(call)

    def __enter__(self) -> Self:
        self._loop.start()
        try:
            self.run(self._sandbox.__aenter__)
        except BaseException:
            self._loop.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.run(self._sandbox.__aexit__, kind, error, trace)
        finally:
            self._loop.stop()

    async def _itself(self) -> serving.Sandbox:
        return self._sandbox


class _Elsewhere:
    """Something that lives on another loop: its async methods are awaited here and run there."""

    def __init__(self, loop: LoopThread, kind: type, find: Callable[[], Awaitable[Any]]) -> None:
        self._loop = loop
        self._kind = kind
        self._find = find

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._kind, name, None)
        if not inspect.iscoroutinefunction(method):
            raise AttributeError(f".aio has the async methods of {self._kind.__name__}, and {name!r} is none")

        @functools.wraps(method)
        async def call(*args: Any, **kwargs: Any) -> Any:
            async def there() -> Any:
                result = await method(await self._find(), *args, **kwargs)
                if isinstance(result, agents.Agent):
                    return Agent(self._loop, lambda: _itself(result)).aio
                return result

            return await self._loop.from_elsewhere(there())

        return call


async def _itself(value: T) -> T:
    return value


def _refuse_in_a_loop(instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"an event loop is running in this thread, and waiting would hold it up: await {instead}")
