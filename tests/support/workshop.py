"""A fresh environment with the checkout's wheels, in which packages of outside authors are built and tried."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What an author of a plugin has installed: the core, a transport, and a server to try it on.
OURS = ("core", "gms", "plugins/transport_cometd", "sandbox")


class Workshop:
    """An environment of its own. Nothing of the checkout is on its path but what was installed from wheels."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.wheels = place / "wheels"
        venv.create(place / "venv", with_pip=True)
        self.python = place / "venv" / "bin" / "python"
        # The back end of every build is there already, so that no build fetches its own.
        self.pip("install", "hatchling", "pytest")
        self.install(*(ROOT / folder for folder in OURS))

    def pip(self, *arguments: str) -> None:
        result = self.run(str(self.python), "-m", "pip", "--quiet", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr

    def install(self, *folders: Path) -> None:
        """Build wheels and install them, with what they depend on."""
        before = set(self.wheels.glob("*.whl"))
        wheel = ("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(self.wheels))
        self.pip(*wheel, *map(str, folders))
        made = sorted(set(self.wheels.glob("*.whl")) - before)
        assert len(made) == len(folders)
        self.pip("install", *map(str, made))

    def uninstall(self, *names: str) -> None:
        self.pip("uninstall", "--yes", *names)

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the environment, in an empty folder unless told otherwise."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV", "PYTEST"))}
        elsewhere = self.place / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
            cwd=cwd or elsewhere,
            env={**kept, "XDG_STATE_HOME": str(self.place / "state"), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        )

    def chat_core(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``chat-core``, warnings being errors."""
        return self.run(str(self.python), "-W", "error", "-m", "chat_core", *arguments)

    def test(self, package: Path) -> str:
        """Run a package's own tests against what is installed, away from its sources; returns what pytest says."""
        place = self.place / "tests" / package.name
        place.mkdir(parents=True)
        shutil.copytree(package / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(package / "pyproject.toml", place)
        result = self.run(str(self.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=place)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


def unpack(listings: dict[str, str], place: Path) -> Path:
    """Write the files of a tutorial into a folder."""
    for name, text in listings.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return place
