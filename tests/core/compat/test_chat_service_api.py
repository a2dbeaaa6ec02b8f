"""The chat service API of the browser library, section 1: launching, userData, restoring, the promise.

A test's name carries the section that states the fact; ``docs/browser-names.md`` says what differs, and why.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from chat_core import (
    ChatError,
    ErrorCode,
    MissingOptionError,
    NoSessionToRestore,
    PageContext,
    RefusedError,
)
from chat_core.compat.genesys import BrowserSession, Promise, restoreSession, startSession
from support.backend import Backend
from support.browser import Link, Rig, Shelf, begun, chat, detached, failure
from support.clock import run_virtually

URL = "https://gms.example/cometd"


# 1.1 startSession options


def test_s1_1_options_are_one_object_with_named_properties():
    """A mapping of names; what is not an object is a TypeError at the call."""
    with pytest.raises(TypeError, match="one object with named properties"):
        startSession(URL)  # type: ignore[arg-type]


def test_s1_1_server_url_is_used_by_the_built_in_transport():
    """The address is handed to the transport that is chosen by name."""
    assert begun(serverUrl="https://other.example/server/cometd")[0].server_url == "https://other.example/server/cometd"


def test_s1_1_server_url_is_mandatory_unless_a_transport_is_given():
    """Without both, ``fail`` gets code 2; a custom transport needs no address."""

    async def main() -> tuple[Any, str]:
        event = await failure(startSession({"transport": Rig().provider, "stateStorage": Shelf()}))
        session = await startSession({"transport": Link(), "stateStorage": Shelf()})
        await session.leave()
        return event, session.session.id

    event, session_id = run_virtually(main())
    assert event.error.code == ErrorCode.PARAMETER_MISSING
    assert isinstance(event.exception, MissingOptionError)
    assert session_id == "chat-1"


@pytest.mark.parametrize(
    ("given", "name"),
    [({}, "User"), ({"username": None}, "User"), ({"username": ""}, "User"), ({"username": "Anonymous"}, "Anonymous")],
)
def test_s1_1_username_defaults_to_user(given: dict[str, Any], name: str):
    """Absent, undefined and empty names become 'User'."""
    assert begun(**given)[1].username == name


def test_s1_1_subject_is_left_empty_when_absent():
    """There is no default subject."""
    assert begun()[1].subject is None
    assert begun(subject="Invoice")[1].subject == "Invoice"


def test_s1_1_transport_takes_an_instance():
    """The instance itself carries the chat."""

    async def main() -> bool:
        link = Link()
        session = await startSession({"transport": link, "stateStorage": Shelf()})
        used = link in link.backend.links
        await session.leave()
        return used

    assert run_virtually(main())


def test_s1_1_state_storage_is_a_pair_of_functions():
    """``{read: function, write: function}`` is called as it stands."""
    shelf = Shelf()

    async def main() -> None:
        storage = {"read": shelf.read, "write": shelf.write}
        session = await startSession({"transport": Link(), "stateStorage": storage})
        await session.leave()

    asyncio.run(main())
    assert shelf.writes[0]["session_id"] == "chat-1"


def test_s1_1_max_offline_duration_is_in_seconds_and_defaults_to_five():
    """The number is in the options in force."""

    async def main(given: dict[str, Any]) -> float:
        session = await startSession({"transport": Link(), "stateStorage": Shelf(), **given})
        await session.leave()
        return float(session.session.options.max_offline_duration)

    assert run_virtually(main({})) == 5
    assert run_virtually(main({"maxOfflineDuration": 60})) == 60
    assert run_virtually(main({"maxOfflineDuration": math.inf})) == math.inf


@pytest.mark.parametrize(("given", "forbidden"), [({}, False), ({"disableWebSockets": True}, True)])
def test_s1_1_disable_web_sockets_is_for_the_built_in_transport(given: dict[str, Any], forbidden: bool):
    """Off by default; the transport that is chosen by name is told."""
    assert begun(**given)[0].disable_websockets is forbidden


def test_s1_1_logger_accepts_any_number_of_arguments():
    """It is called as console.log is."""
    lines: list[tuple[Any, ...]] = []

    async def main() -> None:
        link = Link()
        session = await startSession(
            {"transport": link, "stateStorage": Shelf(), "logger": lambda *arguments: lines.append(arguments)}
        )
        link.cut()
        await asyncio.sleep(1)
        link.mend()
        await session.leave()

    run_virtually(main())
    assert {len(line) for line in lines} >= {1, 2}


@pytest.mark.parametrize(
    ("older", "newer"),
    [("chatServerUrl", "serverUrl"), ("cookieMaxAge", "maxOfflineDuration"), ("source", "userData: {'source': ...}")],
)
def test_s1_1_names_of_older_versions_are_refused_with_the_newer_one(older: str, newer: str):
    """Rather than ignored, as the browser does with what it does not know."""
    with pytest.raises(TypeError, match=f"has no option '{older}'") as caught:
        startSession({older: 5})
    assert newer in str(caught.value)


# 1.2 userData

DEFAULTS = {"source": "web", "pageTitle": None, "url": None, "referrer": None}


def test_s1_2_user_data_is_always_merged_over_four_defaults():
    """What the caller gives stands beside ``source``, ``pageTitle``, ``url`` and ``referrer``."""
    form = {"FirstName": "John", "LastName": "Doe", "EmailAddress": "johndoe@example.co"}
    assert begun()[1].user_data == DEFAULTS
    assert begun(userData=form)[1].user_data == DEFAULTS | form


def test_s1_2_the_page_gives_title_address_and_referrer():
    """A program that knows its page says so; there is no ``document`` to ask."""
    page = PageContext(title="Help", url="https://shop.example/help", referrer="https://shop.example/")
    assert begun(page=page)[1].user_data == {
        "source": "web",
        "pageTitle": "Help",
        "url": "https://shop.example/help",
        "referrer": "https://shop.example/",
    }


def test_s1_2_a_key_of_the_caller_overrides_null_included():
    """``source: null`` displaces 'web', and the others stay as they are."""
    assert begun(userData={"source": None, "url": "x"})[1].user_data == DEFAULTS | {"source": None, "url": "x"}


def test_s1_2_the_key_of_the_pages_example_is_one_like_any_other():
    """``startPage`` in the documentation's example is no default key."""
    assert begun(userData={"startPage": "x"})[1].user_data == DEFAULTS | {"startPage": "x"}


