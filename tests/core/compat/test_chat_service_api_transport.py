"""The chat service API of the browser library, sections 5.1 and 5.2: transports written for it.

A test's name carries the section that states the fact; ``docs/browser-names.md`` says what differs, and why.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from chat_core import AmbiguousError, RefusedError, SendMessageCommand
from chat_core.compat._transport import COMMANDS, adapted
from chat_core.compat.genesys import restoreSession, startSession
from support.browser import Shelf, failure
from support.clock import run_virtually


class Deferred:
    """A promise as a ported transport may have it: done and fail, chained, settled beforehand."""

    def __init__(self, value: Any = None, *, fails: bool = False) -> None:
        self.value = value
        self.fails = fails

    def done(self, callback: Callable[..., Any]) -> Deferred:
        if not self.fails:
            callback(*([] if self.value is None else [self.value]))
        return self

    def fail(self, callback: Callable[..., Any]) -> Deferred:
        if self.fails:
            callback(*([] if self.value is None else [self.value]))
        return self


class Ported:
    """A transport in the browser library's shape, with its server inside."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.callbacks: dict[str, Callable[[Any], None]] = {}
        self.transcript: list[dict[str, Any]] = []
        self.user_data: dict[str, Any] = {}
        #: What the next call of a method returns instead.
        self.instead: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on"):
            return lambda callback: self.callbacks.__setitem__(name[2:], callback)
        if name not in COMMANDS:
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            if name in self.instead:
                return self.instead.pop(name)
            return Deferred(getattr(self, f"_{name}", lambda _: None)(*arguments or [None]))

        return call

    def fire(self, name: str, party: dict[str, Any], **details: Any) -> None:
        raw = {"type": name, "index": len(self.transcript) + 1, "timestamp": 1767323045679, "party": party, **details}
        if name != "AgentTyping":
            self.transcript.append(raw)
        self.callbacks[name](raw)

    def _startSession(self, _: Any) -> Any:  # noqa: N802
        return {"sessionId": "0001aBC_1"}

    def _sendMessage(self, given: Any) -> None:  # noqa: N802
        self.fire("MessageReceived", ADA, content={"text": given["message"], "type": given["type"]})

    def _getTranscript(self, given: Any) -> Any:  # noqa: N802
        return {"transcript": self.transcript[given["fromIndex"] :]}

    def _setUserData(self, given: Any) -> None:  # noqa: N802
        self.user_data.update(given["userData"])

    def _getUserData(self, given: Any) -> Any:  # noqa: N802
        return {"userData": {key: self.user_data[key] for key in given["keys"] if key in self.user_data}}


ADA = {"id": 1, "type": "Client", "name": "Ada"}
GRACE = {"id": 3, "type": "Agent", "name": "Grace"}
SYSTEM = {"id": 2, "type": "External", "name": "system"}
SESSION = {"sessionId": "0001aBC_1"}


def chat(script: Callable[[Any, Ported], Any], ported: Any = None) -> Any:
    async def main() -> Any:
        theirs = Ported()
        session = await startSession({"transport": ported(theirs) if ported else theirs, "stateStorage": Shelf()})
        try:
            return await script(session, theirs)
        finally:
            await session.session.aclose()

    return run_virtually(main())


def test_s5_1_methods_and_their_arguments():
    """``init`` has none, the others one object each."""

    async def script(session: Any, theirs: Ported) -> None:
        await session.sendMessage("Hello")
        await session.sendTyping()
        await session.sendTyping({"isTyping": False, "typedText": "Hel"})
        await session.setUserData({"a": "b"})
        assert (await session.getUserData("a")).userData.a == "b"
        await session.deleteUserData("a")
        await session.getTranscript({"fromIndex": 0})
        await session.leave()
        assert [call for call in theirs.calls if call[0] != "getTranscript"] == [
            ("init",),
            (
                "startSession",
                {
                    "username": "User",
                    "userData": {"source": "web", "pageTitle": None, "url": None, "referrer": None},
                    "source": "web",
                    "subject": None,
                },
            ),
            ("sendMessage", {**SESSION, "message": "Hello", "type": "text"}),
            ("sendTyping", {**SESSION, "isTyping": True}),
            ("sendTyping", {**SESSION, "isTyping": False, "typedText": "Hel"}),
            ("setUserData", {**SESSION, "userData": {"a": "b"}}),
            ("getUserData", {**SESSION, "keys": ["a"]}),
            ("deleteUserData", {**SESSION, "keys": ["a"]}),
            ("leaveSession", SESSION),
        ]
        assert ("getTranscript", {**SESSION, "fromIndex": 0}) in theirs.calls

    chat(script)


