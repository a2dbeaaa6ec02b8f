"""The checks of a transport in trouble, and at its end."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import Ended, LinkDown, LinkUp, Opened, SendMessageCommand
from chat_core._model.errors import (
    AmbiguousError,
    ChatError,
    ConnectError,
    LoginRefusedError,
    NotSentError,
    RefusedError,
)
from chat_core.testing._checks import Level, fail, require
from chat_core.testing._subject import Subject
from chat_core.testing._transport_bench import CREDENTIALS, Link, TransportBench, outcome, request
from chat_core.testing._transport_suite import SUITE, restored
from chat_core.testing._watch import Shown, shown_by, watched

__all__ = ["SUITE"]

#: Iterations of the event loop, and parts of a call's time, after which it is cancelled.
_STEPS: Final = (1, 2, 3, 5, 8)
_PARTS: Final = (0.2, 0.5, 0.8)
_MESSAGES: Final = {
    "a message sent": "canary-b7a3f0-sent",
    "a message received": "canary-60d2ce-received",
    "user data": "canary-c0ffee-userdata",
}
_QUIET: Final = 0.02


def _binds_credentials(subject: Subject) -> str | None:
    names = {one.name for one in getattr(subject.provider.options, "__attrs_attrs__", ())}
    return (
        None if {"auth", "headers"} <= names else "its options have no auth and headers of chat_core.ConnectionOptions"
    )


# Opening


@SUITE.check("TR-019", "start raises ConnectError where the server cannot be reached; then nothing was started.")
async def an_unreachable_server_is_told(bench: TransportBench) -> None:
    await bench.on_server("cut")
    transport = bench.make()
    _, error = await bench.attempt(transport.start(request()), "start")
    require(isinstance(error, ConnectError), f"the server cannot be reached, and start {outcome(error)}")
    await bench.on_server("mend")
    await asyncio.sleep(_QUIET)
    require(not bench.server.chats(), "start raised ConnectError and opened a chat later")


@SUITE.check("TR-020", "start raises RefusedError, or LoginRefusedError, with the server's code where it is refused.")
async def a_refused_start_is_told(bench: TransportBench) -> None:
    code = await bench.on_server("refuse_start")
    transport = bench.make()
    _, error = await bench.attempt(transport.start(request()), "start")
    require(isinstance(error, RefusedError | LoginRefusedError), f"the server refused, and start {outcome(error)}")
    assert error is not None
    require(error.code == code, f"the server refused with {code}, and the error's code is {error.code}")


@SUITE.check("TR-021", "resume raises RefusedError with session_unknown where the server does not know the chat.")
async def an_unknown_chat_is_told(bench: TransportBench) -> None:
    link = await bench.start()
    saved = json.loads(json.dumps(dict(link.transport.saved())))
    await link.close()
    await bench.on_server("forget")
    _, error = await bench.attempt(bench.make().resume(saved), "resume")
    require(isinstance(error, RefusedError), f"the server does not know the chat, and resume {outcome(error)}")
    require(getattr(error, "session_unknown", False), "the server does not know the chat, and session_unknown is False")


@SUITE.check("TR-022", "resume raises ConnectError where the server cannot be reached: the chat may still be there.")
async def a_chat_out_of_reach_is_told(bench: TransportBench) -> None:
    link = await bench.start()
    saved = json.loads(json.dumps(dict(link.transport.saved())))
    await link.close()
    await bench.on_server("cut")
    _, error = await bench.attempt(bench.make().resume(saved), "resume")
    require(isinstance(error, ConnectError), f"the server cannot be reached, and resume {outcome(error)}")
    await bench.on_server("mend")
    await bench.resume(saved)


@SUITE.check(
    "TR-023", "resume of a chat that is over returns Opened with ended, or raises RefusedError with session_unknown."
)
async def a_chat_that_is_over_is_told(bench: TransportBench) -> None:
    link = await bench.start()
    await link.send("Hello")
    saved = json.loads(json.dumps(dict(link.transport.saved())))
    await link.close()
    await bench.on_server("end")
    opened, error = await bench.attempt(bench.make().resume(saved), "resume")
    if error is not None:
        require(
            isinstance(error, RefusedError) and error.session_unknown, f"the chat is over, and resume {outcome(error)}"
        )
    else:
        require(
            isinstance(opened, Opened) and isinstance(opened.ended, Ended), "the chat is over, and ended is not set"
        )


# The three ways in which sending fails


@SUITE.check("TR-024", "send raises RefusedError with the server's code where it says no; the chat goes on.")
async def a_refused_message_is_told(bench: TransportBench) -> None:
    link = await bench.start()
    code = await bench.on_server("refuse_next")
    _, error = await bench.attempt(link.transport.send(SendMessageCommand(text="refused")), "sending a message")
    require(isinstance(error, RefusedError), f"the server refused a message, and send {outcome(error)}")
    assert error is not None
    require(error.code == code, f"the server refused with {code}, and the error's code is {error.code}")
    await link.send("taken")
    require(bench.server.heard() == ["taken"], f"after a refusal the server has heard {bench.server.heard()}")


@SUITE.check("TR-025", "send raises NotSentError without a link; such a message never reaches the server.")
async def an_unsent_message_is_told(bench: TransportBench) -> None:
    link = await bench.start()
    await bench.on_server("cut")
    await link.until(lambda: isinstance(_last(link), LinkDown), "the network was cut, and no LinkDown came out")
    _, error = await bench.attempt(link.transport.send(SendMessageCommand(text="lost")), "sending a message")
    require(isinstance(error, NotSentError), f"there is no link, and send {outcome(error)}")
    await bench.on_server("mend")
    await link.send_soon("later")
    await link.until(
        lambda: "later" in bench.server.heard(), "after the link was back a message did not reach the server"
    )
    heard = bench.server.heard()
    require(heard == ["later"], f"a message that was not sent, by its NotSentError, reached the server: {heard}")


@SUITE.check(
    "TR-026", "send raises AmbiguousError where the answer is lost; the transport does not send it again by itself."
)
async def a_lost_answer_is_told(bench: TransportBench) -> None:
    link = await bench.start()
    await bench.on_server("lose_answer")
    _, error = await bench.attempt(link.transport.send(SendMessageCommand(text="perhaps")), "sending a message")
    require(isinstance(error, AmbiguousError), f"the answer was lost, and send {outcome(error)}")
    await link.send_soon("later")
    await link.until(lambda: "later" in bench.server.heard(), "after a lost answer a message did not reach the server")
    heard = bench.server.heard()
    require(heard == ["perhaps", "later"], f"a message whose answer was lost was sent by itself again: {heard}")


# The link


@SUITE.check("TR-027", "LinkDown comes out when the link breaks, LinkUp when it is back; they take turns.")
async def the_link_is_told(bench: TransportBench) -> None:
    link = await bench.start()
    for number in (1, 2):
        await bench.on_server("cut")
        await link.until(lambda: isinstance(_last(link), LinkDown), "the network was cut, and no LinkDown came out")
        await bench.on_server("mend")
        await link.until(
            partial(_came_back, link, number),
            "the network was mended, and no LinkUp came out",
        )
    turns = [type(one).__name__ for one in link.turns()]
    good = all(name == ("LinkDown", "LinkUp")[place % 2] for place, name in enumerate(turns))
    require(good, f"LinkDown and LinkUp do not take turns: {turns}")


@SUITE.check("TR-028", "After LinkUp, and the fetch that a session does then, events come out again.")
async def events_come_after_the_link(bench: TransportBench) -> None:
    link = await bench.start()
    await _cut_and_mend(bench, link)
    if Capability.POSITION in bench.subject.capabilities:
        await bench.fetch(link, 1)
    await bench.on_server("say", "after the break")
    await link.until(lambda: "after the break" in link.texts(), "after LinkUp the agent's message did not come out")


@SUITE.check(
    "TR-029",
    "After LinkUp fetch returns what was said while the link was down.",
    capability=Capability.POSITION,
)
async def nothing_is_missing_after_the_link(bench: TransportBench) -> None:
    link = await bench.start()
    await bench.on_server("say", "before")
    await link.until(lambda: "before" in link.texts(), "the agent's message did not come out")
    lacking = max(event.index or 0 for event in link.events) + 1
    await _cut_and_mend(bench, link, said="during the break")
    batch = await bench.fetch(link, lacking)
    texts = [getattr(event, "text", "") for event in batch.events]
    require("during the break" in texts, f"after LinkUp fetch({lacking}) returned the texts {texts}")


# The end


@SUITE.check("TR-030", "When the server ends the chat, Ended comes out once, as the last of all, and incoming ends.")
async def the_end_is_told_once(bench: TransportBench) -> None:
    link = await bench.start()
    await bench.on_server("say", "goodbye")
    await bench.on_server("end")
    await link.until(lambda: link.finished, "the chat is over, and incoming did not end")
    if link.failure is not None:
        fail(f"incoming raised {type(link.failure).__name__}", link.failure)
    ends = [place for place, item in enumerate(link.items) if isinstance(item, Ended)]
    require(ends == [len(link.items) - 1], f"of {len(link.items)} items Ended stands at {ends}")
    require("goodbye" in link.texts(), "what was said before the end did not come out")


@SUITE.check(
    "TR-031", "aclose is idempotent and raises nothing, also before start and where the server cannot be reached."
)
async def closing_is_idempotent(bench: TransportBench) -> None:
    unused = bench.make()
    await bench.close(unused)
    await bench.close(unused)
    link = await bench.start()
    await link.close()
    await link.close()
    link = await bench.start()
    await bench.on_server("cut")
    await link.close()
    await link.close()


@SUITE.check("TR-032", "aclose ends incoming.")
async def closing_ends_incoming(bench: TransportBench) -> None:
    link = await bench.start()
    await asyncio.sleep(_QUIET)
    await link.close()
    await link.until(lambda: link.finished, "the transport was closed, and incoming did not end")
    if link.failure is not None:
        fail(f"incoming raised {type(link.failure).__name__} when the transport was closed", link.failure)


@SUITE.check("TR-033", "aclose leaves nothing: no task and no socket.")
async def closing_leaves_nothing(bench: TransportBench) -> None:
    link = await bench.start()
    await link.send("Hello")
    await link.close()
    await link.stop_reading()
    await bench.require_nothing_left("after aclose")
    link = await bench.start()
    await bench.on_server("cut")
    await link.until(lambda: isinstance(_last(link), LinkDown), "the network was cut, and no LinkDown came out")
    await link.close()
    await link.stop_reading()
    await bench.require_nothing_left("after aclose while the link was being brought back")


@SUITE.check("TR-034", "aclose does not leave the chat: it goes on.")
async def closing_does_not_leave(bench: TransportBench) -> None:
    link = await bench.start()
    await link.send("Hello")
    following = await restored(bench, link)
    require(not bench.server.over(), "aclose ended the chat on the server")
    require(following.opened.ended is None, "aclose ended the chat")


@SUITE.check("TR-035", "After aclose send and fetch raise NotSentError at once.")
async def nothing_is_sent_after_closing(bench: TransportBench) -> None:
    link = await bench.start()
    await link.close()
    _, error = await bench.attempt(link.transport.send(SendMessageCommand(text="late")), "send after aclose")
    require(isinstance(error, NotSentError), f"send after aclose {outcome(error)}")
    if Capability.POSITION in bench.subject.capabilities:
        _, error = await bench.attempt(link.transport.fetch(1), "fetch after aclose")
        require(isinstance(error, NotSentError), f"fetch after aclose {outcome(error)}")
    require(not bench.server.heard(), "a message was sent after aclose")


@SUITE.check("TR-036", "start can be cancelled at any await: it stops, and after aclose nothing is left.")
async def start_can_be_cancelled(bench: TransportBench) -> None:
    async def begin() -> tuple[Any, Callable[[], Any]]:
        transport = bench.make()
        return transport, lambda: transport.start(request())

    async for transport in _cancelled(bench, begin, "start"):
        await bench.close(transport)
        await bench.require_nothing_left("after a start that was cancelled and aclose")


@SUITE.check(
    "TR-037", "send can be cancelled at any await: it stops, the chat goes on, and after aclose nothing is left."
)
async def send_can_be_cancelled(bench: TransportBench) -> None:
    links: list[Link] = []

    async def begin() -> tuple[Any, Callable[[], Any]]:
        links.append(await bench.start())
        return links[-1].transport, lambda: links[-1].transport.send(SendMessageCommand(text="cancelled"))

    async for _ in _cancelled(bench, begin, "send"):
        link = links[-1]
        await link.send_soon("later")
        await link.until(
            lambda: "later" in bench.server.heard(), "after a cancelled send no message reached the server"
        )
        await link.close()
        await link.stop_reading()
        await bench.require_nothing_left("after a send that was cancelled and aclose")


# Secrets


@SUITE.check(
    "TR-038",
    "saved holds nothing of the caller's headers and credentials: it is kept on a disk.",
    security=True,
    binds=_binds_credentials,
)
async def no_credentials_are_saved(bench: TransportBench) -> None:
    link = await bench.start(**bench.credentials)
    text = json.dumps(dict(link.transport.saved()))
    secrets = {**CREDENTIALS, "a password (base64)": _basic()}
    found = sorted(name for name, secret in secrets.items() if secret in text)
    require(not found, f"saved holds {', '.join(found)}")


@SUITE.check(
    "TR-039",
    "Texts, user data, keys and credentials show in no repr, no error, no output and no log line from INFO up.",
    security=True,
)
async def secrets_are_not_shown(bench: TransportBench) -> None:
    found = (await _shown(bench)).find(_secrets(bench), above=logging.INFO)
    require(not found, f"{', '.join(found)} can be read in what it logs, prints or shows")


@SUITE.check("TR-040", "Nor do they show where every logger is at DEBUG.", level=Level.SHOULD)
async def secrets_are_not_shown_at_debug(bench: TransportBench) -> None:
    found = (await _shown(bench)).find(_secrets(bench))
    require(not found, f"{', '.join(found)} can be read in what it, or a library of it, logs at DEBUG")


async def _shown(bench: TransportBench) -> Shown:
    with watched() as shown:
        link = await bench.start(**bench.credentials)
        shown.add(f"{link.transport!r} {link.transport} {link.opened!r}")
        await bench.on_server("say", _MESSAGES["a message received"])
        await link.until(
            lambda: _MESSAGES["a message received"] in link.texts(), "the agent's message did not come out"
        )
        await link.send(_MESSAGES["a message sent"])
        for trouble in ("refuse_next", "lose_answer", "cut"):
            await bench.on_server(trouble)
            command = SendMessageCommand(text=_MESSAGES["a message sent"])
            _, error = await bench.attempt(link.transport.send(command), "sending a message")
            if isinstance(error, ChatError):
                shown.add(shown_by(error))
        shown.add(repr(link.items))
        await link.close()
    shown.texts += bench.shown.texts
    return shown


def _secrets(bench: TransportBench) -> dict[str, str]:
    keys = {f"key {number} of the server": key for number, key in enumerate(bench.server.secrets(), 1)}
    return {**_MESSAGES, **CREDENTIALS, "a password (base64)": _basic(), **keys}


def _basic() -> str:
    return base64.b64encode(f"conformance:{CREDENTIALS['a password']}".encode()).decode("ascii")


def _came_back(link: Link, times: int) -> bool:
    return sum(isinstance(one, LinkUp) for one in link.turns()) >= times


def _last(link: Link) -> Any:
    return link.turns()[-1] if link.turns() else None


async def _cut_and_mend(bench: TransportBench, link: Link, *, said: str | None = None) -> None:
    await bench.on_server("cut")
    await link.until(lambda: isinstance(_last(link), LinkDown), "the network was cut, and no LinkDown came out")
    if said is not None:
        await bench.on_server("say", said)
    await bench.on_server("mend")
    await link.until(lambda: isinstance(_last(link), LinkUp), "the network was mended, and no LinkUp came out")


async def _cancelled(bench: TransportBench, begin: Any, what: str) -> Any:
    """Yield a transport after each cancelled call: at several steps of the loop, and at parts of the call's time."""
    loop = asyncio.get_running_loop()
    took: float | None = None
    for step in (None, *_STEPS, *_PARTS):
        transport, call = await begin()
        task = bench.begin(call())
        began = loop.time()
        if step is None:
            await asyncio.wait({task}, timeout=bench.patience)
            took = loop.time() - began
        elif isinstance(step, int):
            for _ in range(step):
                await asyncio.sleep(0)
        else:
            await asyncio.wait({task}, timeout=(took or 0.0) * step)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=2.0)
        require(done, f"{what} was cancelled and goes on")
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            fail(f"{what} was cancelled, and raised {type(failure).__name__} in place of CancelledError", failure)
        yield transport
