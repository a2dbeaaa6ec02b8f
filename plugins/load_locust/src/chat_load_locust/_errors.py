"""Why a figure failed, in few words that are the same for the same cause: Locust counts failures by their words."""

from __future__ import annotations

import asyncio
import traceback

from chat_core import ChatError, ConnectError, LoginRefusedError, OptionError, PluginError, StorageError

__all__ = ["ChatLoadError", "reason_of"]

#: What befalls every chat in the same words, so that the words help and do not make a row for each chat.
_SAID_IN_FULL = (ConnectError, LoginRefusedError, OptionError, PluginError, StorageError)
#: Characters of a reason; tables and CSV files are read by people.
_LONGEST = 300


class ChatLoadError(ChatError):
    """What a failed figure is reported with, as the ``exception`` of Locust's ``request`` event.

    ``repr`` is the description, because that is what Locust shows. It holds no message text: of what a scenario raises
    it has the type and the line only.
    """

    def __repr__(self) -> str:
        return self.description


def reason_of(error: BaseException, *, file: str | None = None) -> str:
    """Return the reason to count a failure under.

    Args:
        error: what was raised.
        file: the scenario's source file; the innermost line of it is named for errors that are not chat-core's.
    """
    name = type(error).__name__
    if isinstance(error, ChatError):
        code = f" ({error.origin} {error.code:d})" if error.code else ""
        words = f": {error.description}" if isinstance(error, _SAID_IN_FULL) else ""
        return f"{name}{code}{words}"[:_LONGEST]
    if isinstance(error, asyncio.CancelledError):
        return "the scenario was cancelled"
    frames = traceback.extract_tb(error.__traceback__)
    line = next((frame.lineno for frame in reversed(frames) if frame.filename == file), None)
    return name if line is None else f"{name} in line {line} of the scenario's file"
