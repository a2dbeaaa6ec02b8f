"""One chat on the loop: started, played by its scenario, watched, left."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import frozen
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser

import chat_core
from chat_core import ChatError, EndReason, Pending, Receipt, ReceiptState, SendError, Session, SessionEndedError
from chat_load_locust._errors import reason_of
from chat_load_locust._figures import Figure, Figures

__all__ = ["Plan", "Play", "hold_chat"]

#: What a scenario is, bound to whoever plays it.
Play: TypeAlias = Callable[[Session], Awaitable[object]]

#: With these a task steers Locust; they are no failures.
_LOCUSTS_OWN = (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser)

_logger = logging.getLogger(__name__)


@frozen(kw_only=True)
class Plan:
    """What one chat is made of.

    Attributes:
        options: those of ``start_session``.
        play: the scenario.
        name: its name, for the log.
        file: its source file.
        echo_timeout: seconds that messages have, after the scenario's end, to show up in the transcript.
    """

    options: Mapping[str, Any]
    play: Play
    name: str
    file: str | None
    echo_timeout: float


async def hold_chat(plan: Plan, tell: Callable[[Figure], object]) -> None:
    """Hold a chat and tell its figures. What goes wrong in it is a figure too, and is not raised.

    A cancelled one leaves the chat and tells nothing more of itself: the test ended it, not the server.

    Raises:
        StopUser, StopTest, ...: the scenario raised one of the exceptions with which tasks steer Locust.
    """
    figures = Figures(tell, began=time.monotonic())
    try:
        session = await chat_core.start_session(**plan.options)
    except ChatError as error:
        figures.not_started(time.monotonic(), reason_of(error))
        _logger.debug("a chat could not be started: %s", error)
        return
    figures.started(time.monotonic())
    reason: str | None = None
    passed: Exception | None = None
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_watch(session, figures), name="chat-load-locust: watch")
        try:
            async with session:
                sending = _Sending(session, figures, group)
                try:
                    await plan.play(session)
                    await sending.settled(plan.echo_timeout)
                except _LOCUSTS_OWN as error:
                    passed = error
                except asyncio.CancelledError as error:
                    if _is_being_cancelled():
                        raise
                    reason = _failure(plan, error)
                except Exception as error:  # noqa: BLE001 - whatever a scenario raises is its outcome
                    reason = _failure(plan, error)
                finally:
                    sending.stop()
        except ChatError as error:  # leaving itself failed
            reason = reason or reason_of(error)
        await watching  # it ends with the session; what happened last belongs to the figures
    figures.ended(time.monotonic(), reason)
    if passed is not None:
        raise passed


def _is_being_cancelled() -> bool:
    """Tell the end of a test from a scenario that awaits something cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _watch(session: Session, figures: Figures) -> None:
    async for event in session.events():
        figures.saw(event, time.monotonic())


#: Reasons that are in the log with their lines already; by the thousandth chat they say nothing new.
_logged: set[str] = set()


def _failure(plan: Plan, error: BaseException) -> str:
    reason = reason_of(error, file=plan.file)
    if not isinstance(error, ChatError | TimeoutError) and (entry := f"{plan.name}: {reason}") not in _logged:
        _logged.add(entry)
        # The lines without the words: an author's own error may quote what was said (RP-10).
        lines = "".join(traceback.format_tb(error.__traceback__))
        _logger.error("the scenario %s failed with %s (logged once)\n%s", plan.name, type(error).__name__, lines)
    return reason


class _Sending:
    """Measures what a scenario sends.

    The scenario is given the session itself and no stand-in, so that it is what its type says. Only its
    ``send_message`` is covered by an attribute of the instance, with the same signature: nothing else knows when a
    message was to be sent.
    """

    def __init__(self, session: Session, figures: Figures, group: asyncio.TaskGroup) -> None:
        self._session = session
        self._figures = figures
        self._group = group
        self._send = session.send_message
        self._settles = session.guarantees.sends_are_settled
        #: Messages whose echo is still to come, and when they were to be sent.
        self._open: dict[asyncio.Task[None], float] = {}
        vars(session)["send_message"] = self.send_message

    def send_message(
        self,
        text: str,
        type: Literal["text", "url"] = "text",  # noqa: A002 - the session's own word
        *,
        until: Literal["accepted", "echoed"] = "accepted",
        resend: Literal["if absent", "never"] = "if absent",
    ) -> Pending[Receipt]:
        """Send a message, as ``Session.send_message`` does."""

        async def run() -> Receipt:
            since = time.monotonic()
            self._figures.sending(since)
            try:
                receipt = await self._send(text, type, until=until, resend=resend)
            except SendError as error:
                self._figures.sent(since, time.monotonic(), reason=reason_of(error), settled=self._settles)
                raise
            if receipt.echoed or not self._settles:
                self._figures.sent(since, time.monotonic(), settled=self._settles)
            else:
                task = self._group.create_task(self._follow(receipt, since), name="chat-load-locust: echo")
                self._open[task] = since
                task.add_done_callback(lambda task: self._open.pop(task, None))
            return receipt

        return Pending(run, name="send_message")

    async def settled(self, timeout: float) -> None:
        """Wait for the echoes that are still to come; those that do not are failures."""
        if self._open:
            await asyncio.wait(set(self._open), timeout=timeout)
        now = time.monotonic()
        for since in self._open.values():
            self._figures.sent(since, now, reason=f"not in the transcript within {timeout:g} s")

    def stop(self) -> None:
        """Follow nothing any more."""
        for task in self._open:
            task.cancel()

    async def _follow(self, receipt: Receipt, since: float) -> None:
        reason: str | None = None
        try:
            await receipt.reached(ReceiptState.ECHOED)
        except SendError as error:
            reason = reason_of(error)
        except SessionEndedError:
            ended = self._session.ended
            if ended is None or ended.reason is EndReason.LEFT:
                return  # the scenario left without waiting for it
            reason = "the chat ended before the message was in the transcript"
        self._figures.sent(since, time.monotonic(), reason=reason)
