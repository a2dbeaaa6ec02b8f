"""A chat without ``await``."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from pathlib import Path
from typing import Any

import pytest

import chat_core
from chat_core import MessageReceived, SendRejectedError, SessionEnded, blocking
from chat_sandbox.blocking import Sandbox


def quiet(*_: object) -> None:
    pass


def start(sandbox: Sandbox, **options: Any) -> blocking.Session:
    return blocking.start_session(
        server_url=sandbox.cometd_url, **{"state_storage": "memory", "logger": quiet, **options}
    )


def test_a_conversation(sandbox: Sandbox):
    """Commands return results, events are a plain iterator, and leaving the block leaves the chat."""
    with start(sandbox, username="Ada") as session:
        session.wait_for(chat_core.AgentConnected, timeout=5)
        receipt = session.send_message("Hello", until="echoed")
        assert receipt.echoed
        assert receipt.reached("accepted") is not receipt
        assert receipt.reached("accepted") == receipt
        assert str(session.wait_for(MessageReceived, timeout=5)) == "Echo: Hello"
        session.set_user_data({"Level": "gold"})
        assert session.get_user_data("Level") == "gold"
        assert len(session.get_transcript()) >= 4
        assert {party.name for party in session.parties} == {"Ada", "Echo"}
        assert session.outbox == ()
    assert sandbox.chats[0].ended
    assert session.ended == list(session.events())[-1]
    assert [str(event) for event in session.events(own=False) if isinstance(event, MessageReceived)] == ["Echo: Hello"]


def test_an_exception_detaches_where_the_storage_outlives_the_process(sandbox: Sandbox):
    """And the chat can be taken up again; a storage of the process's own leaves."""
    with pytest.raises(ZeroDivisionError), start(sandbox, state_storage="file"):
        raise ZeroDivisionError
    assert not sandbox.chats[0].ended
    with blocking.restore_session(logger=quiet) as session:
        assert session.id == sandbox.chats[0].id
    assert sandbox.chats[0].ended
    with pytest.raises(ZeroDivisionError), start(sandbox):
        raise ZeroDivisionError
    assert sandbox.chats[1].ended


def test_restore_or_start(sandbox: Sandbox):
    """It starts where nothing is saved and restores where something is."""
    options: Any = {"server_url": sandbox.cometd_url, "logger": quiet}
    first = blocking.restore_or_start_session(**options)
    first.detach()
    with blocking.restore_or_start_session(**options) as second:
        assert second.id == first.id
    with pytest.raises(chat_core.NoSessionToRestore):
        blocking.restore_session(logger=quiet)


