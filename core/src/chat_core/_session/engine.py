"""One session's moving parts, from the first event to the last: what they share and in which order they stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import Batch, LeaveCommand, Opened, Reply
from chat_core._model.errors import (
    AmbiguousError,
    ChatError,
    ErrorCode,
    LeaseLostError,
    NotSentError,
    RefusedError,
    SessionEndedError,
    StorageError,
    TransportError,
)
from chat_core._model.events import (
    Continued,
    ContinuityLost,
    EndReason,
    ErrorInfo,
    ErrorReported,
    Event,
    Interrupted,
    LossReason,
    MessageReceived,
    NicknameUpdated,
    ParticipantJoined,
    ParticipantLeft,
    Party,
    SessionEnded,
)
from chat_core._session.continuity import Continuity
from chat_core._session.flow import Flow
from chat_core._session.guard import Guarded
from chat_core._session.log import EventLog
from chat_core._session.outbox import Outbox
from chat_core._session.parts import ConnectionState, SessionParts
from chat_core._session.saver import LAST, Saver
from chat_core._session.shown import Kept
from chat_core._session.state import SavedState
from chat_core._session.subscriptions import Subscription

__all__ = ["Engine"]

E = TypeVar("E", bound=Event)

#: Seconds for saying goodbye. What the transport needs for closing comes on top of it, and 5 s are all there is (RP-9).
#: Half of them are for messages that wait: no agent is to wait for who is gone because one of them cannot leave.
GOODBYE_TIMEOUT: Final = 4.0
#: Seconds after which a transport that does not close is left behind.
CLOSE_TIMEOUT: Final = 5.0
#: Seconds that a leaving goes on after whoever asked for it was cancelled, and that one takes which nobody asked for.
CANCELLED_TIMEOUT: Final = 2.0
#: Seconds of a detach after which it is no longer waited for whether what is open has been saved (RP-9).
HAND_OVER: Final = 2.0
#: Seconds before a leaving that did not arrive, or whose answer was lost, is tried again.
LEAVE_PAUSE: Final = 0.5
#: Seconds that callbacks are given to finish what is in the log when the session is closed under them.
CALLBACK_TIMEOUT: Final = 1.0


class Engine:
    """Runs one session. ``Session`` is its face.

    Attributes:
        log: what happened.
        flow: brings events into the log.
        outbox: messages on their way out.
        saver: keeps the saved state up to date.
        parties: who is in the conversation, by participant id.
        user_data: what the server last sent, merged with what this session sent.
        ended: how the session ended, None while it lasts.
        detached: whether the session was given up without leaving the chat.
        lost: why somebody else may own the session now, None unless this process lost it.
    """

    def __init__(self, parts: SessionParts, opened: Opened) -> None:
        self.parts = parts
        self.transport = Guarded(parts.transport, None if parts.lease is None else parts.lease.check_send)
        self.session_id = opened.session_id
        self.parties: dict[int | None, Party] = {}
        self.user_data: dict[str, Any] = dict(parts.user_data)
        self.ended: SessionEnded | None = None
        self.detached = False
        self.lost: LeaseLostError | None = None
        self._logger = parts.log
        self._loop = asyncio.get_running_loop()
        self._subscriptions: list[Subscription[Any]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._finishing: asyncio.Task[None] | None = None
        self._detaching: asyncio.Task[None] | None = None
        positions = Capability.POSITION in parts.capabilities
        self._keeps_outbox = parts.guarantees.outbox_is_saved
        self.saver = Saver(write=parts.write, snapshot=self._snapshot, log=parts.log, kept=self._note_kept)
        self.log = EventLog(refetch=self._refetch if positions else None, progress=self.saver.touch)
        self.log.begin(parts.delivered)
        machine = Continuity(
            positions=positions,
            now=self._loop.time(),
            restored_until=parts.delivered,
            seen_until=max([0, *(message.before for message in parts.outbox)]),
            timing=parts.timing,
        )
        self.flow = Flow(
            transport=self.transport,
            machine=machine,
            log=self.log,
            logger=parts.log,
            on_event=self._on_event,
            on_batch=self._on_batch,
        )
        self.outbox = Outbox(
            send=self.transport.send,
            flow=self.flow,
            can_read_back=positions,
            log=parts.log,
            limits=parts.outbox_limits,
            touch=self.saver.touch if self._keeps_outbox else lambda: None,
            save=self.saver.flush if self._keeps_outbox else None,
            report=self._report,
        )
        self.outbox.adopt(parts.outbox)
        if parts.restored and not positions and not opened.batch.events:
            # What was said before this owner came is not there and cannot be brought back (RP-1).
            self.flow.report(ContinuityLost(after=0, reason=LossReason.NO_TRANSCRIPT))
        self.flow.begin(opened)
        self.outbox.resume()
        if parts.lease is not None:
            parts.lease.on_lost = self._lose_lease
            parts.lease.on_trouble = self.saver.lease_trouble

    @property
    def connection_state(self) -> ConnectionState:
        """How the session is connected."""
        if self.ended is not None:
            return ConnectionState.ENDED
        if self.detached:
            return ConnectionState.DETACHED
        return ConnectionState.CONNECTED if self.flow.link_is_up else ConnectionState.INTERRUPTED

    def check_open(self, name: str) -> None:
        """Refuse a command that can no longer be sent.

        Raises:
            SessionEndedError: the session is over or detached; ``LeaseLostError`` where another process may own it.
        """
        self.check_owned(name)
        if self.ended is not None or self.detached:
            how = "over" if self.ended is not None else "detached"
            raise SessionEndedError(f"{name} was not sent: the session is {how}")

    def take_reply(self, reply: Reply) -> None:
        """Take the events that came with an answer."""
        if reply.batch is not None:
            self.flow.receive(reply.batch)

    def lose(self, error: ChatError) -> None:
        """End the session because the server no longer knows it."""
        self.flow.end_now(EndReason.LOST, ErrorInfo(code=error.code, description=error.description))

    def subscribe(self, kind: type[E], callback: Callable[[E], Any], *, own: bool) -> Subscription[E]:
        """Call back for each event of a kind, the past first."""
        subscription = Subscription(log=self.log, kind=kind, callback=callback, own=own, logger=self._logger)
        self._subscriptions = [other for other in self._subscriptions if other.active]
        self._subscriptions.append(subscription)
        return subscription

    # What arrives

    def _on_batch(self, batch: Batch) -> None:
        if batch.user_data:
            self.user_data.update(batch.user_data)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, MessageReceived):
            if event.own:
                self.outbox.saw(event)
            return
        self.outbox.saw(event)
        party = event.party
        match event:
            case ParticipantLeft() if party is not None:
                self.parties.pop(party.id, None)
            case ParticipantJoined() | NicknameUpdated() if party is not None:
                self.parties[party.id] = party
            case Interrupted() | Continued():
                self._logger.info(str(event))
            case ContinuityLost(reason=reason):
                self._logger.warning(str(event))
                if reason is LossReason.POSITION_RESET:
                    self.saver.touch()
            case SessionEnded():
                self.ended = event
                self._logger.info(str(event))
                self._finishing = self._loop.create_task(self._finish(), name="chat-core: finish")
                self._finishing.add_done_callback(self._on_finished)

    def _note_kept(self, kept: Kept) -> None:
        self.outbox.shown.note_kept(kept)

    def _snapshot(self) -> dict[str, Any]:
        return SavedState(
            transport=self.parts.transport_name,
            server_url=self.parts.server_url,
            session_id=self.session_id,
            link=self.transport.saved(),
            delivered=self.log.delivered,
            websockets_disabled=self.parts.websockets_disabled,
            outbox=self.outbox.snapshot() if self._keeps_outbox else (),
        ).to_mapping()

    def _report(self, error: ChatError) -> None:
        """Tell the readers of a message of an earlier process that failed: nobody waits for its receipt."""
        info = ErrorInfo(code=error.code, description=f"a message of an earlier process failed: {error.description}")
        self._logger.warning(info.description)
        self.flow.report(ErrorReported(error=info))

    async def _refetch(self, above: int, below: int) -> tuple[Event, ...] | None:
        """Bring evicted events back for a late reader."""
        fetching = self._loop.create_task(self._fetch_evicted(above + 1), name="chat-core: fetch evicted events")
        self.cancel_at_the_end(fetching)
        try:
            await asyncio.wait({fetching})
        finally:
            fetching.cancel()
        batch = None if fetching.cancelled() else fetching.result()
        if batch is None or (batch.next_position is not None and batch.next_position < below):
            return None  # the server began to count anew, and has not been found out yet
        return tuple(event for event in batch.events if event.index is not None and above < event.index < below)

    async def _fetch_evicted(self, position: int) -> Batch | None:
        try:
            async with asyncio.timeout(self.parts.timing.answer):
                return await self.transport.fetch(position)
        except (TransportError, TimeoutError) as error:
            self._logger.info("evicted events could not be fetched", str(error))
        except Exception as error:  # noqa: BLE001 - a plugin's fault must not reach the reader
            self._logger.error("the transport failed to fetch evicted events", error)
        return None

    # The end

    async def leave(self, *, within: float = GOODBYE_TIMEOUT) -> SessionEnded:
        """Leave the chat, bounded; whatever happens the session is over afterwards.

        Raises:
            LeaseLostError: another process may own the session, which goes on.
        """
        self.check_owned("leave")
        if self.detached:
            raise SessionEndedError("leave was not sent: the session is detached")
        if self.ended is None and not self.flow.leaving:
            self.flow.leaving = True
            error: ErrorInfo | None = ErrorInfo(
                code=ErrorCode.CONNECTION_INTERRUPTED, description="leaving was cancelled before the server confirmed"
            )
            goodbye = self._loop.create_task(self._say_goodbye(within), name="chat-core: leave")
            try:
                await asyncio.shield(goodbye)
            finally:
                if await self._finished_in_time(goodbye):
                    error = goodbye.result()
                if self.lost is None:
                    self.flow.end_now(EndReason.LEFT, error)
        while self.ended is None and self.lost is None:  # another task is leaving
            await self.flow.changed()
        self.check_owned("leave")
        assert self.ended is not None
        await self.finished()
        return self.ended

    async def _finished_in_time(self, goodbye: asyncio.Task[Any]) -> bool:
        """Let a goodbye whose caller was cancelled come to its end, bounded: no agent is to wait for who is gone."""
        deadline = self._loop.time() + CANCELLED_TIMEOUT
        while not goodbye.done() and self._loop.time() < deadline:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({goodbye}, timeout=deadline - self._loop.time())
        if not goodbye.done():
            goodbye.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({goodbye})
        return goodbye.done() and not goodbye.cancelled() and goodbye.exception() is None

    async def detach(self, caller: object | None = None) -> None:
        """Give the session up without leaving the chat; a leaving that has begun comes to its end instead.

        The caller's own callback is not waited for.
        """
        while self.flow.leaving and self.ended is None and self.lost is None:
            await self.flow.changed()
        if self.ended is not None:
            await self.finished()
            return
        if self._detaching is None:
            self.detached = self.log.goes_on = True
            self._detaching = self._loop.create_task(self._detach(caller), name="chat-core: detach")
            self._detaching.add_done_callback(self._on_finished)
        await asyncio.shield(self._detaching)

    def cancel_at_the_end(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task when the session ends or is detached."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finished(self) -> None:
        """Wait until the end has been dealt with: state cleared, link dropped."""
        if self._finishing is not None and self._finishing is not asyncio.current_task():
            await asyncio.shield(self._finishing)

    async def stop_callbacks(self, caller: object | None) -> None:
        """Give callbacks the time to finish what is in the log, then stop them; the caller's own one goes on."""
        others = [subscription for subscription in self._subscriptions if not subscription.runs_in(caller)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CALLBACK_TIMEOUT):
                for subscription in others:
                    await subscription.ended()
        for subscription in others:
            if subscription.active:
                self._logger.warning("a callback did not return in time and was cancelled", repr(subscription))
                subscription.cancel()
                await subscription.ended()

    async def _say_goodbye(self, within: float) -> ErrorInfo | None:
        """Leave the chat on the server, within the time allowed; returns why the server did not confirm."""
        problem: ChatError = NotSentError("the server did not confirm in time that the visitor left")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(within / 2):
                        await self.outbox.drained()
                while not self.flow.finished and self.lost is None:
                    # Without a link as well: the transport may hurry to get one.
                    try:
                        self.take_reply(await self.transport.send(LeaveCommand()))
                    except NotSentError as error:
                        problem = error
                        await asyncio.sleep(error.retry_after or LEAVE_PAUSE)
                    except AmbiguousError as error:
                        # Leaving twice does no harm: who has left already is told that the chat is unknown.
                        problem = error
                        await asyncio.sleep(LEAVE_PAUSE)
                    except TransportError as error:
                        if isinstance(error, RefusedError) and error.session_unknown:
                            return None
                        problem = error
                        break
                    else:
                        while not self.flow.finished and self.lost is None:
                            await self.flow.changed()
        if self.flow.finished or self.lost is not None:
            return None
        self._logger.warning("the server did not confirm that the visitor left", str(problem))
        code = problem.code or ErrorCode.CONNECTION_INTERRUPTED
        return ErrorInfo(code=int(code), description=problem.description)

    async def _finish(self) -> None:
        """After SessionEnded: nothing more is sent, the state is cleared, the link dropped."""
        await self.outbox.close()
        self.log.close()
        await self._close_transport()
        problem: ChatError | None = StorageError("the state of the ended session could not be cleared")
        try:
            problem = await self.saver.clear()
        except ChatError as error:
            problem = error
            self._logger.error("the state of the ended session could not be cleared", error)
        finally:
            self.outbox.cleared(problem)
            await self._release()

    def _on_finished(self, finishing: asyncio.Task[None]) -> None:
        """Where the program ends with the session, its loop may cancel what ends it, even before that has begun."""
        if finishing.cancelled():
            self.parts.abandon()

    def check_owned(self, name: str) -> None:
        """Refuse what only the owner may do.

        Raises:
            LeaseLostError: this process is the owner no more.
        """
        if self.ended is None and not self.detached and self.parts.lease is not None:
            with contextlib.suppress(LeaseLostError):  # said below, and by ``_lose_lease`` to everybody else
                self.parts.lease.check()
        if self.ended is None and self.lost is not None:
            raise self._lost_error(f"{name} was not carried out: ")

    def _lost_error(self, before: str = "") -> LeaseLostError:
        """Return an error of its own for each who is told: one that is raised twice shows the tracebacks of both."""
        assert self.lost is not None
        return LeaseLostError(before + self.lost.description, code=self.lost.code, advice=self.lost.advice)

    def _lose_lease(self, error: LeaseLostError) -> None:
        """Stop at once, without a word to the server: somebody else may own the session from now on (RP-14)."""
        if self.ended is not None or self._detaching is not None:
            return  # nothing is sent any more as it is
        self._logger.warning("the session is given up here", str(error))
        self.flow.report(ErrorReported(error=ErrorInfo(code=error.code, description=error.description)))
        self.lost = error
        self.detached = self.log.goes_on = True
        self.saver.stop()
        self._detaching = self._loop.create_task(self._give_up(error), name="chat-core: lease lost")
        self._detaching.add_done_callback(self._on_finished)

    async def _give_up(self, error: LeaseLostError) -> None:
        await self.outbox.close(error)
        self.log.close(self._lost_error)
        await self._close_transport()
        await self.stop_callbacks(None)
        await self._release()

    async def _detach(self, caller: object | None) -> None:
        await self.outbox.stop()
        saving = await self._leave_outbox()
        await self._close_transport()
        self.log.close()
        await self.stop_callbacks(caller)
        self.log.cut_off()
        try:
            # A write that hangs is not followed by a second one, which would only wait behind it.
            if saving is None or await _succeeds(saving):
                await self.saver.close()
            else:
                self.saver.stop()
        finally:
            await self._release()

    async def _leave_outbox(self) -> asyncio.Task[None] | None:
        """Leave what is open to who takes the session up, where it is saved; returns the save that still goes on."""
        if not self._keeps_outbox:
            await self.outbox.close()
            return None
        self.outbox.freeze()
        saving = self._loop.create_task(self.saver.flush(), name="chat-core: save the outbox")
        done, _ = await asyncio.wait({saving}, timeout=HAND_OVER)
        if not done:
            saving.add_done_callback(_seen)
            self.outbox.leave(StorageError(f"the state was not saved within {HAND_OVER:g} s"))
            return saving
        error = saving.exception()
        if error is not None and not isinstance(error, ChatError):
            self._logger.error("the state could not be saved", error)
            error = StorageError(f"the state could not be saved: {type(error).__name__}")
        self.outbox.leave(error)
        return None

    async def _close_transport(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.flow.stop()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.transport.aclose()
        except TimeoutError:
            self._logger.warning("the transport did not close in time", self.parts.transport_name)
        except Exception as error:  # noqa: BLE001 - a plugin's fault must not keep the session from ending
            self._logger.error("the transport failed to close", error)

    async def _release(self) -> None:
        try:
            await self.parts.release()
        except ChatError as error:
            self._logger.warning("the ownership of the state could not be given up", str(error))


async def _succeeds(saving: asyncio.Task[None]) -> bool:
    await asyncio.wait({saving}, timeout=LAST)
    return saving.done() and not saving.cancelled() and saving.exception() is None


def _seen(saving: asyncio.Task[None]) -> None:
    """Take note of a failure that may come when nobody waits for it any more."""
    if not saving.cancelled():
        saving.exception()
