"""A keyring that is a file, for checks in which another process looks at the same one."""

from __future__ import annotations

import json
from pathlib import Path


class FileVault:
    """Keyring's three methods on a JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _items(self) -> dict[str, str]:
        try:
            items: dict[str, str] = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        return items

    def _keep(self, items: dict[str, str]) -> None:
        self.path.write_text(json.dumps(items), "ascii")

    def get_password(self, service: str, username: str) -> str | None:
        return self._items().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._keep({**self._items(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        items = self._items()
        items.pop(f"{service} {username}", None)
        self._keep(items)

    def damage(self) -> None:
        """Cut every item off in the middle."""
        self._keep({name: text[: len(text) // 2] for name, text in self._items().items()})
