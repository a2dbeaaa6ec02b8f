"""What holds for every test of the keyring storage."""

from __future__ import annotations

import keyring
import pytest


@pytest.fixture(autouse=True)
def keyring_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test chooses by the user's variables or meets the user's keyring."""
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
