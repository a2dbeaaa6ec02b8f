"""Makes a ``Log`` of a callable or a ``logging.Logger``. Whatever they do, the session goes on."""

from __future__ import annotations

import logging
from typing import Any

from chat_core._contracts.logger import Log, LoggerLike
from chat_core._model.errors import InvalidPluginError
from chat_core._model.redaction import redact

__all__ = ["make_log"]

_fallback = logging.getLogger("chat_core")


def make_log(logger: LoggerLike) -> Log:
    """Return what the core logs to.

    A callable is called ``logger(*args)`` with any number and types of arguments, as ``console.log`` is; a
    ``logging.Logger`` gets one record a call. Arguments are redacted first.

    Raises:
        InvalidPluginError: it is neither.
    """
    if isinstance(logger, logging.Logger | logging.LoggerAdapter):
        return _RecordLog(logger)
    if callable(logger):
        return _CallableLog(logger)
    raise InvalidPluginError(
        f"logger must be callable or a logging.Logger, not {type(logger).__qualname__}",
        advice="give a function that takes any arguments, such as print",
    )


class _SafeLog:
    """Redacts, and outlives a logger that raises; that is reported once."""

    def __init__(self) -> None:
        self._reported = False

    def debug(self, *args: Any) -> None:
        self._log(logging.DEBUG, args)

    def info(self, *args: Any) -> None:
        self._log(logging.INFO, args)

    def warning(self, *args: Any) -> None:
        self._log(logging.WARNING, args)

    def error(self, *args: Any) -> None:
        self._log(logging.ERROR, args)

    def _log(self, level: int, args: tuple[Any, ...]) -> None:
        if not self._wants(level):
            return
        try:
            self._write(level, tuple(redact(argument) for argument in args))
        except Exception as error:  # noqa: BLE001 - a stranger's logger
            if not self._reported:
                self._reported = True
                _fallback.error("the logger failed with %s; the session goes on", type(error).__name__)

    def _wants(self, level: int) -> bool:
        raise NotImplementedError

    def _write(self, level: int, args: tuple[Any, ...]) -> None:
        raise NotImplementedError


class _CallableLog(_SafeLog):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self._function = function

    def _wants(self, level: int) -> bool:
        # console.log has no levels, and what helps to follow a program's inside is not for it.
        return level > logging.DEBUG

    def _write(self, level: int, args: tuple[Any, ...]) -> None:
        del level
        self._function(*args)


class _RecordLog(_SafeLog):
    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def _wants(self, level: int) -> bool:
        return bool(self._logger.isEnabledFor(level))

    def _write(self, level: int, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], str):
            text = args[0].replace("%", "%%") + ": %s" * bool(args[1:]) + ", %s" * (len(args) - 2)
            self._logger.log(level, text, *args[1:]) if args[1:] else self._logger.log(level, "%s", args[0])
        else:
            self._logger.log(level, " ".join(["%s"] * len(args)), *args)