# 1.3 startSession flow


def test_s1_3_done_gets_the_session():
    """It is what the promise resolves with."""

    async def main() -> Any:
        got: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        startSession({"transport": Link(), "stateStorage": Shelf()}).done(got.set_result)
        session = await got
        await session.leave()
        return session

    assert isinstance(run_virtually(main()), BrowserSession)


def test_s1_3_a_start_that_the_server_refuses_rejects():
    """``fail`` gets the server's code and words."""

    async def main() -> Any:
        link = Link()
        link.start_fault = RefusedError("not now", code=51)
        return await failure(startSession({"transport": link, "stateStorage": Shelf()}))

    event = run_virtually(main())
    assert (event.error.code, event.error.description) == (51, "not now")


def test_s1_3_two_sessions_at_once_are_not_prevented():
    """Each has a transport and a state of its own."""

    async def main() -> list[list[str]]:
        links = [Link(), Link()]
        sessions = [await startSession({"transport": link, "stateStorage": Shelf()}) for link in links]
        for number, session in enumerate(sessions):
            await session.sendMessage(str(number))
        for session in sessions:
            await session.leave()
        return [link.backend.texts for link in links]

    assert run_virtually(main()) == [["0"], ["1"]]


# 1.4 restoreSession


def test_s1_4_restore_without_arguments_is_legal():
    """All its options may be left out; nothing is saved here, so ``fail`` is called."""

    async def main() -> Any:
        return await failure(restoreSession())

    assert isinstance(asyncio.run(main()).exception, ChatError)


def test_s1_4_the_address_comes_from_the_saved_state():
    """Restoring takes no ``serverUrl``."""
    rig, shelf = Rig(), Shelf()

    async def main() -> None:
        options = {"transport": rig.provider, "stateStorage": shelf}
        session = await startSession({"serverUrl": URL, **options})
        await session.session.detach()
        await (await restoreSession(options)).leave()

    run_virtually(main())
    assert [context.server_url for context in rig.contexts] == [URL, URL]


