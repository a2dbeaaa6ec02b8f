"""What becomes of chats when the program ends, is interrupted or forks."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import chat_core
from chat_core import blocking
from chat_core._blocking import portal
from chat_sandbox.blocking import Sandbox

Program = Callable[..., subprocess.Popen[str]]
#: Seconds that a program may take which ends by itself.
PATIENCE = 40.0


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, out + err
    if status == 0:
        assert err == ""
    return out


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_program_that_ends_with_open_chats_leaves_them_and_nothing_is_left_of_it(sandbox: Sandbox, program: Program):
    """Fifty at once, from fifty threads; no thread, and no loop or socket that would warn."""
    process = program(
        """
        threads = [threading.Thread(target=start, kwargs={"profile": str(n)}) for n in range(50)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print("open")
        """,
        sandbox.cometd_url,
    )
    assert line(process) == "open"
    began = time.monotonic()
    assert finish(process) == "left behind: []\n"
    assert time.monotonic() - began < portal.EXIT_TIMEOUT
    assert len(sandbox.chats) == 50
    assert all(chat.ended for chat in sandbox.chats)


def test_a_program_that_ends_detaches_where_the_storage_outlives_it(sandbox: Sandbox, program: Program):
    """The chat goes on, and can be taken up at once."""
    finish(program('session = start(state_storage="file")', sandbox.cometd_url))
    assert not sandbox.chats[0].ended
    with blocking.restore_session(logger=lambda *_: None) as session:
        assert session.id == sandbox.chats[0].id


def test_a_callback_or_thread_that_hangs_does_not_hold_the_end_up(sandbox: Sandbox, program: Program):
    """Daemon threads that wait are told, and what never returns is left behind."""
    process = program(
        """
        session = start()
        forever = threading.Event()
        called = threading.Event()
        def hang(event):
            called.set()
            forever.wait()
        def wait():
            try:
                session.wait_for(chat_core.PushUrl)
            except chat_core.SessionEndedError as error:
                print("told:", type(error).__name__)
        session.on_event(hang)
        threading.Thread(target=wait, daemon=True).start()
        called.wait()
        """,
        sandbox.cometd_url,
    )
    out = finish(process)
    assert "told: SessionEndedError" in out
    assert "left behind: ['chat-core: Event callback']" in out
    assert sandbox.chats[0].ended


def test_ctrl_c_ends_the_wait_at_once_and_the_session_goes_on(sandbox: Sandbox, program: Program):
    """Of ``wait_for`` and of an iterator; the next wait finds what comes."""
    process = program(
        """
        session = start()
        session.wait_for(chat_core.AgentConnected)
        for wait in (lambda: session.wait_for(chat_core.PushUrl), lambda: [None for _ in session.events()]):
            try:
                print("waiting", flush=True)
                wait()
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        session.send_message("Hello")
        print(session.wait_for(chat_core.MessageReceived, timeout=5))
        session.close()
        print(session.connection_state)
        """,
        sandbox.cometd_url,
    )
    for _ in range(2):
        assert line(process) == "waiting"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert line(process) == "interrupted"
        assert time.monotonic() - began < 5
    assert finish(process) == "Echo: Hello\nended\nleft behind: []\n"


@pytest.mark.parametrize("storage", ["memory", "file"])
def test_ctrl_c_in_a_with_block_detaches_or_leaves(sandbox: Sandbox, program: Program, storage: str):
    """As an exception does, and the program ends by it."""
    process = program(
        f"""
        with start(state_storage={storage!r}) as session:
            print("waiting", flush=True)
            session.wait_for(chat_core.PushUrl)
        """,
        sandbox.cometd_url,
    )
    assert line(process) == "waiting"
    process.send_signal(signal.SIGINT)
    finish(process, -signal.SIGINT)
    assert sandbox.chats[0].ended == (storage == "memory")


def test_rp9_ctrl_c_during_the_start_leaves_the_chat_that_may_have_been_opened(sandbox: Sandbox, program: Program):
    """The interrupt comes at once; the chat is left before the program ends."""
    sandbox.faults.delay_answer(0.5, operation="requestChat")
    process = program(
        """
        try:
            print("starting", flush=True)
            start(transport="rest")
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        """,
        sandbox.rest_url,
    )
    assert line(process) == "starting"
    until(lambda: bool(sandbox.chats))
    process.send_signal(signal.SIGINT)
    assert finish(process) == "interrupted\nleft behind: []\n"
    assert sandbox.chats[0].ended


def test_rp9_a_start_on_its_way_at_the_end_leaves_the_chat_that_may_have_been_opened(
    sandbox: Sandbox, program: Program
):
    """Where the thread that starts it is a daemon, for which nobody waits."""
    sandbox.faults.delay_answer(1.2, operation="requestChat")
    process = program(
        """
        def begin():
            try:
                start(transport="rest")
            except RuntimeError as error:
                print(error)
        thread = threading.Thread(target=begin, daemon=True)
        thread.start()
        input()
        """,
        sandbox.rest_url,
    )
    until(lambda: bool(sandbox.chats))
    assert process.stdin is not None
    process.stdin.write("\n")
    # The program's own thread may be about to say what it was told.
    assert "chat-core" not in finish(process).partition("left behind:")[2]
    assert sandbox.chats[0].ended


def test_a_forked_process_has_a_loop_of_its_own_and_leaves_the_others_sessions_alone(
    sandbox: Sandbox, program: Program
):
    """It is told so where it uses one; the first process's goes on."""
    process = program(
        """
        session = start()
        session.wait_for(chat_core.AgentConnected)
        if not (child := os.fork()):
            try:
                session.send_message("mine?")
            except RuntimeError as error:
                print("refused" if "forked" in str(error) else error)
            session.close()
            with start() as own:
                own.send_message("from the child", until="echoed")
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0
        session.send_message("from the parent", until="echoed")
        session.close()
        """,
        sandbox.cometd_url,
        warnings="default::DeprecationWarning",  # newer Pythons warn of every fork beside a thread
    )
    out = finish(process)
    assert out == "refused\nleft behind: []\nleft behind: []\n"
    assert [chat.texts[0] for chat in sandbox.chats] == ["from the parent", "from the child"]


class Interrupted(BaseException):
    """What Ctrl-C raises, for a thread of a test."""


@pytest.fixture
def interrupted() -> Any:
    """The next call is interrupted in the moment in which its result is there."""
    patch = pytest.MonkeyPatch()

    def wait(call: Any, timeout: float | None = None) -> Any:
        call._finished.wait(timeout)
        patch.undo()
        raise Interrupted

    return lambda: patch.setattr(portal._Call, "wait", wait)


def test_rp1_an_event_that_came_with_the_interrupt_is_the_next_one(sandbox: Sandbox, interrupted: Any):
    """An iterator that goes on skips nothing."""
    with blocking.start_session(
        server_url=sandbox.cometd_url, state_storage="memory", logger=lambda *_: None
    ) as session:
        session.wait_for(chat_core.AgentConnected, timeout=5)
        events = session.events()
        interrupted()
        with pytest.raises(Interrupted):
            next(events)
        session.get_user_data("a round of the loop")
        assert [next(events).index, next(events).index] == [1, 2]


def test_rp9_a_chat_that_came_with_the_interrupt_is_left(sandbox: Sandbox, interrupted: Any):
    """Nobody has it."""
    options: Any = {"server_url": sandbox.cometd_url, "state_storage": "memory", "logger": lambda *_: None}
    interrupted()
    with pytest.raises(Interrupted):
        blocking.start_session(**options)
    until(lambda: sandbox.chats[0].ended)


def test_a_loop_that_hangs_holds_the_end_up_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch):
    """What runs on it does not return; it is left to the daemon thread."""
    monkeypatch.setattr(portal, "STOP_TIMEOUT", 0.1)
    own, on, off = portal.Portal(), threading.Event(), threading.Event()

    async def hang() -> None:
        on.set()
        off.wait()

    thread = threading.Thread(target=own.call, args=(hang,))
    thread.start()
    assert on.wait(5)
    began = time.monotonic()
    own.stop(timeout=0.1)
    assert time.monotonic() - began < 5
    assert own._thread.is_alive()
    off.set()
    thread.join(5)
    own._thread.join(5)
    assert not own._thread.is_alive()


def test_a_signal_handler_may_call_while_its_thread_does():
    """The lock is the thread's own already."""
    own = portal.Portal()

    async def work() -> str:
        return "done"

    with own._lock:
        assert own.call(work) == "done"
    own.stop()


def test_a_call_that_comes_too_late_is_refused(sandbox: Sandbox):
    """Also one that waits while the loop ends is told."""
    own = portal.Portal()
    outcome: list[str] = []

    async def forever() -> None:
        running.set()
        await asyncio.Event().wait()

    def wait() -> None:
        try:
            own.call(forever)
        except RuntimeError as error:
            outcome.append(str(error))

    running = threading.Event()
    thread = threading.Thread(target=wait)
    thread.start()
    assert running.wait(5)
    own.stop()
    thread.join(5)
    assert "interpreter is ending" in outcome[0]
    with pytest.raises(RuntimeError, match="interpreter is ending"):
        own.call(forever)
