"""A chat session as a thread sees it: commands and events."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from chat_core._blocking.callbacks import Callbacks, Subscription
from chat_core._blocking.files import FileCommands
from chat_core._blocking.portal import Portal
from chat_core._blocking.readers import EventIterator
from chat_core._blocking.receipts import Receipt, sent
from chat_core._model.errors import OptionTypeError
from chat_core._model.events import Event, Party, SessionEnded
from chat_core._session import session, subscriptions
from chat_core._session.claims import Resend
from chat_core._session.parts import ConnectionState, Guarantees

__all__ = ["Session"]

T = TypeVar("T")
E = TypeVar("E", bound=Event)


class Session(FileCommands, Callbacks):
    """One chat. Made by ``start_session`` and ``restore_session``; may be used by any thread, and by several.

    Commands return when they are done. Every command raises ``SessionEndedError`` once the session is over or detached.
    Ctrl-C ends the wait for a command or event at once, and the session goes on.
    """

    def __init__(self, portal: Portal, session: session.Session) -> None:
        self._portal = portal
        self._session = session

    def __repr__(self) -> str:
        return repr(self._session)

    @property
    def id(self) -> str:
        """The server's name of the chat."""
        return self._session.id

    @property
    def options(self) -> Any:
        """The resolved options; ``options.explain()`` tells where each value came from."""
        return self._session.options

    @property
    def guarantees(self) -> Guarantees:
        """What this combination of transport and storage can promise."""
        return self._session.guarantees

    @property
    def outbox(self) -> tuple[Receipt, ...]:
        """The receipts of the messages whose fate is open, in order; after a restore those of the process before."""
        return tuple(Receipt(self._portal, receipt) for receipt in self._session.outbox)

    @property
    def parties(self) -> tuple[Party, ...]:
        """Who is in the conversation now."""
        return self._session.parties

    @property
    def connection_state(self) -> ConnectionState:
        """How the session is connected."""
        return self._session.connection_state

    @property
    def ended(self) -> SessionEnded | None:
        """How the session ended, None while it lasts."""
        return self._session.ended

    def events(self, *, after: int = 0, own: bool = True) -> EventIterator:
        """Iterate over the events, the past first; ends after SessionEnded or detach.

        Args:
            after: leave out events whose index is not above this one.
            own: include what the visitor itself caused.
        """
        return EventIterator(self._portal, self._session.events(after=after, own=own))

    def wait_for(
        self,
        kind: type[E],
        predicate: Callable[[E], object] | None = None,
        *,
        timeout: float | None = None,
        after: int | None = None,
        own: bool = False,
    ) -> E:
        """Wait for the next event of a kind, going on where the last wait ended.

        The first wait begins after the restored part. What waits skip is not lost to other readers.

        Args:
            kind: an event class.
            predicate: must return something true.
            timeout: seconds, None for ever.
            after: look from above this index on instead.
            own: consider what the visitor itself caused.

        Raises:
            TimeoutError: none came in time.
            SessionEndedError: the session was over before one came.
        """
        return self._call(lambda: self._session.wait_for(kind, predicate, timeout=timeout, after=after, own=own))

    def send_message(
        self,
        text: str,
        type: Literal["text", "url"] = "text",  # noqa: A002 - the back end's own word
        *,
        until: Literal["accepted", "echoed"] = "accepted",
        resend: Resend = "if absent",
    ) -> Receipt:
        """Send a message; messages keep their order. Returns its receipt once the server took it.

        Args:
            text: what to say.
            type: ``text`` or ``url``.
            until: ``accepted``: the server took it; ``echoed``: its transcript shows it.
            resend: what to do when the answer was lost and the transcript does not show the message: send it again
                (``if absent``), or never, and say that its fate is unknown (RP-4).

        Raises:
            SendRejectedError: the server refused it.
            SendExpiredError: there was no connection for so long that it never left.
            SendUnknownError: nobody can tell whether it arrived.
            UnsupportedCommandError: ``until="echoed"`` on a transport without ``position``, which never tells.
        """
        return sent(self._portal, lambda: self._session.send_message(text, type, until=until, resend=resend))

    def send_typing(self, is_typing: bool = True, text: str | None = None) -> None:  # noqa: FBT001, FBT002
        """Tell the other side that the visitor started or stopped typing.

        Args:
            is_typing: True when typing started or goes on.
            text: what was typed so far, as a preview for the agent.

        Raises:
            UnsupportedCommandError: the transport cannot.
            NotSentError: there is no connection now.
        """
        return self._call(lambda: self._session.send_typing(is_typing, text))

    def set_user_data(self, user_data: Mapping[str, Any]) -> None:
        """Merge entries into the session's data. Entries whose value is None are not sent on GMS."""
        return self._call(lambda: self._session.set_user_data(user_data))

    def get_user_data(self, key: str) -> Any:
        """Return one entry of the session's data, None when there is none.

        Where the back end cannot be asked (GMS), the answer is what the server last sent, merged with what this
        session sent.
        """
        return self._call(lambda: self._session.get_user_data(key))

    def delete_user_data(self, key: str) -> None:
        """Take one entry out of the session's data."""
        return self._call(lambda: self._session.delete_user_data(key))

    def update_nickname(self, nickname: str) -> None:
        """Change the visitor's name."""
        return self._call(lambda: self._session.update_nickname(nickname))

    def send_custom_notice(self, text: str) -> None:
        """Send a notice whose meaning the two sides agreed upon. Never repeated, whatever happens (RP-4)."""
        return self._call(lambda: self._session.send_custom_notice(text))

    def get_transcript(self, from_index: int = 1) -> tuple[Event, ...]:
        """Return the server's transcript from an index (1-based) on. Nothing is played back to other readers."""
        return self._call(lambda: self._session.get_transcript(from_index))

    def checkpoint(self) -> None:
        """Save now that everything handed over to the calling task or callback is dealt with.

        After that no restored session hands those events over as new.

        Raises:
            LeaseLostError: another process may own the session, and the state is its.
            StorageError: the state could not be saved.
        """
        return self._call(self._session.checkpoint)

    def leave(self) -> SessionEnded:
        """Leave the chat: the conversation is over. Bounded by 5 s (RP-9).

        The ``SessionEnded`` that is returned has an ``error`` when the server did not confirm.
        """
        return self._call(self._session.leave)

    def detach(self) -> None:
        """Give the session up without leaving the chat, so that ``restore_session`` can take it up.

        Ends the readers. Messages whose fate is open are left to who takes the session up, where the outbox is saved
        (``guarantees.outbox_is_saved``); elsewhere what had not left is expired.
        """
        return self._call(self._session.detach)

    def close(self, *, failed: bool = False) -> None:
        """Do what leaving ``with`` does: leave the chat, or detach.

        A clean exit leaves. After an exception or Ctrl-C (``failed``) the session is detached where the storage
        outlives the process, and left otherwise. The option ``on_exit`` overrules both. In a forked process it does
        nothing: the session belongs to the other one.
        """
        if not self._portal.is_inherited:
            self._call(lambda: self._session.aclose(failed=failed))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(failed=kind is not None)

    def _call(self, work: Callable[[], Awaitable[T]], *, unwanted: Callable[[T], Awaitable[object]] | None = None) -> T:
        return self._portal.call(work, unwanted=unwanted)

    def _subscribe(self, kind: type[E], callback: Callable[[E], object], *, own: bool = True) -> Subscription[E]:
        if not callable(callback):
            raise OptionTypeError(f"a callback must be callable, not {callback!r}")
        if inspect.iscoroutinefunction(callback):
            raise OptionTypeError(
                f"a callback of chat_core.blocking must be plain, and {callback!r} is async", advice="drop the async"
            )

        async def subscribe() -> subscriptions.Subscription[E]:
            worker = self._portal.worker(kind.__name__)

            @functools.wraps(callback)
            async def hand_over(event: E) -> None:
                await worker.call(callback, event)

            subscription = self._session._subscribe(kind, hand_over, own=own)  # noqa: SLF001 - a part of the core
            subscription.when_over(worker.stop)
            return subscription

        return Subscription(self._portal, callback, self._call(subscribe))
