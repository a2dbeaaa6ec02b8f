"""Installs the peers that chat-core is measured against: ``python benchmarks/peers.py``.

``aiocometd-noloop`` is the one Python client of CometD that works and survives a restart of its server; it gets an
environment of its own. The CometD project's JavaScript client comes from npm. Both stay in ``benchmarks/.peers``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

PEERS = Path(__file__).parent / ".peers"
NOLOOP = PEERS / "noloop" / "bin" / "python"
NODE = PEERS / "node"

_PYTHON = ("aiocometd-noloop==0.4.9",)
_JAVASCRIPT = ("cometd@9.0.0", "cometd-nodejs-client@2.0.0")


def install() -> None:
    """Install what is not there yet."""
    if not NOLOOP.exists():
        venv.create(PEERS / "noloop", with_pip=True)
        subprocess.run([NOLOOP, "-m", "pip", "install", "-q", *_PYTHON], check=True)
    if not (NODE / "node_modules").exists():
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is not installed: the JavaScript client cannot be measured")
        NODE.mkdir(parents=True, exist_ok=True)
        (NODE / "package.json").write_text('{"private": true}\n', "utf-8")
        flags = ("--silent", "--no-audit", "--no-fund", "--no-package-lock")
        subprocess.run([npm, "install", *flags, *_JAVASCRIPT], check=True, cwd=NODE)


if __name__ == "__main__":
    install()
    sys.stdout.write(f"the peers are in {PEERS.name}\n")
