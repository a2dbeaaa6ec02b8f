"""The options, the provider, and what importing them costs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from chat_core import (
    Capability,
    OptionError,
    OptionTypeError,
    StorageContext,
)
from chat_storage_keyring import KeyringOptions, provider
from plugins.storage_keyring.vaults import (
    ITEM,
    STATE,
    Vault,
    storage,
)
from support.sessions import MemoryLog


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"backend": "Keyring"}, OptionError, "backend must be the dotted name of a class, not 'Keyring'"),
        ({"backend": "a..b"}, OptionError, "dotted name"),
        ({"backend": Vault}, OptionTypeError, "not the class Vault .*call it"),
        ({"backend": object()}, OptionTypeError, "lacks get_password, set_password, delete_password"),
        ({"service": ""}, OptionError, "1 to 100 printable characters"),
        ({"service": "a\nb"}, OptionError, "printable"),
        ({"service": 5}, OptionTypeError, "service must be text, not int"),
        ({"timeout": 0}, OptionError, "timeout must be from 0.01 to 3600 seconds, not 0"),
        ({"timeout": float("nan")}, OptionError, "timeout"),
        ({"timeout": True}, OptionError, "timeout"),
        ({"prompt_pause": -1}, OptionError, "prompt_pause must be from 0 to 3600"),
        ({"max_bytes": 0}, OptionError, "max_bytes must be None or a whole number of bytes from 1 on, not 0"),
        ({"max_bytes": 2.5}, OptionError, "max_bytes"),
    ],
)
def test_a_wrong_option_is_named_before_anything_happens(options: dict[str, Any], kind: type[OptionError], words: str):
    """With value, reason and remedy."""
    with pytest.raises(kind, match=words):
        KeyringOptions(**options)


def test_rp10_reprs_show_nothing_of_what_a_backend_holds():
    """Neither the options' nor the storage's, whatever the backend's own repr shows."""
    vault = Vault()
    one = storage(vault)
    one.write(STATE)
    assert "CANARY" in repr(vault)
    assert repr(KeyringOptions(backend=vault)).startswith("KeyringOptions(backend=<Vault>")
    assert "CANARY" not in repr(KeyringOptions(backend=vault)) + repr(one)
    assert repr(one) == "<KeyringStorage 'chat-core:default', backend plugins.storage_keyring.vaults.Vault>"
    assert "not chosen yet" in repr(storage(vault))
    assert "keyring.x" in repr(KeyringOptions(backend="keyring.x"))


def test_the_provider_promises_what_a_keyring_can_keep():
    """The state outlives the process; owners, outboxes and atomic writes are not known to a keyring."""
    assert provider.name == "keyring"
    assert provider.capabilities == {Capability.PERSISTENT}
    made = provider.factory(StorageContext(profile="p", options=KeyringOptions(timeout=7), log=MemoryLog()))
    assert made.deadline == 7  # type: ignore[attr-defined]
    assert not hasattr(made, "acquire")


def test_neither_the_plugin_nor_its_factory_imports_keyring():
    """It costs 0.1 s and asks D-Bus; who does not use the storage pays for none of it."""
    code = (
        "import sys\n"
        "import chat_storage_keyring as plugin\n"
        "heavy = {'keyring', 'secretstorage', 'jeepney', 'asyncio'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from chat_core import StorageContext\n"
        "made = plugin.provider.factory(StorageContext(profile='p', options=plugin.KeyringOptions(), log=None))\n"
    ).replace("log=None", "log=type('L', (), {'info': print})()")
    code += "assert 'keyring' not in sys.modules\n"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_item_is_json_that_others_can_read():
    """A user who looks into the keyring sees what is kept."""
    vault = Vault()
    storage(vault).write(STATE)
    assert json.loads(vault.items[ITEM]) == STATE
