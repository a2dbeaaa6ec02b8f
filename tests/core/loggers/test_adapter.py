"""Loggers of any kind, and what never reaches them."""

from __future__ import annotations

import logging
import time
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chat_core import InvalidPluginError, LoggerContext, MessageReceived
from chat_core._loggers.adapter import make_log
from chat_core._loggers.stdlib import make_stdlib_logger
from chat_core._model.redaction import redact


def test_a_callable_is_called_as_console_log_is():
    """Any number and types of arguments; debugging lines are not for it."""
    calls: list[tuple[Any, ...]] = []
    log = make_log(lambda *args: calls.append(args))
    log.debug("inside")
    log.info("the link is down", 5, None)
    log.warning({"a": [1, 2]})
    log.error()
    assert calls == [("the link is down", 5, None), ({"a": [1, 2]},), ()]


def test_a_logger_gets_one_record_a_call(caplog: pytest.LogCaptureFixture):
    """With level, and arguments beside the sentence; a percent sign is a percent sign."""
    log = make_log(logging.getLogger("x"))
    with caplog.at_level(logging.DEBUG, logger="x"):
        log.debug("one")
        log.info("100% sure", 5, "b")
        log.warning({"a": 1}, 2)
        log.error("three", ValueError("bad"))
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("DEBUG", "one"),
        ("INFO", "100% sure: 5, b"),
        ("WARNING", "{'a': 1} 2"),
        ("ERROR", "three: ValueError: bad"),
    ]


def test_a_level_that_is_off_costs_nothing(caplog: pytest.LogCaptureFixture):
    """Nothing is redacted for a record that nobody wants."""

    class Trap:
        def __repr__(self) -> str:
            raise AssertionError("looked at")

    logger = logging.getLogger("quiet")
    logger.setLevel(logging.ERROR)
    make_log(logger).info("x", Trap())


def test_a_logger_that_raises_is_reported_once(caplog: pytest.LogCaptureFixture):
    """And the session goes on."""

    def bad(*args: Any) -> None:
        raise ZeroDivisionError

    log = make_log(bad)
    with caplog.at_level(logging.ERROR, logger="chat_core"):
        log.info("one")
        log.info("two")
    assert caplog.text.count("the logger failed with ZeroDivisionError") == 1


def test_what_is_neither_is_refused():
    """Named by its type."""
    with pytest.raises(InvalidPluginError, match="not int"):
        make_log(5)  # type: ignore[arg-type]


def test_the_default_logger_prints_nothing(capsys: pytest.CaptureFixture[str]):
    """A stated deviation from the browser."""
    make_log(make_stdlib_logger(LoggerContext(profile="a.b"))).error("x")
    assert capsys.readouterr() == ("", "")
    assert make_stdlib_logger(LoggerContext(profile="a.b")).name == "chat_core.a_b"


def test_rp10_secrets_and_texts_are_taken_out_by_structure():
    """By their keys, at any depth; addresses lose user and query values; the original is unharmed."""
    value = {
        "secureKey": "CANARY",
        "data": [{"password": "CANARY", "text": "CANARY", "count": 5}],
        "headers": {"Authorization": "CANARY", "Set-Cookie": "CANARY"},
        "url": "https://CANARY:CANARY@host/path?token=CANARY&x=CANARY",
        "link": {"a": "CANARY"},
        "userData": {"FirstName": "CANARY"},
        "auth": None,
        "raw": b"CANARY",
    }
    shown = redact(value)
    assert "CANARY" not in repr(shown)
    assert shown["data"][0]["count"] == 5
    assert shown["data"][0]["text"] == "<6 characters>"
    assert shown["auth"] is None
    assert value["secureKey"] == "CANARY"


def test_rp10_events_show_no_text():
    """Their repr hides it, and so does an exception's address."""
    assert "CANARY" not in str(redact(MessageReceived(text="CANARY")))
    assert "CANARY" not in str(redact(ValueError("at https://u:CANARY@host/")))


def test_redaction_ends():
    """Cycles and depth are cut, and an object that cannot be shown is named by its type."""
    cycle: list[Any] = []
    cycle.append(cycle)
    assert "..." in repr(redact(cycle))

    class Bad:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    assert redact(Bad()) == "<Bad>"


@given(
    st.recursive(
        st.one_of(st.none(), st.text(), st.binary(), st.integers()),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_redaction_never_raises(value: Any):
    """Whatever is logged."""
    redact(value)


def test_a_long_text_is_redacted_in_linear_time():
    """A server's answer of 256 KiB without a blank, logged, does not stop the event loop for minutes."""
    began = time.process_time()
    assert redact("x" * (256 * 1024)) == "x" * (256 * 1024)
    assert time.process_time() - began < 5.0
    long_scheme = "x" * 100 + "://ada:secret@host/?key=secret"
    assert "secret" not in redact(long_scheme)
