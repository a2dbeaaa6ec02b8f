"""userData: the caller's keys over the four defaults, checked, copied and frozen."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import enum
import json
import math
import pickle
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_core import OptionError, OptionTypeError, PageContext
from chat_core._launch.user_data import MAX_DEPTH, MAX_SIZE, merge_user_data

DEFAULTS = {"source": "web", "pageTitle": None, "url": None, "referrer": None}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def as_sent(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(st.dictionaries(st.text(), json_values))
def test_row_user_data_the_caller_wins_over_every_default(user_data: dict[str, Any]):
    """Whatever has a JSON form arrives as it is; the defaults fill in the keys that the caller left out."""
    assert as_sent(merge_user_data(user_data, None)) == as_sent({**DEFAULTS, **user_data})


@pytest.mark.parametrize("key", ["source", "pageTitle", "url", "referrer"])
@pytest.mark.parametrize("value", [None, "mine"])
def test_row_user_data_each_default_can_be_overridden(key: str, value: Any):
    """One key given, None included, leaves the other three as they are."""
    page = PageContext(title="T", url="https://x/", referrer="https://y/")
    defaults = {"source": "web", "pageTitle": "T", "url": "https://x/", "referrer": "https://y/"}
    assert merge_user_data({key: value}, page) == {**defaults, key: value}


def test_nobody_can_change_it():
    """Neither through what was given nor through what was returned, at any depth."""
    given_by_caller: dict[str, Any] = {"list": [1, {"a": 1}], "proxy": MappingProxyType({"b": (2,)})}
    merged: Any = merge_user_data(given_by_caller, None)
    given_by_caller["list"].append(2)
    given_by_caller["list"][1]["a"] = 9
    assert merged["list"] == (1, {"a": 1})
    for change in (
        lambda: merged.__setitem__("source", "x"),
        lambda: merged.__delitem__("source"),
        lambda: merged.update(source="x"),
        lambda: merged.pop("source"),
        merged.popitem,
        lambda: merged.setdefault("new", 1),
        merged.clear,
        lambda: merged.__ior__({"source": "x"}),
        lambda: merged["list"][1].update(a=2),
        merged["proxy"].clear,
    ):
        with pytest.raises(TypeError, match="cannot be changed"):
            change()
    assert merged["list"] == (1, {"a": 1})
    assert merged["proxy"] == {"b": (2,)}
    assert merged["source"] == "web"


def test_a_copy_is_a_plain_dict():
    """Copying and pickling give what anybody may change."""
    merged: Any = merge_user_data({"a": {"b": 1}}, None)
    for other in (copy.copy(merged), copy.deepcopy(merged), pickle.loads(pickle.dumps(merged)), merged.copy()):
        assert other == merged
        other["source"] = "changed"
    assert type(copy.deepcopy(merged)["a"]) is dict


def test_subclasses_of_plain_types_become_plain():
    """An enum's member is sent as its value, not as its name."""

    class Colour(enum.StrEnum):
        RED = "red"

    class Level(enum.IntEnum):
        HIGH = 3

    merged = merge_user_data({Colour.RED: Colour.RED, "level": Level.HIGH}, None)
    assert {type(merged["red"]), type(merged["level"])} == {str, int}
    assert (merged["red"], merged["level"]) == ("red", 3)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (dt.date(2026, 1, 1), OptionTypeError, r"\['x'\] of type date has no JSON form.*isoformat"),
        (dt.timedelta(1), OptionTypeError, "of type timedelta has no JSON form"),
        (b"x", OptionTypeError, "of type bytes.*decode"),
        ({1}, OptionTypeError, "of type set.*list"),
        (decimal.Decimal(1), OptionTypeError, "of type Decimal.*str"),
        (object(), OptionTypeError, "of type object.*give text, a number"),
        ({"deep": [object()]}, OptionTypeError, r"user_data\['x'\]\['deep'\]\[0\] of type object"),
        ({"deep": {None: 1}}, OptionTypeError, r"a key of user_data\['x'\]\['deep'\] must be text, not None"),
        (math.nan, OptionError, "it is nan.*leave it out"),
        ([-math.inf], OptionError, r"user_data\['x'\]\[0\] of type float has no JSON form: it is -inf"),
        (1 << 5000, OptionError, "more than 4096 bits"),
        ("\ud800", OptionError, "half of a surrogate pair at character 0"),
        ({"\udfff": 1}, OptionError, "half of a surrogate pair"),
        ("x" * MAX_SIZE, OptionError, "user_data is larger than"),
        ([None] * (MAX_SIZE + 1), OptionError, "user_data is larger than"),
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode() if isinstance(value, str) else None,
)
def test_what_has_no_json_form_is_refused(value: Any, error: type[Exception], text: str):
    """The error names the key, the type, the reason and the remedy."""
    with pytest.raises(error, match=text):
        merge_user_data({"x": value}, None)


def test_an_error_shows_no_value():
    """User data is the visitor's (RP-10)."""
    with pytest.raises(OptionError) as caught:
        merge_user_data({"x": ["TOPSECRET", b"TOPSECRET"]}, None)
    assert "TOPSECRET" not in str(caught.value)


def test_nesting_is_bounded():
    """The deepest that is allowed passes, one more does not, and what holds itself is found."""

    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return value

    assert merge_user_data({"x": nested(MAX_DEPTH)}, None)
    endless: dict[str, Any] = {}
    endless["again"] = endless
    for value in (nested(MAX_DEPTH + 1), endless):
        with pytest.raises(OptionError, match="nested deeper than 32 levels, or holds itself"):
            merge_user_data({"x": value}, None)


def test_a_small_structure_that_unfolds_to_a_large_one_is_found():
    """Ten references in each of thirty lists are as much as what they unfold to."""
    value: Any = "x"
    for _ in range(30):
        value = [value] * 10
    with pytest.raises(OptionError, match="larger than"):
        merge_user_data({"x": value}, None)
