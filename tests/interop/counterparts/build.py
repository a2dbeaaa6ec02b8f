"""Builds the counterpart servers that others wrote: ``python tests/interop/counterparts/build.py``."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
JAVA = HERE / "cometd_java"
NODE = HERE / "node"


def _hash(folder: Path) -> str:
    """Return what changes when a source file does."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not {"target", "node_modules"} & set(file.relative_to(folder).parts):
            digest.update(str(file.relative_to(folder)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _build(folder: Path, stamp: Path, tool: str, arguments: list[str]) -> None:
    wanted = _hash(folder)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    program = shutil.which(tool)
    if program is None:
        raise RuntimeError(f"{tool} is not installed")
    subprocess.run([program, *arguments], check=True, cwd=folder)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)


def build_java() -> None:
    """Build the CometD servers with Maven, unless nothing changed since the last time."""
    _build(JAVA, JAVA / "target" / "built", "mvn", ["-q", "-B", "package"])


def build_node() -> None:
    """Install the Node servers, unless nothing changed since the last time."""
    arguments = ["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"]
    _build(NODE, NODE / "node_modules" / "built", "npm", arguments)


BUILDS: dict[str, Callable[[], None]] = {"java": build_java, "node": build_node}


def main() -> int:
    """Build everything and print how long it took."""
    for name, build in BUILDS.items():
        began = time.monotonic()
        build()
        sys.stdout.write(f"counterparts in {name} built in {time.monotonic() - began:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
