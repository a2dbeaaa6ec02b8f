"""Starting and restoring, on a fake back end: every outcome of the architecture's table."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import chat_core
from chat_core import (
    AmbiguousError,
    ConnectError,
    ErrorCode,
    FailEvent,
    InvalidPluginError,
    LeaveCommand,
    MessageReceived,
    NoSessionToRestore,
    OptionError,
    OptionTypeError,
    RefusedError,
    SessionInUseError,
    StateCorruptError,
    StateVersionError,
    StorageError,
    StorageLockedError,
    StorageProvider,
    StorageTimeoutError,
    StorageUnavailableError,
    TransportProvider,
)
from support.backend import Backend, FakeTransport
from support.clock import run_virtually


class Shelf:
    """A storage as the API page allows it: ``read`` and ``write`` and nothing else."""

    def __init__(self, state: Any = None) -> None:
        self.state = state
        self.writes: list[Any] = []

    def read(self) -> Any:
        return self.state

    def write(self, state: Any) -> None:
        self.state = state
        self.writes.append(state)


def start(transport: Any, storage: Any = "memory", **options: Any):
    return chat_core.start_session(transport=transport, state_storage=storage, **options)


def restore(transport: Any, storage: Any, **options: Any):
    return chat_core.restore_session(transport=transport, state_storage=storage, **options)


@pytest.mark.parametrize("launch", [chat_core.start_session, chat_core.restore_session])
def test_an_option_that_does_not_exist_is_named_with_the_closest_one(launch):
    """It is a TypeError as well, as for any function."""

    async def main() -> None:
        with pytest.raises(OptionTypeError, match=r"no option 'sever_url' \(did you mean 'server_url'\?\)") as raised:
            await launch(sever_url="https://gms.example.com/genesys/cometd")
        assert raised.value.code == ErrorCode.PARAMETER_INCORRECT

    asyncio.run(main())


def test_row_transport_instance_needs_no_server_url():
    """With a transport instance the URL is not mandatory, and has no effect."""

    async def main() -> str:
        transport = FakeTransport()
        async with start(transport, server_url="http://ignored.example/") as session:
            assert transport.request is not None
            assert session.options.server_url is None
            notes = {one.name: one.note for one in session.options.explain()}
            return notes["server_url"]

    assert run_virtually(main()) == "has no effect beside a transport instance"


def test_the_start_request_carries_what_was_resolved():
    """Name, subject and merged user data reach the transport."""

    async def main() -> Any:
        transport = FakeTransport()
        async with start(transport, subject="Invoice", user_data={"source": None, "FirstName": "Ada"}):
            return transport.request

    request = run_virtually(main())
    assert (request.username, request.subject) == ("User", "Invoice")
    assert dict(request.user_data) == {
        "source": None,
        "pageTitle": None,
        "url": None,
        "referrer": None,
        "FirstName": "Ada",
    }


def test_row_state_storage_any_object_with_read_and_write():
    """A duck-typed storage is written at the start and cleared with None at the end."""

    async def main() -> Shelf:
        shelf = Shelf()
        async with start(FakeTransport(), shelf):
            assert shelf.state["session_id"] == "chat-1"
        return shelf

    shelf = asyncio.run(main())
    assert shelf.state is None
    assert shelf.writes[0]["version"] == 1


def test_row_state_storage_may_be_async():
    """The same with awaitables."""

    class AsyncShelf(Shelf):
        async def read(self) -> Any:
            return self.state

        async def write(self, state: Any) -> None:
            self.state = state

    async def main() -> Any:
        shelf = AsyncShelf()
        backend = Backend()
        session = await start(FakeTransport(backend), shelf)
        await session.detach()
        async with restore(FakeTransport(backend), shelf) as again:
            return again.id

    assert asyncio.run(main()) == "chat-1"


def test_row_logger_takes_any_arguments():
    """A function is called as console.log is, with values of any type, redacted."""
    lines: list[tuple[Any, ...]] = []

    async def main() -> None:
        transport = FakeTransport()
        async with start(transport, logger=lambda *args: lines.append(args)):
            transport.cut()
            await asyncio.sleep(0.1)
            transport.mend()
            await asyncio.sleep(0.1)

    run_virtually(main())
    assert ("the link is down", "cut by the test") in lines


def test_row_logger_must_be_callable():
    """Anything else is refused."""

    async def main() -> None:
        with pytest.raises(InvalidPluginError, match="logger"):
            await start(FakeTransport(), logger=5)

    asyncio.run(main())


def test_restoring_takes_the_chat_up():
    """Restored events are marked, what happened meanwhile is not, and the chat goes on."""

    async def main() -> list[Any]:
        backend, shelf = Backend(), Shelf()
        shelf.blocking = False  # type: ignore[attr-defined] # virtual time waits for no thread
        async with start(FakeTransport(backend), shelf, on_exit="detach") as session:
            backend.agent_joins()
            await session.wait_for(chat_core.AgentConnected)
            session.on_event(lambda event: None)
            await asyncio.sleep(0.5)
        backend.agent_says("meanwhile", push=False)
        async with restore(FakeTransport(backend), shelf) as session:
            message = await session.wait_for(MessageReceived, timeout=1)
            await session.send_message("back")
            return [message.text, message.restored, backend.texts]

    assert run_virtually(main()) == ["meanwhile", False, ["meanwhile", "back"]]


def test_nothing_saved_is_no_session_to_restore():
    """Not an error: ``.fail`` gets an event whose error is None."""

    async def main() -> FailEvent:
        events: list[FailEvent] = []
        with pytest.raises(NoSessionToRestore):
            await restore(FakeTransport(), Shelf())
        one = restore(FakeTransport(), Shelf()).fail(events.append)
        with pytest.raises(LookupError):
            await one
        await asyncio.sleep(0)
        return events[0]

    assert asyncio.run(main()).error is None


def test_a_chat_that_the_server_does_not_know_is_no_session_to_restore():
    """And the state is cleared."""

    async def main() -> Shelf:
        backend, shelf = Backend(), Shelf()
        await (await start(FakeTransport(backend), shelf)).detach()
        shelf.state["link"]["key"] = "another"
        with pytest.raises(NoSessionToRestore) as caught:
            await restore(FakeTransport(backend), shelf)
        assert caught.value.code == 249
        return shelf

    assert asyncio.run(main()).state is None


@pytest.mark.parametrize(
    "error", [ConnectError("no answer"), RefusedError("busy", code=52), AmbiguousError("500"), ZeroDivisionError()]
)
def test_no_usable_answer_keeps_the_state(error: Exception):
    """An error with a code; the next attempt may succeed."""

    async def main() -> None:
        backend, shelf = Backend(), Shelf()
        await (await start(FakeTransport(backend), shelf)).detach()
        broken = FakeTransport(backend)
        broken.start_fault = error
        with pytest.raises(chat_core.ChatError):
            await restore(broken, shelf)
        assert broken.closed
        async with restore(FakeTransport(backend), shelf) as session:
            assert session.id == "chat-1"

    asyncio.run(main())


def test_a_chat_that_ended_meanwhile_restores_with_its_end():
    """The log is there, SessionEnded once, the state cleared."""

    async def main() -> tuple[list[str], Shelf]:
        backend, shelf = Backend(), Shelf()
        await (await start(FakeTransport(backend), shelf)).detach()
        backend.agent_says("Bye", push=False)
        backend.end(push=False)
        async with restore(FakeTransport(backend), shelf) as session:
            return [type(event).__name__ async for event in session.events()], shelf

    names, shelf = asyncio.run(main())
    assert names == ["ParticipantJoined", "MessageReceived", "SessionEnded"]
    assert shelf.state is None


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"version": 99}, StateVersionError),
        ({"nothing": True}, StateCorruptError),
    ],
)
def test_rp06_an_unreadable_state_is_never_a_silent_new_chat(state: Any, error: type[Exception]):
    """Restoring says which; restore_or_start says so too; the state is kept."""

    async def main() -> None:
        shelf = Shelf(state)
        for launcher in (chat_core.restore_session, chat_core.restore_or_start_session):
            transport = FakeTransport()
            with pytest.raises(error):
                await launcher(transport=transport, state_storage=shelf)
            assert transport.request is None
        assert shelf.state == state

    asyncio.run(main())


def test_a_storage_that_reads_something_else_is_told_so():
    """The API page's read returns an object."""

    async def main() -> None:
        with pytest.raises(InvalidPluginError, match="read a str, not a mapping or None"):
            await restore(FakeTransport(), Shelf("state"))

    asyncio.run(main())


