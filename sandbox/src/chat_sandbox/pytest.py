"""Fixtures for your own tests. Import them where your tests find them, say in ``conftest.py``::

    from chat_sandbox.pytest import chat_agent, sandbox

They need no plugin for asynchronous tests: the sandbox runs on a thread of its own. A test that has a loop uses
``chat_agent.aio`` and ``sandbox.aio``. While they are in use the ``repr`` of chat-core's events shows the text, so that
a failed test tells what was said.
"""  # noqa: D415

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from chat_sandbox.blocking import Agent, Sandbox

__all__ = ["chat_agent", "sandbox"]


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A chat server for one test. A fixture ``sandbox_options`` of yours gives the arguments of ``Sandbox``."""
    try:
        options = request.getfixturevalue("sandbox_options")
    except pytest.FixtureLookupError:
        options = {}
    with _plain_reprs(), Sandbox(**options) as running:
        yield running


@pytest.fixture
def chat_agent(sandbox: Sandbox) -> Agent:
    """The agent of the sandbox's next chat. The chat may begin later: the agent's first act waits for it, 5 s."""
    return sandbox.agent()


def _plain_reprs() -> contextlib.AbstractContextManager[None]:
    try:
        from chat_core.testing import plain_reprs  # noqa: PLC0415 - the sandbox serves tests of other clients as well
    except ImportError:
        return contextlib.nullcontext()
    return plain_reprs()
