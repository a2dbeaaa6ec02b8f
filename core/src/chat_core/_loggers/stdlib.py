"""The default logger: the standard library's, under ``chat_core``. It prints nothing by itself.

That is a stated deviation from the browser's library, which logs to the console.
"""

from __future__ import annotations

import logging

from chat_core._contracts.logger import LoggerContext

__all__ = ["make_stdlib_logger"]


def make_stdlib_logger(context: LoggerContext) -> logging.Logger:
    """Return the logger ``chat_core.<profile>``; the provider's factory."""
    root = logging.getLogger("chat_core")
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    return root.getChild(context.profile.replace(".", "_"))
