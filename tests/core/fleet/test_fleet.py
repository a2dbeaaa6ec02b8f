"""One or two workers on one storage, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

import chat_core
from chat_core import (
    ChatError,
    LeaseLostError,
    MessageReceived,
    MissingOptionError,
    OptionError,
    Session,
    SessionInUseError,
    StorageUnavailableError,
    TransportProvider,
)
from chat_core.fleet import Fleet
from support.backend import ALL, Backend, FakeTransport
from support.clock import run_virtually
from support.leases import Table
from support.sessions import MemoryLog


class World:
    """A storage, and back ends that are told apart by the profile in the user's name."""

    def __init__(self) -> None:
        self.table = Table()
        self.links: list[FakeTransport] = []
        self.backend = Backend()
        self.opened_at: list[float] = []
        self.fault: Exception | None = None
        self.log = MemoryLog()
        self.heard: list[tuple[str, str]] = []

    def options(self, **more: Any) -> dict[str, Any]:
        return {
            "state_storage": self.table.provider,
            "transport": TransportProvider(name="fake", summary="fake", factory=self.make, capabilities=ALL),
            "server_url": "https://chat.example/",
            "logger": self.log.warning,
            **more,
        }

    def make(self, _: Any) -> FakeTransport:
        link = FakeTransport(Backend())
        link.start_fault = self.fault
        self.links.append(link)
        self.opened_at.append(asyncio.get_running_loop().time())
        return link

    def fleet(self, handler: Callable[[Session], Any] | None = None, **more: Any) -> Fleet:
        return Fleet(handler or self.listen, **self.options(**more))

    async def listen(self, session: Session) -> None:
        async for event in session.events(own=False):
            if isinstance(event, MessageReceived):
                self.heard.append((session.options.profile, event.text))

    async def orphans(self, *profiles: str) -> None:
        for profile in profiles:
            session = await chat_core.start_session(profile=profile, **self.options())
            await session.detach()
        self.opened_at.clear()
        self.links.clear()


async def until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not met():
            await asyncio.sleep(0.05)


def test_a_worker_takes_orphans_up_to_its_capacity():
    """Each is owned, and its handler runs; what does not fit stays free."""

    async def main() -> None:
        world = World()
        await world.orphans("a", "b", "c")
        async with world.fleet(capacity=2) as fleet:
            running = asyncio.ensure_future(fleet.run())
            await until(lambda: len(fleet.sessions) == 2)
            await asyncio.sleep(5)
            assert len(fleet.sessions) == 2
            assert sum(map(world.table.owned, "abc")) == 2
            assert repr(fleet) == "<Fleet: 2 of 2 sessions>"
            fleet.stop()
            await running
        assert sum(map(world.table.owned, "abc")) == 0
        assert all(world.table.rows[profile].state is not None for profile in "abc")

    run_virtually(main())


def test_a_new_session_is_started_on_a_worker_and_handled_there():
    """It is among the worker's sessions by its profile, where a program finds it to send something."""

    async def main() -> None:
        world = World()
        async with world.fleet() as fleet:
            session = await fleet.start(profile="visitor-1", username="Ada")
            assert dict(fleet.sessions) == {"visitor-1": session}
            world.links[0].backend.agent_says("Hello")
            await until(lambda: world.heard == [("visitor-1", "Hello")])
            await fleet.sessions["visitor-1"].send_message("Hi")
            assert world.links[0].backend.texts == ["Hello", "Hi"]
            with pytest.raises(SessionInUseError):
                await fleet.start(profile="visitor-1")
            with pytest.raises(MissingOptionError, match="profile"):
                await fleet.start(username="Ada")

    run_virtually(main())


def test_a_full_or_ending_worker_says_so():
    """Both errors are worth a try elsewhere."""

    async def main() -> None:
        world = World()
        async with world.fleet(capacity=1) as fleet:
            await fleet.start(profile="one")
            with pytest.raises(ChatError, match="full") as caught:
                await fleet.start(profile="two")
            assert caught.value.retryable
            await fleet.drain()
            with pytest.raises(ChatError, match="ending") as caught:
                await fleet.start(profile="three")
            assert caught.value.retryable

    run_virtually(main())


def test_a_start_that_fails_raises_what_the_launcher_raises():
    """And takes no place."""

    async def main() -> None:
        world = World()
        world.fault = chat_core.ConnectError("gone")
        async with world.fleet(capacity=1) as fleet:
            with pytest.raises(chat_core.ConnectError):
                await fleet.start(profile="one")
            world.fault = None
            await fleet.start(profile="two")

    run_virtually(main())


def test_connections_keep_a_pace():
    """Whether sessions are started or taken: a fleet that is restarted is no storm."""

    async def main() -> None:
        world = World()
        await world.orphans(*(f"{number:02}" for number in range(20)))
        async with world.fleet(connects_per_second=5.0) as fleet:
            running = asyncio.ensure_future(fleet.run())
            await until(lambda: len(fleet.sessions) == 20)
            starts = [fleet.start(profile=f"new-{number}") for number in range(5)]
            await asyncio.gather(*starts)
            gaps = [after - before for before, after in zip(world.opened_at, world.opened_at[1:], strict=False)]
            assert min(gaps) >= 0.2 - 1e-6
            # And it is not much slower either.
            assert world.opened_at[19] - world.opened_at[0] < 20 / 5.0 + 2.0
            fleet.stop()
            await running

    run_virtually(main())


