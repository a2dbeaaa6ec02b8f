"""What the transport checks work with: transports made as a session makes them, and what comes out of them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

from chat_core._contracts.connection import ConnectionOptions
from chat_core._contracts.transport import (
    Batch,
    Ended,
    LinkDown,
    LinkUp,
    Opened,
    Reply,
    SendMessageCommand,
    StartRequest,
    TransportContext,
)
from chat_core._model.errors import ChatError, NotSentError
from chat_core._model.events import Event, MessageReceived
from chat_core._plugins.options import build_options
from chat_core.testing._checks import RequirementError, fail, require
from chat_core.testing._subject import Subject
from chat_core.testing._watch import Shown, open_sockets, until

__all__ = ["CLOSING", "CREDENTIALS", "Link", "TransportBench"]

T = TypeVar("T")

#: Seconds for closing (RP-9).
CLOSING: Final = 5.0
#: Credentials of the caller, as canaries.
CREDENTIALS: Final = {"a password": "canary-44d0ab-password", "a header": "canary-0e7c15-header"}

#: True in whatever the plugin does, so that its tasks can be told from the server's.
_of_plugin: contextvars.ContextVar[bool] = contextvars.ContextVar("chat_core_conformance", default=False)


class Link:
    """A transport that is open, and what came out of it."""

    def __init__(self, bench: TransportBench, transport: Any, opened: Opened) -> None:
        self.bench = bench
        self.transport = transport
        self.opened = opened
        #: What incoming yielded so far.
        self.items: list[Any] = []
        #: What replies brought.
        self.replies: list[Reply] = []
        self.finished = False
        self.failure: BaseException | None = None
        self._reader = asyncio.get_running_loop().create_task(self._read(), name="conformance: reader")

    async def _read(self) -> None:
        _of_plugin.set(True)
        try:
            async for item in self.transport.incoming():
                self.items.append(item)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - told by whoever waits
            self.failure = error
        self.finished = True

    async def stop_reading(self) -> None:
        """End the reader, whatever incoming does."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    @property
    def events(self) -> list[Event]:
        """Everything that happened so far, in the order in which it came out."""
        batches = [self.opened.batch, *(batch for item in self.items if (batch := _batch_of(item)) is not None)]
        batches += [reply.batch for reply in self.replies if reply.batch is not None]
        return [event for batch in batches for event in batch.events]

    def texts(self, *, own: bool = False) -> list[str]:
        """The messages so far."""
        return [event.text for event in self.events if isinstance(event, MessageReceived) and event.own is own]

    def turns(self) -> list[Any]:
        """The link's going down and up so far."""
        return [item for item in self.items if isinstance(item, LinkDown | LinkUp)]

    async def until(self, met: Callable[[], object], what: str) -> None:
        """Wait for something to come out."""

        def seen() -> object:
            if self.failure is not None and not met():
                fail(f"incoming raised {type(self.failure).__name__}: {self.failure}", self.failure)
            return met()

        await until(seen, within=self.bench.patience, what=what)

    async def send(self, text: str) -> Reply:
        """Send a message."""
        return await self.command(SendMessageCommand(text=text), "sending a message")

    async def command(self, command: Any, what: str) -> Reply:
        """Send a command that has to succeed."""
        reply: Reply = await self.bench.call(self.transport.send(command), what)
        require(isinstance(reply, Reply), f"{what} returned a {type(reply).__name__}, not a Reply")
        self.replies.append(reply)
        return reply

    async def send_soon(self, text: str) -> None:
        """Send a message as a session does: again after a while if it never left."""
        ends = asyncio.get_running_loop().time() + self.bench.patience
        while True:
            _, error = await self.bench.attempt(self.transport.send(SendMessageCommand(text=text)), "sending a message")
            if error is None:
                return
            late = asyncio.get_running_loop().time() > ends
            if not isinstance(error, NotSentError) or late:
                fail(f"no message can be sent any more: {error!r}", error)
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Close the transport, bounded."""
        await self.bench.close(self.transport)


class TransportBench:
    """Makes transports for one check and closes them.

    Args:
        subject: what is checked.
        folder: fresh, for this check alone.
    """

    def __init__(self, subject: Subject, folder: Path) -> None:
        require(subject.harness is not None, "a transport needs a harness")
        assert subject.harness is not None
        self.subject = subject
        self.shown = Shown()
        self.server: Any = subject.harness()
        self.patience = float(self.server.patience)
        self._own_options = dict(subject.options_for(folder))
        self._made: list[Any] = []
        self._links: list[Link] = []
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._sockets: frozenset[str] = frozenset()

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        asyncio.get_running_loop().set_task_factory(self._make_task)
        self._sockets = open_sockets()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self._links:
            await link.stop_reading()
        for transport in self._made:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSING):
                    await transport.aclose()
        for task in list(self._tasks):
            task.cancel()
        await self.server.__aexit__(None, None, None)

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **more)
        context = more.get("context")
        if (context.get(_of_plugin) if context is not None else _of_plugin.get()) is True:
            self._tasks.add(task)
        return task

    async def on_server(self, method: str, *arguments: Any) -> Any:
        """Call a method of the harness, plain or async."""
        result = getattr(self.server, method)(*arguments)
        return await result if inspect.isawaitable(result) else result

    def context(self, **options: Any) -> TransportContext:
        """Return what the factory is given."""
        provider = self.subject.provider
        given = {**self.server.options, **self._own_options, **options}
        return TransportContext(
            server_url=self.server.url,
            options=build_options(provider.options, given, name="options", owner=f"transport {provider.name!r}"),
            disable_websockets=self.server.disable_websockets,
            log=self.shown.log,
        )

    @property
    def credentials(self) -> dict[str, Any]:
        """Credentials as options, where the transport takes them."""
        options = self.subject.provider.options
        if options is None or not issubclass(options, ConnectionOptions):
            return {}
        return {
            "auth": ("conformance", CREDENTIALS["a password"]),
            "headers": {"X-Conformance": CREDENTIALS["a header"]},
        }

    def make(self, **options: Any) -> Any:
        """Make a transport; nothing is sent yet."""
        context = self.context(**options)
        # A copy of the context, so that nothing of the check's own is marked.
        transport = self._marked(lambda: self.subject.make(context))
        self._made.append(transport)
        return transport

    @staticmethod
    def _marked(function: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        context.run(_of_plugin.set, True)  # noqa: FBT003 - a context variable's own interface
        return context.run(function)

    async def start(self, **options: Any) -> Link:
        """Open a chat and read what comes."""
        transport = self.make(**options)
        return self.linked(transport, await self.call(transport.start(request()), "start"))

    async def resume(self, saved: Mapping[str, Any]) -> Link:
        """Take a chat up and read what comes."""
        transport = self.make()
        return self.linked(transport, await self.call(transport.resume(saved), "resume"))

    def linked(self, transport: Any, opened: Any) -> Link:
        """Read what comes out of an open transport."""
        require(isinstance(opened, Opened), f"it was opened with a {type(opened).__name__}, not an Opened")
        link = Link(self, transport, opened)
        self._links.append(link)
        return link

    async def call(self, awaitable: Awaitable[T], what: str) -> T:
        """Await a call of the transport that has to succeed."""
        result, error = await self.attempt(awaitable, what)
        if error is not None:
            fail(f"{what} raised {type(error).__name__}: {error}", error)
        return cast(T, result)

    async def attempt(self, awaitable: Awaitable[T], what: str) -> tuple[T | None, ChatError | None]:
        """Return what came of a call: its result, or the error of chat-core. Anything else is not allowed to come out.

        Seconds for it: what a send may take beside the patience for the link.
        """
        task = self.begin(awaitable)
        done, _ = await asyncio.wait({task}, timeout=self.patience)
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
            fail(f"{what} did not return within {self.patience:g} s")
        if task.cancelled():
            fail(f"{what} gave up in the middle: it raised CancelledError, and nobody had cancelled it")
        error = task.exception()
        if error is None:
            return task.result(), None
        if not isinstance(error, ChatError):
            name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
            raise RequirementError(f"{what} let {name} out, which is no error of chat-core") from error
        return None, error

    def begin(self, awaitable: Awaitable[T]) -> asyncio.Task[T]:
        """Begin a call of the transport in a task of its own."""

        async def carry_out() -> T:
            return await awaitable

        coroutine: Coroutine[Any, Any, T] = carry_out()
        task = self._marked(lambda: asyncio.get_running_loop().create_task(coroutine))
        self._tasks.discard(task)
        return task

    async def close(self, transport: Any) -> None:
        """Close a transport, bounded."""
        task = self.begin(transport.aclose())
        done, _ = await asyncio.wait({task}, timeout=CLOSING)
        if not done:
            task.cancel()
            fail(f"aclose did not return within {CLOSING:g} s")
        error = None if task.cancelled() else task.exception()
        if error is not None:
            fail(f"aclose raised {type(error).__name__}", error)

    def leftovers(self) -> str:
        """Return what the plugin has running or open, in words; empty when there is nothing."""
        tasks = sorted(_name(task) for task in self._tasks if not task.done())
        sockets = len(open_sockets() - self._sockets)
        parts = [f"the task {name}" for name in tasks] + ([f"{sockets} sockets"] if sockets else [])
        return ", ".join(parts)

    async def require_nothing_left(self, after: str) -> None:
        """Wait for the plugin's tasks and sockets to be gone."""
        with contextlib.suppress(RequirementError):
            await until(lambda: not self.leftovers(), within=min(self.patience, 2.0), what="")
        left = self.leftovers()
        require(not left, f"{after} there is left: {left}")

    async def fetch(self, link: Link, position: int) -> Batch:
        """Ask for the transcript."""
        batch: Batch = await self.call(link.transport.fetch(position), f"fetch({position})")
        require(isinstance(batch, Batch), f"fetch({position}) returned a {type(batch).__name__}, not a Batch")
        return batch


def request() -> StartRequest:
    """Return what a start carries."""
    return StartRequest(username="Ada", subject="Conformance", user_data={"note": "canary-c0ffee-userdata"})


def outcome(error: BaseException | None) -> str:
    """Return what a call did, in words."""
    return "did not fail" if error is None else f"raised {error!r}"


def _batch_of(item: Any) -> Batch | None:
    if isinstance(item, Batch):
        return item
    return item.batch if isinstance(item, Ended) else None


def _name(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return f"{task.get_name()!r} ({getattr(coroutine, '__qualname__', coroutine)})"
