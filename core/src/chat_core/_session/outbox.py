"""Messages on their way out: in order, one in flight, and never a guess about what became of one (RP-4, RP-5)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from chat_core._contracts.logger import Log
from chat_core._contracts.transport import Reply, SendMessageCommand
from chat_core._model.errors import (
    AmbiguousError,
    ChatError,
    LeaseLostError,
    NotSentError,
    RefusedError,
    SessionEndedError,
    StorageError,
    TransportError,
)
from chat_core._model.events import Event
from chat_core._session.claims import Claims, Entry, Resend
from chat_core._session.flow import Flow
from chat_core._session.limits import OutboxLimits
from chat_core._session.receipts import Receipt, ReceiptState
from chat_core._session.shown import Shown
from chat_core._session.state import NO_PLACE, SavedMessage, Stage

__all__ = ["Outbox"]


_OVER: Final = "the session is over"
#: How often what is on its way is cancelled at the end, and the seconds that are given to it each time (RP-9).
STOP_TRIES: Final = 2
STOP_TIMEOUT: Final = 1.0


class Outbox:
    """Sends one session's messages.

    Args:
        send: brings a command to the server.
        flow: the session's events; knows the position and reads the transcript back.
        can_read_back: the transport can fetch the transcript.
        log: hears of what is done about ambiguous sends.
        touch: called when what ``snapshot`` returns has changed.
        save: saves the snapshot before a message leaves, and tells ``shown`` what the storage may hold then; None
            where the storage does not keep the outbox.
        report: is told of a message of an earlier process that failed.
    """

    def __init__(
        self,
        *,
        send: Callable[[SendMessageCommand], Awaitable[Reply]],
        flow: Flow,
        can_read_back: bool,
        log: Log,
        limits: OutboxLimits | None = None,
        touch: Callable[[], None] = lambda: None,
        save: Callable[[], Awaitable[None]] | None = None,
        report: Callable[[ChatError], None] = lambda _: None,
    ) -> None:
        self._touch = touch
        self._save = save
        self._report = report
        self.limits = limits or OutboxLimits()
        self._send = send
        self._flow = flow
        self._can_read_back = can_read_back
        self._log = log
        self._loop = asyncio.get_running_loop()
        # Lists: both are short, and an empty deque takes 700 bytes of each session.
        self._queue: list[Entry] = []
        self._size = 0
        self._numbers = 0
        self._current: Entry | None = None
        self._claims = Claims(log=log, touch=touch)
        self._task: asyncio.Task[None] | None = None
        #: Something waits or is on its way; set once that is over, where somebody waits for that.
        self._busy = False
        self._idle: asyncio.Event | None = None
        self._closed = False
        #: Which messages the storage may show as waiting.
        self.shown = Shown()
        #: What was left to who takes the session up, as it is saved and as it is.
        self._left: tuple[tuple[SavedMessage, ...], tuple[Entry, ...]] | None = None

    def __len__(self) -> int:
        return len(self._queue) + (self._current is not None)

    def put(self, command: SendMessageCommand, *, resend: Resend = "if absent") -> Receipt:
        """Queue a message.

        Raises:
            SessionEndedError: nothing can be sent any more.
            ChatError: the outbox is full.
        """
        if self._closed:
            raise SessionEndedError(f"{_OVER}; the message was not sent")
        size = len(command.text.encode("utf-8", "replace"))
        if len(self) >= self.limits.count or self._size + size > self.limits.size:
            raise ChatError(
                f"the outbox is full: {len(self)} messages of {self._size} bytes wait for the server "
                f"(limits: {self.limits.count} messages, {self.limits.size} bytes)",
                retryable=True,
                advice="await send_message before sending the next one",
            )
        self._numbers += 1
        receipt = Receipt(self._numbers, command.text)
        now = self._loop.time()
        self._queue.append(Entry(receipt=receipt, command=command, resend=resend, size=size, queued_at=now))
        self._size += size
        self._touch()
        self._work()
        return receipt

    def adopt(self, messages: Iterable[SavedMessage]) -> None:
        """Take over what an earlier process left. The transcript, read afterwards, shows what had arrived of it."""
        now, wall = self._loop.time(), time.time()
        for message in messages:
            self._numbers += 1
            entry = Entry(
                receipt=Receipt(self._numbers, message.text),
                command=SendMessageCommand(text=message.text, type=message.type),
                resend="never" if message.resend == "never" else "if absent",
                size=len(message.text.encode("utf-8", "replace")),
                queued_at=now - max(0.0, wall - message.queued_at),
                before=message.before,
                epoch=-1 if message.before == NO_PLACE else 0,
                leaving=message.stage is not Stage.QUEUED,
                adopted=True,
            )
            if message.stage is Stage.ACCEPTED and not self._can_read_back:
                continue  # nothing more can be learnt about it
            if message.stage is not Stage.QUEUED:
                entry.receipt.attempts = 1
                entry.receipt.move(ReceiptState.IN_FLIGHT)
                self._claims.add(entry)
            if message.stage is Stage.ACCEPTED:
                entry.receipt.move(ReceiptState.ACCEPTED)
            else:
                self._queue.append(entry)
                self._size += entry.size
            self.shown.adopt(entry)

    def resume(self) -> None:
        """Go on with what was adopted."""
        if self._queue:
            self._work()

    def snapshot(self) -> tuple[SavedMessage, ...]:
        """Return what another process needs to go on, in order. It is about to be written."""
        if self._left is not None:
            messages, entries = self._left
        else:
            messages, entries = self._for_another()
        self.shown.snapshot(entries)
        return messages

    def _for_another(self) -> tuple[tuple[SavedMessage, ...], tuple[Entry, ...]]:
        """Return what is open as it is saved, and as it is."""
        offset = time.time() - self._loop.time()
        messages = tuple(
            SavedMessage(
                text=entry.command.text,
                type=entry.command.type,
                resend="never" if entry.doubtful or self._claims.is_stale(entry) else entry.resend,
                stage=entry.stage,
                before=NO_PLACE if self._claims.is_stale(entry) else entry.before,
                queued_at=round(entry.queued_at + offset, 1),
            )
            for entry in self._open
            if not (self._claims.is_stale(entry) and entry.receipt.state is ReceiptState.ACCEPTED)
        )
        return messages, tuple(self._open)

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """The receipts of the messages whose fate is open, in order."""
        return tuple(entry.receipt for entry in self._open)

    @property
    def _open(self) -> list[Entry]:
        # What was adopted on its way stands in the queue as well, until it is looked for.
        current = () if self._current is None else (self._current,)
        entries = dict.fromkeys([*self._claims.waiting, *current, *self._queue])
        return [entry for entry in entries if entry.is_open]

    def _work(self) -> None:
        self._busy = True
        if self._task is None:
            self._task = self._loop.create_task(self._run(), name="chat-core: send")

    def _rest(self) -> None:
        self._busy = False
        if self._idle is not None:
            self._idle.set()
            self._idle = None

    def withdraw(self, receipt: Receipt) -> bool:
        """Take a message back that has not left; False when it is on its way, gone, or left to another process."""
        if self._left is not None:
            return False
        for entry in self._queue:
            if entry.receipt is receipt:
                self._queue.remove(entry)
                self._size -= entry.size
                self.shown.withdraw(entry, ChatError("it was withdrawn before it left"))
                self._touch()
                return True
        return False

    def saw(self, event: Event) -> None:
        """Look whether an event is one of our messages."""
        if (saving := self._current) is not None and saving.leaving and saving.receipt.attempts == 0:
            self._mark(saving)  # it is being saved, and has not left: it can only stand above what is there by now
        if self._can_read_back:
            self._claims.saw(event)

    async def drained(self) -> None:
        """Wait until nothing waits to be sent."""
        while self._busy:
            self._idle = self._idle or asyncio.Event()
            await self._idle.wait()

    async def close(self, lost: LeaseLostError | None = None) -> None:
        """Stop sending. What never left is expired, what was on its way is unknown.

        Args:
            lost: why another process goes on with the session. Where the outbox is saved that one may send what has
                not left here, so its fate is unknown too.
        """
        await self.stop()
        over = lost or SessionEndedError(_OVER)
        waiting = ReceiptState.UNKNOWN if lost is not None and self._save is not None else ReceiptState.EXPIRED
        current = () if self._current is None else (self._current,)
        ends = [*self.shown.withdrawn, *((entry, over) for entry in (*current, *self._queue))]
        for entry, why in ends:
            if entry.receipt.attempts:
                if entry.receipt.state not in {ReceiptState.ACCEPTED, ReceiptState.ECHOED}:
                    entry.receipt.move(ReceiptState.UNKNOWN, error=over)
            elif lost is None:
                self.shown.never_left(entry, why)
            else:
                entry.receipt.move(waiting, error=lost)
        for entry in self._claims.waiting:
            entry.receipt.close()
        self._queue.clear()
        self._claims.waiting.clear()
        self._current = None
        self._rest()

    def cleared(self, problem: ChatError | None) -> None:
        """Note that the session's state is cleared, or why it is not."""
        self.shown.cleared(SessionEndedError(_OVER), problem)

    def freeze(self) -> None:
        """Note what is left to who takes the session up; from now on nothing here changes it (RP-5)."""
        self._left = self._for_another()

    def leave(self, problem: ChatError | None) -> None:
        """Say of what was left that another process has it, or, where it could not be saved, that nobody here knows."""
        for entry in self._open:
            if problem is None:
                entry.receipt.close("it is saved: whoever restores the session sends it, or learns what became of it")
            elif entry.receipt.state is ReceiptState.ACCEPTED:
                entry.receipt.close()
            else:
                entry.receipt.move(ReceiptState.UNKNOWN, error=problem)
        for entry, _ in self.shown.withdrawn:
            entry.receipt.move(ReceiptState.UNKNOWN, error=problem)
        self._rest()

    async def stop(self) -> None:
        """Send nothing any more; what becomes of what is open is said by ``close`` or ``leave``."""
        self._closed = True
        if (task := self._task) is not None and task is not asyncio.current_task():
            for _ in range(STOP_TRIES):
                task.cancel()  # a transport may swallow it, or take its time
                await asyncio.wait({task}, timeout=STOP_TIMEOUT)
                if task.done():
                    break
        if self._current is not None and self._current.receipt.attempts == 0:
            self._current.leaving = False  # it was being saved, and never left

    async def _run(self) -> None:
        try:
            while self._queue and not self._is_stopped():
                self._current = entry = self._queue.pop(0)
                try:
                    await self._deliver(entry)
                except Exception as error:  # noqa: BLE001 - a transport is a plugin: its faults end in the receipt
                    self._log.error("the transport failed to send", error)
                    self._fail(entry, ReceiptState.UNKNOWN, ChatError(f"{type(error).__name__} in the transport"))
                if self._is_stopped() and entry.is_open:
                    return  # a transport made an error of the cancellation; the message is open as it was
                self._size -= entry.size
                self._current = None
        finally:
            self._task = None
            if not self._closed:
                self._rest()

    def _is_stopped(self) -> bool:
        return self._closed

    async def _deliver(self, entry: Entry) -> None:
        receipt = entry.receipt
        if receipt.attempts and await self._settle_adopted(entry):
            return
        while not self._closed and await self._may_leave(entry):
            if not await self._prepare(entry):
                continue
            receipt.attempts += 1
            receipt.move(ReceiptState.IN_FLIGHT)
            try:
                reply = await self._send(entry.command)
            except NotSentError as error:
                self._take_back(entry)
                pause = self.limits.pause if error.retry_after is None else error.retry_after
                if receipt.attempts == 0:
                    pause = min(pause, max(0.0, entry.queued_at + self.limits.age - self._loop.time()))
                await asyncio.sleep(pause)
                # An earlier attempt may have shown itself in the meantime, or while the link was away.
                if receipt.attempts and await self._settle(entry, error):
                    return
            except RefusedError as error:
                self._fail(entry, ReceiptState.REJECTED, error)
                return
            except TransportError as error:
                if await self._settle(entry, error):
                    return
            else:
                await self._accepted(entry, reply)
                return

    async def _prepare(self, entry: Entry) -> bool:
        """Do what comes before a message leaves; False when it cannot leave now."""
        if not entry.leaving and not await self._save_before_the_wire(entry):
            await asyncio.sleep(self.limits.pause)
            return False
        if not await self._look_for_earlier_ones():
            return False
        if entry.receipt.attempts == 0:
            self._mark(entry)
            self._claims.add(entry)
        return True

    def _take_back(self, entry: Entry) -> None:
        """Note that the last attempt never left."""
        entry.receipt.attempts -= 1
        if entry.receipt.attempts == 0:
            self._claims.forget(entry)
            entry.leaving = entry.doubtful = False
            self._touch()

    async def _accepted(self, entry: Entry, reply: Reply) -> None:
        receipt = entry.receipt
        receipt.move(ReceiptState.ACCEPTED)
        if not self._can_read_back:
            # No transcript will ever show it: accepted is as far as it comes, and its text need not be kept.
            self._claims.forget(entry)
            receipt.stop_at_accepted()
        self._claims.accept(entry)
        self._touch()
        if reply.batch is not None:
            self._flow.receive(reply.batch)
        if receipt.attempts > 1:
            # Before the next message leaves, both copies must have had the chance to show.
            self._claims.repeat(receipt)
            await self._flow.read_back()

    async def _look_for_earlier_ones(self) -> bool:
        """Read the transcript where the server began to count anew while messages were on their way.

        What is shown of these is there before the next one leaves, and is not taken for it. Returns False when there is
        no link any more.
        """
        if self._claims.unseen:
            await self._flow.read_back()  # or the server refuses: then nothing can be known
            if not self._flow.is_open:
                return False
            self._claims.unseen = False
        return True

    def _mark(self, entry: Entry) -> None:
        """Note above which place of the transcript a message can only stand that has not left."""
        entry.before, entry.epoch = self._flow.position, self._flow.epoch

    async def _save_before_the_wire(self, entry: Entry) -> bool:
        """Save that the message is leaving, so that a process that dies now leaves no doubt about it behind (RP-5).

        Returns False when it must not leave: the storage shows it as waiting, and cannot be told otherwise now.
        """
        self._mark(entry)
        entry.leaving = True
        if self._save is None:
            return True
        try:
            await self._save()
        except LeaseLostError:
            return True  # nothing leaves then: ``check_send``
        except StorageError as error:
            # The saver has said so, and saves when it can again; what the storage never held may leave all the same.
            if entry in self.shown:
                self._log.info("a message waits until the state can be saved", entry.receipt, str(error))
                entry.leaving = False
                return False
        return not self._closed

    async def _settle_adopted(self, entry: Entry) -> bool:
        """Find out whether a message of an earlier process had arrived; True when its fate is decided."""
        if not entry.receipt.echoed and not await self._flow.link():
            self._fail(entry, ReceiptState.UNKNOWN, SessionEndedError(_OVER))
            return True
        return await self._settle(entry, AmbiguousError("the process that sent it ended before it had an answer"))

    async def _may_leave(self, entry: Entry) -> bool:
        """Wait for a link, as long as the message may wait."""
        receipt = entry.receipt
        deadline = entry.queued_at + self.limits.age
        try:
            if not self._flow.is_open:
                async with asyncio.timeout_at(deadline if receipt.attempts == 0 else None):
                    await self._flow.link()
        except TimeoutError:
            return self._expire(entry)
        if self._flow.is_open:
            return self._loop.time() < deadline or receipt.attempts > 0 or self._expire(entry)
        over = SessionEndedError(_OVER)
        if receipt.attempts:
            self._fail(entry, ReceiptState.UNKNOWN, over)
        else:
            self.shown.never_left(entry, over)
        return False

    def _expire(self, entry: Entry) -> bool:
        error = ChatError(f"it waited {self.limits.age:g} s to leave")
        self.shown.withdraw(entry, error)
        self._touch()
        if entry.adopted:
            self._report(error)
        return False

    async def _settle(self, entry: Entry, error: TransportError) -> bool:
        """Find out what became of an ambiguous send; True when its fate is decided, False to send it again."""
        receipt = entry.receipt
        self._log.info("it is unclear whether a message arrived", receipt, str(error))
        if self._can_read_back and not receipt.echoed:
            await asyncio.sleep(self.limits.settle)
            if await self._is_absent(entry) and entry.resend == "if absent":
                self._log.info("the transcript does not show it; it is sent again", receipt)
                return False
        if not receipt.echoed:
            self._fail(entry, ReceiptState.UNKNOWN, error)
        return True

    async def _is_absent(self, entry: Entry) -> bool:
        """Look for a message in the transcript; True only when it surely is not there."""
        receipt = entry.receipt
        # Once the transcript is in the log, the message has claimed its place there if it arrived.
        if receipt.echoed or not await self._flow.read_back() or receipt.echoed:
            return False
        if entry.doubtful:
            return False  # servers filter: what shows in the place of an earlier message may be this one
        if self._flow.epoch != entry.epoch:
            return False  # the server counts anew: what it shows now says nothing about then
        while True:
            try:
                for event in await self._flow.find_lost(entry.before):
                    self.saw(event)
            except RefusedError:
                return False
            except TransportError:
                await asyncio.sleep(self.limits.pause)
                if not await self._flow.link():
                    return False
            else:
                return not receipt.echoed

    def _fail(self, entry: Entry, state: ReceiptState, error: ChatError) -> None:
        if entry.receipt.echoed:
            return  # whatever this error is about: the message stands in the transcript
        if state is ReceiptState.REJECTED:
            self._claims.forget(entry)
        else:
            self._claims.fail(entry)
        entry.receipt.move(state, error=error)
        self._touch()
        if entry.adopted:
            self._report(error)