def test_a_chat_is_left_when_its_handler_returns():
    """As at the end of ``async with start_session(...)``."""

    async def main() -> None:
        world = World()

        async def brief(session: Session) -> None:
            await session.send_message("Goodbye")

        async with world.fleet(brief) as fleet:
            await fleet.start(profile="one")
            await until(lambda: not fleet.sessions)
            assert world.links[0].backend.over
            assert world.table.rows["one"].state is None

    run_virtually(main())


def test_a_session_whose_handler_fails_is_given_up_and_taken_again_later():
    """Later and later; the log names the error without its text."""

    async def main() -> None:
        world = World()
        tries: list[float] = []

        async def fails(session: Session) -> None:
            tries.append(asyncio.get_running_loop().time())
            raise RuntimeError("what the visitor said")

        async with world.fleet(fails) as fleet:
            running = asyncio.ensure_future(fleet.run())
            await fleet.start(profile="one")
            await until(lambda: len(tries) >= 8)
            assert not world.links[-1].backend.over
            assert tries[-1] - tries[0] > 3.0
            failed = [line for line in world.log.at("warning") if "handler" in line]
            assert failed
            assert "RuntimeError" in failed[0]
            assert "what the visitor said" not in "".join(failed)
            fleet.stop()
            await running

    run_virtually(main())


def test_a_session_that_cannot_be_taken_is_tried_again_later():
    """Its server is away; the others are taken meanwhile."""

    async def main() -> None:
        world = World()
        await world.orphans("one")
        world.fault = chat_core.ConnectError("away")
        async with world.fleet() as fleet:
            running = asyncio.ensure_future(fleet.run())
            await asyncio.sleep(10)
            tries = len(world.opened_at)
            assert 2 <= tries <= 15
            world.fault = None
            await until(lambda: "one" in fleet.sessions)
            fleet.stop()
            await running

    run_virtually(main())


def test_rp14_a_session_whose_lease_was_lost_leaves_the_worker():
    """Its handler is told by the reader; another worker has it."""

    async def main() -> None:
        world = World()
        told: list[Exception] = []

        async def listen(session: Session) -> None:
            try:
                await world.listen(session)
            except LeaseLostError as error:
                told.append(error)
                raise

        async with world.fleet(listen) as fleet, world.fleet() as other:
            await fleet.start(profile="one")
            world.table.rows["one"].owner = None  # as if the storage had given it up
            running = asyncio.ensure_future(other.run())
            await until(lambda: "one" in other.sessions)
            await until(lambda: not fleet.sessions)
            assert len(told) == 1
            assert world.links[0].closed
            other.stop()
            await running

    run_virtually(main())


def test_chats_that_are_started_during_a_look_leave_no_more_room_than_there_is():
    """The storage takes its time to answer; what was started meanwhile counts."""

    async def main() -> None:
        world = World()
        await world.orphans("a", "b", "c")
        world.table.slow = 2.0
        most = 0
        async with world.fleet(capacity=2) as fleet:
            running = asyncio.ensure_future(fleet.run())
            await asyncio.sleep(1.0)
            await asyncio.gather(fleet.start(profile="one"), fleet.start(profile="two"))
            for _ in range(100):
                await asyncio.sleep(0.1)
                most = max(most, sum(map(world.table.owned, ("a", "b", "c", "one", "two"))))
            fleet.stop()
            await running
        assert most == 2

    run_virtually(main())


def test_rp12_a_handler_that_is_cancelled_by_its_own_doing_has_failed():
    """Something that it awaited was cancelled: said once each time, and not taken again at once for ever."""

    async def main() -> None:
        world = World()
        tries = 0

        async def cancels(session: Session) -> None:
            nonlocal tries
            tries += 1
            raise asyncio.CancelledError

        async with world.fleet(cancels) as fleet:
            running = asyncio.ensure_future(fleet.run())
            await fleet.start(profile="one")
            await asyncio.sleep(120)
            assert 3 <= tries <= 30
            assert len([line for line in world.log.at("warning") if "handler" in line]) == tries
            fleet.stop()
            await running

    run_virtually(main())


def test_a_handler_that_does_not_even_end_when_cancelled_is_left_behind_and_named():
    """Draining is bounded whatever a handler does; the session is free at once."""

    async def main() -> None:
        world = World()
        enough = asyncio.Event()

        async def stubborn(session: Session) -> None:
            while not enough.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await enough.wait()

        async with world.fleet(stubborn, drain_within=3.0) as fleet:
            await fleet.start(profile="one")
            async with asyncio.timeout(60):
                await fleet.drain()
            assert not world.table.owned("one")
            assert [line for line in world.log.at("warning") if "left behind" in line and "one" in line]
            enough.set()
            await until(lambda: not fleet.sessions)

    run_virtually(main())


