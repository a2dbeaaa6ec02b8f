"""One profile's state in a keyring: keeping it, its size, clearing it, a locked keyring."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.errors import KeyringLocked, PasswordSetError

from chat_core import (
    StateCorruptError,
    StorageCapacityError,
    StorageError,
    StorageLockedError,
    StorageUnavailableError,
)
from chat_storage_keyring._storage import item_name
from plugins.storage_keyring.vaults import (
    BACKENDS,
    ITEM,
    STATE,
    Vault,
    Win32Error,
    chain,
    failing,
    storage,
    windows,
)
from support.sessions import MemoryLog


@pytest.mark.parametrize("name", BACKENDS)
def test_what_is_written_is_read_back_replaced_and_cleared(name: str, monkeypatch: pytest.MonkeyPatch):
    """On keyring's own backends too; nothing written and cleared twice are no errors."""
    backend = BACKENDS[name](monkeypatch)
    one = storage(backend)
    assert one.read() is None
    one.write(None)
    one.write(STATE)
    assert one.read() == STATE
    assert storage(backend).read() == STATE
    one.write({"a": {"ä": [1, 2.5, True, None, "\x00👩\u202e"]}})
    assert storage(backend).read() == {"a": {"ä": [1, 2.5, True, None, "\x00👩\u202e"]}}
    one.write(None)
    assert storage(backend).read() is None
    one.write(None)


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_every_json_state_comes_back_equal(state: dict[str, Any]):
    """And stands there in ASCII, whatever it holds."""
    vault = Vault()
    storage(vault).write(state)
    assert storage(vault).read() == state
    assert vault.items[ITEM].isascii()


def test_there_is_one_item_per_profile_with_a_plain_name():
    """``chat-core:<profile>``, one constant user name, compact JSON."""
    vault = Vault()
    storage(vault).write({"b": "ü", "a": 1})
    storage(vault, "kiosk-7", service="my-app").write({"a": 2})
    storage(vault, "kiosk-7", service="my-app").write({"a": 3})
    assert vault.items == {ITEM: '{"b":"\\u00fc","a":1}', ("my-app:kiosk-7", "state"): '{"a":3}'}


@pytest.mark.parametrize("name", BACKENDS)
def test_two_profiles_never_share_an_item(name: str, monkeypatch: pytest.MonkeyPatch):
    """Nor do those that a system takes for the same: capitals on Windows, and what follows a NUL."""
    backend = BACKENDS[name](monkeypatch)
    profiles = ["ada", "Ada", "ADA", "%41da", "a\0b", "a\0c", "é", "É", "x:y", " x", "\u202e"]
    for profile in profiles:
        storage(backend, profile).write({"profile": profile})
    for profile in profiles:
        assert storage(backend, profile).read() == {"profile": profile}
    storage(backend, "ada").write(None)
    assert storage(backend, "ada").read() is None
    assert storage(backend, "Ada").read() == {"profile": "Ada"}


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_names_of_different_profiles_differ(one: str, other: str):
    """Also where case does not count."""
    if one != other:
        assert item_name("s", one) != item_name("s", other)
        assert item_name("s", one, fold=True).lower() != item_name("s", other, fold=True).lower()
    assert "\0" not in item_name("s", one)


def test_the_chosen_backend_and_the_reason_are_logged_once():
    """The question that keyring's users ask most."""
    log = MemoryLog()
    one = storage(Vault(), log=log.info)
    one.write(STATE)
    one.read()
    assert log.at("info") == [
        "the state is kept in a keyring plugins.storage_keyring.vaults.Vault storage_options holds it"
    ]


NO_STATES = ["", "no JSON", '{"version":1', "[1]", "12", '"x"', "true", '{"a":NaN}', "[" * 100_000]


@pytest.mark.parametrize("text", NO_STATES, ids=lambda text: text[:9])
def test_what_is_no_state_is_damaged_and_never_absent(text: str):
    """The error tells the length and nothing of the content, and the item stays."""
    vault = Vault()
    vault.items[ITEM] = text
    with pytest.raises(StateCorruptError, match=rf"Vault holds an item of {len(text)} characters") as caught:
        storage(vault).read()
    assert vault.items[ITEM] == text
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    storage(vault).write(STATE)
    assert storage(vault).read() == STATE


