"""Messages on their way out: in order, one in flight, and never a guess about what became of one (RP-4, RP-5)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal, TypeAlias

from attrs import define, frozen

from chat_core._contracts.logger import Log
from chat_core._contracts.transport import Reply, SendMessageCommand
from chat_core._model.errors import (
    AmbiguousError,
    ChatError,
    NotSentError,
    RefusedError,
    SessionEndedError,
    StorageError,
    TransportError,
)
from chat_core._model.events import ContinuityLost, Event, LossReason, MessageReceived
from chat_core._session.flow import Flow
from chat_core._session.receipts import Receipt, ReceiptState
from chat_core._session.state import SavedMessage, Stage

__all__ = ["Outbox", "OutboxLimits", "Resend"]

#: What happens after an ambiguous send whose message the transcript does not show.
Resend: TypeAlias = Literal["if absent", "never"]


@frozen(kw_only=True)
class OutboxLimits:
    """The figures of the outbox.

    Attributes:
        count: messages waiting at most.
        size: their texts together, bytes of UTF-8 at most.
        age: seconds that a message may wait to leave.
        settle: seconds that the server is given to commit before the transcript is read (RP-4).
        pause: seconds before a message that could not leave is tried again on a link that is up.
    """

    count: int = 1000
    size: int = 1024 * 1024
    age: float = 600.0
    settle: float = 2.0
    pause: float = 1.0


@define(kw_only=True, eq=False)
class _Entry:
    receipt: Receipt
    command: SendMessageCommand
    resend: Resend
    size: int
    queued_at: float
    #: The highest index settled before the first attempt: the message can only stand above it.
    before: int = 0
    #: The numbering that this index belongs to.
    epoch: int = 0
    #: What shows above that index may be this message, or an earlier one that was accepted and not shown until then.
    doubtful: bool = False
    #: It is about to leave, or has left.
    leaving: bool = False
    #: An earlier process owned it; nobody waits for its receipt.
    adopted: bool = False


_OVER: Final = "the session is over"


class Outbox:
    """Sends one session's messages.

    Args:
        send: brings a command to the server.
        flow: the session's events; knows the position and reads the transcript back.
        can_read_back: the transport can fetch the transcript.
        log: hears of what is done about ambiguous sends.
        touch: called when what ``snapshot`` returns has changed.
        save: saves the snapshot before a message leaves; None where the storage does not keep the outbox.
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
        self._queue: deque[_Entry] = deque()
        self._size = 0
        self._numbers = 0
        self._current: _Entry | None = None
        #: Entries that were put on the wire and are not in the transcript yet, oldest first.
        self._unclaimed: deque[_Entry] = deque()
        #: The numbering of the events that are seen now.
        self._epoch = 0
        #: The last one that was sent more than once: an own message that nobody claims is its second copy.
        self._repeated: Receipt | None = None
        self._task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

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
        self._queue.append(_Entry(receipt=receipt, command=command, resend=resend, size=size, queued_at=now))
        self._size += size
        self._touch()
        self._work()
        return receipt

    def adopt(self, messages: Iterable[SavedMessage]) -> None:
        """Take over what an earlier process left. The transcript, read afterwards, shows what had arrived of it."""
        now, wall = self._loop.time(), time.time()
        for message in messages:
            self._numbers += 1
            entry = _Entry(
                receipt=Receipt(self._numbers, message.text),
                command=SendMessageCommand(text=message.text, type=message.type),
                resend="never" if message.resend == "never" else "if absent",
                size=len(message.text.encode("utf-8", "replace")),
                queued_at=now - max(0.0, wall - message.queued_at),
                before=message.before,
                leaving=message.stage is not Stage.QUEUED,
                adopted=True,
            )
            if message.stage is Stage.ACCEPTED and not self._can_read_back:
                continue  # nothing more can be learnt about it
            if message.stage is not Stage.QUEUED:
                entry.receipt.attempts = 1
                entry.receipt.move(ReceiptState.IN_FLIGHT)
                self._unclaimed.append(entry)
            if message.stage is Stage.ACCEPTED:
                entry.receipt.move(ReceiptState.ACCEPTED)
            else:
                self._queue.append(entry)
                self._size += entry.size

    def resume(self) -> None:
        """Go on with what was adopted."""
        if self._queue:
            self._work()

    def snapshot(self) -> tuple[SavedMessage, ...]:
        """Return what another process needs to go on, in order."""
        offset = time.time() - self._loop.time()
        return tuple(
            SavedMessage(
                text=entry.command.text,
                type=entry.command.type,
                resend="never" if self._is_stale(entry) else entry.resend,
                stage=_stage(entry),
                before=entry.before,
                queued_at=round(entry.queued_at + offset, 1),
            )
            for entry in self._open
            if not (self._is_stale(entry) and entry.receipt.state is ReceiptState.ACCEPTED)
        )

    def _is_stale(self, entry: _Entry) -> bool:
        """It left under an earlier numbering: no transcript that can be read now tells what became of it."""
        return entry.leaving and entry.epoch != self._epoch

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """The receipts of the messages whose fate is open, in order."""
        return tuple(entry.receipt for entry in self._open)

    @property
    def _open(self) -> list[_Entry]:
        # What was adopted on its way stands in the queue as well, until it is looked for.
        current = () if self._current is None else (self._current,)
        entries = dict.fromkeys([*self._unclaimed, *current, *self._queue])
        return [entry for entry in entries if not _is_settled(entry.receipt)]

    def _work(self) -> None:
        self._idle.clear()
        if self._task is None:
            self._task = self._loop.create_task(self._run(), name="chat-core: send")

    def withdraw(self, receipt: Receipt) -> bool:
        """Take a message back that has not left; False when it is on its way or gone."""
        for entry in self._queue:
            if entry.receipt is receipt:
                self._queue.remove(entry)
                self._size -= entry.size
                receipt.move(ReceiptState.EXPIRED, error=ChatError("it was withdrawn before it left"))
                self._touch()
                return True
        return False

    def saw(self, event: Event) -> None:
        """Look whether an event is one of our messages. The order decides, never the text: servers trim and filter."""
        if isinstance(event, ContinuityLost) and event.reason is LossReason.POSITION_RESET:
            self._epoch += 1
        if not self._can_read_back or not isinstance(event, MessageReceived) or not event.own or event.index is None:
            return
        # What left under an earlier numbering stands nowhere in this one, and must not keep others from their places.
        candidates = [entry for entry in self._unclaimed if entry.epoch == self._epoch]
        if candidates and event.index > candidates[0].before:
            entry, *others = candidates
            self._unclaimed.remove(entry)
            for later in others:
                # The text is no key, but where it is the earlier message's own nothing was left out before it.
                filtered_perhaps = (
                    entry.receipt.state is ReceiptState.ACCEPTED
                    and not entry.adopted
                    and event.text != entry.command.text
                )
                later.doubtful |= filtered_perhaps and event.index > later.before
                # Behind it in order is behind it in the transcript, also for whoever reads that from its beginning.
                later.before = max(later.before, event.index)
            entry.receipt.show(event.index)
            self._touch()
        elif self._repeated is not None:
            self._log.warning("a message sent twice stands in the transcript twice", self._repeated)
            self._repeated.show(event.index)

    async def drained(self) -> None:
        """Wait until nothing waits to be sent."""
        await self._idle.wait()

    async def close(self) -> None:
        """Stop sending. What never left is expired, what was on its way is unknown."""
        self._closed = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        over = SessionEndedError(_OVER)
        if self._current is not None:
            state = ReceiptState.UNKNOWN if self._current.receipt.attempts else ReceiptState.EXPIRED
            if self._current.receipt.state not in {ReceiptState.ACCEPTED, ReceiptState.ECHOED}:
                self._current.receipt.move(state, error=over)
        for entry in self._queue:
            entry.receipt.move(ReceiptState.EXPIRED, error=over)
        for entry in self._unclaimed:
            entry.receipt.close()
        self._queue.clear()
        self._unclaimed.clear()
        self._current = None
        self._idle.set()

    async def _run(self) -> None:
        try:
            while self._queue:
                self._current = entry = self._queue.popleft()
                try:
                    await self._deliver(entry)
                except Exception as error:  # noqa: BLE001 - a transport is a plugin: its faults end in the receipt
                    self._log.error("the transport failed to send", error)
                    self._fail(entry, ReceiptState.UNKNOWN, ChatError(f"{type(error).__name__} in the transport"))
                self._size -= entry.size
                self._current = None
        finally:
            self._task = None
            if not self._closed:
                self._idle.set()

    async def _deliver(self, entry: _Entry) -> None:
        receipt = entry.receipt
        if receipt.attempts and await self._settle_adopted(entry):
            return
        if not entry.leaving:
            entry.before, entry.epoch = self._flow.position, self._flow.epoch
        while await self._may_leave(entry):
            await self._save_before_the_wire(entry)
            if receipt.attempts == 0:
                self._unclaimed.append(entry)
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

    def _take_back(self, entry: _Entry) -> None:
        """Note that the last attempt never left."""
        entry.receipt.attempts -= 1
        if entry.receipt.attempts == 0:
            self._forget(entry)
            entry.leaving = False
            self._touch()

    async def _accepted(self, entry: _Entry, reply: Reply) -> None:
        receipt = entry.receipt
        receipt.move(ReceiptState.ACCEPTED)
        if not self._can_read_back:
            # No transcript will ever show it: accepted is as far as it comes, and its text need not be kept.
            self._forget(entry)
            receipt.stop_at_accepted()
        self._touch()
        if reply.batch is not None:
            self._flow.receive(reply.batch)
        if receipt.attempts > 1:
            # Before the next message leaves, both copies must have had the chance to show.
            self._repeated = receipt
            await self._flow.read_back()

    async def _save_before_the_wire(self, entry: _Entry) -> None:
        """Save that the message is leaving, so that a process that dies now leaves no doubt about it behind (RP-5)."""
        if entry.leaving:
            return
        entry.leaving = True
        if self._save is not None:
            with contextlib.suppress(StorageError):  # the saver has said so, and saves when it can again
                await self._save()

    async def _settle_adopted(self, entry: _Entry) -> bool:
        """Find out whether a message of an earlier process had arrived; True when its fate is decided."""
        if not entry.receipt.echoed and not await self._flow.link():
            self._fail(entry, ReceiptState.UNKNOWN, SessionEndedError(_OVER))
            return True
        return await self._settle(entry, AmbiguousError("the process that sent it ended before it had an answer"))

    async def _may_leave(self, entry: _Entry) -> bool:
        """Wait for a link, as long as the message may wait."""
        receipt = entry.receipt
        deadline = entry.queued_at + self.limits.age
        try:
            async with asyncio.timeout_at(deadline if receipt.attempts == 0 else None):
                if await self._flow.link():
                    return self._loop.time() < deadline or receipt.attempts > 0 or self._expire(entry)
        except TimeoutError:
            return self._expire(entry)
        over = SessionEndedError(_OVER)
        self._fail(entry, ReceiptState.UNKNOWN if receipt.attempts else ReceiptState.EXPIRED, over)
        return False

    def _expire(self, entry: _Entry) -> bool:
        error = ChatError(f"it waited {self.limits.age:g} s for a connection")
        self._fail(entry, ReceiptState.EXPIRED, error)
        return False

    async def _settle(self, entry: _Entry, error: TransportError) -> bool:
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

    async def _is_absent(self, entry: _Entry) -> bool:
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

    def _fail(self, entry: _Entry, state: ReceiptState, error: ChatError) -> None:
        self._forget(entry)
        entry.receipt.move(state, error=error)
        self._touch()
        if entry.adopted:
            self._report(error)

    def _forget(self, entry: _Entry) -> None:
        if entry in self._unclaimed:
            self._unclaimed.remove(entry)


def _stage(entry: _Entry) -> Stage:
    if entry.receipt.state is ReceiptState.ACCEPTED:
        return Stage.ACCEPTED
    return Stage.SENT if entry.leaving else Stage.QUEUED


def _is_settled(receipt: Receipt) -> bool:
    return receipt.echoed or receipt.failed
