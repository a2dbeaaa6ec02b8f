"""A plugin's options, made from what a user gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
import pytest

from chat_core import ConnectionOptions, MissingOptionError, OptionError, OptionTypeError
from chat_core._plugins.options import build_options


@attrs.frozen(kw_only=True)
class Options:
    name: str
    count: int = 1
    ratio: float = 0.5
    on: bool = False
    kind: Literal["a", "b"] = "a"
    pair: tuple[str, int] | None = None
    many: tuple[int, ...] = ()
    words: Mapping[str, str] = attrs.field(factory=dict)
    items: list[str] = attrs.field(factory=list)
    anything: Any = None


def build(given: Any, options: type[Any] | None = Options) -> Any:
    return build_options(options, given, name="storage_options", owner="storage 'x'")


def test_a_mapping_becomes_an_instance():
    """Values of the right type are taken as they are."""
    made = build({"name": "n", "count": 2, "ratio": 1, "pair": ("a", 1), "many": [1, 2], "words": {"a": "b"}})
    assert (made.name, made.count, made.ratio, made.pair) == ("n", 2, 1, ("a", 1))


def test_an_instance_is_taken_as_it_is():
    """Typed options can be given themselves."""
    given = Options(name="n")
    assert build(given) is given


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"name": "n", "cuont": 2}, OptionError, "storage_options has no key 'cuont'.*did you mean 'count'"),
        ({"name": "n", "zzz": 2}, OptionError, "known are"),
        ({}, MissingOptionError, "name is missing for storage 'x'"),
        ({"name": 5}, OptionTypeError, "name must be text, not of type int"),
        ({"name": "n", "count": True}, OptionTypeError, "count must be a whole number"),
        ({"name": "n", "ratio": "x"}, OptionTypeError, "ratio must be a number"),
        ({"name": "n", "on": 1}, OptionTypeError, "on must be True or False"),
        ({"name": "n", "kind": "c"}, OptionTypeError, "kind must be"),
        ({"name": "n", "pair": ("a",)}, OptionTypeError, "pair must be"),
        ({"name": "n", "pair": 5}, OptionTypeError, "pair must be .* or None"),
        ({"name": "n", "many": [1, "x"]}, OptionTypeError, "many must be"),
        ({"name": "n", "words": {"a": 1}}, OptionTypeError, "words must be"),
        ({"name": "n", "items": "x"}, OptionTypeError, "items must be"),
        ([], OptionTypeError, "must be a mapping or Options, not list"),
    ],
)
def test_what_is_wrong_is_named(given: Any, error: type[Exception], text: str):
    """Key, expected type and remedy stand in the message; values do not."""
    with pytest.raises(error, match=text):
        build(given)


def test_a_plugin_without_options_takes_none():
    """Options for it are refused rather than ignored."""
    assert build(None, None) is None
    with pytest.raises(OptionError, match="storage 'x' takes no storage_options"):
        build({"a": 1}, None)


def test_a_validators_error_is_mapped():
    """ValueError and TypeError of an options class become ours, with the cause chained."""

    @attrs.frozen(kw_only=True)
    class Picky:
        size: Any = attrs.field(default=1)

        @size.validator
        def _(self, attribute: object, value: object) -> None:
            raise (ValueError if value == 1 else TypeError)("picky")

    with pytest.raises(OptionError, match="picky"):
        build({}, Picky)
    with pytest.raises(OptionTypeError, match="picky"):
        build({"size": 2}, Picky)


def test_the_transports_common_options_are_checked():
    """``ssl_context`` and the like are resolved though their module is imported for types only."""
    with pytest.raises(OptionTypeError, match="ssl_context must be SSLContext or None"):
        build({"ssl_context": "x"}, ConnectionOptions)
    with pytest.raises(OptionTypeError, match="auth must be"):
        build({"auth": "user:pass"}, ConnectionOptions)
    assert build({"auth": ("user", "pass")}, ConnectionOptions).auth == ("user", "pass")
