"""RP-4, RP-5: what may be one message or another, what failed and arrived, and who is told so."""

from __future__ import annotations

import asyncio

import pytest

from chat_core import (
    AmbiguousError,
    ChatError,
    Receipt,
    RefusedError,
    SendExpiredError,
    SendRejectedError,
    SendUnknownError,
    StorageCapacityError,
)
from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import Reply, SendMessageCommand
from chat_core._session.limits import OutboxLimits
from chat_core._session.session import Session
from chat_core._session.state import SavedState
from support.backend import Backend, FakeTransport
from support.clock import run_virtually
from support.sessions import Place, open_session

KEEPS = frozenset({Capability.PERSISTENT, Capability.OUTBOX})


async def doubtful(backend: Backend, place: Place, *, shown_late: bool) -> tuple[Session, asyncio.Task[object]]:
    """A message is accepted and filtered out of the transcript; the answer to the next one is lost."""
    transport = FakeTransport(backend)
    session = await open_session(transport, place=place, storage_capabilities=KEEPS)
    commit = transport._commit
    transport._commit = lambda command: None  # type: ignore[assignment,method-assign]
    await session.send_message("filtered out")
    transport._commit = commit  # type: ignore[method-assign]
    if shown_late:
        transport.push = lambda batch: None  # type: ignore[method-assign]
    transport.faults = [("after", AmbiguousError("no answer"))]

    async def send() -> object:
        try:
            return await session.send_message("second")
        except ChatError as error:
            return error

    sending = asyncio.create_task(send())
    await asyncio.sleep(0.5)
    return session, sending


@pytest.mark.parametrize("shown_late", [False, True])
def test_rp04_rp05_what_is_in_doubt_here_is_in_doubt_for_who_restores(shown_late: bool):
    """The first own message in the transcript may be the filtered one; so nobody sends the second one again."""

    async def alone() -> None:
        backend = Backend()
        session, sending = await doubtful(backend, Place(), shown_late=shown_late)
        assert isinstance(await sending, SendUnknownError)
        assert backend.texts == ["second"]
        await session.leave()

    async def restored() -> None:
        backend, place = Backend(), Place()
        session, sending = await doubtful(backend, place, shown_late=shown_late)
        await session.detach()
        await sending
        state = SavedState.from_mapping(place.last or {})
        assert [message.text for message in state.outbox][-1] == "second"
        other = await open_session(
            FakeTransport(backend),
            place=place,
            resume=True,
            storage_capabilities=KEEPS,
            restored=True,
            delivered=state.delivered,
            outbox=state.outbox,
        )
        await asyncio.sleep(30)
        assert backend.texts == ["second"]
        await other.leave()

    run_virtually(alone())
    run_virtually(restored())


def test_rp04_a_message_that_the_transcript_shows_was_not_refused():
    """Whatever an error that comes for it is about."""

    class Late(FakeTransport):
        async def send(self, command: object) -> Reply:
            reply = await super().send(command)  # type: ignore[arg-type]
            if isinstance(command, SendMessageCommand):
                await asyncio.sleep(0.1)
                raise RefusedError("typing is not wanted")
            return reply

    async def main() -> None:
        session = await open_session(Late(Backend()))
        receipt = await session.send_message("hello", until="echoed")
        await asyncio.sleep(10)
        assert (receipt.state, receipt.index is not None, receipt.error) == ("echoed", True, None)
        await session.leave()

    run_virtually(main())


@pytest.mark.parametrize("full", [False, True])
def test_rp04_a_full_disk_keeps_nobody_from_being_told_that_a_message_never_left(full: bool):
    """It never held the message, so nobody else would send it."""

    async def main() -> None:
        place, transport = Place(), FakeTransport(Backend())
        session = await open_session(
            transport, place=place, outbox_limits=OutboxLimits(age=10.0), storage_capabilities=KEEPS
        )
        await asyncio.sleep(1)
        if full:
            place.fail = StorageCapacityError("no space")
        transport.cut()
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        with pytest.raises(SendExpiredError):
            await session.send_message("hello")
        assert 10 <= asyncio.get_running_loop().time() - began < 11
        place.fail = None
        transport.mend()
        await asyncio.sleep(1)
        await session.leave()

    run_virtually(main())


@pytest.mark.parametrize("refused", [False, True])
def test_rp04_a_second_copy_is_told_though_another_message_left_before_it_showed(refused: bool):
    """Also where the server refused that one: it cannot be what shows itself."""

    async def main() -> None:
        backend = Backend()
        transport = FakeTransport(backend)
        session = await open_session(transport)
        transport.faults = [("late", AmbiguousError("no answer")), ("never", None)]  # type: ignore[list-item]
        if refused:
            transport.faults.append(("before", RefusedError("no such words")))
        sending = [asyncio.ensure_future(session.send_message(text)) for text in ("first", "second")]
        first, second = await asyncio.gather(*sending, return_exceptions=True)
        await asyncio.sleep(10)
        assert isinstance(first, Receipt)
        if refused:
            assert isinstance(second, SendRejectedError)
            assert (backend.texts, first.attempts, first.copies) == (["first", "first"], 2, (2, 3))
        else:
            assert isinstance(second, Receipt)
            assert (backend.texts, first.attempts, first.copies) == (["first", "second", "first"], 2, (2, 4))
            assert second.copies == (3,)
        await session.leave()

    run_virtually(main())


def test_rp04_what_somebody_else_s_message_may_be_is_no_second_copy():
    """A message was sent twice. Long after that another one fails, and shows itself late."""

    async def main() -> None:
        backend = Backend()
        transport = FakeTransport(backend)
        session = await open_session(transport)
        transport.faults = [("before", AmbiguousError("no answer"))]
        first = await session.send_message("first", until="echoed")
        assert first.attempts == 2
        await asyncio.sleep(600)
        transport.faults = [("late", AmbiguousError("no answer"))]
        with pytest.raises(SendUnknownError):
            await session.send_message("second", resend="never")
        await asyncio.sleep(10)
        assert backend.texts == ["first", "second"]
        assert len(first.copies) == 1
        await session.leave()

    run_virtually(main())