def test_bytes_that_are_no_text_are_damaged():
    """So keyring's Secret Service backend says it."""
    vault = Vault()
    vault.before = failing(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"))
    with pytest.raises(StateCorruptError, match="the saved state is damaged"):
        storage(vault).read()


@pytest.mark.parametrize("state", [{"a": object()}, {"a": float("nan")}, {1: {2}}])
def test_a_state_that_is_no_json_is_refused_before_any_call(state: Any):
    """With our error."""
    vault = Vault()
    with pytest.raises(StorageError, match="cannot be written as JSON"):
        storage(vault).write(state)
    assert vault.calls == []


def test_a_backend_that_returns_something_else_is_named():
    """A coroutine is what an async backend returns; it is closed, so nothing warns."""

    class Async(Vault):
        async def get_password(self, service: str, username: str) -> Any: ...  # type: ignore[override]

    class Bytes(Vault):
        def get_password(self, service: str, username: str) -> Any:
            return b"{}"

    with pytest.raises(StorageUnavailableError, match="Async returned a coroutine in place of text"):
        storage(Async()).read()
    with pytest.raises(StorageUnavailableError, match="Bytes returned a bytes in place of text"):
        storage(Bytes()).read()


def of_size(size: int) -> dict[str, str]:
    """A state whose text has that many bytes of UTF-16."""
    return {"x": "a" * (size // 2 - len('{"x":""}'))}


def test_windows_takes_2560_bytes_and_more_is_refused_before_the_call(monkeypatch: pytest.MonkeyPatch):
    """The error names both sizes and the remedy; the old state stays."""
    backend = windows(monkeypatch)
    one = storage(backend)
    one.write(of_size(2560))
    with pytest.raises(
        StorageCapacityError,
        match=r'has 2562 bytes in UTF-16 .*WinVaultKeyring holds 2560; .*state_storage="file"',
    ):
        one.write(of_size(2562))
    assert one.read() == of_size(2560)


def test_without_the_check_windows_would_raise_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch):
    """The imitation is as strict as the real thing; its error is mapped as well, and chained."""
    one = storage(windows(monkeypatch), max_bytes=10_000)
    with pytest.raises(StorageCapacityError, match=r"Win32Error, winerror 1783") as caught:
        one.write(of_size(2562))
    assert isinstance(caught.value.__cause__, Win32Error)


def test_the_limit_can_be_set_for_any_backend(monkeypatch: pytest.MonkeyPatch):
    """Nothing but the option limits the others; a chainer has the limit of what it writes into."""
    vault = Vault()
    storage(vault).write(of_size(100_000))
    with pytest.raises(StorageCapacityError, match=r"102 bytes .* holds 100"):
        storage(vault, max_bytes=100).write(of_size(102))
    assert vault.calls.count("set") == 1
    with pytest.raises(StorageCapacityError, match="holds 2560"):
        storage(chain(monkeypatch, windows(monkeypatch), Vault())).write(of_size(2562))
    storage(chain(monkeypatch, Vault(), windows(monkeypatch))).write(of_size(2562))


def test_text_beyond_ascii_counts_as_it_is_written():
    """``ü`` is six characters of ASCII, which are twelve bytes."""
    text = '{"x":"\\u00fc"}'
    storage(Vault(), max_bytes=2 * len(text)).write({"x": "ü"})
    with pytest.raises(StorageCapacityError):
        storage(Vault(), max_bytes=2 * len(text) - 1).write({"x": "ü"})


def test_what_cannot_be_deleted_is_overwritten():
    """At least the secrets are gone, and what is there then counts as nothing."""
    vault = Vault()
    one = storage(vault)
    one.write(STATE)
    vault.before = failing(NotImplementedError(), "delete")
    one.write(None)
    assert vault.items == {ITEM: "null"}
    assert storage(vault).read() is None
    one.write(None)


def test_every_one_of_several_items_of_that_name_is_deleted():
    """A Secret Service deletes the first it finds."""

    class Double(Vault):
        copies = 2

        def delete_password(self, service: str, username: str) -> None:
            self.copies -= 1
            if not self.copies:
                super().delete_password(service, username)

    vault = Double()
    one = storage(vault)
    one.write(STATE)
    one.write(None)
    assert vault.items == {}


def test_a_deletion_that_changes_nothing_is_an_error():
    """The error names the item, which holds secrets."""

    class Sticky(Vault):
        def delete_password(self, service: str, username: str) -> None: ...

        def set_password(self, service: str, username: str, password: str) -> None:
            self.items.setdefault((service, username), password)

    one = storage(Sticky())
    one.write(STATE)
    with pytest.raises(StorageError, match=r"still has it \(delete the item 'chat-core:default' by hand\)"):
        one.write(None)


def test_a_chainer_is_cleared_to_its_last_backend(monkeypatch: pytest.MonkeyPatch):
    """Its own delete stops at the first, and its read finds the second's."""
    first, second = Vault(), Vault()
    storage(second).write(STATE)
    backend = chain(monkeypatch, first, second)
    assert storage(backend).read() == STATE
    storage(backend).write(None)
    assert second.items == {}
    storage(second).write(STATE)
    second.before = failing(PasswordSetError("x"), "delete", "set")
    first.before = lambda _: None
    with pytest.raises(StorageError):
        storage(backend).write(None)


def test_a_locked_keyring_is_asked_again_to_save_only_after_a_while():
    """The session tries every 5 s, and each time may show a prompt. Reading and clearing are asked for by somebody."""
    now = [100.0]
    vault = Vault()
    one = storage(vault, clock=lambda: now[0], prompt_pause=60)
    one.write(STATE)
    vault.before = failing(KeyringLocked("x"))
    vault.calls.clear()
    with pytest.raises(StorageLockedError, match="is locked or could not be opened"):
        one.write({"n": 1})
    for seconds, left in ((5, 55), (54, 1)):
        now[0] += seconds
        with pytest.raises(StorageLockedError, match=f"was locked and is not asked again for {left} s"):
            one.write({"n": 2})
    assert vault.calls == ["set"]
    with pytest.raises(StorageLockedError):
        one.read()
    with pytest.raises(StorageLockedError):
        one.write(None)
    assert vault.calls == ["set", "get", "delete"]
    vault.before = lambda _: None
    now[0] += 1
    one.write({"n": 3})
    assert one.read() == {"n": 3}
