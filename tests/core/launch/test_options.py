"""Options: the rows of the API page's two tables, as far as resolving decides them."""

from __future__ import annotations

import enum
import math
from typing import Any

import pytest
from attrs import frozen

from chat_core import ConnectionOptions, OptionError, OptionTypeError, PageContext, StorageProvider
from chat_core._launch.options import Given, OptionOrigin, ResolvedOptions, resolve_options
from chat_core._launch.user_data import MAX_SIZE

PAGE = PageContext(title="Invoices", url="https://shop.example/invoices", referrer="https://shop.example/")


def resolve(**given: Any) -> ResolvedOptions:
    return resolve_options(Given(**given))


@pytest.mark.parametrize("username", [None, ""])
def test_row_username_defaults_to_user(username: str | None):
    """An absent or empty name becomes "User"."""
    assert resolve(username=username).username == "User"
    assert resolve(username="Ada").username == "Ada"


def test_row_subject_is_left_empty_when_absent():
    """An absent subject stays None and is not sent."""
    assert resolve().subject is None
    assert resolve(subject="Invoice").subject == "Invoice"
    assert resolve(subject="").subject == ""


def test_row_user_data_is_merged_over_the_defaults():
    """source, pageTitle, url and referrer are always there; the caller's keys join them."""
    assert dict(resolve(user_data={"FirstName": "John"}, page=PAGE).user_data) == {
        "source": "web",
        "pageTitle": "Invoices",
        "url": "https://shop.example/invoices",
        "referrer": "https://shop.example/",
        "FirstName": "John",
    }


def test_row_user_data_null_overrides_a_default():
    """Setting source to None displaces "web" and leaves the others as they are."""
    merged = resolve(user_data={"source": None}, page=PAGE).user_data
    assert merged["source"] is None
    assert merged["pageTitle"] == "Invoices"


def test_row_user_data_without_a_page():
    """The four keys are always in the options; without a page three are None."""
    assert dict(resolve().user_data) == {"source": "web", "pageTitle": None, "url": None, "referrer": None}


def test_row_max_offline_duration_defaults_to_five_seconds():
    """Infinity is allowed, and zero."""
    assert resolve().max_offline_duration == 5.0
    assert resolve(max_offline_duration=math.inf).max_offline_duration == math.inf
    assert resolve(max_offline_duration=0).max_offline_duration == 0.0
    assert resolve(max_offline_duration=60).max_offline_duration == 60.0
    assert resolve(max_offline_duration=10**400).max_offline_duration == math.inf


def test_row_disable_websockets_defaults_to_false():
    """And can be switched on."""
    assert resolve().disable_websockets is False
    assert resolve(disable_websockets=True).disable_websockets is True


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"username": 5}, OptionTypeError, "username must be text, not int"),
        ({"subject": b"x"}, OptionTypeError, "subject must be text, not bytes"),
        ({"server_url": 5}, OptionTypeError, "server_url must be text, not int"),
        ({"user_data": "x"}, OptionTypeError, "user_data must be a mapping, not str"),
        ({"user_data": {1: 2}}, OptionTypeError, "a key of user_data must be text, not 1"),
        ({"user_data": {"when": object()}}, OptionError, r"user_data\['when'\] of type object has no JSON form"),
        ({"user_data": {"n": math.nan}}, OptionError, r"user_data\['n'\] of type float has no JSON form"),
        ({"user_data": {"big": "x" * (MAX_SIZE + 1)}}, OptionError, "larger than"),
        ({"page": {}}, OptionTypeError, "page must be a PageContext, not dict"),
        ({"max_offline_duration": "5"}, OptionTypeError, "max_offline_duration must be seconds, not str"),
        ({"max_offline_duration": True}, OptionTypeError, "max_offline_duration must be seconds, not bool"),
        ({"max_offline_duration": -1}, OptionError, "must be 0 seconds or more, not -1"),
        ({"max_offline_duration": math.nan}, OptionError, "must be 0 seconds or more, not nan"),
        ({"disable_websockets": 1}, OptionTypeError, "disable_websockets must be True or False, not 1"),
        ({"max_offline_duration": -(10**400)}, OptionError, "must be 0 seconds or more, not -inf"),
        ({"max_offline_duration": None, "username": "\ud800"}, OptionError, "username holds half of a surrogate pair"),
        ({"profile": "x" * 201}, OptionError, "profile must have 1 to 200 characters, not 201"),
        ({"profile": "a\udc00"}, OptionError, "profile holds half of a surrogate pair at character 1"),
        ({"on_exit": []}, OptionTypeError, "on_exit must be 'leave' or 'detach', not list"),
        ({"profile": 5}, OptionTypeError, "profile must be text"),
        ({"profile": ""}, OptionError, "profile must have 1 to 200 characters, not 0"),
        ({"on_exit": "stay"}, OptionError, "on_exit must be 'leave' or 'detach', not 'stay'"),
    ],
)
def test_a_wrong_value_is_named_with_its_reason(given: dict[str, Any], error: type[Exception], text: str):
    """Before anything is sent."""
    with pytest.raises(error, match=text):
        resolve(**given)


