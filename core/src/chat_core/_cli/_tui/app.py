"""The application itself: it shows one session's events and does what is typed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.driver import Driver
from textual.widgets import Input, Static

from chat_core._cli._tui.bars import Bar, TypingOthers, connection_text, keys_text, party_text
from chat_core._cli._tui.clock import Clock
from chat_core._cli._tui.conversation import Conversation
from chat_core._cli._tui.driver import driver_class, terminal_is_there
from chat_core._cli._tui.entries import Entry, Kind, entry_of
from chat_core._cli._tui.inspector import Inspector
from chat_core._cli._tui.keys import KEYS, Stage
from chat_core._cli._tui.line import TypedLine
from chat_core._cli._tui.looks import CSS
from chat_core._cli._tui.outgoing import Outgoing, States, states_of
from chat_core._cli._tui.palette import DIM, FAINT, WARN
from chat_core._cli._tui.rows import Rows
from chat_core._cli._tui.typing_notices import TypingNotices
from chat_core._cli.ending import end, farewell, on_signals
from chat_core._cli.lines import After, Lines
from chat_core._cli.logs import LogLines
from chat_core._cli.terminal import visible
from chat_core._model.events import Event, ParticipantTyping, PartyType, SessionEnded
from chat_core._session.parts import ConnectionState
from chat_core._session.receipts import Receipt, ReceiptState
from chat_core._session.session import Session

__all__ = ["ChatApp", "hold_in_the_application"]

#: Seconds between two looks at what the session does not announce by an event: receipts, the time that passes.
_LOOK: Final = 0.1
#: Events shown in one go, before the keyboard is looked at again.
_BURST: Final = 50
#: From this width on the footer has room for what everybody would try anyway.
_ROOMY: Final = 80
_PROMPT: Final = "Write a message, or /help"

#: What is said of a message that was under way when the chat was left or given up.
_AT_THE_END: Final = {
    ReceiptState.REJECTED: "refused",
    ReceiptState.EXPIRED: "never sent",
    ReceiptState.UNKNOWN: "nobody can tell whether this arrived",
}


async def hold_in_the_application(session: Session, *, stage: Stage | None = None) -> None:
    """Hold a chat in the application until it is over or given up, and say afterwards how it ended."""
    app = ChatApp(session, stage=stage, driver=driver_class())
    logger = getattr(session.options, "logger", None)
    with logger.taken_over(app.log_line) if isinstance(logger, LogLines) else contextlib.nullcontext():
        await app.run_async()
    if app.failure is not None:
        raise app.failure
    with contextlib.suppress(OSError):  # the terminal has gone
        print(visible(app.last_words), flush=True)  # noqa: T201 - this is a command


class ChatApp(App[None]):
    """One chat.

    Args:
        session: the chat.
        stage: the demo around it.
        clock: where the time comes from.
        driver: what draws upon the terminal, None for Textual's own choice.
    """

    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual's own declaration
    VERTICAL_BREAKPOINTS = [(0, "-low"), (22, "-high")]  # noqa: RUF012 - as above
    BINDINGS: ClassVar[list[Any]] = [Binding(key.keys, key.action, priority=True) for key in KEYS if key.action]

    def __init__(
        self,
        session: Session,
        *,
        stage: Stage | None = None,
        clock: Clock | None = None,
        driver: type[Driver] | None = None,
    ) -> None:
        super().__init__(driver_class=driver)
        self._session = session
        self._stage = stage
        self._clock = clock or Clock()
        #: What failed in here and closed the window, for whoever ran the application.
        self.failure: Exception | None = None
        #: What is said once the terminal is itself again.
        self.last_words = ""
        self._inspector = Inspector(session, clock=self._clock)
        self._outgoing = Outgoing(session, self._inspector.add_receipt)
        self._lines = Lines(session, self._say, send=self._outgoing.send)
        self._notices = TypingNotices(session)
        self._others = TypingOthers()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._under_way: States = ()
        self._looking = False
        #: When each receipt was first seen; the server's time comes with the event.
        self._written_at: dict[int, str] = {}
        self._ending = False
        self._cut = False
        self._down_since: float | None = None
        self._conversation = Conversation()
        self._line = TypedLine(placeholder=_PROMPT, id="line")
        self._header = Bar("header")
        self._status = Bar("status")
        self._footer = Bar("footer")

    def compose(self) -> ComposeResult:
        """Put the parts together."""
        yield self._header
        with Horizontal(id="panes"):
            yield self._conversation
            yield self._inspector
        with Vertical(id="bottom"):
            yield self._status
            with Horizontal(id="typed"):
                yield Static("┃ ", id="prompt", markup=False)
                yield self._line
        yield self._footer

    def on_mount(self) -> None:
        """Begin."""
        on_signals(self.action_give_up)
        for note in self._stage.notes if self._stage is not None else ():
            self._say(note)
        self._line.focus()
        self._spawn(self._read())
        self.set_interval(_LOOK, self._look)
        self._look()

    async def on_unmount(self) -> None:
        """Leave nothing behind."""
        self._notices.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the keyboard; what fails in it closes the window."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

        def done(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if isinstance(error, Exception):
                self.failure = error
                self.exit()

        task.add_done_callback(done)

    # What happens in the chat

    async def _read(self) -> None:
        number = 0
        # An event counts as shown when the next one is asked for.
        async for event in self._session.events():
            self._show(event)
            number += 1
            if number % _BURST == 0:
                await asyncio.sleep(0)
        if isinstance(self._session.ended, SessionEnded):
            self._over(self._session.ended)

    def _show(self, event: Event) -> None:
        self._inspector.add_event(event)
        self._look_soon()
        if isinstance(event, ParticipantTyping):
            self._others.take(event, self._clock.monotonic())
            return
        self._others.spoke(event.party)
        receipt, shown = self._outgoing.claim(event)
        if shown:
            return
        if receipt is not None:
            self._show_under_way()  # at once: nobody is to see it twice
        self._conversation.add_entry(entry_of(event, self._lines, clock=self._clock, receipt=receipt))

    def _say(self, text: str) -> None:
        """Show a line of the commands; ``!`` begins what is wrong."""
        wrong = text.startswith("! ")
        self._conversation.add_entry(
            Entry(kind=Kind.WRONG if wrong else Kind.NOTE, text=visible(text.removeprefix("! ")))
        )

    def log_line(self, line: str) -> None:
        """Show a line of the log, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop_of().call_soon_threadsafe(self._inspector.add_line, line)

    def _loop_of(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None
        return self._loop

    def _over(self, event: SessionEnded) -> None:
        self._others.clear()
        self._notices.close()
        self._line.placeholder = "The chat is over; Ctrl-C closes the window"
        self._line.disabled = True
        self._conversation.focus()
        self.last_words = self._lines.shown(event)
        self._look()

    def _look(self) -> None:
        """Show what is not announced by an event."""
        self._looking = False
        if not self.is_headless and not terminal_is_there():
            self.action_give_up()
        for receipt in self._outgoing.look():
            self._conversation.add_entry(self._entry_of(receipt))
        self._show_under_way()
        self._show_bars()

    def _look_soon(self) -> None:
        """Look once for all that comes in one go."""
        if not self._looking:
            self._looking = True
            self.call_later(self._look)

    def _show_under_way(self) -> None:
        receipts = self._outgoing.under_way
        states = states_of(receipts)
        if states != self._under_way:
            self._under_way = states
            self._conversation.show_under_way([self._entry_of(receipt) for receipt in receipts])

    def _entry_of(self, receipt: Receipt) -> Entry:
        own = next((party.name for party in self._session.parties if party.type is PartyType.CLIENT), "")
        at = self._written_at.setdefault(receipt.number, self._clock.minutes(self._clock.now()))
        return Entry(
            kind=Kind.SAID,
            text=visible(receipt.text),
            who=visible(own or getattr(self._session.options, "username", "")).replace("\n", " "),
            time=at,
            own=True,
            receipt=receipt,
            index=receipt.index,
        )

    def _show_bars(self) -> None:
        now = self._clock.monotonic()
        state = self._session.connection_state
        if state is not ConnectionState.INTERRUPTED:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now
        seconds = now - self._down_since if self._down_since is not None else 0.0
        subject = getattr(self._session.options, "subject", None)
        self._header.show(
            party_text(self._session.parties, subject),
            connection_text(state, seconds=seconds, waiting=len(self._under_way)),
        )
        unseen = self._conversation.unseen
        below = Text(f"▼ {unseen} below, ^End shows them", style=WARN) if unseen else Text("")
        if self._notices.seen and state is ConnectionState.CONNECTED and not unseen:
            below = Text("they see that you type", style=DIM)
        self._status.show(self._others.text(now), below)
        keys = keys_text(demo=self._stage is not None, cut=self._cut, over=state is ConnectionState.ENDED)
        self._footer.show(keys, Text("PgUp scroll" if self.size.width >= _ROOMY else "", style=FAINT))

    # What is typed

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell the other side."""
        self._notices.changed(event.value)

    def on_input_submitted(self) -> None:
        """Carry the line out."""
        line = self._line.take()
        self._notices.stopped()
        if line:
            self._spawn(self._carry_out(line))

    async def _carry_out(self, line: str) -> None:
        after = await self._lines.take(line)
        if after is not After.GO_ON:
            await self._end(after)

    # Keys

    async def action_quit(self) -> None:
        """Give up as well: Textual's own key for the end must not end the chat otherwise than Ctrl-C does."""
        self.action_give_up()

    def action_scroll(self, how: str) -> None:
        """Scroll the conversation while the line has the focus, else what has it."""
        pane = self.focused if isinstance(self.focused, Rows) else self._conversation
        getattr(pane, f"scroll_{how}")(animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say which keys there are: those that harm the server are the demo's."""
        del parameters
        demo = {key.action for key in KEYS if key.demo}
        return self._stage is not None if action in demo else True

    def action_give_up(self) -> None:
        """Detach; where the chat is over, close the window."""
        self._spawn(self._end(After.DETACH))

    def action_leave(self) -> None:
        """Leave, as the end of the input does; within a line the key deletes, as in a shell."""
        if self._line.value and not self._line.disabled:
            self._line.action_delete_right()
        else:
            self._spawn(self._end(After.LEAVE))

    def action_inspect(self) -> None:
        """Show or hide the inspector."""
        self.screen.toggle_class("inspecting")
        if not self.screen.has_class("inspecting") and not self._line.disabled:
            self._line.focus()

    def action_network(self) -> None:
        """Cut the network, or mend it."""
        self._cut = not self._cut
        self._spawn(self._switch(cut=self._cut))

    async def _switch(self, *, cut: bool) -> None:
        assert self._stage is not None
        if cut:
            self._say("the network is cut; what you write waits until it is back")
            await self._stage.cut()
        else:
            self._say("the network is mended")
            await self._stage.mend()

    def action_kill(self) -> None:
        """Kill this process."""
        assert self._stage is not None
        self._stage.kill()

    async def _end(self, after: After) -> None:
        """Detach or leave, once, and close the window."""
        if self._ending:
            return
        self._ending = True
        self._line.disabled = True
        self._line.placeholder = "Giving the chat up …" if after is After.DETACH else "Leaving …"
        if self._session.ended is None and after is After.DETACH:
            self.last_words = farewell(self._session) if self._stage is None else self._stage.farewell
        self._look()
        under_way = self._outgoing.under_way
        await end(self._session, after)
        if self._session.ended is not None:
            self.last_words = self._lines.shown(self._session.ended)
        for receipt in under_way:
            if receipt.failed:
                self.last_words += f"\n! {_AT_THE_END[receipt.state]}: {receipt.text}"
        self.exit()
