"""Locust's own command, as its users call it: master and workers, exit codes, shapes, the web page, Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat_sandbox import Agent, echo
from chat_sandbox.blocking import Sandbox
from support import locusts


@pytest.fixture(autouse=True)
def with_locust():
    locusts.require()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(agent=echo) as sandbox:
        yield sandbox


def until(condition: Callable[[], object], timeout: float = 90.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s"
        time.sleep(0.05)


def requests(prefix: Path, name: str) -> int:
    """How many of a kind the master has counted, by the files that it writes once a second."""
    if not Path(f"{prefix}_stats.csv").exists():
        return 0
    return int(locusts.figures(prefix).get(name, {}).get("Request Count") or 0)


def open_chats(sandbox: Sandbox) -> int:
    return sum(not chat.ended for chat in sandbox.chats)


def test_one_master_and_two_workers_drive_fifty_chats():
    """All at once, through a loss of all connections; every figure is in the CSV and HTML report, nothing failed."""
    counts = asyncio.run(locusts.drive(50, 90.0, thought=0.6, enough=60))
    assert counts["most at once"] >= 50
    assert set(counts["by worker"]) == {"0", "1"}


SHAPE = """
from locust import constant
from chat_core import MessageReceived
from chat_load_locust import ChatUser, ShiftChange, scenario


class Day(ShiftChange):
    quiet = 1
    busy = 3
    ramp = 0.5
    shift_changes = (1.5,)
    spike = 9
    spike_rise = 0
    spike_fall = 1000
    duration = 120


class Visitor(ChatUser):
    wait_time = constant(0)

    def start_options(self):
        return {"user_data": {"worker": self.environment.runner.worker_index}}

    @scenario
    async def stays(self, session):
        await session.send_message("Hello", until="echoed")
        await session.wait_for(MessageReceived, lambda event: event.text == "never")
"""


def test_a_shift_change_comes_over_forked_workers_and_ctrl_c_ends_it(tmp_path: Path):
    """Each process has a loop of its own, and leaves its chats."""
    file = tmp_path / "locustfile.py"
    file.write_text(SHAPE, "utf-8")
    port = locusts.free_port()
    with Sandbox(agent=echo) as sandbox:
        process = subprocess.Popen(
            locusts.command(
                *("--headless", "--processes", 2, "--host", sandbox.cometd_url, "--chat-failure-ratio", 0),
                *("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port),
                *("--csv", tmp_path / "day"),
                file=file,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            until(lambda: open_chats(sandbox) == 9)
            until(lambda: all("Hello" in chat.texts for chat in sandbox.chats))
            # Figures reach the master with the workers' reports, and without any the run would count as failed.
            until(lambda: requests(tmp_path / "day", "send to echo") == 9)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=90)
        finally:
            if process.poll() is None:
                process.kill()
                print(process.communicate()[0])  # noqa: T201 - shown if the test failed
        until(lambda: open_chats(sandbox) == 0)
        workers = {chat.user_data["worker"] for chat in sandbox.chats}
    assert process.returncode == 0, output
    assert workers == {"0", "1"}
    assert "Traceback" not in output


PARTLY = """
import sys
import gevent
import locust
from locust import constant
from chat_load_locust import ChatUser, scenario

URL, REST = {urls!r}


class Half(ChatUser):
    wait_time = constant(0.1)
    chat_options = {{"subject": "refused", "transport": "rest", "server_url": REST}}
    fixed_count = 1

    @scenario
    async def asks(self, session):
        await session.send_message("canary-in-a-message", until="echoed")


class OtherHalf(Half):
    chat_options = {{"subject": "taken", "server_url": URL}}


outcomes = []


@locust.events.request.add_listener
def enough(name, exception, **_):
    if name == "session":
        outcomes.append(exception is None)
        if outcomes.count(True) >= 2 <= outcomes.count(False):
            # Locust writes its CSV files once a second, and not at the end.
            gevent.spawn_later(2.5, locust_environment.runner.quit)


@locust.events.init.add_listener
def on_init(environment, **_):
    global locust_environment
    locust_environment = environment
