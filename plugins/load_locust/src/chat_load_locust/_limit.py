"""``--chat-failure-ratio``: when a run with failures is a failed run."""

from __future__ import annotations

import argparse
import logging
from typing import Any

import locust
from locust import log
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import WorkerRunner

__all__ = ["exit_code", "register"]

_logger = logging.getLogger(__name__)


def register() -> None:
    """Add the option and its effect to Locust."""
    locust.events.init_command_line_parser.add_listener(_add_option)  # type: ignore[no-untyped-call] # Locust leaves it untyped
    locust.events.quitting.add_listener(_on_quitting)  # type: ignore[no-untyped-call] # as above


def exit_code(limit: float, *, requests: int, ratio: float) -> int:
    """Return 1 when more than the share allowed failed, or nothing was counted at all; else 0."""
    return 1 if requests == 0 or ratio > limit else 0


def _ratio(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"a share from 0 to 1 is needed, such as 0.01, not {text!r}")
    return value


def _add_option(parser: LocustArgumentParser, **_: Any) -> None:
    group = parser.add_argument_group("Chats")
    group.add_argument(
        "--chat-failure-ratio",
        type=_ratio,
        metavar="SHARE",
        env_var="LOCUST_CHAT_FAILURE_RATIO",
        help="Exit with 1 when more than this share of the requests failed (0 to 1), and with 0 when no more did; "
        "without it one failure is enough for Locust's own --exit-code-on-error",
    )


def _on_quitting(environment: Environment, **_: Any) -> None:
    limit = getattr(environment.parsed_options, "chat_failure_ratio", None)
    # A worker knows its own part only, and an exit code that is set already is somebody's verdict.
    if limit is None or isinstance(environment.runner, WorkerRunner) or environment.process_exit_code is not None:
        return
    total = environment.stats.total
    if exit_code(limit, requests=total.num_requests, ratio=total.fail_ratio):
        _logger.error(
            "%.2f %% of %d requests failed, %.2f %% are allowed",
            100 * total.fail_ratio,
            total.num_requests,
            100 * limit,
        )
        environment.process_exit_code = 1
    elif not log.unhandled_greenlet_exception and environment.runner is not None and not environment.runner.exceptions:
        environment.process_exit_code = 0
