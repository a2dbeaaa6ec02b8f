"""A session on a transport that does not declare ``position``: no transcript, no indexes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chat_core._contracts.providers import Capability
from chat_core._model.errors import AmbiguousError, UnsupportedCommandError
from chat_core._model.events import ContinuityLost, Event, LossReason
from chat_core._session.receipts import ReceiptState
from chat_core._session.state import SavedMessage, Stage
from support.backend import FakeTransport
from support.clock import run_virtually
from support.sessions import Place, open_session

NOTHING: frozenset[str] = frozenset()
OUTBOX = frozenset({Capability.PERSISTENT, Capability.OUTBOX})


def test_rp04_accepted_is_the_end_of_a_message_and_it_is_not_kept():
    """Its receipt leaves the outbox, and its text the saved state: no transcript will ever show it."""
    place = Place()

    async def main() -> None:
        session = await open_session(FakeTransport(), place=place, capabilities=NOTHING, storage_capabilities=OUTBOX)
        for number in range(3):
            receipt = await session.send_message(f"canary {number}")
            assert receipt.state is ReceiptState.ACCEPTED
        assert session.outbox == ()
        await session.detach()

    run_virtually(main())
    assert "canary" not in json.dumps(place.last)


def test_waiting_for_an_echo_that_cannot_come_is_refused():
    """Before anything is sent; and at the receipt, where the message was sent already."""

    async def main() -> None:
        transport = FakeTransport()
        session = await open_session(transport, capabilities=NOTHING)
        with pytest.raises(UnsupportedCommandError, match=r"'fake' has no transcript.*until='accepted'"):
            await session.send_message("Hello", until="echoed")
        assert transport.backend.texts == []
        receipt = await session.send_message("Hello")
        with pytest.raises(UnsupportedCommandError, match="accepted is as far as"):
            await receipt.reached("echoed")
        await session.detach()

    run_virtually(main())


def test_rp01_a_restored_session_says_that_it_cannot_know_what_it_missed():
    """The loss stands first: what was said before this owner came is not there."""

    async def main(*, restored: bool) -> list[Event]:
        transport = FakeTransport()
        transport.backend.transcript.clear()
        parts = {"capabilities": NOTHING, "restored": restored, "resume": restored}
        session = await open_session(transport, **parts)
        await session.detach()
        return [event async for event in session.events()]

    first, *_ = run_virtually(main(restored=True))
    assert isinstance(first, ContinuityLost)
    assert (first.after, first.until, first.reason) == (0, None, LossReason.NO_TRANSCRIPT)
    assert not any(isinstance(event, ContinuityLost) for event in run_virtually(main(restored=False)))


@pytest.mark.parametrize(("stage", "sent"), [(Stage.QUEUED, ["canary"]), (Stage.SENT, []), (Stage.ACCEPTED, [])])
def test_rp05_what_an_earlier_process_left_is_sent_only_if_it_never_left(stage: Stage, sent: list[str]):
    """A message that may have left is not repeated, and none of them is kept for ever."""
    place = Place()

    async def main() -> Any:
        transport = FakeTransport()
        message = SavedMessage(text="canary", type="text", resend="if absent", stage=stage, before=0, queued_at=4e9)
        session = await open_session(
            transport,
            place=place,
            capabilities=NOTHING,
            storage_capabilities=OUTBOX,
            restored=True,
            outbox=(message,),
        )
        await session.send_message("next")
        assert session.outbox == ()
        await session.detach()
        return transport.backend.texts

    assert run_virtually(main()) == [*sent, "next"]
    assert "canary" not in json.dumps(place.last)


def test_rp04_an_ambiguous_send_is_not_repeated():
    """Nobody can look whether it arrived."""

    async def main() -> None:
        transport = FakeTransport()
        session = await open_session(transport, capabilities=NOTHING)
        transport.faults = [("before", AmbiguousError("no answer"))]
        sending = session.send_message("once")
        with pytest.raises(Exception, match="nobody can tell"):
            await sending
        assert transport.backend.texts == []
        await session.detach()

    run_virtually(main())
