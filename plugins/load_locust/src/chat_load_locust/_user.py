"""The user class."""

from __future__ import annotations

import functools
import inspect
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, WeakSet

from locust import TaskSet, User
from locust.env import Environment

from chat_load_locust import _limit
from chat_load_locust._chat import Plan, Play, hold_chat
from chat_load_locust._errors import ChatLoadError
from chat_load_locust._figures import Figure
from chat_load_locust._loop import LoopThread, Tell
from chat_load_locust._scenario import as_task

__all__ = ["ChatUser"]

_limit.register()

#: For all chats: a logger of each one's own, which is the default, would stay for ever. That a chat has ended is no
#: news here, and there may be thousands; what goes wrong is.
_chats = logging.getLogger("chat_load_locust.chats")
if _chats.level == logging.NOTSET:
    _chats.setLevel(logging.WARNING)


class ChatUser(User):
    """A Locust user who holds one chat after the other; each is played by one of its scenarios.

    Scenarios are its methods under ``@scenario``, or what its ``tasks`` lists. ``host`` is where the chat server is, as
    with every Locust user: an attribute, ``--host`` or the field of the web page.

    Attributes:
        chat_options: options of ``start_session`` for every chat.
        echo_timeout: seconds that messages have, after the scenario's end, to show up in the transcript.
        request_type: the type under which Locust shows the figures.
    """

    abstract = True

    chat_options: ClassVar[Mapping[str, Any]] = {}
    echo_timeout: float = 10.0
    request_type: str = "chat"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # Locust would call a plain async function and throw the coroutine away.
        self.tasks: list[TaskSet | Callable[..., Any]] = [
            as_task(one) if inspect.iscoroutinefunction(one) else one for one in type(self).tasks
        ]

    def start_options(self) -> Mapping[str, Any]:
        """Return the options of ``start_session`` for the next chat; override it where they differ from chat to chat.

        They are put over ``server_url=self.host``, ``state_storage="memory"``, ``on_exit="leave"``, a ``profile`` of
        each chat's own, and a logger for all of them, ``chat_load_locust.chats``, which shows warnings and errors.
        """
        return self.chat_options

    def hold_chat(self, play: Play, *, name: str = "scenario", file: str | None = None) -> None:
        """Hold one chat, and report what a visitor feels; returns when the chat is over.

        For tasks of your own; ``@scenario`` does it for you.

        Args:
            play: an async function that is given the session.
            name: the scenario's name, for the log.
            file: its source file, of which a failure names the line.
        """
        options = {
            "server_url": self.host,
            "state_storage": "memory",
            "on_exit": "leave",
            "logger": _chats,
            "profile": f"load-{uuid.uuid4()}",
            **self.start_options(),
        }
        plan = Plan(options=options, play=play, name=name, file=file, echo_timeout=self.echo_timeout)

        async def work(tell: Tell) -> None:
            await hold_chat(plan, lambda figure: tell(functools.partial(self._report, figure, time.time())))

        _loop_of(self.environment).run(work)

    def _report(self, figure: Figure, now: float) -> None:
        """Report to Locust, in the user's own greenlet: a listener may stop the user, as Locust allows."""
        self.environment.events.request.fire(
            request_type=self.request_type,
            name=figure.name,
            response_time=None if figure.seconds is None else figure.seconds * 1000,
            response_length=0,
            response=None,
            context=self.context(),
            exception=None if figure.reason is None else ChatLoadError(figure.reason),
            start_time=now - (figure.seconds or 0.0),
        )


_loops: WeakKeyDictionary[Environment, LoopThread] = WeakKeyDictionary()
#: Environments whose end of a test is listened for, once: there may be several tests.
_heard: WeakSet[Environment] = WeakSet()


def _loop_of(environment: Environment) -> LoopThread:
    """Return the loop of this worker, started with a test's first chat and ended with the test."""
    if environment not in _heard:
        _heard.add(environment)
        environment.events.test_stop.add_listener(_on_test_stop)  # type: ignore[no-untyped-call] # Locust leaves it untyped
    if environment not in _loops:
        _loops[environment] = LoopThread()
    return _loops[environment]


def _on_test_stop(environment: Environment, **_: Any) -> None:
    loop = _loops.pop(environment, None)
    if loop is not None:
        loop.stop()
