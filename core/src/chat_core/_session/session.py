"""A chat session as its user sees it: commands and events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from chat_core._contracts.providers import Capability
from chat_core._contracts.transport import (
    Command,
    CustomNoticeCommand,
    DeleteUserDataCommand,
    GetUserDataCommand,
    NicknameCommand,
    Opened,
    SendMessageCommand,
    TypingCommand,
    UserDataCommand,
)
from chat_core._model.errors import OptionError, OptionTypeError, RefusedError, UnsupportedCommandError
from chat_core._model.events import Event, Party, SessionEnded
from chat_core._session.callbacks import Callbacks
from chat_core._session.callers import current_caller
from chat_core._session.claims import Resend
from chat_core._session.engine import CANCELLED_TIMEOUT, Engine
from chat_core._session.files import FileCommands
from chat_core._session.parts import ConnectionState, Guarantees, SessionParts
from chat_core._session.pending import Pending
from chat_core._session.readers import EventIterator, Waiting
from chat_core._session.receipts import Receipt, ReceiptState
from chat_core._session.subscriptions import Subscription

__all__ = ["Session"]

T = TypeVar("T")
E = TypeVar("E", bound=Event)


class Session(FileCommands, Callbacks):
    """One chat. Made by ``start_session`` and ``restore_session``; belongs to one event loop.

    Commands return a ``Pending``: await it, or chain ``.done(callback)`` and ``.fail(callback)``. Every command raises
    ``SessionEndedError`` once the session is over or detached.
    """

    def __init__(self, parts: SessionParts, opened: Opened) -> None:
        self._parts = parts
        self._engine = Engine(parts, opened)
        self._waiting = Waiting(self._engine.log, after=parts.delivered)

    def __repr__(self) -> str:
        return f"<Session {self.id}: {self.connection_state}>"

    @property
    def id(self) -> str:
        """The server's name of the chat."""
        return self._engine.session_id

    @property
    def options(self) -> Any:
        """The resolved options; ``options.explain()`` tells where each value came from."""
        return self._parts.options

    @property
    def guarantees(self) -> Guarantees:
        """What this combination of transport and storage can promise."""
        return self._parts.guarantees

    @property
    def outbox(self) -> tuple[Receipt, ...]:
        """The receipts of the messages whose fate is open, in order; after a restore those of the process before."""
        return self._engine.outbox.receipts

    @property
    def parties(self) -> tuple[Party, ...]:
        """Who is in the conversation now."""
        return tuple(self._engine.parties.values())

    @property
    def connection_state(self) -> ConnectionState:
        """How the session is connected."""
        return self._engine.connection_state

    @property
    def ended(self) -> SessionEnded | None:
        """How the session ended, None while it lasts."""
        return self._engine.ended

    # Reading

    def events(self, *, after: int = 0, own: bool = True) -> EventIterator:
        """Iterate over the events, the past first; ends after SessionEnded or detach.

        Args:
            after: leave out events whose index is not above this one.
            own: include what the visitor itself caused.
        """
        return EventIterator(self._engine.log, after=after, own=own)

    def wait_for(
        self,
        kind: type[E],
        predicate: Callable[[E], object] | None = None,
        *,
        timeout: float | None = None,
        after: int | None = None,
        own: bool = False,
    ) -> Pending[E]:
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
        caller = current_caller()

        async def run() -> E:
            if not (isinstance(kind, type) and issubclass(kind, Event)):
                raise OptionTypeError(f"wait_for needs an event class, such as MessageReceived, not {kind!r}")
            return await self._waiting.wait_for(kind, predicate, timeout=timeout, after=after, own=own, caller=caller)

        return Pending(run, name="wait_for")

    def _subscribe(self, kind: type[E], callback: Callable[[E], Any], *, own: bool = True) -> Subscription[E]:
        if not callable(callback):
            raise OptionTypeError(f"a callback must be callable, not {callback!r}")
        return self._engine.subscribe(kind, callback, own=own)

    # Commands

    def send_message(
        self,
        text: str,
        type: Literal["text", "url"] = "text",  # noqa: A002 - the back end's own word
        *,
        until: Literal["accepted", "echoed"] = "accepted",
        resend: Resend = "if absent",
    ) -> Pending[Receipt]:
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

        def begin() -> asyncio.Future[Receipt]:
            """Put it into the outbox at once: a task of its own would only delay it."""
            try:
                self._engine.check_open("send_message")
                self._check_message(text, type, until, resend)
                receipt = self._engine.outbox.put(SendMessageCommand(text=text, type=type), resend=resend)
            except Exception as error:  # noqa: BLE001 - raised where the outcome is awaited
                refused: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
                refused.set_exception(error.with_traceback(None))  # that would keep this call, and its Pending
                return refused

            def look(outcome: asyncio.Future[Receipt]) -> None:
                if outcome.cancelled():
                    # What has not left is taken back; what is on its way goes on and ends in its receipt.
                    self._engine.outbox.withdraw(receipt)

            outcome = receipt.when(ReceiptState(until))
            outcome.add_done_callback(look)
            return outcome

        return Pending(begin, name="send_message")

    def _check_message(self, text: object, kind: object, until: object, resend: object) -> None:
        """Refuse what cannot be sent."""
        _check_text("text", text)
        if not text:
            raise OptionError("the text of a message must not be empty", advice="leave the call out")
        _check_choice("type", kind, ("text", "url"))
        _check_choice("until", until, ("accepted", "echoed"))
        if until == "echoed" and not self._parts.guarantees.sends_are_settled:
            raise UnsupportedCommandError(
                f"send_message(until='echoed') was not sent: the transport {self._parts.transport_name!r} has no "
                "transcript that could show the message",
                advice="wait until='accepted', the most that it can tell",
            )
        _check_choice("resend", resend, ("if absent", "never"))

    def send_typing(self, is_typing: bool = True, text: str | None = None) -> Pending[None]:  # noqa: FBT001, FBT002
        """Tell the other side that the visitor started or stopped typing.

        Args:
            is_typing: True when typing started or goes on.
            text: what was typed so far, as a preview for the agent.

        Raises:
            UnsupportedCommandError: the transport cannot.
            NotSentError: there is no connection now.
        """

        async def run() -> None:
            if text is not None:
                _check_text("text", text)
            await self._send(TypingCommand(is_typing=bool(is_typing), text=text))

        return self._command("send_typing", Capability.TYPING if text is None else Capability.TYPING_PREVIEW, run)

    def set_user_data(self, user_data: Mapping[str, Any]) -> Pending[None]:
        """Merge entries into the session's data. Entries whose value is None are not sent on GMS."""

        async def run() -> None:
            if not isinstance(user_data, Mapping):
                raise OptionTypeError(f"user_data must be a mapping, not {_type(user_data)}")
            for key in user_data:
                _check_text("a key of user_data", key)
            data = dict(user_data)
            await self._send(UserDataCommand(user_data=data))
            self._engine.user_data.update(data)

        return self._command("set_user_data", Capability.SET_USER_DATA, run)

    def get_user_data(self, key: str) -> Pending[Any]:
        """Return one entry of the session's data, None when there is none.

        Where the back end cannot be asked (GMS), the answer is what the server last sent, merged with what this
        session sent.
        """
        asks = Capability.GET_USER_DATA in self._parts.capabilities

        async def run() -> Any:
            _check_text("key", key)
            if not asks:
                return self._engine.user_data.get(key)
            reply = await self._engine.transport.send(GetUserDataCommand(key=key))
            self._engine.take_reply(reply)
            return reply.data.get(key)

        return self._command("get_user_data", Capability.GET_USER_DATA if asks else Capability.SET_USER_DATA, run)

    def delete_user_data(self, key: str) -> Pending[None]:
        """Take one entry out of the session's data."""

        async def run() -> None:
            _check_text("key", key)
            await self._send(DeleteUserDataCommand(key=key))
            self._engine.user_data.pop(key, None)

        return self._command("delete_user_data", Capability.DELETE_USER_DATA, run)

    def update_nickname(self, nickname: str) -> Pending[None]:
        """Change the visitor's name."""

        async def run() -> None:
            _check_text("nickname", nickname)
            if not nickname:
                raise OptionError("a nickname must not be empty", advice="give the name to be shown")
            await self._send(NicknameCommand(nickname=nickname))

        return self._command("update_nickname", Capability.NICKNAME, run)

    def send_custom_notice(self, text: str) -> Pending[None]:
        """Send a notice whose meaning the two sides agreed upon. Never repeated, whatever happens (RP-4)."""

        async def run() -> None:
            _check_text("text", text)
            await self._send(CustomNoticeCommand(text=text))

        return self._command("send_custom_notice", Capability.CUSTOM_NOTICE, run)

    def get_transcript(self, from_index: int = 1) -> Pending[tuple[Event, ...]]:
        """Return the server's transcript from an index (1-based) on. Nothing is played back to other readers."""

        async def run() -> tuple[Event, ...]:
            if not isinstance(from_index, int) or isinstance(from_index, bool) or from_index < 1:
                raise OptionError(f"from_index must be a whole number from 1 on, not {from_index!r}")
            return (await self._engine.transport.fetch(from_index)).events

        return self._command("get_transcript", Capability.POSITION, run)

    def checkpoint(self) -> Pending[None]:
        """Save now that everything handed over to the calling task or callback is dealt with.

        After that no restored session hands those events over as new.

        Raises:
            LeaseLostError: another process may own the session, and the state is its.
            StorageError: the state could not be saved.
        """
        caller = current_caller()

        async def run() -> None:
            for cursor in list(self._engine.log.cursors):
                if cursor.caller is caller:
                    cursor.finish()
            self._waiting.finish(caller)
            self._engine.check_owned("checkpoint")
            await self._engine.saver.flush()

        return Pending(run, name="checkpoint")

    # The end

    def leave(self) -> Pending[SessionEnded]:
        """Leave the chat: the conversation is over. Bounded by 5 s (RP-9).

        The ``SessionEnded`` that is returned has an ``error`` when the server did not confirm.
        """
        return Pending(self._engine.leave, name="leave")

    def detach(self) -> Pending[None]:
        """Give the session up without leaving the chat, so that ``restore_session`` can take it up.

        Ends the readers. Messages whose fate is open are left to who takes the session up, where the outbox is saved
        (``guarantees.outbox_is_saved``); elsewhere what had not left is expired.
        """
        caller = current_caller()
        return Pending(lambda: self._engine.detach(caller), name="detach")

    async def aclose(self, *, failed: bool = False) -> None:
        """Do what leaving ``async with`` does: leave the chat, or detach.

        A clean exit leaves. After an exception or a cancellation (``failed``) the session is detached where the storage
        outlives the process, and left otherwise. The option ``on_exit`` overrules both.
        """
        action = self._parts.on_exit
        if action is None:
            action = "detach" if failed and self.guarantees.survives_the_process else "leave"
        caller = current_caller()
        if self.connection_state not in {ConnectionState.ENDED, ConnectionState.DETACHED} and action == "leave":
            await self._engine.leave()
        else:
            await self._engine.detach(caller)
        await self._engine.stop_callbacks(caller)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose(failed=kind is not None)

    def _command(
        self, name: str, capability: Capability | None, run: Callable[[], Coroutine[Any, Any, T]]
    ) -> Pending[T]:
        async def guarded() -> T:
            if capability is not None and capability not in self._parts.capabilities:
                raise UnsupportedCommandError(
                    f"the transport {self._parts.transport_name!r} does not offer {name}; nothing was sent"
                )
            self._engine.check_open(name)
            try:
                return await run()
            except RefusedError as error:
                if error.session_unknown:
                    self._engine.lose(error)
                raise

        return Pending(guarded, name=name)

    async def _send(self, command: Command) -> None:
        self._engine.take_reply(await self._engine.transport.send(command))


async def save_first_state(session: Session) -> None:
    """Save a new session's state for the first time, before anybody gets hold of the session.

    Raises:
        StorageError: it could not be saved.
    """
    await session._engine.saver.flush()  # noqa: SLF001 - the launcher's part of the session, not the user's


async def until_over(session: Session) -> None:
    """Wait until the session has ended or is detached."""
    log = session._engine.log  # noqa: SLF001 - no reader: one would count what it is handed as delivered
    while not log.closed:
        await log.changes.next()
    await session._engine.detach()  # noqa: SLF001 - also waits for an end or a detaching that is under way


async def leave_unwanted(session: Session) -> None:
    """Leave a chat that was started for nobody (RP-9): whoever was cancelled waits two seconds at most."""
    await session._engine.leave(within=CANCELLED_TIMEOUT)  # noqa: SLF001 - as above


def _type(value: object) -> str:
    """Name a value's type for an error text; the value itself may be secret."""
    return type(value).__name__


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise OptionTypeError(f"{name} must be text, not {_type(value)}", advice="convert it with str()")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OptionError(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r}")
