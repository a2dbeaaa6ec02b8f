"""``start_session``, ``restore_session`` and ``restore_or_start_session``, each of which returns the session itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Unpack

from chat_core._blocking.portal import portal
from chat_core._blocking.session import Session
from chat_core._launch import launchers
from chat_core._launch.launchers import Options
from chat_core._session import session

__all__ = ["restore_or_start_session", "restore_session", "start_session"]


def start_session(**options: Unpack[Options]) -> Session:
    """Start a new chat session (API page, "startSession").

    ``with start_session(...) as session`` leaves the chat at the end.

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
    return _launch(lambda: launchers.start_session(**options), unwanted=lambda one: one.leave())


def restore_session(**options: Unpack[Options]) -> Session:
    """Take up the session that was saved under the profile (API page, "restoreSession").

    Raises:
        NoSessionToRestore: nothing is saved, its time is over, or the server does not know the chat any more.
        OptionError: an option is wrong, or the state belongs to another transport or server.
        PluginError, SessionInUseError, StorageError: as in ``start_session``.
        StateCorruptError, StateVersionError: what is saved cannot be read; it is kept.
        ConnectError, ConnectTimeoutError, ProtocolError, RefusedError: no usable answer; the state is kept.
    """
    return _launch(lambda: launchers.restore_session(**options), unwanted=lambda one: one.detach())


def restore_or_start_session(**options: Unpack[Options]) -> Session:
    """Restore the session, or start one when there is nothing to restore. Raises what the two raise."""
    return _launch(lambda: launchers.restore_or_start_session(**options), unwanted=lambda one: one.aclose(failed=True))


def _launch(
    launch: Callable[[], Awaitable[session.Session]], *, unwanted: Callable[[session.Session], Awaitable[object]]
) -> Session:
    """Launch on the loop's thread; ``unwanted`` takes back what came when Ctrl-C had ended the wait."""
    one = portal()
    return Session(one, one.launch(launch, unwanted=unwanted))
