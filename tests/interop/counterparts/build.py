"""Builds the counterpart servers that others wrote: ``python tests/interop/counterparts/build.py``."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
JAVA = HERE / "cometd_java"


def sources_hash(folder: Path) -> str:
    """Return what changes when a source file does."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "target" not in file.parts and "node_modules" not in file.parts:
            digest.update(str(file.relative_to(folder)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def build_java() -> None:
    """Build the CometD servers with Maven, unless nothing changed since the last time."""
    stamp = JAVA / "target" / "built"
    wanted = sources_hash(JAVA)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise RuntimeError("Maven is not installed")
    subprocess.run([maven, "-q", "-B", "-f", str(JAVA / "pom.xml"), "package"], check=True)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)


def main() -> int:
    """Build everything and print how long it took."""
    began = time.monotonic()
    build_java()
    sys.stdout.write(f"counterparts built in {time.monotonic() - began:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
