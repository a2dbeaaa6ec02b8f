"""A session and its lease, on virtual time: before anybody else can own the session, this one has stopped (RP-14)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self

import pytest
from attrs import define

import chat_core
from chat_core import (
    Capability,
    ErrorReported,
    LeaseLostError,
    MessageReceived,
    ReceiptState,
    SendUnknownError,
    SessionInUseError,
    StorageUnavailableError,
)
from chat_core._contracts.transport import Command, LeaveCommand, Reply, SendMessageCommand
from chat_core._model.lease import Lease
from chat_core._session.session import Session
from chat_core._storages.keeper import Keeper
from support.backend import Backend, FakeTransport
from support.clock import run_virtually
from support.sessions import MemoryLog, Place, open_session

STORAGE = frozenset({Capability.PERSISTENT, Capability.OUTBOX, Capability.OWNERSHIP, Capability.LEASE})


@define
class Clock:
    """The machine's clock: the loop's, which stands still while the machine sleeps, and what it slept."""

    slept: float = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.slept


class Server:
    """Grants and renews one lease, or does not."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.hangs = False
        self.renewals: list[float] = []

    async def renew(self) -> None:
        self.renewals.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        if self.hangs:
            await asyncio.Event().wait()
        if self.trouble is not None:
            raise self.trouble


class Leased:
    """A session with a lease of 10 s that a server renews."""

    def __init__(self) -> None:
        self.transport = FakeTransport(Backend())
        self.place, self.log, self.server, self.clock = Place(), MemoryLog(), Server(), Clock()
        self.lease = Lease(10.0, clock=self.clock)
        self.keeper = Keeper(self.lease, self.server.renew)
        self.session: Session

    async def __aenter__(self) -> Self:
        self.lease.begin(self.clock())
        self.keeper.start()

        async def release() -> None:
            self.lease.give_up()
            await self.keeper.stop()
            await self.place.release()

        parts: dict[str, Any] = {"storage_capabilities": STORAGE, "lease": self.lease}
        self.session = await open_session(self.transport, place=self.place, log=self.log, **parts)
        object.__setattr__(self.session._parts, "release", release)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.detach()
        assert self.transport.closed
        assert self.place.released == 1
        # RP-9: whoever lost the session leaves no task behind either.
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert [task.get_name() for task in others if task.get_name().startswith("chat-core")] == []

    @property
    def sent(self) -> list[str]:
        return [one.text for one in self.transport.backend.commands if isinstance(one, SendMessageCommand)]


def test_a_lease_that_is_renewed_disturbs_nobody():
    """For as long as the session lasts, each quarter of the lease."""

    async def main() -> None:
        async with Leased() as one:
            for _ in range(20):
                await asyncio.sleep(5.0)
                await one.session.send_message("still here")
            assert len(one.sent) == 20
            assert 38 <= len(one.server.renewals) <= 41

    run_virtually(main())


def test_rp14_nothing_is_sent_once_a_lease_could_not_be_renewed():
    """Nine seconds after the last grant: readers end with the error, commands raise it, the state is left alone."""

    async def main() -> None:
        async with Leased() as one:
            one.server.trouble = StorageUnavailableError("gone")
            began = asyncio.get_running_loop().time()
            read: list[object] = []

            async def reading() -> None:
                async for event in one.session.events():
                    read.append(event)  # noqa: PERF401 - what was read before the error counts

            with pytest.raises(LeaseLostError, match="could not be renewed in time"):
                await reading()
            assert asyncio.get_running_loop().time() - began == pytest.approx(9.0, abs=0.05)
            assert isinstance(read[-1], ErrorReported)
            states = list(one.place.states)
            for command in (
                one.session.send_message("late"),
                one.session.send_typing(),
                one.session.get_transcript(),
                one.session.leave(),
                one.session.checkpoint(),
            ):
                with pytest.raises(LeaseLostError):
                    await command
            assert one.session.connection_state == "detached"
            await asyncio.sleep(60)
            assert one.sent == []
            assert one.place.states == states
            assert one.transport.backend.texts == []

    run_virtually(main())