def test_row_transport_is_mandatory_for_restoring_what_a_custom_one_started():
    """The state names its transport; another one is an error that names both."""

    class Other(FakeTransport):
        pass

    async def main() -> None:
        shelf = Shelf()
        await (await start(FakeTransport(), shelf)).detach()
        with pytest.raises(OptionError, match=r"belongs to the transport 'support\.backend:FakeTransport'.*Other"):
            await restore(Other(), shelf)
        assert shelf.state is not None

    asyncio.run(main())


def test_row_disable_websockets_is_not_remembered():
    """Where it was on and restore leaves it out, one warning says so."""
    lines: list[str] = []

    async def main() -> None:
        backend, shelf = Backend(), Shelf()
        await (await start(FakeTransport(backend), shelf, disable_websockets=True)).detach()
        session = await restore(FakeTransport(backend), shelf, logger=lambda *args: lines.append(str(args[0])))
        await session.detach()

    asyncio.run(main())
    assert sum("disable_websockets" in line for line in lines) == 1


def test_a_second_start_on_a_live_profile_is_refused():
    """The error names ``profile=`` and has the API page's code 200; another profile is free."""

    async def main() -> None:
        async with start(FakeTransport()):
            with pytest.raises(SessionInUseError, match="profile=") as caught:
                await start(FakeTransport())
            assert caught.value.code == ErrorCode.IN_USE_HERE
            async with start(FakeTransport(), profile="other"):
                pass
        async with start(FakeTransport()):
            pass

    asyncio.run(main())