"""


def test_the_exit_code_says_whether_more_failed_than_was_allowed(tmp_path: Path):
    """1 above the limit, 0 up to it; nonsense is refused at once."""

    async def play(agent: Agent) -> None:
        if agent.chat.subject == "refused":
            sandbox.faults.refuse_next("sendMessage", 210, "no", count=9, chat=agent.chat)
        await echo(agent)

    file = tmp_path / "locustfile.py"
    with Sandbox(agent=play) as sandbox:
        file.write_text(PARTLY.format(urls=(sandbox.cometd_url, sandbox.rest_url)), "utf-8")
        common = ["--headless", "--only-summary", "-u", 2, "-r", 10, "--csv"]
        given: dict[str, list[object]] = {
            "above": ["--chat-failure-ratio", 0.05],
            "below": ["--chat-failure-ratio", 0.9],
            "nonsense": ["--chat-failure-ratio", 5],
        }
        processes = {
            name: subprocess.Popen(
                locusts.command(*common, tmp_path / name, *arguments, file=file),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for name, arguments in given.items()
        }
        outputs = {name: process.communicate(timeout=120)[0] for name, process in processes.items()}
    codes = {name: process.returncode for name, process in processes.items()}
    assert codes == {"above": 1, "below": 0, "nonsense": 2}, outputs
    assert "requests failed, 5.00 % are allowed" in outputs["above"]
    assert "a share from 0 to 1 is needed, such as 0.01, not '5'" in outputs["nonsense"]
    for name in ("above", "below"):
        rows = locusts.figures(tmp_path / name)
        assert 0 < int(rows["Aggregated"]["Failure Count"]) < int(rows["Aggregated"]["Request Count"])
        reasons = locusts.failures(tmp_path / name)
        assert reasons["send to echo"] == {"SendRejectedError (gms 210)"}
        assert reasons["session"] == {"SendRejectedError (gms 210)"}
        assert "canary-in-a-message" not in outputs[name]


WEB = """
import os
import locust
from locust import constant
from chat_core import MessageReceived
from chat_load_locust import ChatUser, scenario


class Visitor(ChatUser):
    wait_time = constant(0)

    @scenario
    async def stays(self, session):
        await session.send_message("Hello", until="echoed")
        await session.wait_for(MessageReceived, lambda event: event.text == "never")


@locust.events.init.add_listener
def on_init(environment, web_ui, **_):
    @web_ui.app.route("/threads")
    def threads():
        return str(len(os.listdir("/proc/self/task")))
"""


class Page:
    """Locust's web page."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **form: object) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        with urllib.request.urlopen(self._url + path, data, timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def is_up(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("/threads"))
        return False

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/stats/requests"))
        return {**found, **{row["name"]: row for row in found["stats"]}}


def test_the_web_page_starts_shows_and_stops_loads_and_ctrl_c_leaves_every_chat(sandbox: Sandbox, tmp_path: Path):
    """Twice in a row, up and down in number; no thread is left by a stop, no chat by the end of the process."""
    file = tmp_path / "locustfile.py"
    file.write_text(WEB, "utf-8")
    port = locusts.free_port()
    page = Page(port)
    process = subprocess.Popen(
        locusts.command("--web-host", "127.0.0.1", "--web-port", port, "--host", sandbox.cometd_url, file=file),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(page.is_up)
        assert json.loads(page.get("/swarm", user_count=5, spawn_rate=50))["success"]
        until(lambda: "time to first reply" in (found := page.stats()) and found["send to echo"]["num_requests"] == 5)
        found = page.stats()
        assert found["user_count"] == 5
        assert found["start_session"]["num_requests"] == found["time to agent"]["num_requests"] == 5
        assert found["start_session"]["avg_response_time"] > 0
        assert found["errors"] == []
        threads = int(page.get("/threads"))
        page.get("/stop", now=1)
        until(lambda: int(page.get("/threads")) < threads)
        assert open_chats(sandbox) == 0
        page.get("/swarm", user_count=6, spawn_rate=50)
        until(lambda: open_chats(sandbox) == 6)
        page.get("/swarm", user_count=2, spawn_rate=50)
        until(lambda: open_chats(sandbox) == 2)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=90)
    finally:
        if process.poll() is None:
            process.kill()
            print(process.communicate()[0])  # noqa: T201 - shown if the test failed
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert open_chats(sandbox) == 0
    assert len(sandbox.chats) == 11