def test_rp14_after_a_stop_the_clock_is_looked_at_before_anything_is_sent():
    """The timers of a stopped process are late, and whatever was about to be sent comes first: it is not sent."""

    async def main() -> None:
        async with Leased() as one:
            await asyncio.sleep(1.0)
            one.clock.slept = 60.0  # no timer has noticed
            with pytest.raises(LeaseLostError):
                await one.session.send_message("late")
            assert one.sent == []

    run_virtually(main())


def test_rp14_a_message_that_was_queued_when_the_process_was_stopped_does_not_leave():
    """The check stands at the wire, behind the outbox; the next owner may send it, so its fate is unknown here."""

    async def main() -> None:
        async with Leased() as one:
            one.transport.cut()
            await asyncio.sleep(0.5)
            sending = asyncio.ensure_future(one.session.send_message("queued"))
            await asyncio.sleep(0.5)
            one.clock.slept = 60.0
            one.transport.mend()
            with pytest.raises(SendUnknownError) as caught:
                await sending
            assert caught.value.receipt.state is ReceiptState.UNKNOWN
            assert isinstance(caught.value.__cause__, LeaseLostError)
            assert one.sent == []

    run_virtually(main())


def test_rp14_not_even_the_transcript_is_asked_for_by_a_stale_owner():
    """Nor is a leaving sent: the chat is another one's."""

    async def main() -> None:
        async with Leased() as one:
            fetches = len(one.transport.fetches)
            one.clock.slept = 60.0
            one.transport.put(chat_core.LinkDown(reason="stopped"))
            one.transport.put(chat_core.LinkUp())  # after this the session reads what it missed
            await asyncio.sleep(5.0)
            with pytest.raises(LeaseLostError):
                await one.session.leave()
            assert len(one.transport.fetches) == fetches
            assert not any(isinstance(command, LeaveCommand) for command in one.transport.backend.commands)

    run_virtually(main())


def test_a_renewal_that_was_under_way_while_the_machine_slept_counts_from_its_question():
    """Its answer is good, and too old."""

    async def main() -> None:
        async with Leased() as one:
            while not one.server.renewals:
                await asyncio.sleep(0.001)
            one.clock.slept = 9.5
            await asyncio.sleep(0.1)
            with pytest.raises(LeaseLostError):
                await one.session.send_message("late")

    run_virtually(main())


def test_an_owner_that_learns_of_another_one_stops_at_once():
    """From a renewal; the reason is the storage's, with code 201."""

    async def main() -> None:
        async with Leased() as one:
            one.server.trouble = LeaseLostError("somebody else has it")
            with pytest.raises(LeaseLostError, match="somebody else has it") as caught:
                await one.session.wait_for(MessageReceived)
            assert caught.value.code == 201
            assert one.sent == []

    run_virtually(main())


def test_a_storage_that_is_away_for_less_than_the_lease_is_reported_once():
    """However often it is asked, and whatever; the session goes on, and the state is saved afterwards."""

    async def main() -> None:
        async with Leased() as one:
            await asyncio.sleep(2.0)
            one.server.trouble = one.place.fail = StorageUnavailableError("away")
            for _ in range(3):
                await one.session.send_message("while it is away")
                await asyncio.sleep(1.5)
            one.server.trouble = one.place.fail = None
            saved = len(one.place.states)
            await asyncio.sleep(6.0)
            assert len(one.place.states) > saved
            assert len(one.sent) == 3
            assert one.log.at("warning") == ["the session goes on, but its state cannot be saved away"]
            # The next time is another time.
            one.server.trouble = StorageUnavailableError("away again")
            await asyncio.sleep(3.0)
            assert len(one.log.at("warning")) == 2
            one.server.trouble = None
            await asyncio.sleep(1.0)

    run_virtually(main())


def test_a_storage_that_is_full_and_renews_is_reported_once():
    """Renewals that succeed do not make it news that nothing can be written."""

    async def main() -> None:
        async with Leased() as one:
            one.place.fail = StorageUnavailableError("full")
            for number in range(30):
                one.transport.backend.agent_says(f"{number}")
                await one.session.wait_for(MessageReceived)
                await asyncio.sleep(1.0)
            assert len(one.log.at("warning")) == 1

    run_virtually(main())


