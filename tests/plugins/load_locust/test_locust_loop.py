"""The loop beside Locust's greenlets: what works under the patches, and what is left when users stop."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from chat_sandbox import Agent, echo
from chat_sandbox.blocking import Sandbox
from support import locusts

#: Seconds that a start which is given up has for leaving and closing.
LEAVING = 7.0


@pytest.fixture(autouse=True)
def with_locust():
    locusts.require()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(agent=echo) as sandbox:
        yield sandbox


HEAD = """
from support.locust_inside import *
import asyncio, logging, threading
from locust import constant
from chat_core import AgentConnected, IdleAlert, MessageReceived, SessionEnded
from chat_load_locust import ChatUser, scenario, _loop

logging.basicConfig(level=logging.INFO)
"""


def test_two_tests_in_a_row_leave_no_task_thread_or_socket(sandbox: Sandbox):
    """Each stop leaves every chat; the process has what it had before. Waiting costs no CPU. A scenario that will not
    end is left behind and named."""  # noqa: D205, D209
    script = """
class Waiting(ChatUser):
    host = URL

    @scenario
    async def play(self, session):
        await session.wait_for(IdleAlert)

load, found = Load(Waiting), []
for round in range(1, 3):
    before = holdings()
    load.start(10)
    until(lambda: load.count("time to agent") == 10 * round)
    during = holdings()
    began = time.process_time()
    gevent.sleep(0.5)
    cpu = time.process_time() - began
    seconds = load.stop()
    until(lambda: holdings() == before, 5)
    found.append([during[0] - before[0], during[1] > before[1] + 10, cpu, seconds])

class Stubborn(ChatUser):
    host = URL

    @scenario
    async def play(self, session):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

_loop.LEAVE_TIMEOUT = _loop.END_TIMEOUT = 0.4
stubborn = Load(Stubborn)
stubborn.start(1)
until(lambda: stubborn.count("time to agent") == 1)
stubborn_seconds = stubborn.stop()
say(stubborn=stubborn_seconds, found=found, reasons=load.reasons(), sessions=load.count("session"))
"""
    found, output = locusts.inside(HEAD + script, sandbox.cometd_url)
    for threads, sockets, cpu, seconds in found["found"]:
        assert threads == 1, "one loop thread, whatever the number of users"
        assert sockets
        assert cpu < 0.25
        assert seconds < 10
    assert found["reasons"] == {}
    assert found["sessions"] == 0, "a chat that the end of the test cut short has not ended well or badly"
    assert all(chat.ended for chat in sandbox.chats[:20])
    assert 0.7 < found["stubborn"] < 10
    assert "a scenario did not end within 0.4 s after it was stopped" in output
    assert "the loop of the chats did not end within 0.4 s and is left behind" in output
    assert "Traceback" not in output


def test_what_asyncio_and_plugins_need_works_under_the_patches(sandbox: Sandbox, tmp_path: Path):
    """Names are looked up, threads run, a storage with a thread of its own writes, TLS holds, greenlets go on."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    script = """
class Thorough(ChatUser):
    host = URL
    wait_time = constant(3600)
    found = {}

    def start_options(self):
        return {
            "state_storage": "file",
            "storage_options": {"directory": sys.argv[3]},
            "transport_options": {"ca_file": sys.argv[2]},
        }

    @scenario
    async def play(self, session):
        self.found["options"] = session.options.state_storage
        await session.send_message("Hello", until="echoed")
        await session.wait_for(MessageReceived, timeout=20)
        began = time.monotonic()
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.3) for _ in range(3)))
        self.found["threads"] = time.monotonic() - began
        self.found["name"] = (await asyncio.get_running_loop().getaddrinfo("localhost", 80))[0][4][0]
        self.found["files"] = len(os.listdir(sys.argv[3]))

import os
beats = []
def beat():
    while True:
        beats.append(time.monotonic())
        gevent.sleep(0.02)