def test_an_unowned_state_is_replaced_with_a_warning():
    """A start on a profile that somebody left behind."""
    lines: list[str] = []

    async def main() -> None:
        shelf = Shelf()
        await (await start(FakeTransport(), shelf)).detach()
        async with start(FakeTransport(), shelf, logger=lambda *args: lines.append(str(args[0]))):
            pass

    asyncio.run(main())
    assert any("is replaced" in line for line in lines)


@pytest.mark.parametrize("kind", [StorageUnavailableError, StorageLockedError, StorageTimeoutError])
def test_a_storage_out_of_reach_stops_a_start_before_the_server_hears_of_it(kind: type[StorageError]):
    """It would not take the new state either."""

    class Gone(Shelf):
        def read(self) -> Any:
            raise kind("out of reach")

    async def main() -> None:
        transport, shelf = FakeTransport(), Gone()
        with pytest.raises(kind, match="out of reach"):
            await start(transport, shelf)
        assert transport.request is None
        assert shelf.writes == []

    asyncio.run(main())


def test_an_unreadable_state_is_replaced_with_a_warning():
    """A start replaces what is damaged; that is what it is for."""
    lines: list[str] = []

    class Damaged(Shelf):
        def read(self) -> Any:
            raise StateCorruptError("damaged")

    async def main() -> None:
        async with start(FakeTransport(), Damaged(), logger=lambda *args: lines.append(str(args[0]))):
            pass

    asyncio.run(main())
    assert any("could not be read and is replaced" in line for line in lines)


def test_restore_or_start_does_what_is_possible():
    """The first time it starts, the second time it restores."""

    async def main() -> list[int]:
        backend, shelf = Backend(), Shelf()
        options = {"state_storage": shelf, "on_exit": "detach"}
        async with chat_core.restore_or_start_session(transport=FakeTransport(backend), **options):
            pass
        async with chat_core.restore_or_start_session(transport=FakeTransport(backend), **options):
            pass
        return [len(backend.transcript)]

    assert asyncio.run(main()) == [1]


@pytest.mark.parametrize(
    "error", [ConnectError("no server"), RefusedError("closed", code=240), AmbiguousError("lost"), ZeroDivisionError()]
)
def test_a_failed_start_leaves_nothing_behind(error: Exception):
    """The transport is closed, nothing saved, the profile free; what is not our error is the plugin's fault."""

    async def main() -> None:
        transport, shelf = FakeTransport(), Shelf()
        transport.start_fault = error
        expected = type(error) if isinstance(error, chat_core.ChatError) else InvalidPluginError
        with pytest.raises(expected):
            await start(transport, shelf)
        assert transport.closed
        assert shelf.writes == []
        async with start(FakeTransport(), shelf):
            pass

    asyncio.run(main())


def test_rp09_a_cancelled_start_leaves_the_chat_that_it_may_have_opened():
    """Bounded by two seconds, with the transport closed."""

    async def main() -> FakeTransport:
        transport = FakeTransport()
        original = transport.start

        async def slow(request: Any) -> Any:
            await original(request)
            await asyncio.Event().wait()

        transport.start = slow  # type: ignore[method-assign,assignment]
        task = asyncio.create_task(start(transport))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return transport

    transport = run_virtually(main())
    assert any(isinstance(command, LeaveCommand) for command in transport.backend.commands)
    assert transport.closed


