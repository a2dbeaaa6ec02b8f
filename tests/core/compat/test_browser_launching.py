"""The API page "Launching the Chat Session" under its own names: each option's row, done, fail, their event objects."""

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path
from typing import Any

import pytest

from chat_core import (
    ChatError,
    ConnectError,
    ErrorCode,
    InvalidPluginError,
    MissingOptionError,
    NoSessionToRestore,
    OptionError,
    OptionTypeError,
    RefusedError,
    StorageProvider,
)
from chat_core._storages.memory import MemoryStorage
from chat_core.compat.genesys import BrowserSession, Promise, restoreSession, startSession
from support.backend import Backend, FakeTransport
from support.browser import Rig, Shelf, begun, failure
from support.clock import run_virtually

# The options table of startSession


def test_row_server_url_is_mandatory_except_with_a_transport():
    """Neither given: ``fail`` gets code 2. A transport instance alone will do."""

    async def main() -> tuple[Any, str]:
        event = await failure(startSession({"transport": Rig().provider, "stateStorage": Shelf()}))
        session = await startSession({"transport": FakeTransport(), "stateStorage": Shelf()})
        await session.leave()
        return event, session.session.id

    event, session_id = run_virtually(main())
    assert event.error.code == ErrorCode.PARAMETER_MISSING
    assert "server_url is missing" in event.error.description
    assert isinstance(event.exception, MissingOptionError)
    assert session_id == "chat-1"


@pytest.mark.parametrize(
    ("given", "name"),
    [({}, "User"), ({"username": None}, "User"), ({"username": ""}, "User"), ({"username": "A"}, "A")],
)
def test_row_username_defaults_to_user(given: dict[str, Any], name: str):
    """``username``: absent, undefined and empty become 'User'."""
    assert begun(**given)[1].username == name


def test_row_subject_is_left_empty_when_absent():
    """``subject``: the chat's subject."""
    assert begun()[1].subject is None
    assert begun(subject="Invoice")[1].subject == "Invoice"


def test_row_user_data_is_merged_with_the_defaults():
    """``userData``: what a registration form gave, beside the four keys that are always there."""
    form = {"FirstName": "John", "LastName": "Doe", "EmailAddress": "johndoe@example.co"}
    defaults = {"source": "web", "pageTitle": None, "url": None, "referrer": None}
    assert begun(userData=form)[1].user_data == {**defaults, **form}
    assert begun()[1].user_data == defaults


def test_row_user_data_source_null_overrides_the_default():
    """The page's example: ``source: null`` displaces 'web' and leaves the others as they are."""
    data = begun(userData={"FirstName": "John", "source": None})[1].user_data
    assert data == {"source": None, "pageTitle": None, "url": None, "referrer": None, "FirstName": "John"}


def test_row_transport_takes_a_custom_instance():
    """``transport``: the instance itself is used."""

    async def main() -> None:
        transport = FakeTransport()
        session = await startSession({"transport": transport, "stateStorage": Shelf()})
        assert transport.request is not None
        await session.leave()

    run_virtually(main())


@pytest.mark.parametrize("form", ["object", "functions"])
def test_row_state_storage_is_read_and_written(form: str):
    """``stateStorage``: any object with read and write, or the page's ``{read: ..., write: ...}``; null clears."""

    async def main() -> Shelf:
        shelf, backend = Shelf(), Backend()
        storage = shelf if form == "object" else {"read": shelf.read, "write": shelf.write}
        session = await startSession({"transport": FakeTransport(backend), "stateStorage": storage})
        await session.session.detach()
        assert shelf.state["session_id"] == "chat-1"
        again = await restoreSession({"transport": FakeTransport(backend), "stateStorage": storage})
        await again.leave()
        return shelf

    shelf = asyncio.run(main())
    assert shelf.writes[-1] is None
    assert shelf.state is None


def test_row_state_storage_without_read_is_refused():
    """``fail`` is told which method is missing."""

    class Half:
        def write(self, state: Any) -> None: ...

    async def main() -> None:
        for storage in (Half(), {"write": print}):
            event = await failure(startSession({"transport": FakeTransport(), "stateStorage": storage}))
            assert isinstance(event.exception, InvalidPluginError)
            assert "read" in event.error.description

    run_virtually(main())