def test_a_renewal_that_hangs_ends_the_session_in_time():
    """The lease is counted without it."""

    async def main() -> None:
        async with Leased() as one:
            one.server.hangs = True
            began = asyncio.get_running_loop().time()
            with pytest.raises(LeaseLostError):
                await one.session.wait_for(MessageReceived)
            assert asyncio.get_running_loop().time() - began == pytest.approx(9.0, abs=0.05)

    run_virtually(main())


def test_a_leaving_that_loses_the_lease_says_so():
    """The chat is not left, and nobody hangs: neither who leaves nor who detaches."""

    class Silent(FakeTransport):
        async def send(self, command: Command) -> Reply:
            if isinstance(command, LeaveCommand):
                self.backend.commands.append(command)
                return Reply()  # and the end never comes
            return await super().send(command)

    async def main() -> None:
        one = Leased()
        one.transport = Silent(Backend())
        async with one:
            leaving = asyncio.ensure_future(one.session.leave())
            await asyncio.sleep(0.5)
            one.lease.lose(LeaseLostError("somebody else has it"))
            await one.session.detach()
            with pytest.raises(LeaseLostError):
                await leaving
            assert one.session.ended is None

    run_virtually(main())


def test_a_session_that_ended_before_cannot_lose_its_lease():
    """The end is the news."""

    async def main() -> None:
        async with Leased() as one:
            ended = await one.session.leave()
            assert one.session.ended == ended
            assert one.place.last is None

    run_virtually(main())


def test_a_callback_hears_of_the_loss_as_of_any_error():
    """``on_error_reported``; events before it are handed over first."""

    async def main() -> None:
        async with Leased() as one:
            seen: list[object] = []
            one.session.on_error_reported(seen.append)
            one.transport.backend.agent_says("before")
            one.lease.lose(LeaseLostError("somebody else has it"))
            await asyncio.sleep(1.0)
            assert [event.error.code for event in seen if isinstance(event, ErrorReported)] == [201]

    run_virtually(main())


class LeasedPlace:
    """A duck-typed storage with a lease of 2 s, for the launchers."""

    blocking = False
    lease = 2.0
    capabilities = STORAGE

    def __init__(self) -> None:
        self.state: Mapping[str, Any] | None = None
        self.owner: object | None = None
        self.stale = False

    def read(self) -> Mapping[str, Any] | None:
        return self.state

    def write(self, state: Mapping[str, Any] | None) -> None:
        if self.stale:
            raise LeaseLostError("somebody else has it")
        self.state = state

    def acquire(self) -> None:
        if self.owner is not None:
            raise SessionInUseError("it has an owner", code=201)
        self.owner = object()

    def release(self) -> None:
        self.owner = None

    def renew(self) -> None:
        if self.stale:
            raise LeaseLostError("somebody else has it")

    def orphans(self, limit: int) -> list[str]:
        return []


def test_the_launchers_keep_the_lease_from_before_the_first_read():
    """Also an instance's; a write that is refused as stale ends the session before the next message leaves."""

    async def main() -> None:
        place, transport = LeasedPlace(), FakeTransport()
        session = await chat_core.start_session(transport=transport, state_storage=place)
        await session.send_message("one")
        place.stale = True
        with pytest.raises(SendUnknownError):
            await session.send_message("two")
        with pytest.raises(LeaseLostError):
            await session.send_message("three")
        assert transport.backend.texts == ["one"]
        assert place.state is not None
        await session.detach()
        assert place.owner is None

    asyncio.run(main())


def test_a_start_that_took_longer_than_the_lease_is_no_session():
    """Nobody could tell whether the profile is still this process's."""

    class Slow(FakeTransport):
        async def start(self, request: Any) -> Any:
            place.stale = True
            await asyncio.sleep(0.8)
            return await super().start(request)

    place = LeasedPlace()

    async def main() -> None:
        with pytest.raises(LeaseLostError, match="somebody else"):
            await chat_core.start_session(transport=Slow(), state_storage=place)
        assert place.owner is None

    asyncio.run(main())