gevent.spawn(beat)
load = Load(Thorough)
load.start(1)
until(lambda: load.count("session") == 1)
gap = max(later - earlier for earlier, later in zip(beats, beats[1:]))
load.stop()
say(found=Thorough.found, reasons=load.reasons(), gap=gap)
"""
    with tls(sandbox, certificate) as url:
        found, _ = locusts.inside(HEAD + script, url, ca, tmp_path / "state")
    assert found["reasons"] == {}
    assert found["found"]["options"] == "file"
    assert found["found"]["files"] > 0
    assert 0.3 <= found["found"]["threads"] < 0.8
    assert found["found"]["name"] in {"127.0.0.1", "::1"}
    assert found["gap"] < 2.0
    assert sandbox.chats[0].texts == ["Hello", "Hello"]


def test_stopping_is_bounded_when_nobody_answers():
    """In a session as well as in its start; and users are killed again and again while they leave."""
    script = """
stalled = False

class Waiting(ChatUser):
    host = URL
    fixed_count = 3

    @scenario
    async def play(self, session):
        await session.wait_for(SessionEnded)

class Telling(ChatUser):
    host = URL
    fixed_count = 1

    @scenario
    async def play(self, session):
        global stalled
        while load.count("time to agent") < 4:
            await asyncio.sleep(0.01)
        session.send_message("stall").fail(lambda event: None)
        await asyncio.sleep(0.3)
        stalled = True
        await session.wait_for(SessionEnded)

class Late(Waiting):
    def on_start(self):
        until(lambda: stalled)

load = Load(Waiting, Telling, Late)
load.start(7)
until(lambda: stalled)
gevent.sleep(0.5)
users = list(load.runner.user_greenlets)

def kill_again():
    for _ in range(20):
        gevent.sleep(0.1)
        for one in users:
            one.kill(block=False)

gevent.spawn(kill_again)
seconds = load.stop()
say(seconds=seconds, started=load.count("start_session"), users=load.runner.user_count, reasons=load.reasons())
"""

    async def play(agent: Agent) -> None:
        await agent.join("Grace")
        await agent.hears("stall", timeout=60)
        sandbox.faults.stall()

    with Sandbox(agent=play) as sandbox:
        found, output = locusts.inside(HEAD + script, sandbox.cometd_url)
    assert found["started"] == 4, "the others hang in start_session"
    assert found["users"] == 0
    assert found["reasons"] == {}
    assert found["seconds"] < LEAVING + 8
    assert "did not end within" not in output


@contextlib.contextmanager
def tls(sandbox: Sandbox, certificate: trustme.LeafCert) -> Iterator[str]:
    """Serve the sandbox under https."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    port = int(sandbox.url.rpartition(":")[2])

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def serve() -> None:
        nonlocal url
        async with await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context) as server:
            url = f"https://localhost:{server.sockets[0].getsockname()[1]}/genesys/cometd"
            stop.append((asyncio.get_running_loop(), asyncio.Event()))
            ready.set()
            await stop[0][1].wait()

    url = ""
    ready = threading.Event()
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield url
    finally:
        loop, event = stop[0]
        loop.call_soon_threadsafe(event.set)
        thread.join()


def test_a_stopped_loop_has_no_thread_any_more():
    """A process that ended while the thread still took its hub down was aborted, now and then."""
    script = """
from support.locust_inside import *
from gevent import monkey
from chat_load_locust._loop import LoopThread

kept = monkey.get_original("_thread", "_local")()
sleep = monkey.get_original("time", "sleep")

class Slow:
    def __del__(self):
        sleep(0.3)

async def dawdle(tell):
    kept.slow = Slow()  # taken down with the thread

threads = holdings()[0]
loop = LoopThread()
loop.run(dawdle)
loop.stop()
say(left=holdings()[0] - threads)
"""
    found, _ = locusts.inside(script)
    assert found == {"left": 0}