@pytest.mark.parametrize(("seconds", "restored"), [(5.0, True), (5.5, False), (10.0, False)])
def test_row_max_offline_duration_default_is_five_seconds(seconds: float, restored: bool):
    """``maxOfflineDuration``: what the gone owner wrote counts, not what ``restoreSession`` is given (60 here)."""
    assert outcome_after(seconds, {}) is restored


@pytest.mark.parametrize(("seconds", "restored"), [(59.0, True), (61.0, False)])
def test_row_max_offline_duration_is_in_seconds(seconds: float, restored: bool):
    """A longer time keeps the state longer."""
    assert outcome_after(seconds, {"maxOfflineDuration": 60}) is restored


def outcome_after(seconds: float, options: dict[str, Any]) -> bool:
    """Start, detach, wait, restore with 60; tell whether there was something to restore."""
    places: dict[str, Any] = {}

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        memory = StorageProvider(
            name="memory",
            summary="",
            factory=lambda context: MemoryStorage(
                context.profile, max_offline_duration=context.max_offline_duration, clock=loop.time, places=places
            ),
        )
        backend = Backend()
        session = await startSession({"transport": FakeTransport(backend), "stateStorage": memory, **options})
        await session.session.detach()
        await asyncio.sleep(seconds)
        promise = restoreSession(
            {"transport": FakeTransport(backend), "stateStorage": memory, "maxOfflineDuration": 60}
        )
        try:
            await (await promise).leave()
        except NoSessionToRestore:
            return False
        return True

    return run_virtually(main())


def test_row_max_offline_duration_has_no_effect_on_a_custom_storage():
    """Zero seconds, and the state is there all the same."""

    async def main() -> str:
        shelf, backend = Shelf(), Backend()
        session = await startSession(
            {"transport": FakeTransport(backend), "stateStorage": shelf, "maxOfflineDuration": 0}
        )
        notes = {one.name: one.note for one in session.session.options.explain()}
        await session.session.detach()
        await asyncio.sleep(100)
        again = await restoreSession(
            {"transport": FakeTransport(backend), "stateStorage": shelf, "maxOfflineDuration": 0}
        )
        await again.leave()
        return notes["max_offline_duration"]

    assert "no effect" in run_virtually(main())


@pytest.mark.parametrize(("given", "forbidden"), [({}, False), ({"disableWebSockets": True}, True)])
def test_row_disable_web_sockets_reaches_the_transport(given: dict[str, Any], forbidden: bool):
    """``disableWebSockets``: off by default."""
    assert begun(**given)[0].disable_websockets is forbidden


def test_row_logger_takes_any_number_of_arguments():
    """``logger``: called as console.log is."""
    lines: list[tuple[Any, ...]] = []

    async def main() -> None:
        transport = FakeTransport()
        session = await startSession(
            {"transport": transport, "stateStorage": Shelf(), "logger": lambda *arguments: lines.append(arguments)}
        )
        transport.cut()
        await asyncio.sleep(1)
        transport.mend()
        await session.leave()

    run_virtually(main())
    assert ("the link is down", "cut by the test") in lines


# The options table of restoreSession


def test_row_restore_transport_must_be_given_again():
    """A custom transport was passed to startSession: leaving it out names it."""

    class Other(FakeTransport):
        pass

    async def main() -> Any:
        shelf = Shelf()
        session = await startSession({"transport": FakeTransport(), "stateStorage": shelf})
        await session.session.detach()
        return await failure(restoreSession({"transport": Other(), "stateStorage": shelf}))

    event = run_virtually(main())
    assert "FakeTransport" in event.error.description
    assert event.error.code == ErrorCode.PARAMETER_INCORRECT


def test_row_restore_the_url_comes_from_the_state():
    """Restoring takes no serverUrl; disableWebSockets has to be passed again, and one warning says so."""
    rig, shelf = Rig(), Shelf()
    lines: list[str] = []

    async def main() -> None:
        first = {"transport": rig.provider, "stateStorage": shelf, "disableWebSockets": True}
        session = await startSession({"serverUrl": "https://gms.example/cometd", **first})
        await session.session.detach()
        session = await restoreSession(first)
        await session.session.detach()
        options = {"transport": rig.provider, "stateStorage": shelf, "logger": lambda *args: lines.append(str(args))}
        session = await restoreSession(options)
        await session.leave()

    run_virtually(main())
    assert [context.server_url for context in rig.contexts] == ["https://gms.example/cometd"] * 3
    assert [context.disable_websockets for context in rig.contexts] == [True, True, False]
    assert sum("disable_websockets" in line for line in lines) == 1