def test_s5_1_a_mapping_of_functions_will_do():
    """As an object literal."""

    async def script(session: Any, theirs: Ported) -> list[str]:
        await session.sendMessage("Hello")
        return [one["content"]["text"] for one in theirs.transcript]

    names = [*COMMANDS, *("onError", "onAgentConnected", "onMessageReceived", "onSessionEnded")]
    assert chat(script, lambda theirs: {name: getattr(theirs, name) for name in names}) == ["Hello"]


def test_s5_1_a_method_may_be_a_coroutine():
    """Or return the outcome itself."""

    async def script(session: Any, theirs: Ported) -> Any:
        async def answer() -> Any:
            return {"userData": {"a": "later"}}

        theirs.instead["getUserData"] = answer()
        later = await session.getUserData("a")
        theirs.instead["getUserData"] = {"userData": {"a": "now"}}
        now = await session.getUserData("a")
        return later.userData.a, now.userData.a

    assert chat(script) == ("later", "now")


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"error": {"code": 51, "description": "stopped"}}, 51, "stopped"),
        ({"error": {"code": 150, "description": "gone"}}, 150, "gone"),
        ({"status": 500}, 0, "gave no description"),
        (None, 0, "gave no description"),
    ],
)
def test_s5_1_fail_carries_an_error(given: Any, code: int, words: str):
    """``{error: {code, description}}``; anything else becomes code 0. Of a command, and of a start."""

    async def main() -> list[Any]:
        theirs = Ported()
        theirs.instead["init"] = Deferred(given, fails=True)
        events = [await failure(startSession({"transport": theirs, "stateStorage": Shelf()}))]
        session = await startSession({"transport": theirs, "stateStorage": Shelf()})
        theirs.instead["setUserData"] = Deferred(given, fails=True)
        events.append(await failure(session.setUserData({"a": "b"})))
        await session.leave()
        return events

    for event in run_virtually(main()):
        assert event.error.code == code
        assert words in event.error.description


@pytest.mark.parametrize(("method", "answer"), [("startSession", {}), ("getTranscript", {}), ("getUserData", {})])
def test_s5_1_an_answer_without_what_was_asked_for_rejects(method: str, answer: Any):
    """``sessionId``, ``transcript``, ``userData``."""

    async def main() -> Any:
        theirs = Ported()
        if method == "startSession":
            theirs.instead[method] = answer
            return await failure(startSession({"transport": theirs, "stateStorage": Shelf()}))
        session = await startSession({"transport": theirs, "stateStorage": Shelf()})
        theirs.instead[method] = answer
        event = await failure(session.getTranscript() if method == "getTranscript" else session.getUserData("a"))
        await session.leave()
        return event

    assert "has no" in run_virtually(main()).error.description


def test_s5_1_what_a_method_raises_rejects():
    """By the name of the method; nothing of its text."""

    async def main() -> None:
        link = adapted({"init": lambda: 1 / 0})
        with pytest.raises(AmbiguousError, match="the transport's init raised ZeroDivisionError"):
            await link.start(None)  # type: ignore[arg-type]

    asyncio.run(main())


def test_s5_1_the_rest_that_comes_with_leaving_is_told_before_the_end():
    """``leaveSession`` may answer with a transcript; SessionEnded is the session's own."""

    async def script(session: Any, theirs: Ported) -> list[Any]:
        order: list[Any] = []
        session.onMessageReceived(lambda event: order.append(event.content.text))
        session.onSessionEnded(lambda event: order.append(vars(event.reason)))
        last = {"type": "MessageReceived", "index": 1, "party": GRACE, "content": {"text": "Bye", "type": "text"}}
        theirs.instead["leaveSession"] = {"transcript": [last]}
        await session.leave()
        return order

    assert chat(script) == ["Bye", {"leaveRequest": True}]