def test_callbacks_are_called_in_order_in_a_thread_of_their_own_and_may_call_the_session(sandbox: Sandbox):
    """Also what the session is asked from a callback answers, and so does ``checkpoint``."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")
    variable.set("mine")
    got: list[tuple[str, str, int]] = []
    done = threading.Event()
    with start(sandbox, username="Ada") as session:

        @session.on_message_received
        def answer(event: MessageReceived) -> None:
            got.append((event.text or "", variable.get(), threading.get_ident()))
            if not event.own and len(got) < 6:
                session.send_message(str(len(got)))
                session.checkpoint()
            elif not event.own:
                done.set()

        assert isinstance(answer, blocking.Subscription)
        session.wait_for(chat_core.AgentConnected, timeout=5)
        session.send_message("0")
        assert done.wait(10)
        assert [text for text, _, _ in got] == ["0", "0", "2", "2", "4", "4"]
        assert {value for _, value, _ in got} == {"mine"}
        (thread,) = {ident for _, _, ident in got}
        assert thread != threading.get_ident()
        assert answer.active
        answer.cancel()
        session.send_message("nobody hears", until="echoed")
        assert session.wait_for(MessageReceived, lambda event: event.text == "nobody hears", timeout=5)
    assert len(got) == 6


def test_a_callback_may_end_the_session_and_its_own_subscription(sandbox: Sandbox):
    """Neither waits for the callback that asked."""
    named, ended = threading.Event(), threading.Event()
    session = start(sandbox)

    @session.on_agent_connected
    def enough(event: chat_core.AgentConnected) -> None:
        named.wait()  # it may be called before the decorator has returned
        enough.cancel()
        session.close()
        ended.set()

    named.set()
    assert isinstance(session.wait_for(SessionEnded, timeout=5, own=True), SessionEnded)
    assert ended.wait(0.9), "it waited for itself until the time for callbacks was over"


@pytest.mark.parametrize("error", [ValueError, SystemExit, StopIteration, asyncio.CancelledError, KeyboardInterrupt])
def test_rp12_what_a_callback_raises_is_logged_and_hurts_nobody(sandbox: Sandbox, error: type[BaseException]):
    """Neither the session nor the loop, whatever it is."""
    logged: list[tuple[object, ...]] = []
    heard: list[str] = []
    with start(sandbox, logger=lambda *args: logged.append(args)) as session:

        @session.on_message_received
        def fail(event: MessageReceived) -> None:
            heard.append(event.text or "")
            raise error

        session.send_message("one", until="echoed")
        session.send_message("two", until="echoed")
    assert {"one", "two"} <= set(heard)
    assert sum("a callback failed" in map(str, line) or "a callback failed" in str(line) for line in logged) >= 2


def test_an_async_callback_is_refused(sandbox: Sandbox):
    """Before it is ever called."""

    async def callback(event: MessageReceived) -> None: ...

    with start(sandbox) as session:
        with pytest.raises(chat_core.OptionTypeError, match="must be plain"):
            session.on_message_received(callback)
        with pytest.raises(chat_core.OptionTypeError, match="callable"):
            session.on_message_received(None)  # type: ignore[arg-type]


def test_a_call_from_the_loop_thread_is_refused_with_its_remedy(sandbox: Sandbox):
    """It would wait for itself for ever."""
    with start(sandbox) as session:
        session.wait_for(chat_core.AgentConnected, timeout=5)
        session.send_message("Hello")
        with pytest.raises(RuntimeError, match=r"on_\.\.\.\(\) callback"):
            session.wait_for(MessageReceived, lambda event: session.send_message("again"), timeout=5)
        assert session.send_message("still there", until="echoed").echoed


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_would_end_the_loop_reaches_whoever_called_and_nobody_else(sandbox: Sandbox, error: type[BaseException]):
    """Such as a predicate that ends the program."""

    def predicate(event: MessageReceived) -> bool:
        raise error

    with start(sandbox) as session:
        session.wait_for(chat_core.AgentConnected, timeout=5)
        session.send_message("Hello")
        with pytest.raises(error):
            session.wait_for(MessageReceived, predicate, timeout=5)
        assert session.send_message("still there", until="echoed").echoed


def test_an_error_of_a_message_has_a_receipt_of_this_side(sandbox: Sandbox):
    """It is the one that can be waited for without ``await``."""
    with start(sandbox) as session:
        sandbox.faults.refuse_next("sendMessage", 247, "not now")
        with pytest.raises(SendRejectedError) as caught:
            session.send_message("Hello")
        assert isinstance(caught.value.receipt, blocking.Receipt)
        assert caught.value.receipt.failed
        with pytest.raises(SendRejectedError):
            caught.value.receipt.reached("accepted")  # type: ignore[unused-coroutine]


def test_files_go_both_ways(sandbox: Sandbox, tmp_path: Path):
    """From an iterable that blocks, with a progress function that calls the session; to a file and to an iterator."""
    content = bytes(range(256)) * 2048
    with start(sandbox) as session:
        session.wait_for(chat_core.AgentConnected, timeout=5)
        states = []
        sent = session.send_file(
            (content[start : start + 100_000] for start in range(0, len(content), 100_000)),
            name="all.zip",
            size=len(content),
            progress=lambda done, total: states.append((done, total, len(session.get_transcript()) > 0)),
        )
        assert sent is not None
        assert states[-1] == (len(content), len(content), True)
        assert session.file_limits().max_files
        path = session.download_file(sent, to=tmp_path / "all.zip")
        assert path.read_bytes() == content
        with session.download_file(sent) as download:
            assert b"".join(download) == content
        assert download.size in {None, len(content)}
        session.delete_file(sent)


def test_checkpoint_saves_what_the_calling_thread_was_handed_and_nothing_else(sandbox: Sandbox):
    """Another thread's reader holds the position back."""
    with start(sandbox, state_storage="file", on_exit="detach") as session:
        mine, other = session.events(), session.events()
        thread = threading.Thread(target=lambda: (next(other), next(other)))
        thread.start()
        joined = [next(mine), next(mine)]
        thread.join()
        session.checkpoint()
        log = session._session._engine.log
        assert log.delivered == joined[0].index, "whoever asks for the second one has finished the first, and no more"
        other.close()
        session.checkpoint()
        assert log.delivered == joined[1].index
        mine.close()


def test_it_works_inside_a_running_event_loop(sandbox: Sandbox):
    """As in a Jupyter cell: the loop that runs there is another one."""

    async def cell() -> str:
        with start(sandbox) as session:
            session.wait_for(chat_core.AgentConnected, timeout=5)
            session.send_message("Hello")
            return str(session.wait_for(MessageReceived, timeout=5))

    assert asyncio.run(cell()) == "Echo: Hello"


def test_fifty_threads_hold_fifty_chats_at_once(sandbox: Sandbox):
    """Each hears its own answers, and one thread serves them all."""
    together = threading.Barrier(50, timeout=30)
    answers: dict[int, list[str]] = {}
    loops: set[int] = set()

    def chat(number: int) -> None:
        with start(sandbox, profile=f"visitor {number}") as session:
            session.wait_for(chat_core.AgentConnected, timeout=20)
            together.wait()
            loops.add(sum(thread.name == "chat-core: blocking" for thread in threading.enumerate()))
            session.send_message(f"I am {number}")
            session.send_message(f"Still {number}")
            answers[number] = [str(session.wait_for(MessageReceived, timeout=20)) for _ in range(2)]
            together.wait()

    threads = [threading.Thread(target=chat, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {number: [f"Echo: I am {number}", f"Echo: Still {number}"] for number in range(50)}
    assert loops == {1}
    assert len(sandbox.chats) == 50
    assert all(chat.ended for chat in sandbox.chats)