def test_every_value_remembers_its_origin():
    """``explain`` lists each option with value, origin and note, and shows neither secrets nor texts."""
    options = resolve(
        username="Ada",
        subject="Invoice",
        user_data={"Password": "TOPSECRET"},
        transport_options={"auth": ("u", "TOPSECRET"), "service": "s"},
        page=PAGE,
    )
    lines = {one.name: one for one in options.explain()}
    assert lines["username"].origin == OptionOrigin.ARGUMENT
    assert lines["profile"].origin == OptionOrigin.CORE
    assert str(lines["profile"]) == "profile = default (core default)"
    assert "Password" in lines["user_data"].value
    shown = " ".join(map(str, options.explain()))
    assert "TOPSECRET" not in shown
    assert "Invoice<" not in shown
    assert lines["subject"].value == "<7 characters>"


def test_the_addresses_in_explain_show_no_secrets():
    """Neither a query's values nor what a stranger's object says about itself."""

    class Talkative:
        def __repr__(self) -> str:
            raise ZeroDivisionError("TOPSECRET")

    options = resolve(
        server_url="https://a.example/x?token=TOPSECRET",
        transport=Talkative(),
        storage_options=ConnectionOptions(auth=("u", "TOPSECRET"), headers={"Authorization": "TOPSECRET"}),
        transport_options=5,
        logger=print,
        max_offline_duration=math.inf,
        state_storage=StorageProvider(name="vault", summary="", factory=print),
    )
    lines = {one.name: one.value for one in options.explain()}
    assert "TOPSECRET" not in str(lines)
    assert "TOPSECRET" not in repr(options.explain())
    assert lines["server_url"] == "https://a.example/x?token=<hidden>"
    assert lines["transport"].endswith("Talkative>")
    assert lines["state_storage"] == "vault"
    assert lines["transport_options"] == "<int>"
    assert lines["max_offline_duration"] == "inf"
    assert "connect_timeout" in lines["storage_options"]


def test_an_object_among_the_options_of_a_plugin_is_shown_by_its_type():
    """Its own repr may show what it holds, and may raise."""

    class Talkative:
        def __repr__(self) -> str:
            return "TOPSECRET"

    @frozen
    class Options:
        vault: object
        deadline: float = 2.0

    for given in ({"vault": Talkative(), "deadline": 2.0}, Options(Talkative())):
        lines = {one.name: one.value for one in resolve(storage_options=given).explain()}
        assert "TOPSECRET" not in str(lines)
        assert "Talkative>" in lines["storage_options"]
        assert "2.0" in lines["storage_options"]


@pytest.mark.parametrize("name", ["username", "server_url"])
def test_an_empty_text_counts_as_not_given(name: str):
    """What is in force is the default, and its origin says so."""
    lines = {one.name: one for one in resolve(**{name: ""}).explain()}
    assert lines[name].origin == OptionOrigin.CORE


def test_a_subclass_of_text_becomes_plain_text():
    """An enum's member as a name, for one."""

    class Name(enum.StrEnum):
        ADA = "Ada"

    assert type(resolve(username=Name.ADA).username) is str