def test_drained_sessions_are_taken_by_another_worker():
    """Detached, not left; handlers return and are not counted as failed."""

    async def main() -> None:
        world = World()
        async with world.fleet() as fleet, world.fleet() as other:
            for number in range(5):
                await fleet.start(profile=f"{number}")
            running = asyncio.ensure_future(other.run())
            await asyncio.sleep(3)
            assert not other.sessions
            await fleet.drain()
            assert not fleet.sessions
            await until(lambda: len(other.sessions) == 5)
            assert not any(link.backend.over for link in world.links)
            assert not [line for line in world.log.at("warning") if "handler" in line]
            other.stop()
            await running

    run_virtually(main())


def test_a_handler_that_does_not_return_is_cancelled_in_time():
    """Draining is bounded."""

    async def main() -> None:
        world = World()

        async def deaf(session: Session) -> None:
            await asyncio.Event().wait()

        async with world.fleet(deaf, drain_within=3.0) as fleet:
            await fleet.start(profile="one")
            began = asyncio.get_running_loop().time()
            await fleet.drain()
            assert asyncio.get_running_loop().time() - began == pytest.approx(3.0, abs=0.5)
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    run_virtually(main())


def test_a_storage_that_cannot_be_asked_is_reported_once():
    """And asked again at each look."""

    async def main() -> None:
        world = World()
        world.table.trouble = StorageUnavailableError("away")
        async with world.fleet() as fleet:
            running = asyncio.ensure_future(fleet.run())
            await asyncio.sleep(10)
            assert world.table.looks > 5
            assert len(world.log.at("warning")) == 1
            world.table.trouble = None
            await world.orphans("one")
            await until(lambda: "one" in fleet.sessions)
            fleet.stop()
            await running

    run_virtually(main())


def test_sigterm_drains():
    """While ``run`` is awaited; afterwards the signal means what it meant before."""

    async def main() -> None:
        world = World()
        async with world.fleet() as fleet:
            running = asyncio.ensure_future(fleet.run())
            session = await fleet.start(profile="one")
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(running, 20)
            assert session.connection_state == "detached"
        assert not world.links[0].backend.over

    before = signal.getsignal(signal.SIGTERM)
    asyncio.run(main())
    assert signal.getsignal(signal.SIGTERM) == before


@contextlib.contextmanager
def sigterm_is(handler: Any) -> Any:
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
        assert signal.getsignal(signal.SIGTERM) == handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_program_that_has_a_handler_of_its_own_for_sigterm_has_it_again_afterwards():
    """It is not called while ``run`` is awaited: not by the first signal, and not by one while sessions are drained."""

    async def main() -> None:
        world = World()

        async def deaf(session: Session) -> None:
            await asyncio.Event().wait()

        async with world.fleet(deaf, drain_within=0.5) as fleet:
            running = asyncio.ensure_future(fleet.run())
            session = await fleet.start(profile="one")
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: session.connection_state == "detached")
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(running, 20)

    heard: list[object] = []

    def mine(*_: object) -> None:
        heard.append(1)

    with sigterm_is(mine):
        asyncio.run(main())
        assert heard == []


def test_sigterm_drains_all_workers_of_a_process():
    """Also what is left once one of them has ended."""

    async def main() -> None:
        world = World()
        fleets = [world.fleet() for _ in range(3)]
        running = [asyncio.ensure_future(fleet.run()) for fleet in fleets]
        await asyncio.sleep(0.1)
        fleets[0].stop()
        await asyncio.wait_for(running[0], 20)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*running), 20)

    with sigterm_is(lambda *_: None):
        asyncio.run(main())


def test_a_run_that_is_cancelled_drains():
    """Ctrl-C under ``asyncio.run`` is one."""

    async def main() -> None:
        world = World()
        fleet = world.fleet()
        running = asyncio.ensure_future(fleet.run())
        await asyncio.sleep(1)
        session = await fleet.start(profile="one")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert session.connection_state == "detached"

    run_virtually(main())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"capacity": 0}, "capacity must be"),
        ({"capacity": True}, "capacity must be"),
        ({"connects_per_second": 0}, "connects_per_second must be"),
        ({"look_every": float("inf")}, "look_every must be"),
        ({"drain_within": "1"}, "drain_within must be"),
        ({"profile": "x"}, "profile has no place"),
        ({"on_exit": "leave"}, "on_exit has no place"),
        ({"state_storage": "memory"}, "'memory' does not"),
        ({"transport": FakeTransport.__new__(FakeTransport)}, "an instance of a storage or transport serves one"),
    ],
)
def test_what_makes_no_fleet_is_refused(options: dict[str, Any], words: str):
    """Before anything is asked or sent."""

    async def main() -> None:
        async with World().fleet(**options):
            pass

    with pytest.raises(OptionError, match=words):
        run_virtually(main())
    with pytest.raises(OptionError, match="handler"):
        Fleet(None)  # type: ignore[arg-type]
