"""Async functions that take a session, as Locust's tasks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias, overload

from chat_core import OptionError, OptionTypeError, Session

__all__ = ["ScenarioFunction", "Task", "as_task", "scenario"]

#: ``async def f(session)``, or ``async def f(self, session)`` in the body of a user class or task set.
ScenarioFunction: TypeAlias = Callable[..., Awaitable[object]]


class Task(Protocol):
    """What Locust calls: with a user, or the task set of one."""

    def __call__(self, holder: Any) -> None:
        """Hold one chat."""


@overload
def scenario(function: ScenarioFunction, /) -> Task: ...


@overload
def scenario(*, weight: int = 1) -> Callable[[ScenarioFunction], Task]: ...


def scenario(
    function: ScenarioFunction | None = None, /, *, weight: int = 1
) -> Task | Callable[[ScenarioFunction], Task]:
    """Make an async function a Locust task that holds one chat: it starts it, calls the function, and leaves.

    Args:
        function: ``async def f(self, session)`` in a ``ChatUser`` or ``TaskSet``, or ``async def f(session)``.
        weight: how often it is chosen, compared with the other scenarios of the class.

    Raises:
        OptionTypeError: it is no async function of a session.
        OptionError: the weight is no whole number above 0.
    """
    if isinstance(weight, bool) or not isinstance(weight, int) or weight < 1:
        raise OptionError(f"the weight of a scenario must be a whole number from 1 on, not {weight!r}")

    def decorate(function: ScenarioFunction) -> Task:
        task = as_task(function)
        task.locust_task_weight = weight  # type: ignore[attr-defined] # where Locust's own decorator puts it
        return task

    return decorate if function is None else decorate(function)


def as_task(function: ScenarioFunction) -> Task:
    """Return the task of an async function, without a weight.

    Raises:
        OptionTypeError: it is no async function of a session.
    """
    takes_holder = _takes_holder(function)

    @functools.wraps(function)  # its name for the task ratio, and what @tag and @task put on it
    def task(holder: Any) -> None:
        from chat_load_locust._user import ChatUser  # noqa: PLC0415 - it imports this module

        user = getattr(holder, "user", holder)
        if not isinstance(user, ChatUser):
            raise OptionTypeError(
                f"the scenario {function.__qualname__} was given a {type(user).__name__}, which holds no chats",
                advice="derive the user class from ChatUser",
            )

        def play(session: Session) -> Awaitable[object]:
            return function(holder, session) if takes_holder else function(session)

        user.hold_chat(play, name=function.__qualname__, file=inspect.getsourcefile(function))

    return task


def _takes_holder(function: ScenarioFunction) -> bool:
    name = getattr(function, "__qualname__", repr(function))
    if not inspect.iscoroutinefunction(function):
        raise OptionTypeError(f"{name} is no async function", advice="write 'async def', or use Locust's own @task")
    parameters = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}
    ]
    if len(parameters) not in {1, 2}:
        raise OptionTypeError(
            f"{name} takes {len(parameters)} arguments",
            advice="a scenario takes the session, in a class (self, session)",
        )
    return len(parameters) == 2  # noqa: PLR2004 - self and the session
