"""``start_session``, ``restore_session`` and ``restore_or_start_session``.

Importing them costs little: what does the work is imported when a launch starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from chat_core._session.pending import Pending

if TYPE_CHECKING:
    from chat_core._contracts.logger import LoggerLike
    from chat_core._contracts.providers import LoggerProvider, StorageProvider, TransportProvider
    from chat_core._contracts.storage import StateStorage
    from chat_core._contracts.transport import Transport
    from chat_core._launch.page import PageContext
    from chat_core._session.session import Session

__all__ = ["Options", "restore_or_start_session", "restore_session", "start_session"]


class Options(TypedDict, total=False):
    """The options of every launcher; all are keyword-only and may be None for "not given".

    Attributes:
        server_url: address of the chat server; mandatory unless ``transport`` is an instance.
        username: the visitor's name; None and ``""`` become ``"User"``.
        subject: what the chat is about; not sent when absent.
        user_data: merged over the defaults ``source``, ``pageTitle``, ``url``, ``referrer``.
        page: where the visitor is; gives the last three of these.
        transport: a provider's name, a provider, or an instance; ``cometd`` by default.
        transport_options: the transport's own options.
        state_storage: a provider's name, a provider, or any object with ``read`` and ``write``; ``file`` by default.
        storage_options: the storage's own options.
        max_offline_duration: seconds for which the session can be restored after its owner went away (5 by default,
            ``math.inf`` allowed); binds the built-in storages only.
        disable_websockets: forbid WebSocket; has to be given to ``restore_session`` as well.
        logger: a callable that takes any arguments, a ``logging.Logger``, or a provider's name.
        profile: the name under which the state is kept.
        on_exit: ``leave`` or ``detach``: what leaving ``async with`` does.
    """

    server_url: str | None
    username: str | None
    subject: str | None
    user_data: Any
    page: PageContext | None
    transport: str | TransportProvider | Transport | None
    transport_options: Any
    state_storage: str | StorageProvider | StateStorage | None
    storage_options: Any
    max_offline_duration: float | None
    disable_websockets: bool | None
    logger: str | LoggerProvider | LoggerLike | None
    profile: str | None
    on_exit: Literal["leave", "detach"] | None


def start_session(**options: Unpack[Options]) -> Pending[Session]:
    """Start a new chat session (API page, "startSession").

    ``async with start_session(...) as session`` leaves the chat at the end.

    Raises:
        OptionError: an option is missing or wrong; nothing was sent.
        PluginError: a plugin cannot be used.
        SessionInUseError: a live session holds the profile.
        StorageError: the state cannot be saved.
        ConnectError, ConnectTimeoutError: the server cannot be reached.
        ProtocolError: what answers is no chat server.
        LoginRefusedError, RefusedError: the server said no.
        AmbiguousError: the chat may have been opened and nobody can tell.
    """

    async def run() -> Session:
        from chat_core._launch.opening import start  # noqa: PLC0415 - see above

        return await start(options)

    return Pending(run, name="start_session", discard=_leave)


def restore_session(**options: Unpack[Options]) -> Pending[Session]:
    """Take up the session that was saved under the profile (API page, "restoreSession").

    Raises:
        NoSessionToRestore: nothing is saved, its time is over, or the server does not know the chat any more.
        OptionError: an option is wrong, or the state belongs to another transport or server.
        PluginError, SessionInUseError, StorageError: as in ``start_session``.
        StateCorruptError, StateVersionError: what is saved cannot be read; it is kept.
        ConnectError, ConnectTimeoutError, ProtocolError, RefusedError: no usable answer; the state is kept.
    """

    async def run() -> Session:
        from chat_core._launch.opening import restore  # noqa: PLC0415 - see above

        return await restore(options)

    return Pending(run, name="restore_session", discard=_detach)


def restore_or_start_session(**options: Unpack[Options]) -> Pending[Session]:
    """Restore the session, or start one when there is nothing to restore. Raises what the two raise."""
    discard = _detach

    async def run() -> Session:
        from chat_core._launch.opening import restore, start  # noqa: PLC0415 - see above
        from chat_core._model.errors import NoSessionToRestore  # noqa: PLC0415

        nonlocal discard
        try:
            return await restore(options)
        except NoSessionToRestore:
            discard = _leave
            return await start(options)

    return Pending(run, name="restore_or_start_session", discard=lambda session: discard(session))  # noqa: PLW0108 - which one is known later


async def _leave(session: Session) -> None:
    """Leave a chat that was started for nobody (RP-9)."""
    from chat_core._session.session import leave_unwanted  # noqa: PLC0415 - there is a session, so it was imported

    await leave_unwanted(session)


async def _detach(session: Session) -> None:
    """Let a chat be that was taken up for nobody, so that it can be taken up again."""
    await session.detach()
