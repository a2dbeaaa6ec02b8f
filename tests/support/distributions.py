"""Distributions as an installer leaves them, without an installer."""

from __future__ import annotations

import textwrap
from pathlib import Path


def install(place: Path, name: str, code: str, *, version: str = "1.2", entry_point: str = "thing") -> None:
    """Put a plugin with one module and one entry point onto a path."""
    module = name.replace("-", "_")
    (place / f"{module}.py").write_text(textwrap.dedent(code), "utf-8")
    info = place / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[chat_core]\n{entry_point} = {module}\n", "utf-8")
