"""What the application looks like, kept as text beside this file; UPDATE_SCREENS=1 keeps what is shown now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve

from chat_core import (
    AgentConnected,
    AgentTyping,
    AmbiguousError,
    ContinuityLost,
    LossReason,
    MessageReceived,
    ParticipantJoined,
    PushUrl,
    RefusedError,
)
from chat_core._cli._tui.clock import Clock
from chat_core._contracts.transport import Batch, Command, Reply, SendMessageCommand, TypingCommand
from chat_core._session.limits import OutboxLimits
from support.applications import Driven, driven
from support.backend import AGENT, VISITOR, Backend, FakeTransport
from support.screens import check_screen
from support.sessions import open_session

SCREENS = Path(__file__).parent / "screens"
NOON = datetime(2026, 3, 14, 12, 0, 7, tzinfo=UTC)
CLOCK = Clock(zone=UTC, now=lambda: NOON, monotonic=lambda: 0.0)


class Desk(Backend):
    """A back end whose clock stands still."""

    def add(self, make, *, push=True):
        return super().add(lambda index: evolve(make(index), timestamp=NOON), push=push)


class Link(FakeTransport):
    """Its faults are for messages, and a message waits until the screen has shown that it is on its way."""

    chat: Driven | None = None

    async def send(self, command: Command) -> Reply:
        if isinstance(command, TypingCommand):
            return Reply()
        if isinstance(command, SendMessageCommand) and self.chat is not None:
            await self.chat.shows("→")
        return await super().send(command)


Scene = Callable[[Driven, Desk, Link], Awaitable[None]]


async def talk(chat: Driven, desk: Desk, link: Link) -> None:
    """Messages both ways, long ones, an address, somebody types."""
    desk.agent_joins()
    desk.agent_says("Hello, Grace here. How can I help?")
    await chat.types("My invoice is wrong: it says 120 EUR, and the offer of last week said 12 EUR, which I took.")
    await chat.shows("✓✓")
    desk.add(lambda index: PushUrl(index=index, party=AGENT, url="https://example.com/invoices"))
    desk.agent_says("I see.\nOne moment, please.")
    desk.agent_says("It is [bold red]corrected[/]. \x1b[31mReally\x07 \u202eevil 漢字 👩\u200d🚀")
    await chat.shows("corrected")
    link.push(Batch(events=(AgentTyping(party=AGENT),)))
    await chat.shows("is typing")


async def cut(chat: Driven, desk: Desk, link: Link) -> None:
    """The connection is away, and what is written waits."""
    desk.agent_joins()
    desk.agent_says("Hello, Grace here. How can I help?")
    await chat.shows("help")
    link.cut()
    await chat.shows("interrupted")
    await chat.types("Written in a tunnel.")
    await chat.types("And this too.")
    await chat.until(lambda: chat.screen.count("queued") == 2)
    await chat.writes("and thi")


async def fates(chat: Driven, desk: Desk, link: Link) -> None:
    """What can become of a message, and what is missing."""
    desk.agent_joins()
    link.faults.append(("before", RefusedError("the words are not allowed", code=7)))
    await chat.types("Rude words")
    await chat.shows("rejected")
    await chat.types("Kind words")
    await chat.shows("✓✓")
    chat.app._show(ContinuityLost(after=3, until=9, reason=LossReason.FETCH_REFUSED))
    link.faults.append(("before", AmbiguousError("no answer came")))
    link.fetch_faults.append(RefusedError("no transcript", code=9))
    await chat.types("Nobody knows")
    await chat.shows("unknown")


async def over(chat: Driven, desk: Desk, link: Link) -> None:
    """The other side has closed the chat."""
    del link
    desk.agent_joins()
    desk.agent_says("Goodbye!")
    await chat.shows("Goodbye")
    desk.end()
    await chat.shows("Ctrl-C closes")


async def inspector(chat: Driven, desk: Desk, link: Link) -> None:
    """The facts and the log of events."""
    desk.agent_joins()
    desk.agent_says("Hello, Grace here.\nHow can I help?")
    desk.visitor_says("My invoice is wrong.")
    desk.add(lambda index: PushUrl(index=index, party=AGENT, url="https://example.com/[bold]"))
    link.push(Batch(events=(AgentTyping(party=AGENT, text="It is \x1b[1m"),)))
    await chat.shows("Grace is typing")
    chat.app.log_line("a line of the log")
    await chat.pilot.press("f2")
    await chat.shows("a line of")


def keep(scene: Scene, name: str, size: tuple[int, int] = (80, 24), **parts: object) -> None:
    async def main() -> None:
        desk = Desk()
        link = Link(desk)
        session = await open_session(link, **parts)  # type: ignore[arg-type]
        async with session, driven(session, size=size, clock=CLOCK) as chat:
            link.chat = chat
            await scene(chat, desk, link)
            await chat.pilot.pause()
            check_screen(chat.app, SCREENS / f"{name}.txt")

    asyncio.run(main())


@pytest.mark.parametrize("scene", [talk, cut, fates, over, inspector], ids=lambda scene: scene.__name__)
def test_the_screen_on_eighty_by_twenty_four(scene: Scene):
    """The terminal that everybody has."""
    keep(scene, scene.__name__, outbox_limits=OutboxLimits(settle=0.01))


def test_a_wide_screen_has_the_inspector_beside_the_conversation():
    """From 120 columns on."""
    keep(inspector, "inspector-wide", (132, 30))


def test_a_small_screen_has_room_for_the_log_alone():
    """The inspector leaves its facts out."""
    keep(inspector, "inspector-small", (50, 18))


def test_a_narrow_screen_leaves_times_out_and_keeps_the_signs():
    """And every word."""
    keep(talk, "talk-narrow", (40, 30))


def test_what_an_earlier_process_had_shown_is_told_from_what_is_new():
    """By a line across, and paler."""

    async def main() -> None:
        desk = Desk()
        desk.add(lambda index: ParticipantJoined(index=index, party=VISITOR, own=True))
        desk.add(lambda index: AgentConnected(index=index, party=AGENT))
        desk.add(lambda index: MessageReceived(index=index, party=AGENT, text="Before you left"))
        desk.add(lambda index: MessageReceived(index=index, party=VISITOR, text="I am off", own=True))
        desk.add(lambda index: MessageReceived(index=index, party=AGENT, text="While you were away"))
        session = await open_session(Link(desk), resume=True, delivered=4, restored=True)
        async with session, driven(session, clock=CLOCK) as chat:
            await chat.shows("While you were away")
            await chat.pilot.pause()
            check_screen(chat.app, SCREENS / "restored.txt")

    asyncio.run(main())