# The options object


@pytest.mark.parametrize(
    ("launch", "options", "text"),
    [
        (startSession, {"serverURL": "x"}, "startSession has no option 'serverURL'.*did you mean 'serverUrl'"),
        (startSession, {"userdata": {}}, "did you mean 'userData'"),
        (restoreSession, {"maxOfflineDurations": 5}, "did you mean 'maxOfflineDuration'"),
        (startSession, {"disableWebsockets": True}, "did you mean 'disableWebSockets'"),
        (restoreSession, {"zzz": 5}, "known are.*stateStorage"),
        (startSession, {5: 5}, "has no option 5"),
        (startSession, {"userData": {}, "user_data": {}}, "user_data twice"),
    ],
)
def test_an_unknown_option_is_refused_at_the_call(launch: Any, options: Any, text: str):
    """The closest one is named."""
    with pytest.raises(OptionError, match=text):
        launch(options)


def test_options_are_one_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Anything else is a TypeError, as in the browser; restoreSession needs none."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(TypeError, match="startSession takes one object with named properties, not str"):
        startSession("https://gms.example/")  # type: ignore[arg-type]

    async def main() -> tuple[Any, Any]:
        return await failure(startSession()), await failure(restoreSession())

    started, restored = asyncio.run(main())
    # What is missing depends on the transports installed; that something is goes to ``fail`` either way.
    assert started.error
    assert isinstance(started.exception, ChatError)
    assert isinstance(restored.exception, ChatError)


def test_the_other_options_go_by_their_own_names():
    """``transport_options``, ``page``, ``profile``, ``on_exit`` and the like."""

    async def main() -> str:
        session = await startSession({"transport": FakeTransport(), "stateStorage": Shelf(), "profile": "kiosk"})
        await session.leave()
        return session.session.options.profile

    assert run_virtually(main()) == "kiosk"


@pytest.mark.parametrize("launch", [startSession, restoreSession])
def test_without_a_running_loop_the_error_says_how_to_get_one(launch: Any):
    """A launch starts at the call."""
    with pytest.raises(RuntimeError, match=r"asyncio\.run"):
        launch({"transport": FakeTransport()})


# done and fail


def test_a_launch_starts_at_the_call():
    """Nobody has to await it, or to keep the promise."""

    async def main() -> FakeTransport:
        transport = FakeTransport()
        startSession({"transport": transport, "stateStorage": Shelf()})
        gc.collect()
        async with asyncio.timeout(5):
            while transport not in transport.backend.links:
                await asyncio.sleep(0.01)
        return transport

    assert run_virtually(main()).request is not None


def test_done_and_fail_are_chainable():
    """Of "a promise object with two chainable methods" each returns it; callbacks are called in order, done's only."""
    told: list[Any] = []

    async def main() -> BrowserSession:
        promise = startSession({"transport": FakeTransport(), "stateStorage": Shelf()})
        chained = promise.done(lambda session: told.append(("first", session))).fail(told.append)
        assert chained.done(lambda: told.append("second")) is promise
        assert not promise.settled
        assert repr(promise) == "<Promise startSession: pending>"
        session = await promise
        promise.done(lambda session: told.append(("late", session)))
        assert promise.settled
        session.leave()
        await asyncio.sleep(6)
        return session

    session = run_virtually(main())
    assert told == [("first", session), "second", ("late", session)]


def test_done_gets_the_session_object():
    """So that "session.sendMessage, session.onAgentConnected and all other methods are at your disposal"."""

    async def main() -> Any:
        got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        startSession({"transport": FakeTransport(), "stateStorage": Shelf()}).done(got.set_result)
        session = await got
        await session.leave()
        return session

    session = run_virtually(main())
    for name in (
        *("sendMessage", "sendTyping", "getTranscript", "leave", "setUserData", "getUserData", "deleteUserData"),
        *("onAgentConnected", "onAgentDisconnected", "onAgentTyping", "onMessageReceived", "onSessionEnded"),
        *("onError", "onInterrupted", "onContinued"),
    ):
        assert callable(getattr(session, name))
    assert repr(session) == "<BrowserSession chat-1>"


