"""Async functions as Locust's tasks, as far as Locust is not needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import chat_load_locust
from chat_core import OptionError, OptionTypeError
from chat_load_locust import scenario


def test_a_scenario_has_the_weight_and_the_name_that_locust_looks_for():
    """And what other decorators put on it."""

    async def asks(session):
        raise NotImplementedError

    asks.locust_tag_set = {"short"}  # type: ignore[attr-defined] # as @tag does
    task = scenario(weight=3)(asks)
    assert vars(task)["locust_task_weight"] == 3
    assert vars(task)["locust_tag_set"] == {"short"}
    assert getattr(task, "__name__", "") == "asks"
    assert vars(scenario(asks))["locust_task_weight"] == 1


@pytest.mark.parametrize("weight", [0, -1, 1.5, True, "2"])
def test_a_weight_is_a_whole_number_from_1_on(weight: object):
    """Locust would count to it."""
    with pytest.raises(OptionError, match="the weight of a scenario must be a whole number from 1 on, not"):
        scenario(weight=weight)  # type: ignore[call-overload]


def test_what_is_no_scenario_is_refused_with_the_remedy():
    """Where it is defined, not when the load runs."""

    def plain(session):
        raise NotImplementedError

    async def nothing():
        raise NotImplementedError

    async def much(self, session, more):
        raise NotImplementedError

    async def optional(session, more=None):
        raise NotImplementedError

    with pytest.raises(OptionTypeError, match="plain is no async function") as caught:
        scenario(plain)
    assert caught.value.advice is not None
    assert "async def" in caught.value.advice
    with pytest.raises(OptionTypeError, match="takes 0 arguments"):
        scenario(nothing)
    with pytest.raises(OptionTypeError, match="takes 3 arguments"):
        scenario(much)
    scenario(optional)


def test_the_public_names_are_sorted_and_importing_the_package_patches_nothing():
    """Locust patches on import; who only imports this package is not to be surprised."""
    assert sorted(chat_load_locust.__all__) == chat_load_locust.__all__
    assert set(chat_load_locust.__all__) <= set(dir(chat_load_locust))
    with pytest.raises(AttributeError, match="has no attribute 'Nobody'"):
        chat_load_locust.Nobody  # noqa: B018
    code = (
        "import sys, chat_load_locust\n"
        "from chat_load_locust import ChatLoadError, scenario\n"
        "assert not {'locust', 'gevent'} & set(sys.modules)\n"
        "assert repr(ChatLoadError('so many words')) == 'so many words'\n"
        "assert ChatLoadError.__module__ == scenario.__module__ == 'chat_load_locust'\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