def test_a_chat_that_cannot_be_saved_is_not_begun():
    """The storage's error arrives, and the chat is left."""

    class Full(Shelf):
        def write(self, state: Any) -> None:
            if state is not None:
                raise OSError("disk full")

    async def main() -> Backend:
        transport = FakeTransport()
        with pytest.raises(StorageError, match="failed to write"):
            await start(transport, Full())
        return transport.backend

    assert asyncio.run(main()).over


def test_a_factory_that_fails_is_the_plugins_fault():
    """Its name and its exception stand in the error."""

    def factory(context: Any) -> Any:
        raise ZeroDivisionError("oops")

    async def main() -> None:
        with pytest.raises(InvalidPluginError, match=r"the transport 'x' could not be made.*ZeroDivisionError: oops"):
            await chat_core.start_session(
                server_url="http://localhost/",
                transport=TransportProvider(name="x", summary="", factory=factory),
                state_storage="memory",
            )
        with pytest.raises(InvalidPluginError, match="the storage 'y' could not be made"):
            await start(FakeTransport(), StorageProvider(name="y", summary="", factory=factory))

    asyncio.run(main())


def test_a_transport_that_returns_something_else_is_told_so():
    """In place of Opened."""

    async def main() -> None:
        transport = FakeTransport()

        async def wrong(request: Any) -> Any:
            return "open"

        transport.start = wrong  # type: ignore[method-assign,assignment]
        with pytest.raises(InvalidPluginError, match="returned str in place of Opened"):
            await start(transport)

    asyncio.run(main())


def test_restore_pins_the_origin():
    """``restore_session(server_url=...)`` refuses a state of another server, before anything is sent."""

    async def main() -> None:
        provider = TransportProvider(name="x", summary="", factory=lambda context: FakeTransport())
        shelf = Shelf()
        session = await start(provider, shelf, server_url="https://a.example/chat")
        await session.detach()
        with pytest.raises(OptionError, match=r"held at https://a\.example/chat"):
            await restore(provider, shelf, server_url="https://b.example/chat")
        shelf.state["server_url"] = "http://evil.example/"
        with pytest.raises(OptionError, match="unencrypted"):
            await restore(provider, shelf)

    asyncio.run(main())


def test_storage_options_beside_an_instance_are_refused():
    """They could have no effect."""

    async def main() -> None:
        with pytest.raises(OptionError, match="no effect beside a storage instance"):
            await start(FakeTransport(), Shelf(), storage_options={"directory": "x"})

    asyncio.run(main())


def test_row_server_url_is_mandatory_without_a_transport_instance():
    """Missing, it is an error with the API page's code 2, given to ``fail`` as well."""

    async def main() -> FailEvent:
        events: list[FailEvent] = []
        one = chat_core.start_session(state_storage="memory").fail(events.append)
        with pytest.raises(chat_core.MissingOptionError):
            await one
        await asyncio.sleep(0)
        return events[0]

    event = asyncio.run(main())
    assert event.error is not None
    assert event.error.code == ErrorCode.PARAMETER_MISSING


def test_done_gives_the_session():
    """As on the API page: ``startSession(options).done(session => ...)``."""

    async def main() -> str:
        got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        start(FakeTransport()).done(got.set_result)
        session = await got
        await session.leave()
        return session.id

    assert asyncio.run(main()) == "chat-1"


def test_rp10_a_password_in_the_address_is_in_no_message():
    """The address given to restore passes the same checks as at a start, before anything shows it."""

    async def main() -> None:
        provider = TransportProvider(name="x", summary="", factory=lambda context: FakeTransport())
        shelf = Shelf()
        await (await start(provider, shelf, server_url="https://a.example/chat")).detach()
        with pytest.raises(OptionError, match="user name or password") as caught:
            await restore(provider, shelf, server_url="https://u:CANARY@b.example/")
        assert "CANARY" not in str(caught.value)

    asyncio.run(main())


@pytest.mark.parametrize("storage", ["memory", "file"])
def test_a_program_that_ends_with_the_session_leaves_the_profile_free(storage: str):
    """Its loop cancels what tidies up behind the end, before that has begun."""

    async def main() -> None:
        transport = FakeTransport()
        session = await chat_core.start_session(transport=transport, state_storage=storage, logger=lambda *_: None)
        transport.backend.end()
        async for _ in session.events():
            pass

    asyncio.run(main())
    asyncio.run(main())
