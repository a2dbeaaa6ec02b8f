"""The checks of a transport. The contract is ``chat_core.Transport``.

What a chat is made of; what goes wrong, and the end, are in ``_transport_trouble``.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any, Final

from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import (
    Batch,
    CustomNoticeCommand,
    DeleteFileCommand,
    DeleteUserDataCommand,
    Ended,
    FileLimitsCommand,
    GetUserDataCommand,
    LeaveCommand,
    LinkDown,
    LinkUp,
    NicknameCommand,
    TypingCommand,
    UserDataCommand,
)
from chat_core._model.errors import UnsupportedCommandError
from chat_core._model.events import Event, MessageReceived
from chat_core.testing._checks import Level, require
from chat_core.testing._storage_bench import same
from chat_core.testing._subject import Subject
from chat_core.testing._transport_bench import TransportBench
from chat_core.testing._transport_suite import SUITE, restored, with_three_messages
from chat_core.testing._watch import until

__all__ = ["SUITE"]

METHODS: Final = ("start", "resume", "fetch", "send", "incoming", "saved", "aclose")
TEXTS: Final = (
    "Hello",
    "quotes \" ' and \\ and <b>&amp;</b> and 100 %",
    "two\nlines",
    "\u05e9\u05dc\u05d5\u05dd \u00e9 e\u0301 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "the same",
    "the same",
)
#: The commands that need a capability.
_COMMANDS: Final[dict[str, Any]] = {
    Capability.TYPING: TypingCommand(),
    Capability.TYPING_PREVIEW: TypingCommand(text="Hel"),
    Capability.SET_USER_DATA: UserDataCommand(user_data={"key": "value"}),
    Capability.GET_USER_DATA: GetUserDataCommand(key="key"),
    Capability.DELETE_USER_DATA: DeleteUserDataCommand(key="key"),
    Capability.NICKNAME: NicknameCommand(nickname="Countess"),
    Capability.CUSTOM_NOTICE: CustomNoticeCommand(text="notice"),
    Capability.FILES: FileLimitsCommand(),
}
#: A preview is a part of typing, which may be sent without it.
_REFUSED: Final = {key: one for key, one in _COMMANDS.items() if key != Capability.TYPING_PREVIEW}
_BLOCKED: Final = 0.25


def _binds_undeclared(subject: Subject) -> str | None:
    return None if set(map(str, _REFUSED)) - subject.capabilities else "every command is declared"


@SUITE.check(
    "TR-001", "The factory returns an object with the seven methods of a transport, and nothing to be awaited."
)
async def factory_makes_a_transport(bench: TransportBench) -> None:
    raw = bench.make()
    missing = [name for name in METHODS if not callable(getattr(raw, name, None))]
    require(not missing, f"the factory returned a {type(raw).__name__}, which lacks {', '.join(missing)}")


@SUITE.check("TR-002", "The factory does no I/O: no task, no socket, no chat.")
async def factory_does_nothing_yet(bench: TransportBench) -> None:
    bench.make()
    left = bench.leftovers()
    require(not left, f"the factory made {left}")
    await asyncio.sleep(0.01)
    require(not bench.server.chats(), "the factory opened a chat")


@SUITE.check("TR-003", "start opens one chat and returns Opened with the server's name of it.")
async def start_opens_a_chat(bench: TransportBench) -> None:
    link = await bench.start()
    name = link.opened.session_id
    require(isinstance(name, str) and name, f"the session_id is {name!r}")
    require(link.opened.ended is None, "a chat that has just begun is said to be over")
    chats = bench.server.chats()
    require(chats == 1, f"one start opened {chats} chats")


@SUITE.check("TR-004", "Messages reach the server with the text they have, once each and in the order they are sent.")
async def messages_reach_the_server(bench: TransportBench) -> None:
    link = await bench.start()
    for number, text in enumerate(TEXTS, 1):
        await link.send(text)
        expected = [*TEXTS[:number]]
        await until(
            lambda expected=expected: bench.server.heard() == expected,
            within=min(bench.patience, 2.0),
            what=f"the server did not hear {expected!a} but {bench.server.heard()!a}",
        )


@SUITE.check("TR-005", "What the agent says comes out of incoming, with the text it has, once each and in order.")
async def what_is_said_comes_out(bench: TransportBench) -> None:
    link = await bench.start()
    for text in TEXTS:
        await bench.on_server("say", text)
    await link.until(lambda: len(link.texts()) >= len(TEXTS), f"{len(TEXTS)} messages of the agent did not come out")
    await asyncio.sleep(0.02)
    found = [
        event.text
        for item in link.items
        if isinstance(item, Batch)
        for event in item.events
        if isinstance(event, MessageReceived) and not event.own
    ]
    require(found == [*TEXTS], f"what came out is {found!a}, and was {[*TEXTS]!a}")


@SUITE.check("TR-006", "own tells the visitor's messages from all others.")
async def own_is_told(bench: TransportBench) -> None:
    link = await bench.start()
    await link.send("of the visitor")
    await bench.on_server("say", "of the agent")
    await link.until(
        lambda: "of the agent" in link.texts() + link.texts(own=True), "the agent's message did not come out"
    )
    if Capability.POSITION in bench.subject.capabilities:
        await link.until(
            lambda: "of the visitor" in link.texts() + link.texts(own=True), "the visitor's message did not come out"
        )
    require("of the agent" not in link.texts(own=True), "the agent's message is said to be the visitor's own")
    require("of the visitor" not in link.texts(), "the visitor's message is not said to be the visitor's own")


@SUITE.check(
    "TR-007", "Everything that comes out has the types of the contract; times are aware, indexes count from 1."
)
async def types_are_those_of_the_contract(bench: TransportBench) -> None:
    link = await bench.start()
    await link.send("Hello")
    await bench.on_server("say", "Hello")
    await link.until(lambda: "Hello" in link.texts(), "the agent's message did not come out")
    for item in link.items:
        good = isinstance(item, Batch | LinkDown | LinkUp | Ended)
        require(good, f"incoming yielded a {type(item).__name__}")
    for event in link.events:
        require(isinstance(event, Event), f"a {type(event).__name__} stands among the events")
        index, time = event.index, event.timestamp
        counts = index is None or (isinstance(index, int) and not isinstance(index, bool) and index >= 1)
        require(counts, f"the index of a {type(event).__name__} is {index!r}")
        aware = time is None or (isinstance(time, datetime) and time.utcoffset() is not None)
        require(aware, f"the timestamp of a {type(event).__name__} is {time!r}, without a time zone")


@SUITE.check(
    "TR-008",
    "fetch(1) returns the whole transcript: indexes rise, and next_position is above the last of them.",
    capability=Capability.POSITION,
)
async def positions_rise(bench: TransportBench) -> None:
    link = await with_three_messages(bench)
    batch = await bench.fetch(link, 1)
    indexes = [event.index for event in batch.events if event.index is not None]
    require(indexes, "no event of the transcript has an index")
    require(indexes == sorted(set(indexes)), f"the indexes of the transcript are {indexes}")
    following = batch.next_position
    require(following is not None, "the transcript does not say its next_position, so nobody knows how far it goes")
    assert following is not None
    require(following > indexes[-1], f"next_position is {following}, and the transcript has an event at {indexes[-1]}")


@SUITE.check(
    "TR-009",
    "fetch is authoritative: every indexed event that came out stands in it, at its index and as it was.",
    capability=Capability.POSITION,
)
async def fetch_is_authoritative(bench: TransportBench) -> None:
    link = await with_three_messages(bench)
    batch = await bench.fetch(link, 1)
    there = {event.index: event for event in batch.events}
    texts = [event.text for event in batch.events if isinstance(event, MessageReceived)]
    require(texts == ["one", "two", "three"], f"the messages of the transcript are {texts}")
    for event in link.events:
        if event.index is None or event.ephemeral:
            continue
        other = there.get(event.index)
        require(other is not None, f"the {type(event).__name__} at {event.index} came out and is not in the transcript")
        alike = type(other) is type(event) and getattr(other, "text", None) == getattr(event, "text", None)
        require(alike, f"the event at {event.index} came out as {event!r} and is {other!r} in the transcript")


@SUITE.check(
    "TR-010",
    "fetch(position) returns nothing below the position, and from the end on nothing at all.",
    capability=Capability.POSITION,
)
async def fetch_begins_where_it_is_asked(bench: TransportBench) -> None:
    link = await with_three_messages(bench)
    batch = await bench.fetch(link, 1)
    indexes = [event.index for event in batch.events if event.index is not None]
    require(batch.next_position is not None, "the transcript does not say its next_position")
    for position in (*indexes, batch.next_position or 0):
        part = await bench.fetch(link, position)
        found = [event.index for event in part.events if event.index is not None]
        expected = [index for index in indexes if index >= position]
        require(found == expected, f"fetch({position}) returned the indexes {found}, and the transcript has {expected}")
        require(part.next_position == batch.next_position, f"fetch({position}) ends at {part.next_position}")


@SUITE.check(
    "TR-011",
    "A command that is not declared raises UnsupportedCommandError before anything is sent, also without a link.",
    binds=_binds_undeclared,
)
async def undeclared_commands_are_refused(bench: TransportBench) -> None:
    link = await bench.start()
    await bench.on_server("cut")
    commands = {**_REFUSED, "files": DeleteFileCommand(file_id="1")}
    for capability, command in commands.items():
        if capability in bench.subject.capabilities:
            continue
        name = type(command).__name__
        _, error = await bench.attempt(link.transport.send(command), f"sending a {name}")
        require(error is not None, f"{capability} is not declared, and a {name} was taken")
        good = isinstance(error, UnsupportedCommandError)
        require(good, f"{capability} is not declared, and a {name} raised {type(error).__name__}: {error}")


@SUITE.check("TR-012", "Every command that is declared is taken and returns a Reply.")
async def declared_commands_are_taken(bench: TransportBench) -> None:
    link = await bench.start()
    for capability, command in _COMMANDS.items():
        if capability in bench.subject.capabilities:
            await link.command(command, f"sending a {type(command).__name__}, which is declared,")
    if Capability.FILES in bench.subject.capabilities:
        limits = link.replies[-1].file_limits
        require(limits is not None, "the Reply to a FileLimitsCommand has no file_limits")


@SUITE.check("TR-013", "LeaveCommand ends the chat on the server.")
async def leaving_ends_the_chat(bench: TransportBench) -> None:
    link = await bench.start()
    await link.command(LeaveCommand(), "leaving")
    await link.until(bench.server.over, "the visitor left, and the chat was not over on the server")


@SUITE.check("TR-014", "saved returns a mapping of JSON values.")
async def saved_is_json(bench: TransportBench) -> None:
    link = await bench.start()
    saved = link.transport.saved()
    try:
        again = json.loads(json.dumps(dict(saved), allow_nan=False))
    except (TypeError, ValueError) as error:
        require(met=False, what=f"saved returned what is no JSON: {error}")
    else:
        require(same(dict(saved), again), "what saved returned is another value after a round trip through JSON")


@SUITE.check("TR-015", "resume takes the chat up in another instance: the same chat, in both directions.")
async def a_chat_is_taken_up(bench: TransportBench) -> None:
    link = await bench.start()
    await link.send("before")
    following = await restored(bench, link)
    name = following.opened.session_id
    require(name == link.opened.session_id, f"the session_id was {link.opened.session_id!r} and is {name!r}")
    require(following.opened.ended is None, "a chat that goes on is said to be over")
    await bench.on_server("say", "welcome back")
    await following.until(
        lambda: "welcome back" in following.texts(), "after resume the agent's message did not come out"
    )
    await following.send("after")
    await following.until(
        lambda: bench.server.heard() == ["before", "after"], "after resume a message did not reach the server"
    )
    chats = bench.server.chats()
    require(chats == 1, f"resume opened a new chat: there are {chats}")


@SUITE.check("TR-016", "resume brings the transcript from its beginning.", capability=Capability.POSITION)
async def the_transcript_comes_along(bench: TransportBench) -> None:
    link = await with_three_messages(bench)
    whole = await bench.fetch(link, 1)
    following = await restored(bench, link)
    found = [event.index for event in following.opened.batch.events if event.index is not None]
    expected = [event.index for event in whole.events if event.index is not None]
    require(
        found[: len(expected)] == expected, f"resume brought the indexes {found}, and the transcript has {expected}"
    )


@SUITE.check("TR-017", "Two instances hold two chats: nothing of one comes out of the other.")
async def instances_are_apart(bench: TransportBench) -> None:
    one = await bench.start()
    two = await bench.start()
    require(one.opened.session_id != two.opened.session_id, "two chats have the same session_id")
    await bench.on_server("say", "for the second one")
    await two.until(lambda: "for the second one" in two.texts(), "with two chats the agent's message did not come out")
    await asyncio.sleep(0.02)
    require("for the second one" not in one.texts(), "a message of one chat came out of another one's transport")
    await one.send("from the first one")
    await two.send("from the second one")
    await two.until(
        lambda: bench.server.heard() == ["from the second one"], "a message was sent into another transport's chat"
    )


@SUITE.check(
    "TR-018",
    "The event loop is never held for 250 ms while a chat is opened, held and closed.",
    level=Level.SHOULD,
)
async def the_loop_goes_on(bench: TransportBench) -> None:
    worst = []
    for _ in range(3):  # a busy machine may stall once
        lags: list[float] = []
        ticking = asyncio.get_running_loop().create_task(_tick(lags), name="conformance: clock")
        link = await bench.start()
        await link.send("Hello")
        await link.close()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        worst.append(max(lags, default=0.0))
        if worst[-1] < _BLOCKED:
            break
    require(min(worst) < _BLOCKED, f"the event loop was held for {min(worst) * 1000:.0f} ms")


async def _tick(lags: list[float]) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    while True:
        try:
            await asyncio.sleep(0.005)
        finally:
            now = loop.time()
            lags.append(now - before)
            before = now
