"""How a chat in the terminal ends: what both ways to show it, plain lines and the application, do alike."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

from chat_core._cli.lines import After
from chat_core._model.events import SessionEnded
from chat_core._session.session import Session

__all__ = ["PROFILE", "end", "farewell", "on_signals", "status"]

#: The profile that the commands use unless told otherwise.
PROFILE = "terminal"


def on_signals(give_up: Callable[[], None]) -> None:
    """Call ``give_up`` for what asks the process to stop, Ctrl-C included."""
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        with contextlib.suppress(NotImplementedError, AttributeError):  # where the system or the loop has no such thing
            loop.add_signal_handler(getattr(signal, name), give_up)


async def end(session: Session, after: After) -> None:
    """Detach for ``After.DETACH``, leave otherwise; nothing where the session is over already."""
    if session.ended is not None:
        return
    if after is After.DETACH:
        await session.detach()
    else:
        await session.leave()


def farewell(session: Session) -> str:
    """Return what is said to whoever gives a chat up: how to come back."""
    if not session.guarantees.survives_the_process:
        return "the chat goes on without you; its state was kept in memory, so nothing can take it up again"
    profile = getattr(session.options, "profile", PROFILE)
    named = "" if profile == PROFILE else f" --profile {profile}"
    return f"the chat goes on without you; 'chat-core restore{named}' takes it up again"


def status(session: Session) -> int:
    """Return the command's exit status."""
    over: SessionEnded | None = session.ended
    return 1 if over is not None and over.error is not None else 0