def test_s5_1_restoring_calls_no_start():
    """The session's id goes with the first command, which asks for the transcript."""

    async def main() -> Any:
        shelf, first, second = Shelf(), Ported(), Ported()
        session = await startSession({"transport": first, "stateStorage": shelf})
        session.onMessageReceived(lambda: None)
        await session.sendMessage("before")
        await asyncio.sleep(1)
        await session.session.detach()
        second.transcript = first.transcript
        session = await restoreSession({"transport": second, "stateStorage": shelf})
        events: list[Any] = []
        session.onMessageReceived(lambda event: events.append((event.content.text, event.restored)))
        await session.leave()
        return events, [call[0] for call in second.calls], shelf.writes[0]["transport"]

    events, calls, name = run_virtually(main())
    assert events == [("before", True)]
    assert calls[:2] == ["init", "getTranscript"]
    assert "startSession" not in calls
    assert name == f"{Ported.__module__}:Ported"


def test_s5_1_a_chat_that_the_transport_does_not_know_any_more_is_nothing_to_restore():
    """``getTranscript`` fails with code 50: the event has no error, and the state is cleared."""

    async def main() -> Any:
        shelf, second = Shelf(), Ported()
        await (await startSession({"transport": Ported(), "stateStorage": shelf})).session.detach()
        second.instead["getTranscript"] = Deferred({"error": {"code": 50, "description": "unknown"}}, fails=True)
        return await failure(restoreSession({"transport": second, "stateStorage": shelf})), shelf.state

    event, state = run_virtually(main())
    assert "error" not in event
    assert state is None


@pytest.mark.parametrize("first", [0, 1])
def test_s5_1_the_transcript_is_complete_whether_indexes_are_counted_from_0_or_1(first: int):
    """One entry too many is asked for, and what was not wanted is left out."""

    async def main() -> list[Any]:
        link = adapted(Ported())
        link._theirs.instead["getTranscript"] = {
            "transcript": [
                {"type": "MessageReceived", "index": index, "party": ADA, "content": {"text": str(index)}}
                for index in range(3 - 1 + first, 6)
            ]
        }
        batch = await link.fetch(3)
        return [event.index for event in batch.events], batch.next_position, (await link.fetch(9)).next_position

    assert asyncio.run(main()) == ([3, 4, 5], 6, 9)


@pytest.mark.parametrize(("code", "kind"), [(51, RefusedError), (150, AmbiguousError), (100, AmbiguousError)])
def test_s5_1_a_failure_of_the_network_is_not_taken_for_a_refusal(code: int, kind: type[Exception]):
    """Whether the command arrived nobody can tell then, and a message is looked for in the transcript."""

    async def main() -> None:
        link = adapted(Ported())
        link._theirs.instead["sendMessage"] = Deferred({"error": {"code": code, "description": "x"}}, fails=True)
        with pytest.raises(kind):
            await link.send(SendMessageCommand(text="x"))

    asyncio.run(main())


def test_s5_1_a_message_is_known_by_its_echo():
    """The visitor's own messages are told by the party's type."""

    async def script(session: Any, theirs: Ported) -> Any:
        async with asyncio.timeout(5):
            return (await session.session.send_message("Hello", until="echoed")).index

    assert chat(script) == 1


def test_s5_2_typing_takes_no_place_in_the_transcript():
    """A message whose index a typing event had before is no duplicate."""

    async def script(session: Any, theirs: Ported) -> list[str]:
        texts: list[str] = []
        session.onMessageReceived(lambda event: texts.append(event.content.text))
        for text in "ab":
            theirs.fire("AgentTyping", GRACE, isTyping=True)
            theirs.fire("MessageReceived", GRACE, content={"text": text, "type": "text"})
        await asyncio.sleep(1)
        return texts

    assert chat(script) == ["a", "b"]


