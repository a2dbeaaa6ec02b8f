"""The default logger: the standard library's, under ``chat_core``. It prints nothing by itself.

That is a stated deviation from the browser's library, which logs to the console.
"""

from __future__ import annotations

import logging

from chat_core._contracts.logger import LoggerContext

__all__ = ["make_stdlib_logger"]


class _ProfileLogger(logging.Logger):
    """A child of ``chat_core`` that ends with its session: what ``getLogger`` has made it keeps for ever."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        known = self.manager.loggerDict.get(self.name)
        if isinstance(known, logging.Logger):  # which a program has set up under this name since
            return known.isEnabledFor(level)
        # The answer is not kept, since whoever sets a level only makes the loggers forget it that ``getLogger`` made.
        return not self.disabled and self.manager.disable < level and level >= self.getEffectiveLevel()

    def handle(self, record: logging.LogRecord) -> None:
        """Leave a record to the logger that a program has set up under this name since, where there is one."""
        known = self.manager.loggerDict.get(self.name)
        if isinstance(known, logging.Logger):
            known.handle(record)
        else:
            super().handle(record)


def make_stdlib_logger(context: LoggerContext) -> logging.Logger:
    """Return the logger ``chat_core.<profile>``; the provider's factory.

    One that a program has set up under that name is taken as it is.
    """
    root = logging.getLogger("chat_core")
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    name = f"chat_core.{context.profile.replace('.', '_')}"
    known = root.manager.loggerDict.get(name)
    if isinstance(known, logging.Logger):
        return known
    logger = _ProfileLogger(name)
    logger.parent = root
    return logger
