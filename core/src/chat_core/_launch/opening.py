"""Opens a session: resolves options, chooses plugins, starts or takes up a chat, and cleans up when that fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve, frozen

from chat_core._contracts.connection import ConnectionOptions
from chat_core._contracts.logger import Log, LoggerContext
from chat_core._contracts.providers import Kind
from chat_core._contracts.storage import StorageContext
from chat_core._contracts.transport import (
    LeaveCommand,
    Opened,
    StartRequest,
    Transport,
    TransportContext,
)
from chat_core._launch.launchers import Options
from chat_core._launch.options import Given, OptionOrigin, ResolvedOptions, resolve_options
from chat_core._launch.url import check_server_url, same_origin
from chat_core._loggers.adapter import make_log
from chat_core._model.errors import (
    ChatError,
    ConnectError,
    InvalidPluginError,
    NoSessionToRestore,
    OptionError,
    OptionTypeError,
    RefusedError,
    StorageError,
    StorageLockedError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from chat_core._plugins.options import build_options, closest
from chat_core._plugins.registry import registry
from chat_core._plugins.selection import Selection, select
from chat_core._session.continuity import Timing
from chat_core._session.guard import Guarded, is_being_cancelled
from chat_core._session.parts import OnExit, SessionParts
from chat_core._session.session import Session, leave_unwanted, save_first_state
from chat_core._session.state import SavedState
from chat_core._storages.runner import StorageRunner

__all__ = ["Prepared", "prepare", "restore", "start"]

#: Seconds in which a cancelled or failed start leaves the chat that it may have opened (RP-9).
LEAVE_TIMEOUT = 2.0
#: Seconds for its transport to close after that.
CLOSE_TIMEOUT = 5.0


@frozen(kw_only=True)
class Prepared:
    """What both launchers need, and a fleet."""

    options: ResolvedOptions
    log: Log
    transport: Selection
    storage: Selection
    runner: StorageRunner

    def make_transport(self, server_url: str | None) -> Transport:
        """Make the transport, without I/O."""
        if self.transport.provider is None:
            instance: Transport = self.transport.instance
            return instance
        provider = self.transport.provider
        options = self._transport_options()
        context = TransportContext(
            server_url=check_server_url(server_url, allow_insecure=getattr(options, "allow_insecure", False)),
            options=options,
            disable_websockets=self.options.disable_websockets,
            log=self.log,
            check_send=None if self.runner.lease is None else self.runner.lease.check_send,
        )
        transport: Transport = _make(provider.factory, context, f"the transport {provider.name!r}")
        return transport

    @property
    def allow_insecure(self) -> bool:
        """Whether the caller permits unencrypted addresses."""
        if self.transport.provider is None:
            return True  # an instance knows for itself where it connects to
        return bool(getattr(self._transport_options(), "allow_insecure", False))

    def _transport_options(self) -> Any:
        provider = self.transport.provider
        assert provider is not None
        return build_options(
            provider.options,
            self.options.transport_options,
            name="transport_options",
            owner=f"transport {provider.name!r}",
        )

    @property
    def start_timeout(self) -> float:
        """Seconds for the transport to start or resume."""
        if self.transport.provider is None:
            return ConnectionOptions().start_timeout
        return float(getattr(self._transport_options(), "start_timeout", ConnectionOptions().start_timeout))

    @property
    def timing(self) -> Timing:
        """The figures of continuity, as far as the caller has a say in them."""
        given = None if self.transport.provider is None else getattr(self._transport_options(), "give_up_after", None)
        return Timing() if given is None else Timing(give_up=float(given))

    def session(
        self, transport: Transport, opened: Opened, server_url: str | None, *, state: SavedState | None = None
    ) -> Session:
        """Put the session together; ``state``: what it was restored from.

        Raises:
            LeaseLostError: opening took longer than the storage could be asked to keep the profile for this process.
        """
        if self.runner.lease is not None:
            self.runner.lease.check()
        options = evolve(self.options, server_url=server_url)
        return Session(
            SessionParts(
                transport=transport,
                transport_name=self.transport.name,
                capabilities=self.transport.capabilities,
                server_url=server_url,
                websockets_disabled=options.disable_websockets,
                options=options,
                user_data=options.user_data if state is None else {},
                write=self.runner.write,
                release=self.runner.release,
                abandon=self.runner.abandon,
                lease=self.runner.lease,
                storage_capabilities=self.storage.capabilities,
                log=self.log,
                on_exit=_on_exit(options.on_exit),
                restored=state is not None,
                delivered=0 if state is None else state.delivered,
                outbox=() if state is None else state.outbox,
                timing=self.timing,
            ),
            opened,
        )


def _on_exit(value: str | None) -> OnExit | None:
    return value if value in {"leave", "detach"} else None  # type: ignore[return-value]


def prepare(given: Options) -> Prepared:
    """Resolve options and choose plugins. Nothing is sent, read or written."""
    for name in given:
        if name not in Options.__annotations__:
            raise OptionTypeError(f"there is no option {name!r}", advice=closest(name, Options.__annotations__))
    options = resolve_options(Given(**given))
    environ = os.environ
    logger = select(Kind.LOGGER, options.logger, registry=registry, environ=environ)
    log = make_log(_make_logger(logger, options))
    transport = select(Kind.TRANSPORT, options.transport, registry=registry, environ=environ)
    storage = select(Kind.STORAGE, options.state_storage, registry=registry, environ=environ)
    options = _with_selections(options, transport, storage, logger)
    runner = StorageRunner(_make_storage(storage, options, log), name=storage.name, log=log)
    return Prepared(options=options, log=log, transport=transport, storage=storage, runner=runner)


def _with_selections(
    options: ResolvedOptions, transport: Selection, storage: Selection, logger: Selection
) -> ResolvedOptions:
    origins = dict(options.origins)
    notes = dict(options.notes)
    for name, selection in (("transport", transport), ("state_storage", storage), ("logger", logger)):
        origins[name] = {
            "argument": OptionOrigin.ARGUMENT,
            "environment": OptionOrigin.ENVIRONMENT,
        }.get(selection.origin, OptionOrigin.CORE)
        notes[name] = selection.reason
    if transport.provider is None:
        for name in ("server_url", "transport_options", "disable_websockets"):
            if origins[name] is OptionOrigin.ARGUMENT:
                notes[name] = "has no effect beside a transport instance"
    built_in = storage.provider is not None and storage.name in {"file", "memory"}
    if not built_in and origins["max_offline_duration"] is OptionOrigin.ARGUMENT:
        notes["max_offline_duration"] = "has no effect on a storage that is not built in"
    return evolve(
        options, transport=transport.name, state_storage=storage.name, logger=logger.name, origins=origins, notes=notes
    )


def _make_logger(selection: Selection, options: ResolvedOptions) -> Any:
    if selection.provider is None:
        return selection.instance
    provider = selection.provider
    context = LoggerContext(
        profile=options.profile,
        options=build_options(provider.options, None, name="logger options", owner=provider.name),
    )
    return _make(provider.factory, context, f"the logger {provider.name!r}")


def _make_storage(selection: Selection, options: ResolvedOptions, log: Log) -> Any:
    if selection.provider is None:
        if options.storage_options:
            raise OptionError("storage_options has no effect beside a storage instance", advice="leave it out")
        return selection.instance
    provider = selection.provider
    context = StorageContext(
        profile=options.profile,
        options=build_options(
            provider.options, options.storage_options, name="storage_options", owner=f"storage {provider.name!r}"
        ),
        max_offline_duration=options.max_offline_duration,
        log=log,
    )
    return _make(provider.factory, context, f"the storage {provider.name!r}")


def _make(factory: Any, context: Any, what: str) -> Any:
    """Call a plugin's factory; what it raises beside our own errors is the plugin's fault and said so."""
    try:
        return factory(context)
    except ChatError:
        raise
    except Exception as error:
        raise InvalidPluginError(
            f"{what} could not be made: its factory raised {type(error).__name__}: {error}",
            advice="report it to the plugin's author",
        ) from error


async def start(given: Options) -> Session:
    """Start a new chat; see ``start_session``."""
    prepared = prepare(given)
    server_url = prepared.options.server_url if prepared.transport.provider is not None else None
    transport = prepared.make_transport(server_url)
    runner, log = prepared.runner, prepared.log
    await runner.acquire()
    try:
        await _replace_old_state(prepared)
        options = prepared.options
        request = StartRequest(username=options.username, subject=options.subject, user_data=options.user_data)
        opened = await _open(prepared, transport, transport.start(request))
        session = prepared.session(transport, opened, server_url)
    except BaseException:
        await _give_up(transport, runner, log)
        raise
    return await _hand_over(session, give_back=leave_unwanted)


async def _hand_over(session: Session, *, give_back: Callable[[Session], Awaitable[object]]) -> Session:
    """Save the first state; a chat that cannot be saved is given back rather than lost."""
    if session.ended is not None:
        return session
    try:
        await save_first_state(session)
    except BaseException:
        with contextlib.suppress(Exception):
            await asyncio.shield(asyncio.ensure_future(give_back(session)))
        raise
    return session


async def _replace_old_state(prepared: Prepared) -> None:
    try:
        old = await prepared.runner.read()
    except (StorageUnavailableError, StorageLockedError, StorageTimeoutError):
        # What cannot be reached now will not take the new state either: said before the server hears of a chat.
        raise
    except StorageError as error:
        # Unreadable is not nothing, but this start is about to replace it on purpose.
        prepared.log.warning("the saved state could not be read and is replaced", str(error))
        return
    if old is not None:
        prepared.log.warning("a saved session without an owner is replaced by the new one", prepared.options.profile)


async def _open(prepared: Prepared, transport: Transport, opening: Any) -> Opened:
    try:
        async with asyncio.timeout(prepared.start_timeout + LEAVE_TIMEOUT):
            opened = await opening
    except TimeoutError as error:
        if isinstance(error, ChatError):
            raise
        raise InvalidPluginError(
            f"the transport {prepared.transport.name!r} did not open within {prepared.start_timeout:g} s",
            advice="the transport does not keep its own time limit; report it to its author",
        ) from error
    except ChatError:
        raise
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        raise ConnectError(f"the transport {prepared.transport.name!r} gave up while opening") from error
    except Exception as error:
        raise InvalidPluginError(
            f"the transport {prepared.transport.name!r} raised {type(error).__name__} while opening: {error}",
            advice="report it to the plugin's author",
        ) from error
    if not isinstance(opened, Opened):
        raise InvalidPluginError(
            f"the transport {prepared.transport.name!r} returned {type(opened).__name__} in place of Opened"
        )
    del transport
    return opened


async def _give_up(transport: Transport, runner: StorageRunner, log: Log, *, leave: bool = True) -> None:
    """After a failed or cancelled start: leave the chat that may be there, drop the link, give the state up."""
    guarded = Guarded(transport)

    async def clean_up() -> None:
        if leave:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(LEAVE_TIMEOUT):
                    await guarded.send(LeaveCommand())
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await guarded.aclose()
        except Exception as error:  # noqa: BLE001 - the start has failed already, with a reason of its own
            log.debug("the transport did not close in time", type(error).__name__)
        with contextlib.suppress(ChatError):
            await runner.release()

    task = asyncio.get_running_loop().create_task(clean_up(), name="chat-core: give up")
    while not task.done():
        # Bounded in itself; a second cancellation must not leave a socket behind.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)


async def restore(given: Options) -> Session:
    """Take the saved chat up; see ``restore_session``."""
    prepared = prepare(given)
    runner, log = prepared.runner, prepared.log
    await runner.acquire()
    transport: Transport | None = None
    try:
        state = await _read_state(prepared)
        server_url = _check_state(prepared, state)
        transport = prepared.make_transport(server_url)
        try:
            opened = await _open(prepared, transport, transport.resume(state.link))
        except RefusedError as error:
            if not error.session_unknown:
                raise
            await runner.write(None)
            raise NoSessionToRestore(
                f"the server does not know the chat any more: {error.description}", code=error.code, origin=error.origin
            ) from error
        session = prepared.session(transport, opened, server_url, state=state)
    except BaseException:
        if transport is not None:
            await _give_up(transport, runner, log, leave=False)
        else:
            with contextlib.suppress(ChatError):
                await asyncio.shield(runner.release())
        raise
    # What was saved before can still be restored.
    return await _hand_over(session, give_back=Session.detach)


async def _read_state(prepared: Prepared) -> SavedState:
    saved = await prepared.runner.read()
    if saved is None:
        raise NoSessionToRestore(f"there is no session to restore for the profile {prepared.options.profile!r}")
    return SavedState.from_mapping(saved)


def _check_state(prepared: Prepared, state: SavedState) -> str | None:
    """Check that a saved session belongs to what was asked for; returns the server's address."""
    if state.transport != prepared.transport.name:
        raise OptionError(
            f"the saved session belongs to the transport {state.transport!r}, "
            f"and {prepared.transport.name!r} was chosen ({prepared.transport.reason})",
            advice=f"restore it with transport={state.transport!r}",
        )
    wanted = prepared.options.server_url
    if wanted is not None:
        # As an argument it passes the same checks as the address in the state, before it is shown in any message.
        wanted = check_server_url(wanted, allow_insecure=prepared.allow_insecure)
    if wanted is not None and state.server_url is not None and not same_origin(wanted, state.server_url):
        raise OptionError(
            f"the saved session is held at {state.server_url}, which is not at the origin of server_url={wanted!r}",
            advice="leave server_url out, or start a new session",
        )
    if state.websockets_disabled and not prepared.options.disable_websockets:
        prepared.log.warning(
            "the session was started with disable_websockets, which is not remembered; give it to restore_session too"
        )
    return state.server_url