def test_s5_2_raw_events_reach_the_callbacks():
    """In the session's shape; the visitor and the system party are told apart by their type."""

    async def script(session: Any, theirs: Ported) -> list[Any]:
        heard: list[Any] = []
        session.onAgentConnected(lambda event: heard.append(("connected", event.party.name)))
        session.onAgentDisconnected(lambda event: heard.append(("disconnected", event.party.name)))
        session.onAgentTyping(lambda event: heard.append(("typing", event.isTyping)))
        session.onMessageReceived(
            lambda event: heard.append((event.content.text, *vars(event.content.type), *vars(event.party.type)))
        )
        theirs.fire("AgentConnected", ADA)
        theirs.fire("AgentConnected", GRACE)
        theirs.fire("MessageReceived", GRACE, content={"text": "https://x/", "type": "url"})
        theirs.fire("MessageReceived", GRACE, content={"text": "https://y/", "type": {"url": True}})
        theirs.fire("MessageReceived", SYSTEM, content={"text": "hold on", "type": {"text": True}})
        theirs.fire("AgentDisconnected", GRACE)
        theirs.fire("AgentDisconnected", ADA)
        theirs.fire("AgentTyping", GRACE, isTyping=False)
        theirs.fire("AgentTyping", ADA, isTyping=True)
        await asyncio.sleep(1)
        return heard

    assert chat(script) == [
        ("connected", "Grace"),
        ("https://x/", "url", "agent"),
        ("https://y/", "url", "agent"),
        ("hold on", "text", "external"),
        ("disconnected", "Grace"),
        ("typing", False),
    ]


@pytest.mark.parametrize(("number", "name"), [(1, "leaveRequest"), (2, "agent"), (3, "error")])
def test_s5_2_the_reasons_of_an_end_are_numbers(number: int, name: str):
    """1 the visitor's wish, 2 the agent's, 3 an error."""

    async def script(session: Any, theirs: Ported) -> Any:
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        session.onSessionEnded(ended.set_result)
        theirs.callbacks["SessionEnded"]({"reason": {"id": number}})
        return await ended

    assert vars(chat(script).reason) == {name: True}


@pytest.mark.parametrize(
    "raw", [None, {}, {"party": GRACE}, {"party": GRACE, "content": {"text": 5}}, {"party": GRACE, "timestamp": "now"}]
)
def test_s2_6_a_bad_event_becomes_an_error_event_with_code_0(raw: Any):
    """It names the event and the reason, and nothing else is lost."""

    async def script(session: Any, theirs: Ported) -> Any:
        errors: list[Any] = []
        texts: list[str] = []
        session.onError(errors.append)
        session.onMessageReceived(lambda event: texts.append(event.content.text))
        theirs.callbacks["MessageReceived"](raw)
        theirs.callbacks["Error"]({"error": {"code": 100, "description": "restoring"}})
        theirs.fire("MessageReceived", GRACE, content={"text": "Hi", "type": "text"})
        await asyncio.sleep(1)
        assert texts == ["Hi"]
        return errors

    bad, said = chat(script)
    assert bad.error.code == 0
    assert "Transport error in MessageReceived event (" in bad.error.description
    assert (said.error.code, said.error.description) == (100, "restoring")


def test_s5_2_events_may_come_from_any_thread_and_after_the_end():
    """A transport that polls in a thread cannot be told to stop; what comes late is dropped."""
    theirs = Ported()

    async def main() -> list[str]:
        session = await startSession({"transport": theirs, "stateStorage": Shelf()})
        told = asyncio.Event()
        texts: list[str] = []
        session.onMessageReceived(lambda event: texts.append(event.content.text))
        session.onMessageReceived(told.set)
        content = {"text": "Hi", "type": "text"}
        thread = threading.Thread(target=theirs.fire, args=("MessageReceived", GRACE), kwargs={"content": content})
        thread.start()
        async with asyncio.timeout(5):
            await told.wait()
        thread.join()
        await session.leave()
        return texts

    # Debugging tells what is done from a wrong thread.
    assert asyncio.run(main(), debug=True) == ["Hi"]
    theirs.fire("MessageReceived", GRACE, content={"text": "late", "type": "text"})
