"""The default logger."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from chat_core._contracts.logger import LoggerContext
from chat_core._loggers.stdlib import make_stdlib_logger


def make(profile: str) -> logging.Logger:
    return make_stdlib_logger(LoggerContext(profile=profile, options=None))


def test_a_profiles_logger_ends_with_its_session():
    """A program with a profile for each of its visitors does not grow with them."""
    before = set(logging.Logger.manager.loggerDict)
    logger = make("ada.1")
    assert logger.name == "chat_core.ada_1"
    gone = weakref.ref(logger)
    del logger
    gc.collect()
    assert gone() is None
    assert set(logging.Logger.manager.loggerDict) - before <= {"chat_core"}


def test_levels_are_obeyed_from_the_moment_in_which_they_are_set(caplog: pytest.LogCaptureFixture):
    """Those of the loggers above, and what logging as a whole is told."""
    logger = make("ada")
    root = logging.getLogger("chat_core")
    with caplog.at_level(logging.INFO, "chat_core"):
        caplog.handler.setLevel(logging.DEBUG)
        assert not logger.isEnabledFor(logging.DEBUG)
        logger.info("seen")
        root.setLevel(logging.DEBUG)
        logger.debug("seen too")
        logging.disable(logging.ERROR)
        try:
            logger.error("unseen")
        finally:
            logging.disable(logging.NOTSET)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("chat_core.ada", "seen"),
        ("chat_core.ada", "seen too"),
    ]


def test_a_logger_that_was_set_up_is_taken_as_it_is():
    """So one profile can have a level and a handler of its own."""
    mine = logging.getLogger("chat_core.set_up_before")
    assert make("set.up.before") is mine


@pytest.mark.parametrize("set_up", ["level", "disabled", "propagate", "filter", "handler"])
def test_what_is_set_up_after_the_session_began_counts_too(set_up: str, caplog: pytest.LogCaptureFixture):
    """A program that names the logger later, to silence it or to hear more of it, is obeyed."""
    profile = f"set-up-later-{set_up}"
    logger = make(profile)
    mine = logging.getLogger(f"chat_core.{profile}")
    heard: list[str] = []

    class Hear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    match set_up:
        case "level":
            mine.setLevel(logging.CRITICAL)
        case "disabled":
            mine.disabled = True
        case "propagate":
            mine.propagate = False
        case "filter":
            mine.addFilter(lambda _: False)
        case "handler":
            mine.addHandler(Hear())
    with caplog.at_level(logging.INFO, "chat_core"):
        logger.info("text")
    assert [record.getMessage() for record in caplog.records] == (["text"] if set_up == "handler" else [])
    assert heard == (["text"] if set_up == "handler" else [])
