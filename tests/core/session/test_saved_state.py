"""What is saved, and how what was saved is read."""

from __future__ import annotations

import contextlib
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chat_core import StateCorruptError, StateVersionError
from chat_core._session.state import SavedState

GOOD = SavedState(
    transport="cometd", server_url="https://x/", session_id="1", link={"key": "k"}, delivered=3
).to_mapping()


def test_a_state_survives_the_way_through_a_storage():
    """What is written can be read."""
    assert SavedState.from_mapping(GOOD).to_mapping() == GOOD


def test_a_newer_version_is_an_error_that_says_so():
    """It is not taken for no state, and names both versions."""
    with pytest.raises(StateVersionError, match="has version 99 and this chat-core reads up to 1"):
        SavedState.from_mapping({**GOOD, "version": 99})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": None}, "its version is None"),
        ({"version": True}, "its version is True"),
        ({"version": 0}, "its version is 0"),
        ({"transport": 5}, "'transport' is of type int"),
        ({"server_url": 5}, "'server_url' is of type int"),
        ({"session_id": None}, "'session_id' is of type NoneType"),
        ({"link": []}, "'link' is of type list"),
        ({"delivered": True}, "'delivered' is of type bool"),
        ({"delivered": -1}, "'delivered' is -1"),
        ({"websockets_disabled": 1}, "'websockets_disabled' is of type int"),
    ],
)
def test_damage_is_an_error_that_says_what(change: dict[str, Any], text: str):
    """Each field's damage is named; secrets are not shown."""
    with pytest.raises(StateCorruptError, match=text):
        SavedState.from_mapping({**GOOD, **change})


def test_what_is_no_mapping_is_damage():
    """A storage that returns something else."""
    with pytest.raises(StateCorruptError, match="of type str"):
        SavedState.from_mapping("state")


@given(
    st.dictionaries(st.sampled_from([*GOOD, "other"]), st.one_of(st.none(), st.integers(), st.text(), st.booleans()))
)
def test_rp06_nothing_but_our_errors_comes_out(change: dict[str, Any]):
    """Whatever stands in a state, reading it gives a state or one of the two errors."""
    with contextlib.suppress(StateCorruptError, StateVersionError):
        SavedState.from_mapping({**GOOD, **change})


def test_the_repr_shows_no_secret():
    """The link's keys stay out of logs."""
    assert "TOPSECRET" not in repr(SavedState.from_mapping({**GOOD, "link": {"key": "TOPSECRET"}}))


@pytest.mark.parametrize("number", [10**18, 10**5000, -(10**5000)], ids=["large", "huge", "negative"])
def test_rp11_a_number_that_nobody_writes_is_damage(number: int):
    """The fuzzer's find: Python would refuse to write it out again, or to make a time of it."""
    saved = SavedState(transport="cometd").to_mapping()
    message = {"text": "x", "type": "text", "resend": "never", "stage": "sent", "before": 0, "queued_at": number}
    for change in ({"delivered": number}, {"outbox": [message]}):
        with pytest.raises(StateCorruptError):
            SavedState.from_mapping({**saved, **change})