@pytest.mark.parametrize(
    ("error", "code"), [(ConnectError("no server"), 100), (RefusedError("stopped", code=51), 51), (None, 2)]
)
def test_fail_gets_code_and_description(error: Exception | None, code: int):
    """``event.error.code`` and ``event.error.description``, in English, of start and restore alike."""

    async def main() -> list[Any]:
        shelf, backend = Shelf(), Backend()
        transport = FakeTransport(backend)
        transport.start_fault = error
        options: dict[str, Any] = {"transport": transport if error else Rig().provider, "stateStorage": shelf}
        events = [await failure(startSession(options))]
        if error is not None:
            await (await startSession({"transport": FakeTransport(backend), "stateStorage": shelf})).session.detach()
            events.append(await failure(restoreSession(options)))
        return events

    for event in run_virtually(main()):
        assert event.error.code == code
        assert event.error.description


def test_fail_of_restore_has_no_error_when_there_is_no_chat():
    """The page's own test is ``if event.error``, so there is an event object always."""

    async def main() -> Any:
        return await failure(restoreSession({"transport": FakeTransport(), "stateStorage": Shelf()}))

    event = run_virtually(main())
    assert event is not None
    assert not event.error
    assert isinstance(event.exception, NoSessionToRestore)


def test_a_late_fail_is_told_at_once():
    """Before ``fail`` returns; without an argument where the callback takes none."""

    async def main() -> list[Any]:
        promise = restoreSession({"transport": FakeTransport(), "stateStorage": Shelf()})
        with pytest.raises(LookupError):
            await promise
        told: list[Any] = []
        promise.done(told.append).fail(lambda: told.append("nothing")).fail(lambda event: told.append(event.error))
        return told

    assert run_virtually(main()) == ["nothing", None]


@pytest.mark.parametrize("method", ["done", "fail"])
@pytest.mark.parametrize("callback", [None, 5])
def test_done_and_fail_need_a_callback(method: str, callback: Any):
    """A TypeError names ``settled``."""

    async def main() -> None:
        promise = restoreSession({"transport": FakeTransport(), "stateStorage": Shelf()})
        with pytest.raises(TypeError, match="settled"):
            getattr(promise, method)(callback)
        with pytest.raises(NoSessionToRestore):
            await promise

    run_virtually(main())


def test_a_failure_that_nobody_asked_for_is_logged(caplog: pytest.LogCaptureFixture):
    """Ported code ignores promises; what goes wrong is not lost."""

    async def main() -> None:
        restoreSession({"transport": FakeTransport(), "stateStorage": Shelf()})
        await asyncio.sleep(1)
        gc.collect()

    with caplog.at_level(logging.ERROR, logger="chat_core"):
        run_virtually(main())
    assert "restoreSession failed and nobody asked: NoSessionToRestore" in caplog.text


def test_a_promise_that_settles_while_it_is_made():
    """Where the loop runs new tasks at once (Python 3.12 and newer), nothing is kept for ever."""
    from chat_core.compat import _promise

    async def work() -> int:
        return 7

    async def main() -> None:
        factory = getattr(asyncio, "eager_task_factory", None)
        asyncio.get_running_loop().set_task_factory(factory)
        promise = Promise(work, name="work")
        assert await promise == 7
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert promise._pending not in _promise._running

    asyncio.run(main())


def test_wrong_types_are_option_errors():
    """As under chat_core's own names, with code 3."""

    async def main() -> list[Any]:
        wrong: list[dict[str, Any]] = [
            {"username": 5},
            {"userData": "x"},
            {"maxOfflineDuration": "5"},
            {"disableWebSockets": 1},
        ]
        base = {"transport": FakeTransport(), "stateStorage": Shelf()}
        return [await failure(startSession({**base, **options})) for options in wrong]

    for event in run_virtually(main()):
        assert isinstance(event.exception, OptionTypeError)
        assert event.error.code == ErrorCode.PARAMETER_INCORRECT


def test_a_promise_that_nobody_keeps_goes_on():
    """Its work is not collected, even where nothing but the work itself knows what it waits for."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("ended")

    async def main() -> None:
        Promise(work, name="work")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        assert ended == []

    asyncio.run(main())
    assert ended == ["ended"]
