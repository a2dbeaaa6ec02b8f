"""The options of transports and storages on the command line: ``--transport-option K=V``, ``--storage-option K=V``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import Any

from chat_core._model.errors import OptionError

__all__ = ["add_option_arguments", "read_options"]


def add_option_arguments(parser: argparse.ArgumentParser) -> None:
    """Add an argument for each kind of plugin that has options; both may be given several times."""
    for kind in ("transport", "storage"):
        parser.add_argument(
            f"--{kind}-option",
            action="append",
            default=[],
            metavar="K=V",
            help=f"an entry of {kind}_options; V is JSON, or else text; visible in the list of processes",
        )


def read_options(pairs: Iterable[str], kind: str) -> dict[str, Any]:
    """Return what ``K=V`` arguments say; a V that is JSON is taken as that, everything else as text.

    Raises:
        OptionError: one is not of that form.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise OptionError(f"--{kind}-option {pair!r} is not of the form K=V")
        try:
            options[key] = json.loads(value)
        except (ValueError, RecursionError):
            options[key] = value
    return options