def test_s1_4_the_other_options_of_start_session_do_no_harm():
    """In the browser they are ignored, so ported code may give one object to both. The address pins the server."""
    rig, shelf = Rig(), Shelf()

    async def main() -> Any:
        options = {
            "serverUrl": URL,
            "username": "Ada",
            "subject": "Invoice",
            "userData": {"a": "b"},
            "transport": rig.provider,
            "stateStorage": shelf,
        }
        await (await startSession(options)).session.detach()
        await (await restoreSession(options)).session.detach()
        event = await failure(restoreSession({**options, "serverUrl": "https://other.example/"}))
        await (await restoreSession(options)).leave()
        return event

    assert run_virtually(main()).error.code == ErrorCode.PARAMETER_INCORRECT
    assert rig.backend.user_data == {}


def test_s1_4_nothing_to_restore_is_an_event_without_error():
    """``if (event.error)`` tells the two failures apart, and there is an event object always."""

    async def main() -> Any:
        return await failure(restoreSession({"transport": Link(), "stateStorage": Shelf()}))

    event = run_virtually(main())
    assert not event.error
    assert "error" not in event
    assert isinstance(event.exception, NoSessionToRestore)


def test_s1_4_a_restore_that_goes_wrong_has_an_error():
    """There was a chat, and it could not be taken up."""

    async def main() -> Any:
        shelf, backend = Shelf(), Backend()
        await detached(shelf, backend)
        link = Link(backend)
        link.start_fault = ChatError("broken", code=101)
        return await failure(restoreSession({"transport": link, "stateStorage": shelf}))

    event = run_virtually(main())
    assert (event.error.code, event.error.description) == (101, "broken")


def test_s1_4_a_custom_transport_must_be_passed_again():
    """Another one is refused by name."""

    class Other(Link):
        pass

    async def main() -> Any:
        shelf = Shelf()
        await detached(shelf, Backend())
        return await failure(restoreSession({"transport": Other(), "stateStorage": shelf}))

    assert "Link" in run_virtually(main()).error.description


# 1.5 The promise


def test_s1_5_a_promise_has_done_and_fail_alone():
    """Neither ``then`` nor ``always``; each returns the promise itself."""

    async def main() -> None:
        promise = startSession({"transport": Link(), "stateStorage": Shelf()})
        assert promise.done(lambda session: session.leave()).fail(lambda: None) is promise
        assert not hasattr(promise, "then")
        assert not hasattr(promise, "always")
        await promise
        await asyncio.sleep(6)

    run_virtually(main())


def test_s1_5_callbacks_run_in_order_and_once():
    """In order of registration, those of the outcome only; a late one before its registration returns."""

    async def main() -> list[str]:
        order: list[str] = []
        promise = restoreSession({"transport": Link(), "stateStorage": Shelf()})
        promise.fail(lambda: order.append("first")).done(lambda: order.append("done"))
        promise.fail(lambda: order.append("second"))
        with pytest.raises(NoSessionToRestore):
            await promise
        promise.fail(lambda: order.append("late"))
        order.append("registered")
        return order

    assert run_virtually(main()) == ["first", "second", "late", "registered"]


def test_s1_5_the_error_has_code_and_description():
    """By attribute or by item, as ``event.error.code`` and ``event['error']['code']``."""

    async def main() -> Any:
        return await failure(startSession({"transport": Rig().provider, "stateStorage": Shelf()}))

    event = run_virtually(main())
    assert event["error"]["code"] == event.error.code == 2
    assert isinstance(event.error.description, str)


def test_s1_5_the_code_is_zero_where_nobody_gave_one():
    """Also for an error of somebody else."""

    async def work() -> None:
        raise ZeroDivisionError("by zero")

    async def main() -> Any:
        return await failure(Promise(work, name="work"))

    event = run_virtually(main())
    assert (event.error.code, event.error.description) == (0, "by zero")


def test_s1_5_all_commands_return_the_same_kind():
    """A promise."""

    async def script(session: BrowserSession, link: Link) -> list[Any]:
        promises = [
            session.sendMessage("x"),
            session.sendTyping(),
            session.getTranscript(),
            session.setUserData({"a": "b"}),
            session.getUserData("a"),
            session.deleteUserData("a"),
            session.leave(),
        ]
        for promise in promises:
            await promise
        return promises

    assert {type(promise) for promise in chat(script)} == {Promise}
