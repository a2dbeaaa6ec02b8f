"""Wheels written by hand: a wheel is an archive with some metadata, and no build tool is needed for it."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["install", "write_wheel"]


def write_wheel(
    place: Path,
    name: str,
    files: Mapping[str, str],
    *,
    metadata: Mapping[str, str | Iterable[str]],
    entry_points: Mapping[str, str],
    version: str = "1.0",
) -> Path:
    """Write a pure wheel.

    Args:
        place: the folder it goes to.
        name: of the distribution.
        files: path in the wheel and text.
        metadata: further fields; a field may have several values.
        entry_points: of the group chat_core.
        version: of the distribution.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    fields = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    for field, values in metadata.items():
        fields += [f"{field}: {value}\n" for value in ([values] if isinstance(values, str) else values)]
    contents = {path: textwrap.dedent(text) for path, text in files.items()}
    contents[f"{info}/METADATA"] = "".join(fields)
    contents[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if entry_points:
        lines = [f"{key} = {value}\n" for key, value in entry_points.items()]
        contents[f"{info}/entry_points.txt"] = "".join(["[chat_core]\n", *lines])
    record = [f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in contents.items()]
    contents[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"])
    wheel = place / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode("ascii")


def install(target: Path, *packages: Path) -> None:
    """Install wheels, or source trees, into a folder as ``pip install --target`` does."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    result = subprocess.run(
        [*command, "--target", str(target), *map(str, packages)], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
