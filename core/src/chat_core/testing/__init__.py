"""Conformance suites for plugins: a storage's or transport's author proves with them that it keeps the contract.

A test class names its subject and inherits one test per check::

    from chat_core.testing import StorageConformance

    class TestVault(StorageConformance):
        provider = "vault"

The tests are plain functions that run their own event loop, so no plugin for asynchronous tests is needed and none is
in the way. ``chat-core conformance`` runs the same checks without pytest. docs/conformance.md lists them.
"""

from __future__ import annotations

from chat_core._model.events import plain_reprs
from chat_core.testing._catalogue import LEVEL, catalogue
from chat_core.testing._checks import Check, Level, Suite
from chat_core.testing._classes import (
    LoggerConformance,
    PackagingConformance,
    StorageConformance,
    TransportConformance,
)
from chat_core.testing._harness import TransportHarness
from chat_core.testing._report import Report, Result, Verdict

__all__ = [
    "LEVEL",
    "Check",
    "Level",
    "LoggerConformance",
    "PackagingConformance",
    "Report",
    "Result",
    "StorageConformance",
    "Suite",
    "TransportConformance",
    "TransportHarness",
    "Verdict",
    "catalogue",
    "plain_reprs",
]
